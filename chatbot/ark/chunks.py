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


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a streamed reply; any field may be empty."""

    text: str = ""
    thought: str = ""
    finish: str = ""
    """Ark's finish_reason, on the chunk that has it: stop, length, content_filter, …"""
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What Ark holds for the conversation from now on, until `expires_at`."""

    ref: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A quiet remark for the user, by its code in `ui/texts.py`."""

    code: str


@dataclass(frozen=True, slots=True)
class Line:
    """One message as a model is given it."""

    role: str
    content: str
