"""The tables. Their queries are in the other files of this package.

`migrations/` creates the tables; a test compares both.
"""

import uuid
from enum import StrEnum

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BlobField,
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
    """The state of a turn."""

    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    """The user stopped it; the text so far is kept."""
    INTERRUPTED = "interrupted"
    """The process died, the stream broke, or nobody watched; the text so far is kept."""
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
    """The name in NFKC and casefold; two users cannot have the same."""
    password_hash = CharField(max_length=80)
    is_admin = BooleanField(default=False)
    daily_tokens = IntegerField(null=True)
    """Tokens this user may use per day; null for the common limit."""
    disabled_at = InstantField(null=True)
    created_at = InstantField(default=now)
    network = CharField(max_length=64, default="")
    """Keyed hash of the network where the account was registered; empty if the user came with
    an invitation."""
    options = TextField(default="")
    """What the user chose last, for new sessions (`options.py`)."""


class Login(Table):
    """One browser that is logged in. Only the hash of the cookie's token is stored."""

    id = AutoField()
    user = ForeignKeyField(User, backref="logins", on_delete="CASCADE")
    token_hash = CharField(max_length=64, unique=True)
    created_at = InstantField(default=now)
    seen_at = InstantField(default=now)
    expires_at = InstantField(index=True)
    agent = CharField(max_length=200, default="")
    """The browser's User-Agent, so that people recognize their own logins."""


class Invitation(Table):
    id = AutoField()
    code_hash = CharField(max_length=64, unique=True)
    created_at = InstantField(default=now)
    expires_at = InstantField()
    uses_left = IntegerField()
    daily_tokens = IntegerField(null=True)
    """`User.daily_tokens` for users who register with this invitation."""
    revoked_at = InstantField(null=True)


class Attempt(Table):
    """A recent failed attempt, for throttling; `subject` is an account or an address."""

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
    """The last message this memory contains; null if unknown."""
    memory_tokens = IntegerField(null=True)
    """The most tokens that Ark can count for this memory."""
    prompt_hash = CharField(max_length=16, default="")
    """Hash of the system prompt in this memory, and of how the model thinks."""
    options = TextField(default="")
    """What the user chose for this session (`options.py`)."""

    class Meta:
        indexes = ((("user", "updated_at"), False),)


class Message(Table):
    """One entry of a conversation. `parent` is the message before it, so a conversation is a
    tree. The user sees the branch that ends in `Conversation.head_id`.

    The outcome of a reply is stored in its turns.
    """

    id = BigAutoField()
    conversation = ForeignKeyField(Conversation, backref="messages", on_delete="CASCADE")
    parent = ForeignKeyField("self", null=True, on_delete="CASCADE")
    role = CharField(max_length=16)
    content = TextField(default="")
    thought = TextField(default="")
    """The model's chain of thought, where it shows one."""
    notes = CharField(max_length=200, default="")
    """Codes of notes to show with it, such as `memory_rebuilt`, separated by spaces."""
    sources = TextField(default="")
    """Pages that the model found on the web, as a JSON list (`sources.py`)."""
    thought_ms = IntegerField(null=True)
    """How long the model thought before its answer began."""
    created_at = InstantField(default=now)

    class Meta:
        indexes = ((("conversation", "id"), False),)


# Covers only messages with full-width letters. The condition differs by database, see
# migration 0007.
Message.add_index(
    Message.index(Message.conversation, where=Message.content != "", name="message_wide")
)


class Turn(Table):
    """One question and its answer: the lock, the usage and the outcome in one row.

    While it is STREAMING it locks its conversation, and its numbers are reserved: the most it can
    use. After it has ended they are what it used. Continuing a reply is another turn on the same
    reply. A turn is never deleted, not even with its conversation or user.
    """

    id = UUIDField(primary_key=True, default=uuid.uuid4)
    user = ForeignKeyField(User, null=True, backref="turns", on_delete="SET NULL", index=False)
    conversation = ForeignKeyField(Conversation, null=True, backref="turns", on_delete="SET NULL")
    question_id = BigIntegerField(null=True)
    reply_id = BigIntegerField(null=True, index=True)
    model = CharField(max_length=120, default="")
    memory_kind = CharField(max_length=16, default="")
    prompt_hash = CharField(max_length=16, default="")
    """Hash of the system prompt that the model got, and of how it thinks."""
    state = CharField(max_length=16, default=State.STREAMING)
    stop_requested = BooleanField(default=False)
    worker = CharField(max_length=120, default="")
    """The process that runs it (`turns/worker.py`)."""
    lease_until = InstantField(null=True)
    """After this time its process counts as dead; renewed while the turn runs."""
    followed_until = InstantField(null=True)
    """Until when somebody follows it through another process."""
    prompt_tokens = IntegerField(default=0)
    cached_tokens = IntegerField(default=0)
    """Part of `prompt_tokens`."""
    completion_tokens = IntegerField(default=0)
    reasoning_tokens = IntegerField(default=0)
    """Part of `completion_tokens`."""
    searches = IntegerField(default=0)
    micro_yuan = IntegerField(default=0)
    """Cost in millionths of a yuan."""
    saved_micro_yuan = IntegerField(default=0)
    """Extra cost of the cached tokens if there were no cache."""
    first_token_ms = IntegerField(null=True)
    error = CharField(max_length=40, default="")
    """The code of the error that ended it early (`errors.py`)."""
    request_id = CharField(max_length=80, default="")
    """Ark's request id of that error."""
    refs = TextField(default="")
    """Ids of the responses that Ark stores and can delete, separated by spaces."""
    network = CharField(max_length=64, default="")
    """`User.network`, if the account has been deleted."""
    started_at = InstantField(default=now)
    finished_at = InstantField(null=True)

    class Meta:
        indexes = ((("user", "started_at"), False), (("started_at", "micro_yuan"), False))


# At most one running turn per conversation: the database refuses a second one.
Turn.add_index(
    Turn.index(
        Turn.conversation, unique=True, where=Turn.state == State.STREAMING, name="turn_running"
    )
)
Turn.add_index(
    Turn.index(Turn.user, where=Turn.state == State.STREAMING, name="turn_running_of_user")
)
Turn.add_index(Turn.index(Turn.started_at, where=Turn.error != "", name="turn_error"))


class Attachment(Table):
    """A picture or a PDF of a question; `message` is null until the question is sent."""

    id = UUIDField(primary_key=True, default=uuid.uuid4)
    user = ForeignKeyField(User, on_delete="CASCADE")
    conversation = ForeignKeyField(Conversation, backref="attachments", on_delete="CASCADE")
    message = ForeignKeyField(Message, null=True, backref="attachments", on_delete="CASCADE")
    place = IntegerField(default=0)
    """Its place among the attachments of the message, from 0."""
    kind = CharField(max_length=16)
    """`image` or `pdf`."""
    name = CharField(max_length=200)
    """The file's name in the user's browser."""
    type = CharField(max_length=40)
    """The MIME type of `data`."""
    width = IntegerField(default=0)
    height = IntegerField(default=0)
    pages = IntegerField(default=0)
    size = IntegerField(default=0)
    """Bytes of `data`."""
    data = BlobField()
    created_at = InstantField(default=now)


class Capability(Table):
    """What one model was learned to refuse by one kind of memory; forgotten after a day."""

    id = BigAutoField()
    server = CharField(max_length=200)
    model = CharField(max_length=120)
    kind = CharField(max_length=16)
    served = BooleanField(default=True)
    """Whether the model has this kind of memory."""
    refused = CharField(max_length=200, default="")
    """Request fields that it refuses, separated by spaces."""
    most_output = IntegerField(null=True)
    """The largest limit of output tokens that it accepts; null for any."""
    most_history = IntegerField(null=True)
    """Most tokens of history that fit; null if unknown."""
    learned_at = InstantField(default=now)

    class Meta:
        indexes = ((("server", "model", "kind"), True),)


class Switch(Table):
    """A switch that an admin sets while the app runs, for all processes."""

    name = CharField(max_length=160, primary_key=True)
    on = BooleanField()


class Secret(Table):
    """A secret key that is created once for this database."""

    name = CharField(max_length=40, primary_key=True)
    value = CharField(max_length=64)


TABLES: list[type[Model]] = [
    User, Login, Invitation, Attempt, Conversation, Message, Turn, Attachment, Capability, Switch,
    Secret,
]  # fmt: skip
