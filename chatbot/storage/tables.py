"""The tables. What is asked of them stands in the file of each noun.

`migrations/` makes them; a test compares the two.
"""

import uuid
from enum import StrEnum

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
    UUIDField,
)

from chatbot.storage.current import database, now
from chatbot.storage.fields import InstantField


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class State(StrEnum):
    """Where a turn is."""

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

    class Meta:
        indexes = ((("user", "updated_at"), False),)


class Message(Table):
    """One entry of a conversation. `parent` is the message before it, so a conversation is a
    tree, and what the user sees is the branch that ends in `Conversation.head_id`.

    How a reply came about is in its turns.
    """

    id = BigAutoField()
    conversation = ForeignKeyField(Conversation, backref="messages", on_delete="CASCADE")
    parent = ForeignKeyField("self", null=True, on_delete="CASCADE")
    role = CharField(max_length=16)
    content = TextField(default="")
    thought = TextField(default="")
    """The model's chain of thought, where it shows one."""
    notes = CharField(max_length=80, default="")
    """Codes of quiet remarks to show with it, such as `memory_rebuilt`, separated by spaces."""
    created_at = InstantField(default=now)

    class Meta:
        indexes = ((("conversation", "id"), False),)


# Only of messages with full-width letters, which each database says in its own words: the whole
# condition is in migration 0007.
Message.add_index(
    Message.index(Message.conversation, where=Message.content != "", name="message_wide")
)


class Turn(Table):
    """One time that the model is asked: lock, ledger and outcome in one row.

    While it is STREAMING it holds its conversation, and its numbers are the most it can use, which
    is set aside for it. Once it has ended they are what it used. To continue a reply is a second
    turn on it. A turn is never deleted: it outlives its conversation and its user.
    """

    id = UUIDField(primary_key=True, default=uuid.uuid4)
    user = ForeignKeyField(User, null=True, backref="turns", on_delete="SET NULL", index=False)
    conversation = ForeignKeyField(Conversation, null=True, backref="turns", on_delete="SET NULL")
    question_id = BigIntegerField(null=True)
    reply_id = BigIntegerField(null=True, index=True)
    model = CharField(max_length=120, default="")
    memory_kind = CharField(max_length=16, default="")
    prompt_hash = CharField(max_length=16, default="")
    """Of the system prompt that the model was given."""
    state = CharField(max_length=16, default=State.STREAMING)
    stop_requested = BooleanField(default=False)
    worker = CharField(max_length=120, default="")
    """The process that runs it (`turns/worker.py`)."""
    lease_until = InstantField(null=True)
    """When others may take its process for dead; renewed while it runs."""
    followed_until = InstantField(null=True)
    """Up to when somebody watches it from another process."""
    prompt_tokens = IntegerField(default=0)
    cached_tokens = IntegerField(default=0)
    """Of the prompt's."""
    completion_tokens = IntegerField(default=0)
    reasoning_tokens = IntegerField(default=0)
    """Of the completion's."""
    micro_yuan = IntegerField(default=0)
    """Millionths of a yuan."""
    saved_micro_yuan = IntegerField(default=0)
    """What the cached tokens would have cost more without the cache."""
    first_token_ms = IntegerField(null=True)
    error = CharField(max_length=40, default="")
    """The code of what ended it early (`errors.py`)."""
    request_id = CharField(max_length=80, default="")
    """Ark's request id of the error that ended it."""
    refs = TextField(default="")
    """The responses that Ark stores of it and can delete, separated by spaces."""
    network = CharField(max_length=64, default="")
    """`User.network` of an account that was deleted since."""
    started_at = InstantField(default=now)
    finished_at = InstantField(null=True)

    class Meta:
        indexes = ((("user", "started_at"), False), (("started_at", "micro_yuan"), False))


# One running turn in a conversation: the database refuses a second one.
Turn.add_index(
    Turn.index(
        Turn.conversation, unique=True, where=Turn.state == State.STREAMING, name="turn_running"
    )
)
Turn.add_index(
    Turn.index(Turn.user, where=Turn.state == State.STREAMING, name="turn_running_of_user")
)
Turn.add_index(Turn.index(Turn.started_at, where=Turn.error != "", name="turn_error"))


class Switch(Table):
    """What an admin can switch while the app runs, in every process."""

    name = CharField(max_length=40, primary_key=True)
    on = BooleanField()


class Secret(Table):
    """A key that is made once for this database."""

    name = CharField(max_length=40, primary_key=True)
    value = CharField(max_length=64)


TABLES: list[type[Model]] = [
    User, Login, Invitation, Attempt, Conversation, Message, Turn, Switch, Secret,
]  # fmt: skip
