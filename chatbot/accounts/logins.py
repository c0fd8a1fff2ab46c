"""Logins: which user a cookie's token belongs to, and how long it is valid."""

import asyncio
import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chatbot.errors import StorageUnavailable
from chatbot.storage import logins
from chatbot.storage.current import now
from chatbot.storage.database import Storage

AGENT_LENGTH = 200
RENEW_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Person:
    """The user of a login."""

    id: int
    name: str
    is_admin: bool


class Logins:
    """The logins of all users. Call `close` at the end."""

    def __init__(self, storage: Storage, *, login_days: float, login_max_days: float) -> None:
        self._storage = storage
        self._idle_time = timedelta(days=login_days)
        self._longest_time = timedelta(days=login_max_days)
        self._renewals: set[asyncio.Task[None]] = set()

    async def person(self, token: str | None) -> Person | None:
        """The user of a cookie's token; None if the token is missing, unknown or has ended."""
        if not token:
            return None
        login = await self._storage.read_inline(logins.find, login_key(token))
        if login is None:
            return None
        if login.seen_at < self._storage.clock() - RENEW_AFTER:
            # Renew in the background: the response does not wait.
            renewal = asyncio.create_task(self._renew(login))
            self._renewals.add(renewal)
            renewal.add_done_callback(self._renewals.discard)
        return Person(login.user_id, login.name, bool(login.is_admin))

    async def still_logged_in(self, keys: Collection[str]) -> set[str]:
        """The subset of these logins, by `login_key`, that are still valid."""
        return await self._storage.read(logins.live, list(keys))

    async def log_out(self, token: str) -> None:
        """End the login of this token, if there is one."""
        await self._storage.write(logins.end, login_key(token))

    def open(self, user: Any, agent: str) -> str:
        """Log a user in; returns the token for the cookie. Runs in a transaction."""
        token = secrets.token_urlsafe(32)
        expires_at = now() + min(self._idle_time, self._longest_time)
        logins.create(user, login_key(token), expires_at, agent[:AGENT_LENGTH])
        return token

    async def close(self) -> None:
        """Finish pending writes."""
        await asyncio.gather(*self._renewals)

    async def _renew(self, login: Any) -> None:
        moment = self._storage.clock()
        expires_at = min(moment + self._idle_time, login.created_at + self._longest_time)
        try:
            await self._storage.write(logins.renew, login.id, moment - RENEW_AFTER, expires_at)
        except StorageUnavailable:
            # Already logged; the next request tries again.
            return


def login_key(token: str) -> str:
    """The id of a login inside the app; it cannot be used to log in."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
