"""What comes out of a model call, whatever API it went through."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage of one call. `prompt` includes `cached`; `completion` includes `reasoning`."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a streamed reply; any field may be empty."""

    text: str = ""
    thought: str = ""
    finish: str = ""
    """Ark's finish_reason, on the chunk that has it: stop, length, content_filter, …"""
    tokens: Tokens | None = None
    ref: str = ""
    """The id the reply is stored under, where it is; told as soon as it is known, and with the
    finish_reason."""


@dataclass(frozen=True, slots=True)
class Held:
    """What Ark will hold for the conversation once this turn has ended well.

    `ref` is None for a memory that keeps nothing there.
    """

    kind: str
    ref: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens used beside the reply, to build a memory."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Note:
    """A quiet remark for the user, by its code in `ui/texts.py`."""

    code: str


@dataclass(frozen=True, slots=True)
class Line:
    """One message as a model is given it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What a question is asked on top of."""

    ref: str | None = None
    """What Ark holds; None when nothing does, so that a memory is built from the history."""
    lacking: tuple[Line, ...] = ()
    """Messages of the branch that `ref` lacks yet: they travel with the question."""
