"""Conversations: whose they are, the list, what one has used.

Every query that starts from an id which a browser named also takes the user; what belongs to
somebody else is not found.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from peewee import JOIN, SQL, fn

from chatbot.errors import ConversationNotFound
from chatbot.storage.current import is_sqlite, now
from chatbot.storage.leases import ENDED, STREAMING, lease_runs, leases
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Conversation, Message, Turn, User


class Listed(NamedTuple):
    """A conversation as a list shows it."""

    id: uuid.UUID
    title: str
    updated_at: datetime
    turn_is_running: bool
    memory_kind: str


class Totalled(NamedTuple):
    """A conversation with what all its turns that ended have used: tokens, and micro-yuan."""

    id: uuid.UUID
    title: str
    updated_at: datetime
    turn_is_running: bool
    memory_kind: str
    head_id: int | None
    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    has_versions: bool
    """Whether it branches anywhere."""


def find(user_id: int, conversation_id: str | uuid.UUID | None) -> Any:
    """The row of a conversation; raises `ConversationNotFound` unless it is the user's."""
    return _only(_find(_uuid(conversation_id), user_id))


def hold(user_id: int, conversation_id: str | uuid.UUID | None) -> Any:
    """`find`, for a transaction that changes it: nobody else changes a conversation of this user
    before it ends."""
    hold_user(user_id)
    return find(user_id, conversation_id)


def hold_user(user_id: int) -> None:
    """Have others who change something of this user's wait for the end of the transaction."""
    # On PostgreSQL two could look before either has written; SQLite has one writer at a time, and
    # a transaction that writes is that one from its start.
    if not is_sqlite():
        _hold_user(user_id)


def listed(user_id: int, conversation_id: str) -> Listed:
    """One conversation as a list shows it. Raises `ConversationNotFound`."""
    return Listed(*_only(_listed(_uuid(conversation_id), user_id, *leases())))


def totalled(user_id: int, conversation_id: str) -> Totalled:
    """What a page shows of a conversation. Raises `ConversationNotFound`."""
    return Totalled(*_only(_totalled(_uuid(conversation_id), user_id, *leases())))


def newest(user_id: int, limit: int, conditions: Iterable[Any] = ()) -> list[Listed]:
    """The user's conversations that fulfil all conditions, newest first."""
    # No whole rows: to make a hundred of them takes longer than all the rest.
    rows: Any = _columns(*leases()).where(Conversation.user == user_id)
    for condition in conditions:
        rows = rows.where(condition)
    rows = rows.order_by(Conversation.updated_at.desc(), Conversation.id).limit(limit).tuples()
    return [Listed(*row) for row in rows]


def start(user_id: int) -> str:
    """The id of an empty conversation; one that was never written in is used again."""
    hold_user(user_id)
    unused = Conversation.get_or_none(
        Conversation.user == user_id, Conversation.head_id.is_null(), Conversation.title == ""
    )
    if unused is None:
        return str(Conversation.create(user=user_id).id)
    change(unused.id, updated_at=now())
    return str(unused.id)


def rename(user_id: int, conversation_id: str, title: str) -> None:
    """Give it another title. Raises `ConversationNotFound`."""
    change(find(user_id, conversation_id).id, title=title)


def change(conversation_id: uuid.UUID, **values: Any) -> None:
    _change(conversation_id, **values)


def held_tokens() -> int:
    """About how many tokens Ark holds in the contexts that are in use and have not expired.

    Stored responses cost nothing: their cache works by itself (docs/82379/1398933). One pass over
    the conversations.
    """
    alive = Conversation.memory_expires_at > now()
    in_use = Conversation.memory_upto.is_null(False) & (Conversation.memory_kind == "context")
    held = Conversation.select(fn.SUM(Conversation.memory_tokens)).where(alive, in_use).scalar()
    return int(held or 0)


def _only(rows: Any) -> Any:
    for row in rows:
        return row
    raise ConversationNotFound()


def _uuid(conversation_id: str | uuid.UUID | None) -> uuid.UUID:
    try:
        return uuid.UUID(str(conversation_id))
    except ValueError:
        raise ConversationNotFound() from None


def _is_running(after: Any, until: Any) -> Any:
    mine = (Turn.conversation == Conversation.id) & STREAMING & lease_runs(after, until)
    # With a name of its own: else Peewee reads one out of the text.
    return fn.EXISTS(Turn.select(SQL("1")).where(mine)).alias("turn_is_running")


def _columns(after: Any, until: Any) -> Any:
    return Conversation.select(
        Conversation.id,
        Conversation.title,
        Conversation.updated_at,
        _is_running(after, until),
        Conversation.memory_kind,
    )


@prepared
def _find(conversation_id: Any, user_id: Any) -> Any:
    return Conversation.select().where(
        Conversation.id == conversation_id, Conversation.user == user_id
    )


@prepared
def _listed(conversation_id: Any, user_id: Any, after: Any, until: Any) -> Any:
    mine = (Conversation.id == conversation_id) & (Conversation.user == user_id)
    return _columns(after, until).where(mine).tuples()


@prepared
def _totalled(conversation_id: Any, user_id: Any, after: Any, until: Any) -> Any:
    # Each message but the first has a parent; where they are fewer, some have the same.
    spare = fn.COUNT(Message.id) - fn.COUNT(fn.DISTINCT(Message.parent))
    branches = Message.select(spare > 1).where(Message.conversation == Conversation.id)
    sums = (
        fn.COALESCE(fn.SUM(column), 0)
        for column in (
            Turn.prompt_tokens, Turn.cached_tokens, Turn.completion_tokens, Turn.micro_yuan,
        )
    )  # fmt: skip
    return (
        Conversation.select(
            Conversation.id,
            Conversation.title,
            Conversation.updated_at,
            _is_running(after, until),
            Conversation.memory_kind,
            Conversation.head_id,
            *sums,
            branches.alias("has_versions"),
        )
        .join(Turn, JOIN.LEFT_OUTER, on=(Turn.conversation == Conversation.id) & ENDED)
        .where(Conversation.id == conversation_id, Conversation.user == user_id)
        .group_by(Conversation.id)
        .tuples()
    )


@prepared
def _change(conversation_id: Any, **values: Any) -> Any:
    return Conversation.update(**values).where(Conversation.id == conversation_id)


@prepared
def _hold_user(user_id: Any) -> Any:
    return User.update(name=User.name).where(User.id == user_id)
