"""What the pages and the commands are given: plain values, and nothing that can be called."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Entry:
    """A conversation as the list shows it. An unused one has no title."""

    id: str
    title: str
    updated_at: datetime
    running: bool
    memory: str
    """The kind of memory its last turn used; empty before the first."""


class Shown(NamedTuple):
    """A message as the page shows it.

    `state` and what stands from `prompt_tokens` on are those of the reply's turns: of all that have
    ended, summed; None where there is none. `state`, `error`, `first_token_ms` and `model` are of
    the newest one.
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


@dataclass(frozen=True)
class Versions:
    """Where the visible branch could have gone another way; `number` counts from 1."""

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
    """What the cache saved."""


@dataclass(frozen=True)
class Today:
    """What one person has used today, and may use."""

    tokens: int
    micro_yuan: int
    reserved: int
    """Tokens that are set aside for the replies being written, beside those that are used."""
    limit: int
    """Tokens; 0 for no limit."""

    @property
    def share(self) -> float:
        """How much of the limit is used, 0 to 1 and above; 0 without a limit."""
        return self.tokens / self.limit if self.limit else 0.0


@dataclass(frozen=True)
class Thread:
    """The visible branch of a conversation, oldest message first, as far as it is shown."""

    entry: Entry
    messages: list[Shown]
    has_earlier: bool
    totals: Totals
    today: Today
    """What its user has used today, in all conversations."""
    versions: list[Versions]
    """Where the shown messages have other versions, oldest first; none while a reply is written."""

    @property
    def running_reply(self) -> Shown | None:
        """The reply that is being written, here or in another process."""
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last.state == "streaming" else None


@dataclass(frozen=True)
class StartedReply:
    """A reply that has just been asked for."""

    conversation_id: str
    reply_id: int
    is_first: bool
    """Whether it is the first of its conversation."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply at one moment."""

    text: str
    thought: str
    notes: tuple[str, ...]
    done: bool


@dataclass(frozen=True)
class LoginRow:
    """A login as its user sees it."""

    id: int
    created_at: datetime
    seen_at: datetime
    """Kept to the hour."""
    browser: str
    """Such as "Firefox · Windows"; empty when it did not say."""
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
    """The last sign of life: a login in use (kept to the hour) or a turn of this month."""
    tokens_today: int
    micro_yuan_month: int
    daily_tokens: int | None
    """None for the common limit, 0 for no limit."""


@dataclass(frozen=True)
class DayRow:
    """The use of one day; running turns count with what is reserved for them."""

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
    """What ended a reply early. `code` is one of `errors.py`; `request_id` is Ark's, if any."""

    at: datetime
    code: str
    request_id: str
    name: str
    """Whose reply it was; empty when the account was deleted."""


@dataclass(frozen=True)
class InvitationRow:
    """An invitation; its code is not known any more. `state`: open, used, expired or revoked."""

    id: int
    created_at: datetime
    expires_at: datetime
    uses_left: int
    daily_tokens: int | None
    state: str
