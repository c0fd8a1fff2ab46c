"""Invitations: codes that nobody can guess, known only by their hash."""

import hashlib
import secrets
from datetime import timedelta

from chatbot.storage import invitations
from chatbot.storage.database import Storage


async def invite(
    storage: Storage, *, uses: int, days: float, daily_tokens: int | None = None
) -> str:
    """Make an invitation for so many accounts; its code is told only here.

    Who comes with it may use `daily_tokens` a day; None for the common limit.
    """
    code = secrets.token_urlsafe(16)
    expires_at = storage.clock() + timedelta(days=days)
    await storage.write(invitations.create, _hash(code), uses, expires_at, daily_tokens)
    return code


def use(code: str) -> int | None:
    """Use an invitation once: what it lets a person use in a day. Raises `InvitationRefused`. In a
    transaction."""
    return invitations.use(_hash(code))


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
