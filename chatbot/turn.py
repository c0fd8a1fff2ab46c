"""One reply in the making: takes the events of a model call, tells the text so far, the outcome
and what was used. Knows no database and makes no calls."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from chatbot.ark.chunks import CallFailed, CallStarts, Chunk, MemorySaved, Note
from chatbot.ark.memory import Event
from chatbot.bill import Calls
from chatbot.storage.fields import storable
from chatbot.storage.journal import Outcome, StartedTurn, TurnRequest
from chatbot.storage.models import State
from chatbot.usage import Used

CHARACTERS_PER_TOKEN = 16
"""More than a token stands for in any text; only long runs of one character come near."""
SHORTEST_LIMIT = 1_000
"""Characters that a reply may have however few its tokens."""

LONGEST_REF = 200

FINISHED = {"length": State.LENGTH, "content_filter": State.FILTERED}
"""States by Ark's finish_reason; any other reason is a complete reply."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply at one moment."""

    text: str
    thought: str
    notes: tuple[str, ...]
    done: bool


@dataclass(slots=True)
class Reservation:
    """What is set aside for a turn: its row in the ledger, and the calls that it pays for."""

    usage_id: int
    calls: list[Used]

    def covers(self, calls: list[Used]) -> bool:
        """Whether it pays for these calls, whatever their prices."""
        set_aside, needed = sum(self.calls, Used()), sum(calls, Used())
        longest = max((call.prompt for call in self.calls), default=0)
        return (
            needed.prompt <= set_aside.prompt
            and needed.completion <= set_aside.completion
            # A longer request may have a higher price.
            and all(call.prompt <= longest for call in calls)
        )


class Turn:
    """One reply in the making."""

    def __init__(
        self, begun: StartedTurn, move: TurnRequest, reserved: Reservation, max_output_tokens: int
    ) -> None:
        self.begun = begun
        self.move = move
        self.reserved = reserved
        self.calls = Calls()
        self.held: MemorySaved | None = None
        self.state = State.STREAMING
        self.error = ""
        self.request_id = ""
        self.stored = begun.stored.split()
        self.done = False
        self.followers = 0
        self.followed_at = self.started_at = time.monotonic()
        self.first_token_ms: int | None = None
        self.version = 0
        self._text: list[str] = [begun.prefix]
        self._thought: list[str] = [begun.prefix_thought]
        most = max(CHARACTERS_PER_TOKEN * max_output_tokens, SHORTEST_LIMIT)
        self._room_for_text = self._room_for_thought = most
        self._notes: list[str] = []
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self.reader: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        return _joined(self._text)

    @property
    def thought(self) -> str:
        return _joined(self._thought)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def take(self, event: Event) -> None:
        match event:
            case MemorySaved():
                self.held = event
                return
            case CallStarts():
                self.calls.start(event)
                return
            case CallFailed(applied, wrote):
                self.calls.fail(applied, wrote)
                return
            case Note():
                if event.code not in self._notes:
                    self._notes.append(event.code)
            case Chunk():
                self._take_chunk(event)
        self._tell()

    def _take_chunk(self, chunk: Chunk) -> None:
        self.calls.take(chunk)
        if self.first_token_ms is None and (chunk.text or chunk.thought):
            self.first_token_ms = round((time.monotonic() - self.started_at) * 1000)
        if chunk.text:
            self._text.append(chunk.text[: max(self._room_for_text, 0)])
            self._room_for_text -= len(chunk.text)
        if chunk.thought:
            self._thought.append(chunk.thought[: max(self._room_for_thought, 0)])
            self._room_for_thought -= len(chunk.thought)
        if _is_usable(chunk.ref) and chunk.ref not in self.stored:
            self.stored.append(chunk.ref)
        if chunk.finish:
            self.end(FINISHED.get(chunk.finish, State.COMPLETE))

    @property
    def overflows(self) -> bool:
        """Whether more has come than `max_output_tokens` can be; the rest was left out."""
        return self._room_for_text < 0 or self._room_for_thought < 0

    def end(self, state: State, error: str = "") -> None:
        """Settle how the turn ends; the first to say so is right."""
        if self.state is State.STREAMING:
            self.state, self.error = state, error
            self._ended.set()

    def stop(self, state: State, error: str = "") -> None:
        """End the turn now, and with it the HTTP request to Ark."""
        self.end(state, error)
        if self.reader is not None:
            self.reader.cancel()

    def finished(self) -> None:
        self.done = True
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def changed(self, since: int, seconds: float) -> None:
        """Return when the turn has changed since that version, or after some seconds."""
        if self.version == since:
            await _happened(self._changed, seconds)

    async def ended(self, seconds: float) -> None:
        """Return when no more text will come, or after some seconds."""
        if seconds > 0:
            await _happened(self._ended, seconds)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.text, self.thought, self.notes, self.done)

    @property
    def got_nothing(self) -> bool:
        """Whether not one word of an answer came."""
        return self.text == self.begun.prefix

    def outcome(self, model: str, memory_kind: str) -> Outcome:
        """How the turn ended; `memory_kind` is the one in use where Ark holds nothing."""
        state, error = self.state, self.error
        if not self.text and state in (State.COMPLETE, State.INTERRUPTED, State.LENGTH):
            thought = self.thought or any(call.reasoning for call in self.calls.used())
            only_thought = thought and state is State.LENGTH
            error = error or ("only_thought" if only_thought else "empty_reply")
            state = State.FAILED
        # A continued reply was asked for in words that are no part of the conversation.
        in_step = state in (State.COMPLETE, State.LENGTH) and not self.begun.prefix
        held = self.held if in_step else None
        if held is not None and held.ref is not None and not _is_usable(held.ref):
            held = None
        return Outcome(
            state=state,
            content=self.text,
            thought=self.thought,
            error=error,
            notes=" ".join(self.notes),
            model=model,
            memory_kind=held.kind if held else memory_kind,
            ref=held.ref if held else None,
            stored=" ".join(self.stored),
            ref_expires_at=held.expires_at if held else None,
            held_tokens=self.calls.held(),
            first_token_ms=self.first_token_ms,
            request_id=self.request_id,
        )


async def _happened(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _is_usable(ref: str) -> bool:
    """Whether an id that a server told can be stored, in a list that is separated by spaces."""
    return 0 < len(ref) <= LONGEST_REF and ref.isprintable() and " " not in ref


def _joined(pieces: list[str]) -> str:
    """The whole text; halves of a character that have no other half (yet) are replaced."""
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    return storable(pieces[0]) if pieces else ""
