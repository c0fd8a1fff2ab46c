"""What comes out of a model call, whatever API it went through."""

from dataclasses import dataclass
from datetime import datetime

MOST_TOKENS = 2_000_000
"""No call uses more: the largest models read a million tokens and write 400,000."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage of one call as the server told it: `prompt` includes `cached`, `completion` includes
    `reasoning`. None stands for a number that was not told, or that cannot be one."""

    prompt: int | None = None
    cached: int = 0
    completion: int | None = None
    reasoning: int = 0


def counted(told: object) -> int | None:
    """A number of tokens that a server told, if it can be one; else None."""
    # True is an int in Python, and a broken server may send anything.
    return told if type(told) is int and 0 <= told <= MOST_TOKENS else None


@dataclass(frozen=True, slots=True)
class CallStarts:
    """A call to Ark is about to be made, with the most tokens that it can use.

    The call is made when the next event is asked for, so who cannot pay for it asks for no more.
    What comes before the next `CallStarts` belongs to this call.
    """

    prompt_tokens: int
    completion_tokens: int
    """0 for a call that only builds a memory."""
    hides_thoughts: bool = False
    """Whether the model may think without showing all of it."""
    then: tuple["CallStarts", ...] = ()
    """The calls that this one is made for; without them it would be made in vain."""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The last call failed and another will be made in its place."""

    applied: bool
    """Whether Ark may have counted it."""
    wrote: bool
    """Whether Ark may have begun to answer, seen or unseen."""


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
class MemorySaved:
    """What Ark will hold for the conversation once this turn has ended well.

    `ref` is None for a memory that keeps nothing there.
    """

    kind: str
    ref: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Note:
    """A quiet remark for the user, by its code in `ui/texts.py`."""

    code: str


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message as a model is given it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """What a question is asked on top of."""

    ref: str | None = None
    """What Ark holds; None when nothing does, so that a memory is built from the history."""
    tokens: int = 0
    """The most tokens that Ark can count for what it holds."""
    lacking: tuple[PromptMessage, ...] = ()
    """Messages of the branch that `ref` lacks yet: they travel with the question."""
