"""All that is stored about a person, as plain values for a file; nothing that opens a door.

No password hash, no login token, nothing that Ark knows a conversation by. Each function runs in a
`Storage` transaction.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from chatbot.storage.models import Conversation, Login, Message, Usage, User

ACCOUNT = ("id", "name", "is_admin", "daily_tokens", "created_at", "disabled_at")
LOGIN = ("created_at", "seen_at", "expires_at", "agent")
SESSION = ("id", "title", "created_at", "updated_at", "newest_message")
MESSAGE = (
    "id", "after", "role", "content", "thought", "state", "error", "notes", "created_at",
    "finished_at", "model", "prompt_tokens", "cached_tokens", "completion_tokens",
    "reasoning_tokens", "first_token_ms", "micro_yuan", "request_id",
)  # fmt: skip
USAGE = (
    "at", "session", "message", "model", "prompt_tokens", "cached_tokens", "completion_tokens",
    "reasoning_tokens", "micro_yuan", "saved_micro_yuan", "settled",
)  # fmt: skip

COLUMNS = {
    "session": "conversation_id",
    "message": "reply_id",
    "after": "parent",
    # The visible version ends here; each message names the one before it.
    "newest_message": "head_id",
}
"""Columns whose names say less than those in the file."""


def account(user_id: int) -> dict[str, Any] | None:
    """One person's account, logins, conversations with all versions, and use; None if it is gone.

    Five queries, however much there is, and all of it in memory.
    """
    user: Any = User.get_or_none(User.id == user_id)
    if user is None:
        return None
    logins: Any = Login.select().where(Login.user == user_id).order_by(Login.id)
    sessions: Any = Conversation.select().where(Conversation.user == user_id)
    mine = Conversation.select(Conversation.id).where(Conversation.user == user_id)
    messages: Any = Message.select().where(Message.conversation.in_(mine)).order_by(Message.id)
    said: dict[UUID, list[dict[str, Any]]] = {}
    for message in messages:
        said.setdefault(message.conversation_id, []).append(_values(message, MESSAGE))
    usage: Any = Usage.select().where(Usage.user_id == user_id).order_by(Usage.id)
    return {
        "account": _values(user, ACCOUNT),
        "logins": [_values(login, LOGIN) for login in logins],
        "sessions": [
            {**_values(session, SESSION), "messages": said.get(session.id, [])}
            for session in sessions.order_by(Conversation.created_at, Conversation.id)
        ],
        "usage": [_values(used, USAGE) for used in usage],
    }


def nobodys_usage() -> list[dict[str, Any]]:
    """The ledger's rows whose accounts were deleted."""
    rows: Any = Usage.select().where(Usage.user_id.is_null()).order_by(Usage.id)
    return [_values(row, USAGE) for row in rows]


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(row.__data__[COLUMNS.get(name, name)]) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
