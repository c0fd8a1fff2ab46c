"""Invitations: random codes, of which only the hash is stored."""

import hashlib
import secrets
from datetime import timedelta

from chatbot.storage import invitations
from chatbot.storage.database import Storage


async def invite(
    storage: Storage, *, uses: int, days: float, daily_tokens: int | None = None
) -> str:
    """Create an invitation for `uses` accounts; returns its code, shown only once.

    Users who register with it get `daily_tokens` per day; None for the common limit.
    """
    code = secrets.token_urlsafe(16)
    expires_at = storage.clock() + timedelta(days=days)
    await storage.write(invitations.create, _hash(code), uses, expires_at, daily_tokens)
    return code


def use(code: str) -> int | None:
    """Use an invitation once; returns the daily tokens it grants, None for the common limit.
    Raises `InvitationRefused`. Runs in a transaction."""
    return invitations.use(_hash(code))


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
