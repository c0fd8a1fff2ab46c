"""What users can do with their own account: see and end logins, export their data, delete it.

Every call takes the user, whose login the caller has checked. `accounts` handles passwords.
"""

import asyncio
import re
import time
from typing import Any

from chatbot.accounts import Person, login_key
from chatbot.service import ChatService
from chatbot.storage import erase, export, logins, turns
from chatbot.storage.database import Storage
from chatbot.turns.runner import Runner
from chatbot.views import LoginRow

STOP_SECONDS = 3
"""How long deleting an account waits for its running replies to end."""
STOP_LOOK_SECONDS = 0.05

# The first match wins: a browser's User-Agent also names older browsers.
BROWSERS = (
    ("WeChat", r"MicroMessenger/"),
    ("QQ", r"QQBrowser/|\bQQ/"),
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
)
SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("HarmonyOS", r"HarmonyOS|OpenHarmony"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Linux", r"Linux"),
)
PROGRAM_NAME_LENGTH = 40


class SelfService:
    """The accounts of all users; every method works for one user."""

    def __init__(self, storage: Storage, service: ChatService, runner: Runner) -> None:
        self._storage = storage
        self._service = service
        self._runner = runner

    async def logins(self, user_id: int, token: str) -> list[LoginRow]:
        """The logins of this user: first the one of this token, then the last used first."""
        this = login_key(token)
        rows = [
            LoginRow(
                row.id, row.created_at, row.seen_at, browser_name(row.agent), row.token_hash == this
            )
            for row in await self._storage.read(logins.of_user, user_id)
        ]
        return sorted(rows, key=lambda row: not row.is_this)

    async def end_login(self, user_id: int, login_id: int) -> None:
        """End one login, if it exists and belongs to this user."""
        await self._storage.write(logins.end_one, user_id, login_id)

    async def end_other_logins(self, user_id: int, token: str) -> None:
        """End every login except the one of this token."""
        await self._storage.write(logins.end_others, user_id, login_key(token))

    async def export(self, user_id: int) -> dict[str, Any]:
        """All data about this user as plain values, without secrets."""
        stored = await self._storage.read(export.account, user_id)
        return {"exported_at": self._storage.clock().isoformat(), **(stored or {})}

    async def delete_account(self, person: Person) -> None:
        """Delete the account with all its data, and at Ark as far as its API can.

        Running replies are stopped first. The turns keep their numbers but not the user.
        """
        await self._stop_turns(person.id)
        refs = await self._storage.write(erase.account, person.id)
        self._runner.forget(refs)
        await self._storage.empty_log()

    async def _stop_turns(self, user_id: int) -> None:
        """Stop every running reply in all processes, so that none is stored after the deletion."""
        for conversation_id in await self._storage.read(turns.running_in, user_id):
            await self._service.stop(user_id, conversation_id)
        until = time.monotonic() + STOP_SECONDS
        while time.monotonic() < until:
            if not await self._storage.read(turns.running_in, user_id):
                return
            await asyncio.sleep(STOP_LOOK_SECONDS)


def browser_name(agent: str) -> str:
    """A short name for this User-Agent; for a program, the start of its name."""
    browser = _first(BROWSERS, agent)
    if browser:
        return " · ".join(filter(None, (browser, _first(SYSTEMS, agent))))
    program = re.split(r"[/\s]", agent.strip(), maxsplit=1)[0]
    return program[:PROGRAM_NAME_LENGTH]


def _first(names: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for name, pattern in names if re.search(pattern, agent)), "")
