"""Running turns. A turn belongs to the server: closing a tab, reloading or a second tab changes
nothing, any number of followers can join, and its text is saved while it grows.

Knows nothing of who may start one; that is decided with the rows (`storage/journal.py`).
"""

import asyncio
import hashlib
import itertools
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chatbot.ark.chunks import Chunk, Held, Line, Note, Spent, Tokens
from chatbot.ark.memory import Ask, Event, Memories
from chatbot.ark.tokens import estimate_tokens
from chatbot.budget import Budget
from chatbot.errors import (
    ArkError,
    ChatbotError,
    Moderated,
    StorageUnavailable,
    TooManyTurns,
    TurnRunning,
)
from chatbot.storage import journal
from chatbot.storage.branches import remembered
from chatbot.storage.database import Storage
from chatbot.storage.fields import storable
from chatbot.storage.journal import Begun, Move, Outcome, Terms
from chatbot.storage.models import Conversation, State

log = logging.getLogger("chatbot.turns")
T = TypeVar("T")

SAVE_SECONDS = 1.0
RECOVER_TICKS = 5
LEASE_SECONDS = 10.0
"""How long a dead process can keep a conversation to itself."""
KEEPALIVE_SECONDS = 0.25
FIRST_WORD_SECONDS = 0.003
"""A first word that comes in this time needs no frame of its own."""
FRAME_COST_SECONDS = 0.004
"""Twice what a frame takes of a processor, so that all followers together leave half of it."""
CLOSING_TRIES = 2
LONGEST_PAUSE = 15
HISTORY_LIMIT = 2_000
"""Most messages read to rebuild a memory; HISTORY_TOKENS is what really limits it."""
CONTINUE = (
    "请从你中断的地方直接往下写，不要重复已经写过的内容，也不要加任何开场白。"
    "(Continue exactly where you stopped: repeat nothing, add no introduction.)"
)

FINISHED = {"length": State.LENGTH, "content_filter": State.FILTERED}
"""States by Ark's finish_reason; any other reason is a complete reply."""


@dataclass(frozen=True)
class Limits:
    """Seconds and counts of `Settings`, as far as turns heed them."""

    model: str
    system_prompt: str
    history_tokens: int
    max_output_tokens: int
    turn_seconds: float
    orphan_seconds: float
    max_turns: int
    max_turns_per_user: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A reply at one moment."""

    text: str
    thought: str
    notes: tuple[str, ...]
    done: bool


class Turn:
    """One reply in the making."""

    def __init__(self, begun: Begun, move: Move) -> None:
        self.begun = begun
        self.move = move
        self.tokens: Tokens | None = None
        self.held: Held | None = None
        self.state = State.STREAMING
        self.error = ""
        self.request_id = ""
        self.setup = Tokens()
        self.stored = begun.stored.split()
        self.may_have_cost = True
        self.done = False
        self.followers = 0
        self.followed_at = self.started_at = time.monotonic()
        self.first_token_ms: int | None = None
        self.version = 0
        self._text: list[str] = [begun.prefix]
        self._thought: list[str] = [begun.prefix_thought]
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
            case Held():
                self.held = event
                return
            case Spent(tokens):
                self.setup = self.setup + tokens
                return
            case Note():
                if event.code not in self._notes:
                    self._notes.append(event.code)
            case Chunk():
                self._take_chunk(event)
        self._tell()

    def _take_chunk(self, chunk: Chunk) -> None:
        if self.first_token_ms is None and (chunk.text or chunk.thought):
            self.first_token_ms = round((time.monotonic() - self.started_at) * 1000)
        if chunk.text:
            self._text.append(chunk.text)
        if chunk.thought:
            self._thought.append(chunk.thought)
        if chunk.ref and chunk.ref not in self.stored:
            self.stored.append(chunk.ref)
        if chunk.tokens:
            self.tokens = chunk.tokens
        if chunk.finish:
            self.end(FINISHED.get(chunk.finish, State.COMPLETE))

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


async def _happened(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _joined(pieces: list[str]) -> str:
    """The whole text; halves of a character that have no other half (yet) are replaced."""
    if len(pieces) > 1:
        pieces[:] = ["".join(pieces)]
    return storable(pieces[0]) if pieces else ""


class Turns:
    """The turns of this process. Lives in one event loop."""

    def __init__(
        self, storage: Storage, memories: Memories, budget: Budget, limits: Limits
    ) -> None:
        self.storage = storage
        self.budget = budget
        self.limits = limits
        self._memories = memories
        self._turns: dict[int, Turn] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._followers = 0
        self._closing = asyncio.Event()
        self.owner = f"{os.getpid()}-{secrets.token_hex(8)}"

    def open(self) -> None:
        """Begin to keep the turns saved, and to end those whose process has died."""
        self._keeper = asyncio.create_task(self._keep())

    async def start(self, user_id: int, conversation_id: str, move: Move) -> Turn:
        """Store what was asked and let the model answer it.

        Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`,
        `Paused`, `BudgetUsedUp`, `StorageUnavailable`; nothing is stored then.
        """
        # What is stored is answered, even if the caller leaves while it is being stored.
        return await asyncio.shield(self._spawn(self._start(user_id, conversation_id, move)))

    async def _start(self, user_id: int, conversation_id: str, move: Move) -> Turn:
        if self._closing.is_set() or len(self._turns) >= self.limits.max_turns:
            raise TooManyTurns()
        running = (str(turn.begun.conversation_id) for turn in self._turns.values())
        if conversation_id in running:
            # Its lease may have run out: a clock that jumps, a disk that was full for long.
            await self.storage.read(Conversation.of, user_id, conversation_id)
            raise TurnRunning()
        terms = Terms(
            model=self.limits.model,
            memory_kind=self._memories.kind_for(self.limits.model),
            owner=self.owner,
            lease_seconds=LEASE_SECONDS,
            max_turns_per_user=self.limits.max_turns_per_user,
            prompt_hash=hashlib.sha256(self.limits.system_prompt.encode()).hexdigest()[:16],
        )
        begun = await self.storage.write(self._begin, user_id, conversation_id, move, terms)
        turn = Turn(begun, move)
        if self._closing.is_set():
            turn.stop(State.INTERRUPTED, "server_stopped")
        self._turns[begun.reply_id] = turn
        self._spawn(self._run(turn))
        return turn

    def get(self, reply_id: int | None) -> Turn | None:
        """The turn that writes this reply, if it runs in this process."""
        return self._turns.get(reply_id) if reply_id is not None else None

    async def follow(self, turn: Turn, frame_seconds: float) -> AsyncIterator[Snapshot]:
        """The reply as it grows: at once when it changes, at most once per `frame_seconds`, and
        less often when many follow, so that the server does not fall behind.

        In silence it repeats itself, so that a follower can look whether it is still wanted.
        The last snapshot is `done`.
        """
        turn.followers += 1
        self._followers += 1
        try:
            if turn.got_nothing:
                await turn.changed(turn.version, FIRST_WORD_SECONDS)
            while True:
                version, shown_at = turn.version, time.monotonic()
                snapshot = turn.snapshot()
                yield snapshot
                if snapshot.done:
                    return
                await turn.changed(version, KEEPALIVE_SECONDS)
                if snapshot.text:
                    pace = max(frame_seconds, self._followers * FRAME_COST_SECONDS)
                    await turn.ended(shown_at + pace - time.monotonic())
        finally:
            self._followers -= 1
            turn.followers -= 1
            turn.followed_at = time.monotonic()

    def forget(self, refs: Sequence[str]) -> None:
        """Have Ark delete what it stores under these ids; nobody waits for it."""
        if refs:
            self._spawn(self._memories.forget(refs))

    async def close(self) -> None:
        """Stop every turn and save what there is; for the end of the process."""
        self._closing.set()
        for turn in list(self._turns.values()):
            turn.stop(State.INTERRUPTED, "server_stopped")
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._keeper is not None:
            self._keeper.cancel()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        # The loop keeps only weak references to tasks.
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, user_id: int, conversation_id: str, move: Move, terms: Terms) -> Begun:
        begun = journal.begin(user_id, conversation_id, move, terms)
        self.budget.reserve(
            user_id,
            begun.conversation_id,
            begun.reply_id,
            terms.model,
            self._prompt_estimate(begun),
            self.limits.max_output_tokens,
        )
        return begun

    def _prompt_estimate(self, begun: Begun) -> int:
        """The most prompt tokens that Ark can count for this turn."""
        new = estimate_tokens(begun.question) + estimate_tokens(begun.prefix + CONTINUE)
        if begun.ref is not None and begun.tokens_before is not None:
            return begun.tokens_before + new
        rows = remembered(begun.before_id, HISTORY_LIMIT)
        history = sum(estimate_tokens(row.content) for row in rows)
        # A context is built from it first, and then asked with it.
        return (
            2
            * (
                estimate_tokens(self.limits.system_prompt)
                + min(history, self.limits.history_tokens)
            )
            + new
        )

    def _end(self, turn: Turn, outcome: Outcome) -> None:
        """Settle what the turn used and store how it ended."""
        prompt, cached = outcome.prompt_tokens, outcome.cached_tokens
        completion, reasoning = outcome.completion_tokens, outcome.reasoning_tokens
        reply_id = turn.begun.reply_id
        if turn.may_have_cost:
            # Ark says what a reply used only at its end; what it left out is estimated.
            said = turn.thought + turn.text.removeprefix(turn.begun.prefix)
            if turn.tokens is None or not turn.tokens.prompt:
                prompt = prompt or self.budget.reserved_prompt(reply_id)
            if (turn.tokens is None or not turn.tokens.completion) and said:
                completion = estimate_tokens(said)
        cost = self.budget.settle(
            turn.begun.conversation_id,
            reply_id,
            prompt or 0,
            cached or 0,
            completion or 0,
            reasoning or 0,
        )
        journal.finish(turn.begun, self.owner, replace(outcome, micro_yuan=cost))

    def _ask(self, begun: Begun) -> Ask:
        async def load_history() -> list[Line]:
            rows = await self.storage.read(remembered, begun.before_id, HISTORY_LIMIT)
            lines = [Line(row.role, row.content) for row in rows]
            if begun.prefix:
                lines += [Line("user", begun.question), Line("assistant", begun.prefix)]
            return lines

        return Ask(
            model=self.limits.model,
            system=self.limits.system_prompt,
            question=CONTINUE if begun.prefix else begun.question,
            ref=begun.ref,
            load_history=load_history,
            history_tokens=self.limits.history_tokens,
            max_tokens=self.limits.max_output_tokens,
        )

    async def _run(self, turn: Turn) -> None:
        try:
            if turn.state is State.STREAMING:
                turn.reader = asyncio.create_task(self._read(turn))
                await asyncio.wait([turn.reader])
                self._look_at(turn, turn.reader)
            await self._finish(turn)
        finally:
            self._turns.pop(turn.begun.reply_id, None)
            turn.finished()

    def _look_at(self, turn: Turn, reader: asyncio.Task[None]) -> None:
        error = None if reader.cancelled() else reader.exception()
        if reader.cancelled() or error is not None:
            # What Ark holds after a stream that did not end by itself is not known.
            turn.held = None
        if error is None:
            return
        if isinstance(error, TimeoutError):
            turn.end(State.LENGTH, "turn_timeout")
        elif isinstance(error, ChatbotError):
            told = error.for_log() if isinstance(error, ArkError) else error.code
            log.warning("reply %s: %s", turn.begun.reply_id, told)
            if isinstance(error, ArkError):
                turn.request_id = error.request_id
                turn.may_have_cost = error.applied or not turn.got_nothing
            filtered = isinstance(error, Moderated)
            turn.end(State.FILTERED if filtered else State.INTERRUPTED, error.code)
        else:
            log.error("reply %s failed", turn.begun.reply_id, exc_info=error)
            turn.end(State.INTERRUPTED, ChatbotError.code)

    async def _read(self, turn: Turn) -> None:
        async with (
            asyncio.timeout(self.limits.turn_seconds),
            aclosing(self._memories.answer(self._ask(turn.begun))) as events,  # type: ignore[type-var]
        ):
            async for event in events:
                turn.take(event)

    async def _finish(self, turn: Turn) -> None:
        """Save the end of the turn, patiently: a reply is not lost to a full or locked disk."""
        outcome = self._outcome(turn)
        for attempt in itertools.count():
            try:
                await self.storage.write(self._end, turn, outcome)
                return
            except StorageUnavailable:
                if self._closing.is_set() and attempt >= CLOSING_TRIES:
                    log.error("reply %s could not be saved", turn.begun.reply_id)
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(2**attempt, LONGEST_PAUSE)):
                        await self._closing.wait()

    def _outcome(self, turn: Turn) -> Outcome:
        state = turn.state
        if not turn.text and state in (State.COMPLETE, State.INTERRUPTED, State.LENGTH):
            state = State.FAILED
            turn.error = turn.error or "empty_reply"
        # A continued reply was asked for in words that are no part of the conversation.
        in_step = state in (State.COMPLETE, State.LENGTH) and not turn.begun.prefix
        held = turn.held if in_step else None
        tokens = turn.setup + (turn.tokens or Tokens())
        return Outcome(
            state=state,
            content=turn.text,
            thought=turn.thought,
            error=turn.error,
            notes=" ".join(turn.notes),
            model=self.limits.model,
            memory_kind=held.kind if held else self._memories.kind_for(self.limits.model),
            ref=held.ref if held else None,
            stored=" ".join(turn.stored),
            ref_expires_at=held.expires_at if held else None,
            prompt_tokens=tokens.prompt,
            cached_tokens=tokens.cached,
            completion_tokens=tokens.completion,
            reasoning_tokens=tokens.reasoning,
            first_token_ms=turn.first_token_ms,
            micro_yuan=0,
            request_id=turn.request_id,
        )

    async def _keep(self) -> None:
        for tick in itertools.count():
            try:
                if self._turns:
                    await self._save()
                if tick % RECOVER_TICKS == 0:
                    await self.storage.write(self._recover)
            except StorageUnavailable:
                # Told in the log already; the next tick tries again.
                pass
            except Exception:
                # Without this task leases run out and nothing is saved: it must outlive a bug.
                log.exception("keeping turns saved")
            await asyncio.sleep(SAVE_SECONDS)

    def _recover(self) -> None:
        journal.recover()
        self.budget.settle_abandoned(estimate_tokens)

    async def _save(self) -> None:
        """In one transaction for all turns: save what grew, renew leases, hear of stops."""
        running = list(self._turns.values())
        self._stop_orphans(running)
        asked = await self.storage.write(
            journal.save,
            self.owner,
            LEASE_SECONDS,
            [(turn.begun.conversation_id, _progress(turn)) for turn in running],
        )
        for turn in running:
            if turn.begun.reply_id in asked:
                turn.stop(State.STOPPED)

    def _stop_orphans(self, running: list[Turn]) -> None:
        for turn in running:
            alone = time.monotonic() - turn.followed_at
            if not turn.followers and alone > self.limits.orphan_seconds:
                turn.stop(State.INTERRUPTED, "orphaned")


def _progress(turn: Turn) -> journal.Progress:
    return journal.Progress(turn.begun.reply_id, turn.text, turn.thought)
