"""The tables, and a named query for everything the app reads.

Knows nothing of Ark, Gradio or passwords. Every query that starts from an id which a browser
named also takes the user; what belongs to somebody else is not found.
"""

import functools
import secrets
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self

from peewee import (
    JOIN,
    SQL,
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    DatabaseProxy,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
    UUIDField,
    fn,
)

from chatbot.errors import ConversationNotFound, TurnRunning
from chatbot.storage.fields import InstantField, now
from chatbot.storage.prepared import Prepared

database: Any = DatabaseProxy()
prepared = functools.partial(Prepared, database)

LONGEST_LEASE = timedelta(minutes=1)
MOST_NUMBER = 2**31 - 1
"""What an `IntegerField` holds on PostgreSQL."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class State(StrEnum):
    """Where a message is. User messages are COMPLETE from the start."""

    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    """The user stopped it; the text so far is kept."""
    INTERRUPTED = "interrupted"
    """The process died, the provider broke off, or nobody watched; the text so far is kept."""
    FAILED = "failed"
    """No text came."""
    FILTERED = "filtered"
    """Moderation ended it."""
    LENGTH = "length"
    """Cut by a limit on tokens or time."""


class Table(Model):
    class Meta:
        database = database
        legacy_table_names = False


class User(Table):
    id = AutoField()
    name = CharField(max_length=64)
    name_key = CharField(max_length=128, unique=True)
    """NFKC casefold of the name; what makes it unique."""
    password_hash = CharField(max_length=80)
    is_admin = BooleanField(default=False)
    daily_tokens = IntegerField(null=True)
    """Tokens this person may use in a day; null for the common limit."""
    disabled_at = InstantField(null=True)
    created_at = InstantField(default=now)
    network = CharField(max_length=64, default="")
    """Where the account was made, as a hash with a key of this database; empty for who came
    with an invitation."""

    @classmethod
    def by_name_key(cls, name_key: str) -> Self | None:
        return cls.get_or_none(cls.name_key == name_key)


class Login(Table):
    """One browser that is logged in. The cookie's token is known only by its hash."""

    id = AutoField()
    user = ForeignKeyField(User, backref="logins", on_delete="CASCADE")
    token_hash = CharField(max_length=64, unique=True)
    created_at = InstantField(default=now)
    seen_at = InstantField(default=now)
    expires_at = InstantField(index=True)
    agent = CharField(max_length=200, default="")
    """What the browser calls itself, so that people know their own logins."""


class Invitation(Table):
    id = AutoField()
    code_hash = CharField(max_length=64, unique=True)
    created_at = InstantField(default=now)
    expires_at = InstantField()
    uses_left = IntegerField()
    daily_tokens = IntegerField(null=True)
    """What becomes `User.daily_tokens` of who comes with it."""
    revoked_at = InstantField(null=True)


class Attempt(Table):
    """A recent failure, for throttling by account and by address; `subject` is either."""

    id = BigAutoField()
    subject = CharField(max_length=200)
    at = InstantField(default=now)

    class Meta:
        indexes = ((("subject", "at"), False),)

    @classmethod
    def recent(cls, subjects: Iterable[str], since: datetime) -> dict[str, tuple[int, datetime]]:
        """How many failures each subject has had since then, and when the last one was."""
        rows: Any = (
            cls.select(cls.subject, fn.COUNT(cls.id), fn.MAX(cls.at))
            .where(cls.subject.in_(list(subjects)), cls.at > since)
            .group_by(cls.subject)
            .tuples()
        )
        return {subject: (count, last) for subject, count, last in rows}


class Conversation(Table):
    """A thread a user can come back to; the page calls it a session."""

    id = UUIDField(primary_key=True, default=uuid.uuid4)
    user = ForeignKeyField(User, backref="conversations", on_delete="CASCADE")
    title = CharField(max_length=120, default="")
    created_at = InstantField(default=now)
    updated_at = InstantField(default=now)
    head_id = BigIntegerField(null=True)
    """The newest message of the visible branch; null while the conversation is unused."""

    model = CharField(max_length=120, default="")
    memory_kind = CharField(max_length=16, default="")
    memory_ref = CharField(max_length=200, null=True)
    """Ark's context id or response id."""
    memory_expires_at = InstantField(null=True)
    memory_upto = BigIntegerField(null=True)
    """The last message this memory is known to contain; null when nobody can say."""
    memory_tokens = IntegerField(null=True)
    """The most tokens that Ark can count for what it holds."""

    prompt_hash = CharField(max_length=16, default="")
    """Of the system prompt that the memory was made with."""

    turn_owner = CharField(max_length=64, null=True)
    """The process that writes a reply here now; its lease ends at `turn_until`."""
    turn_until = InstantField(null=True)

    class Meta:
        indexes = ((("user", "updated_at"), False),)

    @classmethod
    def of(cls, user_id: int, conversation_id: str | uuid.UUID | None) -> Self:
        """The one door to a conversation: raises `ConversationNotFound` unless it is the user's."""
        found: Self = cls._found(_conversation_of(_uuid(conversation_id), user_id))
        return found

    @classmethod
    def totalled(cls, user_id: int, conversation_id: str) -> "Totalled":
        """What a page shows of `of`, and what all its messages have used."""
        running = _running_leases()
        found = cls._found(_conversation_totalled(_uuid(conversation_id), user_id, *running))
        return Totalled(*found)

    @classmethod
    def _found(cls, rows: Any) -> Any:
        for row in rows:
            return row
        raise ConversationNotFound()

    @classmethod
    def newest(cls, user_id: int, limit: int, conditions: Iterable[Any] = ()) -> list[Any]:
        """What a list shows of the user's conversations, newest first: those that fulfil all
        conditions."""
        running = cls.lease_runs().alias("turn_is_running")
        # No whole conversations: making a hundred takes longer than all the rest.
        rows = cls.select(cls.id, cls.title, cls.updated_at, running, cls.memory_kind)
        rows = rows.where(cls.user == user_id)
        for condition in conditions:
            rows = rows.where(condition)
        return list(rows.order_by(cls.updated_at.desc(), cls.id).limit(limit).namedtuples())

    @classmethod
    def unused(cls, user_id: int) -> Self | None:
        """A conversation of the user's that was started and never written in."""
        return cls.get_or_none(cls.user == user_id, cls.head_id.is_null(), cls.title == "")

    @classmethod
    def lease_runs(cls) -> Any:
        """The condition that somebody holds the turn lock now. A lease that would end later than
        any lease can was made before the clock was set back."""
        return cls._lease_is_within(*_running_leases())

    @classmethod
    def _lease_is_within(cls, after: Any, until: Any) -> Any:
        return (cls.turn_until > after) & (cls.turn_until <= until)

    @classmethod
    def claimed(cls, user_id: int, conversation_id: str, owner: str, until: datetime) -> Self:
        """The user's conversation, with its turn lock taken.

        Raises `ConversationNotFound`, or `TurnRunning` when somebody holds the lock and their
        lease has not run out.
        """
        taken = _claim(_uuid(conversation_id), user_id, owner, until, *_running_leases())
        claimed = cls.of(user_id, conversation_id)
        if not taken:
            raise TurnRunning()
        return claimed

    @classmethod
    def renew_turn(cls, conversation_id: uuid.UUID, owner: str, until: datetime) -> bool:
        """Make the lease longer; False when it is not the owner's (any more)."""
        return bool(_renew_turn(conversation_id, owner, until))

    @classmethod
    def running_turns(cls, user_id: int) -> int:
        return len(_running_turns(user_id, *_running_leases()))

    @property
    def turn_is_running(self) -> bool:
        after, until = _running_leases()
        return self.turn_until is not None and after < self.turn_until <= until


class Totalled(NamedTuple):
    """A conversation with what all its messages have used: tokens, and micro-yuan."""

    id: uuid.UUID
    title: str
    updated_at: datetime
    turn_is_running: bool | None
    memory_kind: str
    head_id: int | None
    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    has_versions: bool
    """Whether it branches anywhere."""


@prepared
def _conversation_of(conversation_id: Any, user_id: Any) -> Any:
    return Conversation.select().where(
        Conversation.id == conversation_id, Conversation.user == user_id
    )


@prepared
def _claim(
    conversation_id: Any, user_id: Any, owner: Any, until: Any, after: Any, latest: Any
) -> Any:
    return Conversation.update(turn_owner=owner, turn_until=until).where(
        Conversation.id == conversation_id,
        Conversation.user == user_id,
        Conversation.turn_until.is_null() | ~Conversation._lease_is_within(after, latest),
    )


@prepared
def _renew_turn(conversation_id: Any, owner: Any, until: Any) -> Any:
    return Conversation.update(turn_until=until).where(
        Conversation.id == conversation_id, Conversation.turn_owner == owner
    )


@prepared
def _conversation_totalled(conversation_id: Any, user_id: Any, after: Any, until: Any) -> Any:
    # Each message but the first has a parent; where they are fewer, some have the same.
    spare = fn.COUNT(Message.id) - fn.COUNT(fn.DISTINCT(Message.parent))
    return (
        Conversation.select(
            Conversation.id,
            Conversation.title,
            Conversation.updated_at,
            Conversation._lease_is_within(after, until),
            Conversation.memory_kind,
            Conversation.head_id,
            fn.COALESCE(fn.SUM(Message.prompt_tokens), 0),
            fn.COALESCE(fn.SUM(Message.cached_tokens), 0),
            fn.COALESCE(fn.SUM(Message.completion_tokens), 0),
            fn.COALESCE(fn.SUM(Message.micro_yuan), 0),
            spare > 1,
        )
        .join(Message, JOIN.LEFT_OUTER)
        .where(Conversation.id == conversation_id, Conversation.user == user_id)
        .group_by(Conversation.id)
        .tuples()
    )


@prepared
def _running_turns(user_id: Any, after: Any, until: Any) -> Any:
    running = Conversation._lease_is_within(after, until)
    return Conversation.select(Conversation.id).where(Conversation.user == user_id, running)


def _running_leases() -> tuple[datetime, datetime]:
    """After when, and up to when, a lease ends that runs now."""
    moment = now()
    return moment, moment + LONGEST_LEASE


def _uuid(conversation_id: str | uuid.UUID | None) -> uuid.UUID:
    try:
        return uuid.UUID(str(conversation_id))
    except ValueError:
        raise ConversationNotFound() from None


class Message(Table):
    """One entry of a conversation. `parent` is the message before it, so a conversation is a
    tree, and what the user sees is the branch that ends in `Conversation.head_id`."""

    id = BigAutoField()
    conversation = ForeignKeyField(Conversation, backref="messages", on_delete="CASCADE")
    parent = ForeignKeyField("self", null=True, on_delete="CASCADE")
    role = CharField(max_length=16)
    content = TextField(default="")
    thought = TextField(default="")
    """The model's chain of thought, where it shows one."""
    state = CharField(max_length=16, default=State.COMPLETE)
    error = CharField(max_length=40, default="")
    """The code of what ended it early (`errors.py`)."""
    notes = CharField(max_length=80, default="")
    """Codes of quiet remarks to show with it, such as `memory_rebuilt`, separated by spaces."""
    stop_asked = BooleanField(default=False)
    created_at = InstantField(default=now)
    finished_at = InstantField(null=True)
    model = CharField(max_length=120, default="")
    ref = TextField(null=True)
    """The responses this reply is stored as at Ark's side, where they can be deleted."""
    prompt_tokens = IntegerField(null=True)
    cached_tokens = IntegerField(null=True)
    completion_tokens = IntegerField(null=True)
    reasoning_tokens = IntegerField(null=True)
    first_token_ms = IntegerField(null=True)
    micro_yuan = IntegerField(null=True)
    """What the reply cost, millionths of a yuan."""
    request_id = CharField(max_length=80, default="")
    """Ark's request id of the error that ended it."""

    class Meta:
        indexes = ((("conversation", "id"), False), (("state",), False))

    @classmethod
    def text_of(cls, user_id: int, message_id: int) -> str:
        """What a message says; raises `ConversationNotFound` unless it is the user's."""
        found = (
            cls.select(cls.content)
            .join(Conversation)
            .where(cls.id == message_id, Conversation.user == user_id)
            .first()
        )
        if found is None:
            raise ConversationNotFound()
        return str(found.content)

    @property
    def is_reply(self) -> bool:
        return self.role == Role.ASSISTANT

    @property
    def is_remembered(self) -> bool:
        """Whether this reply, with its question, is part of what the model is told.

        A turn without any text was never answered, and a moderated text would have every
        later request refused too.
        """
        return bool(self.content) and self.state not in (State.FAILED, State.FILTERED)

    @classmethod
    def add(cls, conversation: Conversation, parent: Self | None, **values: Any) -> Self:
        """A new message after `parent`, stored."""
        values["created_at"] = now()
        parent_id = parent.id if parent else None
        message_id = _add_message(conversation.id, parent_id, **values)
        return cls(id=message_id, conversation=conversation.id, parent=parent, **values)

    @classmethod
    def at(cls, message_id: int | None) -> Self | None:
        """A message as far as a turn after it needs it: parent and content."""
        found: list[Self] = _message_at(message_id) if message_id is not None else []
        return found[0] if found else None

    @classmethod
    def branch(cls, head_id: int | None, limit: int) -> list[Self]:
        """The newest `limit` messages of the branch that ends in `head_id`, oldest first.

        Walks up the parents in one query whose cost depends on `limit`, not on the length of
        the conversation.
        """
        if head_id is None:
            return []
        return sorted(_branch(head_id, limit), key=lambda message: message.id)

    @classmethod
    def shown_branch(cls, head_id: int | None, limit: int) -> list[tuple[Any, ...]]:
        """`branch` as tuples of what a page shows: id, parent's id, role, content, thought,
        state, error, notes, created_at, prompt, cached and completion tokens, first_token_ms,
        micro_yuan, model. Making whole messages takes twice as long."""
        return [] if head_id is None else sorted(_shown_branch(head_id, limit))


# Only of messages with full-width letters, which each database says in its own words: the whole
# condition is in migration 0006.
Message.add_index(
    Message.index(Message.conversation, where=Message.state != State.STREAMING, name="message_wide")
)


@prepared
def _add_message(conversation_id: Any, parent_id: Any, **values: Any) -> Any:
    return Message.insert(conversation=conversation_id, parent=parent_id, **values)


@prepared
def _message_at(message_id: Any) -> Any:
    return Message.select(
        Message.id, Message.parent, Message.content
    ).where(Message.id == message_id)  # fmt: skip


@prepared
def _branch(head_id: Any, limit: Any) -> Any:
    return _on_branch(Message.select(Message), head_id, limit)


@prepared
def _shown_branch(head_id: Any, limit: Any) -> Any:
    shown = Message.select(
        Message.id, Message.parent, Message.role, Message.content, Message.thought, Message.state,
        Message.error, Message.notes, Message.created_at, Message.prompt_tokens,
        Message.cached_tokens, Message.completion_tokens, Message.first_token_ms,
        Message.micro_yuan, Message.model,
    )  # fmt: skip
    return _on_branch(shown, head_id, limit).tuples()


def _on_branch(messages: Any, head_id: Any, limit: Any) -> Any:
    start = (
        Message.select(Message.id, Message.parent, SQL("1").alias("depth"))
        .where(Message.id == head_id)
        .cte("branch", recursive=True, columns=("id", "parent_id", "depth"))
    )
    step = Message.alias()
    up = step.select(step.id, step.parent, start.c.depth + SQL("1")).join(
        start, JOIN.INNER, on=((step.id == start.c.parent_id) & (start.c.depth < limit))
    )
    path = start.union_all(up)
    return messages.join(path, on=(Message.id == path.c.id)).with_cte(path)


class Usage(Table):
    """The ledger: what each turn used. A row is a reservation until the turn has ended and it is
    `settled`. Rows are never deleted; they outlive the conversation and the user."""

    id = BigAutoField()
    at = InstantField(default=now)
    user_id = IntegerField(null=True)
    conversation_id = UUIDField(null=True)
    reply_id = BigIntegerField(null=True, index=True)
    model = CharField(max_length=120)
    prompt_tokens = IntegerField(default=0)
    cached_tokens = IntegerField(default=0)
    completion_tokens = IntegerField(default=0)
    reasoning_tokens = IntegerField(default=0)
    micro_yuan = IntegerField(default=0)
    saved_micro_yuan = IntegerField(default=0)
    """What the cached tokens would have cost more without the cache."""
    settled = BooleanField(default=True)
    network = CharField(max_length=64, default="")
    """`User.network` of an account that was deleted since."""

    class Meta:
        indexes = ((("user_id", "at"), False), (("at",), False))

    @classmethod
    def reserve(cls, **values: Any) -> int:
        """A new row that is not settled; its id."""
        return int(_add_usage(at=now(), settled=False, **values))

    @classmethod
    def change(cls, usage_id: int, **values: Any) -> None:
        """Put other numbers in the place of those of a row, which stays what it is or becomes
        `settled`."""
        _change_usage(usage_id, **values)

    @classmethod
    def is_reserved(cls, usage_id: int) -> bool:
        """Whether the row is a reservation still."""
        return bool(_reserved(usage_id))

    @classmethod
    def of_reply(cls, conversation_id: uuid.UUID, reply_id: int) -> "ReplyUsage":
        """What all settled turns of a reply have used together."""
        [sums] = _of_reply(conversation_id, reply_id)
        return ReplyUsage(*(min(int(one or 0), MOST_NUMBER) for one in sums))

    @classmethod
    def of_person(cls, user_id: int, since: datetime) -> tuple[int, int, int, int | None]:
        """Tokens and micro-yuan that one person has used since then, tokens that are reserved, and
        the `daily_tokens` they may use. For an account made since then on a network, what accounts
        deleted there had used before counts as well."""
        [(tokens, micro_yuan, all_tokens, limit)] = _used_by(user_id, since)
        tokens = int(tokens or 0)
        return tokens, int(micro_yuan or 0), int(all_tokens or 0) - tokens, limit

    @classmethod
    def micro_yuan_since(cls, day: datetime, month: datetime) -> tuple[int, int]:
        """What the whole app has spent or reserved since either of them, the later one first."""
        [row] = _spent_since(day, month)
        return int(row[0] or 0), int(row[1] or 0)


Usage.add_index(Usage.index(Usage.id, where=~Usage.settled, name="usage_reserved"))


@prepared
def _add_usage(**values: Any) -> Any:
    return Usage.insert(**values)


@prepared
def _change_usage(usage_id: Any, **values: Any) -> Any:
    return Usage.update(**values).where(Usage.id == usage_id)


@prepared
def _reserved(usage_id: Any) -> Any:
    return Usage.select(Usage.id).where(Usage.id == usage_id, ~Usage.settled).tuples()


class ReplyUsage(NamedTuple):
    """Tokens of a reply, and micro-yuan, summed over its turns."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    micro_yuan: int


@prepared
def _of_reply(conversation_id: Any, reply_id: Any) -> Any:
    # SQLite gives the id of a deleted row to a new one, which may be somebody else's.
    of_reply = (Usage.reply_id == reply_id) & (Usage.conversation_id == conversation_id)
    columns = (getattr(Usage, name) for name in ReplyUsage._fields)
    return Usage.select(*map(fn.SUM, columns)).where(of_reply, Usage.settled).tuples()


@prepared
def _used_by(user_id: Any, since: Any) -> Any:
    tokens = Usage.prompt_tokens + Usage.completion_tokens
    used = [fn.SUM(Case(None, [(Usage.settled, one)], 0)) for one in (tokens, Usage.micro_yuan)]
    limit = User.select(User.daily_tokens).where(User.id == user_id)
    # Who deletes an account and makes another goes on with what the first has used that day.
    made_at = User.select(User.created_at).where(User.id == user_id)
    network = User.select(User.network).where(
        User.id == user_id, User.created_at >= since, User.network != ""
    )
    before = Usage.user_id.is_null() & Usage.network.in_(network) & (Usage.at <= made_at)
    counted = ((Usage.user_id == user_id) | before) & (Usage.at >= since)
    return Usage.select(*used, fn.SUM(tokens), limit).where(counted).tuples()


@prepared
def _spent_since(day: Any, month: Any) -> Any:
    of_day = Case(None, [(Usage.at >= day, Usage.micro_yuan)], 0)
    spent = Usage.select(fn.SUM(of_day), fn.SUM(Usage.micro_yuan)).where(Usage.at >= month)
    return spent.tuples()


class Switch(Table):
    """What an owner can switch while the app runs, in every process."""

    name = CharField(max_length=40, primary_key=True)
    on = BooleanField()

    @classmethod
    def is_on(cls, name: str) -> bool:
        return any(switch.on for switch in _switch(name))

    @classmethod
    def turn(cls, name: str, on: bool) -> None:
        cls.insert(name=name, on=on).on_conflict(
            conflict_target=[cls.name], update={cls.on: on}
        ).execute()


@prepared
def _switch(name: Any) -> Any:
    return Switch.select().where(Switch.name == name)


class Secret(Table):
    """A key that is made once for this database."""

    name = CharField(max_length=40, primary_key=True)
    value = CharField(max_length=64)

    @classmethod
    def of(cls, name: str) -> str:
        """The key of this name; made now if there is none. Runs in a transaction that writes."""
        # Of two processes that make it at once, one takes the other's.
        made = cls.insert(name=name, value=secrets.token_hex(32))
        made.on_conflict_ignore().execute()
        return str(cls.get_by_id(name).value)


TABLES: list[type[Any]] = [
    User, Login, Invitation, Attempt, Conversation, Message, Usage, Switch, Secret,
]  # fmt: skip
