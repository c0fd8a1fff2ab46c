"""Conversations: their owner, the list, what each has used.

Every query with an id from a browser also takes the user; a conversation of another user is not
found.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from peewee import JOIN, SQL, fn

from chatbot.errors import ConversationNotFound
from chatbot.options import Options
from chatbot.storage.current import is_sqlite, now
from chatbot.storage.leases import ENDED, STREAMING, lease_runs, leases
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Attachment, Conversation, Message, Turn, User


class Listed(NamedTuple):
    """A conversation as a list shows it."""

    id: uuid.UUID
    title: str
    updated_at: datetime
    turn_is_running: bool
    memory_kind: str


class Totalled(NamedTuple):
    """A conversation with the sums of its ended turns, in tokens and micro-yuan."""

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
    saved_micro_yuan: int
    has_versions: bool
    """Whether the conversation has more than one branch."""
    options: str
    """What the user chose for it (`options.py`)."""
    has_files: bool
    """Whether any of its messages has a picture or file."""


def find(user_id: int, conversation_id: str | uuid.UUID | None) -> Any:
    """The row of a conversation. Raises `ConversationNotFound` unless the user owns it."""
    return _only(_find(_uuid(conversation_id), user_id))


def hold(user_id: int, conversation_id: str | uuid.UUID | None) -> Any:
    """`find`, and lock the user's conversations until the transaction ends."""
    hold_user(user_id)
    return find(user_id, conversation_id)


def hold_user(user_id: int) -> None:
    """Make other transactions that change this user's data wait until this one ends."""
    # On PostgreSQL two could read before either has written. On SQLite only one write transaction
    # runs at a time.
    if not is_sqlite():
        _hold_user(user_id)


def listed(user_id: int, conversation_id: str) -> Listed:
    """One conversation as a list shows it. Raises `ConversationNotFound`."""
    return Listed(*_only(_listed(_uuid(conversation_id), user_id, *leases())))


def totalled(user_id: int, conversation_id: str) -> Totalled:
    """One conversation as a page shows it. Raises `ConversationNotFound`."""
    return Totalled(*_only(_totalled(_uuid(conversation_id), user_id, *leases())))


def newest(user_id: int, limit: int, conditions: Iterable[Any] = ()) -> list[Listed]:
    """The user's conversations that match all conditions, newest first."""
    # Tuples, not models: building 100 models takes longer than everything else.
    rows: Any = _columns(*leases()).where(Conversation.user == user_id)
    for condition in conditions:
        rows = rows.where(condition)
    rows = rows.order_by(Conversation.updated_at.desc(), Conversation.id).limit(limit).tuples()
    return [Listed(*row) for row in rows]


def start(user_id: int) -> str:
    """The id of an empty conversation; an unused one is reused."""
    hold_user(user_id)
    unused = Conversation.get_or_none(
        Conversation.user == user_id, Conversation.head_id.is_null(), Conversation.title == ""
    )
    if unused is None:
        user: Any = User.get_by_id(user_id)
        return str(Conversation.create(user=user_id, options=user.options).id)
    change(unused.id, updated_at=now())
    return str(unused.id)


def rename(user_id: int, conversation_id: str, title: str) -> None:
    """Set a new title. Raises `ConversationNotFound`."""
    change(find(user_id, conversation_id).id, title=title)


def choose(user_id: int, conversation_id: str, changes: dict[str, Any]) -> str:
    """Change what the user chose for a conversation, and for new ones; returns what is stored now.
    Raises `ConversationNotFound`."""
    conversation = hold(user_id, conversation_id)
    options = Options.read(conversation.options).changed(changes)
    change(conversation.id, options=options.stored())
    User.update(options=options.for_new_sessions().stored()).where(User.id == user_id).execute()
    return options.stored()


def change(conversation_id: uuid.UUID, **values: Any) -> None:
    _change(conversation_id, **values)


def held_tokens() -> int:
    """The approximate number of tokens in contexts that are in use and have not expired.

    Stored responses cost nothing: Ark caches them automatically (docs/82379/1398933). One pass
    over the conversations.
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
    # Without an alias Peewee derives a name from the text.
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
    # Every message but the first has a parent. Fewer distinct parents mean branches.
    spare = fn.COUNT(Message.id) - fn.COUNT(fn.DISTINCT(Message.parent))
    branches = Message.select(spare > 1).where(Message.conversation == Conversation.id)
    files = Attachment.select(SQL("1")).where(
        Attachment.conversation == Conversation.id, Attachment.message.is_null(False)
    )
    sums = (
        fn.COALESCE(fn.SUM(column), 0)
        for column in (
            Turn.prompt_tokens, Turn.cached_tokens, Turn.completion_tokens, Turn.micro_yuan,
            Turn.saved_micro_yuan,
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
            Conversation.options,
            fn.EXISTS(files).alias("has_files"),
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
