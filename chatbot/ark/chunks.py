"""The events of a model call, the same for every API."""

from dataclasses import dataclass, field
from datetime import datetime

from chatbot.views import Source

MOST_TOKENS = 2_000_000
"""No call uses more tokens: the largest models read a million and write 400,000."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage of one call as the server reported it: `prompt` includes `cached`, `completion`
    includes `reasoning`. None means that the number was missing or invalid."""

    prompt: int | None = None
    cached: int = 0
    completion: int | None = None
    reasoning: int = 0
    searches: int = 0


def counted(told: object) -> int | None:
    """The token count that a server reported, if it is valid; else None."""
    # True is an int in Python, and a broken server may send anything.
    return told if type(told) is int and 0 <= told <= MOST_TOKENS else None


@dataclass(frozen=True, slots=True)
class CallStarts:
    """A call to Ark is about to be made; it can use at most these tokens.

    The call is made when the consumer requests the next event. A consumer that cannot pay for it
    stops here. The events up to the next `CallStarts` belong to this call.
    """

    prompt_tokens: int
    completion_tokens: int
    """0 for a call that only builds a memory."""
    hides_thoughts: bool = False
    """Whether the model may think without showing all of it."""
    searches: int = 0
    """The most web searches of this call."""
    found_tokens: int = 0
    """The part of `prompt_tokens` that is used only if the model searches."""
    then: tuple["CallStarts", ...] = ()
    """Calls that must follow; this call is useless without them."""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The last call failed; another call will replace it."""

    applied: bool
    """Whether Ark may have counted this call."""
    wrote: bool
    """Whether Ark may have generated tokens, even if none arrived."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a streamed reply; any field may be empty."""

    text: str = ""
    thought: str = ""
    finish: str = ""
    """Ark's finish_reason, on the last chunk: stop, length, content_filter, …"""
    tokens: Tokens | None = None
    ref: str = ""
    """The id of the stored reply, if Ark stores it; on the first chunk that has it, and on the one
    with the finish_reason."""
    search: str | None = None
    """What the model searches the web for; empty while that is not known yet."""
    sources: tuple[Source, ...] = ()
    """Pages that the model used."""


@dataclass(frozen=True, slots=True)
class MemorySaved:
    """What Ark holds for the conversation if this turn ends well.

    `ref` is None for a kind of memory that stores nothing at Ark.
    """

    kind: str
    ref: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Note:
    """A note for the user; `code` is its key in `ui/texts.py`."""

    code: str


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A picture or a PDF that a model gets with a message."""

    kind: str
    """`image` or `pdf`."""
    type: str
    """The MIME type of `data`."""
    name: str
    data: bytes = field(repr=False)
    tokens: int
    """The most prompt tokens it can take."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How a model shall answer, the same for every API."""

    max_tokens: int
    """The longest answer, thoughts included."""
    thinking: str = "off"
    """`off`, `on`, or an effort: `low`, `medium`, `high`."""
    search: bool = False
    """Whether the model may search the web."""
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message as a model gets it."""

    role: str
    content: str
    files: tuple[PromptFile, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteContext:
    """The memory at Ark to which a question is added."""

    ref: str | None = None
    """Ark's id of the memory; None if there is none and it must be built from the history."""
    tokens: int = 0
    """The most tokens that Ark can count for this memory."""
    lacking: tuple[PromptMessage, ...] = ()
    """Messages of the branch that are not in `ref` yet: they are sent with the question."""
