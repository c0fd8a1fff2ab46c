"""One question to a model, with its history."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatbot.ark.chunks import (
    CallFailed,
    CallOptions,
    CallStarts,
    Chunk,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.ark.memory.attempt import estimate_line, estimate_lines

Event = CallStarts | CallFailed | Chunk | MemorySaved | Note


@dataclass(frozen=True)
class MemoryRequest:
    """One question, and the memory or history before it."""

    model: str
    system: str
    question: PromptMessage
    ref: str | None
    """Ark's id of the memory, if that equals the visible branch; None to build a new one."""
    held_tokens: int
    """The most tokens that Ark can count for the memory `ref`."""
    load_history: Callable[[], Awaitable[Sequence[PromptMessage]]]
    """Returns the messages before the question that a model gets, oldest first."""
    begun: tuple[PromptMessage, ...]
    """Question and answer so far, if the answer is continued; they are never left out."""
    history_tokens: int
    options: CallOptions
    dialect: Dialect = PLAIN
    """What the model has refused so far."""

    @property
    def output_tokens(self) -> int:
        """The most tokens of an answer, thoughts included."""
        return self.dialect.output(self.options.max_tokens)


class Memory(Protocol):
    """One kind of memory."""

    kind: str

    def first_calls(
        self, held: int | None, history: int, new: int, options: CallOptions
    ) -> list[CallStarts]:
        """The calls of a turn if nothing goes wrong: see `Memories.first_calls`."""
        ...

    def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        """Yield the events of the reply, with the memory at Ark or one built from the history.

        A newly built memory is yielded as a `RemoteContext` before the question is sent.
        `CallStarts` comes before each call to Ark.
        """
        ...


async def history_of(ask: MemoryRequest) -> tuple[list[PromptMessage], bool]:
    """The messages before the question for a new memory, and whether some were left out."""
    room = ask.history_tokens - estimate_lines(ask.begun)
    kept, cut = newest_that_fit(await ask.load_history(), room)
    return [*kept, *ask.begun], cut


def newest_that_fit(
    history: Sequence[PromptMessage], budget: int
) -> tuple[list[PromptMessage], bool]:
    """The newest whole turns that fit into `budget` tokens, and whether any were left out."""
    start, used = len(history), 0
    for index in range(len(history) - 1, -1, -1):
        used += estimate_line(history[index])
        if used > budget:
            break
        # A turn begins with its question: keep only whole turns.
        if history[index].role == "user":
            start = index
    return list(history[start:]), start > 0
