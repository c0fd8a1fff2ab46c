"""The values that go into the transactions of a turn and come out of them."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from chatbot.storage.tables import State


@dataclass(frozen=True)
class Send:
    """A new question at the end of the visible branch, with files that were uploaded before."""

    text: str
    files: tuple[str, ...] = ()
    """Ids of attachments."""


@dataclass(frozen=True)
class Edit:
    """A new version of an earlier question, with the same files; the old branch is kept."""

    question_id: int
    text: str


@dataclass(frozen=True)
class Regenerate:
    """A new reply to the last question; the old reply is kept."""

    reply_id: int


@dataclass(frozen=True)
class Continue:
    """More of the newest reply, which ended early."""

    reply_id: int


TurnRequest = Send | Edit | Regenerate | Continue
"""The ways to start a turn."""


@dataclass(frozen=True)
class TurnOptions:
    """Options fixed when a turn starts."""

    model: str
    memory_kind: str
    prompt_hash: str
    """Hash of the system prompt and of how the model thinks, which are part of a memory."""
    worker: str
    """The process that runs it."""
    lease_seconds: float
    max_turns_per_user: int


@dataclass(frozen=True)
class StartedTurn:
    """A turn that is stored and has locked its conversation."""

    id: uuid.UUID
    user_id: int
    conversation_id: uuid.UUID
    before_id: int | None
    """The message before the question; None at the start of a conversation."""
    question: str
    question_id: int
    reply_id: int
    prefix: str
    """The text of the reply so far, when it is continued."""
    prefix_thought: str
    model: str
    options: str
    """What the user chose for the conversation, as stored."""
    has_files: bool
    """Whether any message of the conversation has a picture or file."""
    changes_model: bool
    """Whether another model has answered the turn before."""
    ref: str | None
    """Ark's memory id, if that memory equals the branch up to `before_id`."""
    held_tokens: int | None
    """The most tokens that Ark holds under `ref`, if known."""


@dataclass(frozen=True)
class Progress:
    """The text of a running turn; with None, only the lease is renewed."""

    turn_id: uuid.UUID
    reply_id: int
    content: str | None
    thought: str | None


@dataclass(frozen=True)
class Sign:
    """What other processes have written into the row of a running turn."""

    stop_requested: bool
    followed_until: datetime | None


@dataclass(frozen=True)
class Outcome:
    """How a turn ended. `ref` is None unless Ark's memory now equals the visible branch."""

    state: State
    content: str
    thought: str
    error: str
    notes: str
    sources: str
    """Pages of the web, as stored (`sources.py`)."""
    thought_ms: int | None
    model: str
    memory_kind: str
    ref: str | None
    refs: str
    """The ids under which Ark stores this turn, separated by spaces."""
    ref_expires_at: datetime | None
    held_tokens: int
    """The most tokens that Ark holds under `ref`."""
    first_token_ms: int | None
    request_id: str
