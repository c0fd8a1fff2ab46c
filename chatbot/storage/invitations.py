"""Invitations: codes to create an account, stored by the hash of the code."""

from datetime import datetime
from typing import Any

from chatbot.errors import BadInput, InvitationRefused
from chatbot.storage.current import now
from chatbot.storage.fields import is_id
from chatbot.storage.tables import Invitation
from chatbot.views import InvitationRow


def create(code_hash: str, uses: int, expires_at: datetime, daily_tokens: int | None) -> None:
    Invitation.create(
        code_hash=code_hash, uses_left=uses, expires_at=expires_at, daily_tokens=daily_tokens
    )


def use(code_hash: str) -> int | None:
    """Use an invitation once; returns the daily tokens it grants, None for the common limit.
    Raises `InvitationRefused`."""
    invitation = Invitation.code_hash == code_hash
    used = Invitation.update(uses_left=Invitation.uses_left - 1).where(
        invitation,
        Invitation.uses_left > 0,
        Invitation.expires_at > now(),
        Invitation.revoked_at.is_null(),
    )
    if not used.execute():
        raise InvitationRefused()
    daily_tokens: int | None = Invitation.get(invitation).daily_tokens
    return daily_tokens


def newest() -> list[InvitationRow]:
    """All invitations, newest first."""
    rows: Any = Invitation.select().order_by(Invitation.id.desc())
    return [
        InvitationRow(
            row.id, row.created_at, row.expires_at, row.uses_left, row.daily_tokens, _state(row)
        )
        for row in rows
    ]


def revoke(invitation_id: int) -> None:
    """Make this invitation invalid. Raises `BadInput` if it does not exist."""
    found: Any = (
        Invitation.get_or_none(Invitation.id == invitation_id) if is_id(invitation_id) else None
    )
    if found is None:
        raise BadInput()
    still_open = (Invitation.id == invitation_id) & Invitation.revoked_at.is_null()
    Invitation.update(revoked_at=now()).where(still_open).execute()


def _state(invitation: Any) -> str:
    if invitation.revoked_at is not None:
        return "revoked"
    if invitation.uses_left <= 0:
        return "used"
    return "open" if invitation.expires_at > now() else "expired"
