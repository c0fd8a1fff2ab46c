"""The values that pages and commands get: plain data without methods that call anything."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Entry:
    """A conversation as the list shows it. An unused conversation has no title."""

    id: str
    title: str
    updated_at: datetime
    running: bool
    memory: str
    """The kind of memory its last turn used; empty before the first."""


class Source(NamedTuple):
    """A page of the web that an answer names. `url` is http or https; the others may be empty."""

    url: str
    title: str
    site: str
    date: str


class Attached(NamedTuple):
    """A picture or a PDF of a message, as the page shows it."""

    id: str
    kind: str
    """`image` or `pdf`."""
    name: str
    width: int
    height: int
    pages: int
    size: int
    """Bytes."""


class Shown(NamedTuple):
    """A message as the page shows it.

    The numbers are sums over the ended turns of a reply, None if there are none. `state`, `error`,
    `first_token_ms` and `model` come from the newest turn.
    """

    id: int
    parent_id: int | None
    role: str
    content: str
    thought: str
    state: str
    error: str
    notes: tuple[str, ...]
    at: datetime
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    micro_yuan: int | None
    first_token_ms: int | None
    model: str
    thought_ms: int | None = None
    searches: int | None = None
    sources: tuple[Source, ...] = ()
    files: tuple[Attached, ...] = ()


@dataclass(frozen=True)
class Versions:
    """A message of the visible branch that has other versions; `number` counts from 1."""

    message_id: int
    number: int
    count: int


@dataclass(frozen=True)
class Totals:
    """Tokens and cost of a whole conversation."""

    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    saved_micro_yuan: int
    """Cost saved by the cache."""


@dataclass(frozen=True)
class Today:
    """What one user has used today, and the limit."""

    tokens: int
    micro_yuan: int
    reserved: int
    """Tokens reserved for running replies, in addition to `tokens`."""
    limit: int
    """Tokens; 0 for no limit."""

    @property
    def share(self) -> float:
        """The used part of the limit: 0 to 1, or above; 0 without a limit."""
        return self.tokens / self.limit if self.limit else 0.0


@dataclass(frozen=True)
class Choice:
    """A model that a user can choose, and what goes with it."""

    name: str
    label: str
    """In English; empty for an endpoint whose model is unknown."""
    label_zh: str
    thinking: tuple[str, ...]
    """The choices of thinking: `off`, `on`, and efforts; one means that there is no choice."""
    search: bool
    """Whether it can search the web."""
    inputs: tuple[str, ...]
    """What it reads besides text: `image`, `pdf`."""


@dataclass(frozen=True)
class Chosen:
    """What holds for a session: its user's choices within the owner's limits."""

    model: str
    thinking: str
    search: bool
    temperature: float | None
    top_p: float | None
    max_tokens: int
    instructions: str
    choices: tuple[Choice, ...]
    """The models that can be chosen now."""
    most_tokens: int
    """The longest reply that can be chosen."""
    max_temperature: float
    max_instructions: int
    """Most characters of own instructions; 0 if there can be none."""
    default_thinking: str


@dataclass(frozen=True)
class Thread:
    """The shown part of the visible branch of a conversation, oldest message first."""

    entry: Entry
    messages: list[Shown]
    has_earlier: bool
    totals: Totals
    today: Today
    """What the user has used today, in all conversations."""
    chosen: Chosen
    versions: list[Versions]
    """The shown messages that have other versions, oldest first; empty while a reply streams."""

    @property
    def running_reply(self) -> Shown | None:
        """The reply that is streaming, in this or another process."""
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last.state == "streaming" else None


@dataclass(frozen=True)
class StartedReply:
    """A reply that has just been started."""

    conversation_id: str
    reply_id: int
    is_first: bool
    """Whether it is the first reply of its conversation."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply at one moment."""

    text: str
    thought: str
    notes: tuple[str, ...]
    done: bool
    search: str | None = None
    """What the model searches the web for now: empty if unknown, None if it does not search."""


@dataclass(frozen=True)
class LoginRow:
    """A login as its user sees it."""

    id: int
    created_at: datetime
    seen_at: datetime
    """Precise to the hour."""
    browser: str
    """Such as "Firefox · Windows"; empty if unknown."""
    is_this: bool


@dataclass(frozen=True)
class PersonRow:
    """An account, with what it has used and reserved."""

    id: int
    name: str
    is_admin: bool
    disabled: bool
    created_at: datetime
    seen_at: datetime | None
    """The last use: of a login (precise to the hour), or a turn of this month."""
    tokens_today: int
    micro_yuan_month: int
    daily_tokens: int | None
    """None for the common limit, 0 for no limit."""


@dataclass(frozen=True)
class DayRow:
    """The usage of one day; running turns count with their reserved numbers."""

    day: date
    turns: int
    people: int
    prompt: int
    cached: int
    completion: int
    micro_yuan: int
    saved_micro_yuan: int
    first_token_p50: int | None
    first_token_p95: int | None


@dataclass(frozen=True)
class ErrorRow:
    """An error that ended a reply early. `code` is from `errors.py`, `request_id` from Ark."""

    at: datetime
    code: str
    request_id: str
    name: str
    """The user's name; empty if the account was deleted."""


@dataclass(frozen=True)
class ModelRow:
    """A model of ARK_MODEL for admins. Prices are in yuan per million tokens, for short inputs."""

    number: int
    """Its place in ARK_MODEL, from 1."""
    name: str
    label: str
    label_zh: str
    input: float
    cached: float
    output: float
    is_off: bool
    """Whether an admin has switched it off for all."""


@dataclass(frozen=True)
class InvitationRow:
    """An invitation without its code. `state`: open, used, expired or revoked."""

    id: int
    created_at: datetime
    expires_at: datetime
    uses_left: int
    daily_tokens: int | None
    state: str
