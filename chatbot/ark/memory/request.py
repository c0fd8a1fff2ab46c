"""One question to a model, and the history that goes with it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatbot.ark.chunks import (
    CallFailed,
    CallStarts,
    Chunk,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.tokens import estimate_tokens

Event = CallStarts | CallFailed | Chunk | MemorySaved | Note


@dataclass(frozen=True)
class MemoryRequest:
    """One question, and where the model finds what came before it."""

    model: str
    system: str
    question: str
    ref: str | None
    """What Ark holds, if it holds exactly the visible branch; None to build it anew."""
    held_tokens: int
    """The most tokens that Ark can count for what it holds under `ref`."""
    load_history: Callable[[], Awaitable[Sequence[PromptMessage]]]
    """The remembered messages of the visible branch before the question, oldest first."""
    begun: tuple[PromptMessage, ...]
    """Question and answer so far when the answer is continued; they are never left out."""
    history_tokens: int
    max_tokens: int
    dialect: Dialect = PLAIN
    """What the model has refused so far."""

    @property
    def output_tokens(self) -> int:
        """The most tokens of an answer, thoughts included."""
        return self.dialect.output(self.max_tokens)


class Memory(Protocol):
    """One way to keep a conversation at Ark's side."""

    kind: str

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        """The calls of a turn in which nothing goes wrong: see `Memories.first_calls`."""
        ...

    def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        """The reply, on what Ark holds or else on a memory built from the history.

        A memory that has been built is told as a new `RemoteContext`, before it is asked anything.
        Each call to Ark is told as `CallStarts` before it is made.
        """
        ...


async def history_of(ask: MemoryRequest) -> tuple[list[PromptMessage], bool]:
    """What stands before the question in a memory that is built, and whether anything of it
    was left out."""
    room = ask.history_tokens - estimate_lines(ask.begun)
    kept, cut = newest_that_fit(await ask.load_history(), room)
    return [*kept, *ask.begun], cut


def newest_that_fit(
    history: Sequence[PromptMessage], budget: int
) -> tuple[list[PromptMessage], bool]:
    """The newest whole turns that fit into `budget` tokens, and whether any were left out."""
    start, used = len(history), 0
    for index in range(len(history) - 1, -1, -1):
        used += estimate_tokens(history[index].content)
        if used > budget:
            break
        # A turn begins with its question; half a turn would put words into nobody's mouth.
        if history[index].role == "user":
            start = index
    return list(history[start:]), start > 0
