"""Exports all data about a person as plain values for a file, without secrets.

Not included: password hash, login tokens, Ark's ids of a conversation. Each function runs in a
`Storage` transaction.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from chatbot import sources
from chatbot.options import Options
from chatbot.storage.tables import Attachment, Conversation, Login, Message, State, Turn, User

ACCOUNT = ("id", "name", "is_admin", "daily_tokens", "created_at", "disabled_at", "options")
LOGIN = ("created_at", "seen_at", "expires_at", "agent")
SESSION = ("id", "title", "created_at", "updated_at", "newest_message", "options")
MESSAGE = (
    "id", "after", "role", "content", "thought", "thought_ms", "notes", "sources", "created_at",
)  # fmt: skip
OUTCOME = ("state", "error", "finished_at", "model", "first_token_ms", "request_id")
"""Fields of a message taken from its newest turn."""
NUMBERS = (
    "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "searches",
    "micro_yuan",
)  # fmt: skip
"""Fields of a message summed over its ended turns."""
FILE = ("id", "kind", "name", "type", "width", "height", "pages", "created_at")
USAGE = ("at", "session", "message", "model", *NUMBERS, "saved_micro_yuan")

COLUMNS = {
    "session": "conversation",
    "message": "reply_id",
    "after": "parent",
    "at": "started_at",
    # The visible version ends here; each message names the one before it.
    "newest_message": "head_id",
}
"""Columns that have a clearer name in the file."""


def account(user_id: int) -> dict[str, Any] | None:
    """A person's account, logins, conversations with all versions, and usage; None if deleted.

    Always six queries. The whole result is in memory.
    """
    user: Any = User.get_or_none(User.id == user_id)
    if user is None:
        return None
    logins: Any = Login.select().where(Login.user == user_id).order_by(Login.id)
    sessions: Any = Conversation.select().where(Conversation.user == user_id)
    turns = list(Turn.select().where(Turn.user == user_id).order_by(Turn.started_at, Turn.id))
    of_reply = defaultdict(list)
    for turn in turns:
        of_reply[turn.reply_id].append(turn)
    mine = Conversation.select(Conversation.id).where(Conversation.user == user_id)
    messages: Any = Message.select().where(Message.conversation.in_(mine)).order_by(Message.id)
    of_message, unsent = _files(user_id)
    said: dict[UUID, list[dict[str, Any]]] = {}
    for message in messages:
        values = {**_values(message, MESSAGE), **_outcome(of_reply.get(message.id, []))}
        values["files"] = of_message.get(message.id, [])
        said.setdefault(message.conversation_id, []).append(values)
    return {
        "account": _values(user, ACCOUNT),
        "logins": [_values(login, LOGIN) for login in logins],
        "sessions": [
            {
                **_values(session, SESSION),
                "messages": said.get(session.id, []),
                "unsent_files": unsent.get(session.id, []),
            }
            for session in sessions.order_by(Conversation.created_at, Conversation.id)
        ],
        "usage": [_usage(turn) for turn in turns],
    }


def nobodys_usage() -> list[dict[str, Any]]:
    """Usage of the turns of deleted accounts."""
    turns: Any = Turn.select().where(Turn.user.is_null()).order_by(Turn.started_at, Turn.id)
    return [_usage(turn) for turn in turns]


def _files(user_id: int) -> tuple[dict[int, list[Any]], dict[UUID, list[Any]]]:
    """The files of messages by message id, and those that wait by session id, with content."""
    rows: Any = Attachment.select().where(Attachment.user == user_id)
    sent: dict[int, list[Any]] = defaultdict(list)
    unsent: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows.order_by(Attachment.message, Attachment.place, Attachment.created_at):
        content = base64.b64encode(bytes(row.data)).decode()
        values = {**_values(row, FILE), "base64": content}
        if row.message_id is None:
            unsent[row.conversation_id].append(values)
        else:
            sent[row.message_id].append(values)
    return sent, unsent


def _outcome(turns: list[Any]) -> dict[str, Any]:
    """The outcome of a message; without a turn (every question) it is complete."""
    if not turns:
        return {**dict.fromkeys((*OUTCOME, *NUMBERS)), "state": State.COMPLETE, "error": ""}
    ended = [turn for turn in turns if turn.state != State.STREAMING]
    sums = {name: sum(getattr(turn, name) for turn in ended) for name in NUMBERS}
    return {**_values(turns[-1], OUTCOME), **(sums if ended else dict.fromkeys(NUMBERS))}


def _usage(turn: Any) -> dict[str, Any]:
    return {**_values(turn, USAGE), "settled": turn.state != State.STREAMING}


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    data: Mapping[str, Any] = row.__data__
    values = {name: _plain(data[COLUMNS.get(name, name)]) for name in names}
    if "options" in values:
        values["options"] = asdict(Options.read(values["options"]))
    if "sources" in values:
        values["sources"] = [one._asdict() for one in sources.read(values["sources"])]
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
