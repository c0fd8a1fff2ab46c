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
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chatbot.ark.chunks import CallStarts, PromptMessage
from chatbot.ark.memory import Memories, MemoryRequest
from chatbot.ark.tokens import estimate_tokens
from chatbot.bill import most_of
from chatbot.budget import Budget
from chatbot.errors import (
    ArkError,
    ChatbotError,
    Moderated,
    StorageUnavailable,
    TooManyTurns,
    TurnRunning,
    traced,
)
from chatbot.final_save import FinalSave
from chatbot.storage import journal
from chatbot.storage.branches import remembered
from chatbot.storage.database import Storage
from chatbot.storage.journal import StartedTurn, TurnOptions, TurnRequest
from chatbot.storage.models import Conversation, State
from chatbot.turn import Reservation, Snapshot, Turn

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
"""Twice what a frame takes of a processor, so that all people together leave half of it."""
HISTORY_LIMIT = 2_000
"""Most messages read to rebuild a memory; HISTORY_TOKENS is what really limits it."""
CONTINUE = (
    "请从你中断的地方直接往下写，不要重复已经写过的内容，也不要加任何开场白。"
    "(Continue exactly where you stopped: repeat nothing, add no introduction.)"
)


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
        self._starting = 0
        """How many turns are being stored, which are not among `_turns` yet."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._followers: Counter[int] = Counter()
        self._closing = asyncio.Event()
        self.owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._final = FinalSave(storage, budget, self.owner)

    def open(self) -> None:
        """Begin to keep the turns saved, and to end those whose process has died."""
        self._keeper = asyncio.create_task(self._keep())

    async def start(self, user_id: int, conversation_id: str, move: TurnRequest) -> Turn:
        """Store what was asked and let the model answer it.

        Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`,
        `Paused`, `BudgetUsedUp`, `StorageUnavailable`; nothing is stored then.
        """
        # What is stored is answered, even if the caller leaves while it is being stored.
        return await asyncio.shield(self._spawn(self._start(user_id, conversation_id, move)))

    async def _start(self, user_id: int, conversation_id: str, move: TurnRequest) -> Turn:
        # Counted before anything is waited for: many may start at once.
        if self._closing.is_set() or len(self._turns) + self._starting >= self.limits.max_turns:
            raise TooManyTurns()
        self._starting += 1
        try:
            turn = await self._stored(user_id, conversation_id, move)
            self._turns[turn.begun.reply_id] = turn
        finally:
            self._starting -= 1
        if self._closing.is_set():
            turn.stop(State.INTERRUPTED, "server_stopped")
        self._spawn(self._run(turn))
        return turn

    async def _stored(self, user_id: int, conversation_id: str, move: TurnRequest) -> Turn:
        running = (str(turn.begun.conversation_id) for turn in self._turns.values())
        if conversation_id in running:
            # Its lease may have run out: a clock that jumps, a disk that was full for long.
            await self.storage.read(Conversation.of, user_id, conversation_id)
            raise TurnRunning()
        terms = TurnOptions(
            model=self.limits.model,
            memory_kind=self._memories.kind_for(self.limits.model),
            owner=self.owner,
            lease_seconds=LEASE_SECONDS,
            max_turns_per_user=self.limits.max_turns_per_user,
            prompt_hash=hashlib.sha256(self.limits.system_prompt.encode()).hexdigest()[:16],
        )
        begun, reserved = await self.storage.write(
            self._begin, user_id, conversation_id, move, terms
        )
        return Turn(begun, move, reserved, self.limits.max_output_tokens)

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
        person = turn.begun.user_id
        self._followers[person] += 1
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
                    # As much for each person; who watches in many tabs shares it among them.
                    share = len(self._followers) * self._followers[person]
                    pace = max(frame_seconds, share * FRAME_COST_SECONDS)
                    await turn.ended(shown_at + pace - time.monotonic())
        finally:
            self._followers[person] -= 1
            if not self._followers[person]:
                del self._followers[person]
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

    def _begin(
        self, user_id: int, conversation_id: str, move: TurnRequest, terms: TurnOptions
    ) -> tuple[StartedTurn, Reservation]:
        begun = journal.begin(user_id, conversation_id, move, terms)
        held = begun.held_tokens
        if begun.ref is not None and held is None:
            # Nobody told what it holds, but it is made of this.
            held = self._history_estimate(begun)
        first = self._memories.first_calls(
            self.limits.model,
            held,
            0 if held is not None else self._history_estimate(begun),
            sum(
                map(
                    estimate_tokens, (begun.prefix, CONTINUE) if begun.prefix else (begun.question,)
                )
            ),
            self.limits.max_output_tokens,
        )
        calls = [most_of(call) for call in first]
        usage_id = self.budget.reserve(
            user_id, begun.conversation_id, begun.reply_id, terms.model, calls
        )
        return replace(begun, held_tokens=held), Reservation(usage_id, calls)

    def _history_estimate(self, begun: StartedTurn) -> int:
        """The most tokens of system prompt and history that a memory is built from."""
        rows = remembered(begun.before_id, HISTORY_LIMIT)
        history = sum(estimate_tokens(row.content) for row in rows)
        begun_turn = estimate_tokens(begun.question) + estimate_tokens(begun.prefix)
        return (
            estimate_tokens(self.limits.system_prompt)
            + min(history, self.limits.history_tokens)
            + (begun_turn if begun.prefix else 0)
        )

    def _ask(self, begun: StartedTurn) -> MemoryRequest:
        async def load_history() -> list[PromptMessage]:
            rows = await self.storage.read(remembered, begun.before_id, HISTORY_LIMIT)
            return [PromptMessage(row.role, row.content) for row in rows]

        so_far = (PromptMessage("user", begun.question), PromptMessage("assistant", begun.prefix))
        return MemoryRequest(
            model=self.limits.model,
            system=self.limits.system_prompt,
            question=CONTINUE if begun.prefix else begun.question,
            ref=begun.ref,
            held_tokens=begun.held_tokens or 0,
            load_history=load_history,
            begun=so_far if begun.prefix else (),
            history_tokens=self.limits.history_tokens,
            max_tokens=self.limits.max_output_tokens,
        )

    async def _run(self, turn: Turn) -> None:
        try:
            if turn.state is State.STREAMING:
                turn.reader = asyncio.create_task(self._read(turn))
                await asyncio.wait([turn.reader])
                self._look_at(turn, turn.reader)
            kind = self._memories.kind_for(self.limits.model)
            outcome = turn.outcome(self.limits.model, kind)
            await self._final.make(turn, outcome, self._closing)
        finally:
            # SQLite gives the id of a deleted row to a new one, whose turn stays.
            if self._turns.get(turn.begun.reply_id) is turn:
                del self._turns[turn.begun.reply_id]
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
                turn.calls.fail(error.applied, error.wrote)
            filtered = isinstance(error, Moderated)
            reason = error.reason if isinstance(error, ArkError) else error.code
            turn.end(State.FILTERED if filtered else State.INTERRUPTED, reason)
        else:
            log.error("reply %s failed", turn.begun.reply_id, exc_info=error)
            turn.end(State.INTERRUPTED, ChatbotError.code)

    async def _read(self, turn: Turn) -> None:
        async with (
            asyncio.timeout(self.limits.turn_seconds),
            aclosing(self._memories.answer(self._ask(turn.begun))) as events,  # type: ignore[type-var]
        ):
            async for event in events:
                if isinstance(event, CallStarts):
                    await self._authorize(turn, event)
                turn.take(event)
                if turn.overflows:
                    # A server that heeds no limit. To leave the loop ends the request.
                    turn.held = None
                    turn.end(State.LENGTH)
                    return

    async def _authorize(self, turn: Turn, call: CallStarts) -> None:
        """Have set aside what the turn can use with this call, too.

        Raises `BudgetUsedUp`, `Paused`, `ChangedElsewhere` or `StorageUnavailable`.
        """
        calls = turn.calls.most([call, *call.then])
        if turn.reserved.covers(calls):
            return
        await self.storage.write(
            self.budget.extend,
            turn.begun.user_id,
            turn.reserved.usage_id,
            turn.reserved.calls,
            calls,
        )
        turn.reserved.calls = calls

    async def _keep(self) -> None:
        for tick in itertools.count():
            try:
                if self._turns:
                    await self._save()
                if tick % RECOVER_TICKS == 0:
                    await self.storage.write(journal.recover)
            except StorageUnavailable:
                # Told in the log already; the next tick tries again.
                pass
            except Exception as error:
                # Without this task leases run out and nothing is saved: it must outlive a bug.
                log.error("keeping turns saved: %s", traced(error))
            await asyncio.sleep(SAVE_SECONDS)

    async def _save(self) -> None:
        """In one transaction for all turns: save what grew, renew leases, hear of stops."""
        running = list(self._turns.values())
        self._stop_orphans(running)
        try:
            asked = await self._saved(running)
        except StorageUnavailable:
            raise
        except Exception as error:
            # Perhaps for one text that the database does not take: the others are not to blame.
            log.error("saving all running replies: %s", traced(error))
            asked = set()
            for turn in running:
                asked |= await self._saved_alone(turn)
        for turn in running:
            if turn.begun.reply_id in asked:
                turn.stop(State.STOPPED)

    async def _saved(self, turns: list[Turn], *, text: bool = True) -> set[int]:
        """Save these; returns the replies that have to stop."""
        growing = [(turn.begun.conversation_id, _progress(turn, text)) for turn in turns]
        return await self.storage.write(journal.save, self.owner, LEASE_SECONDS, growing)

    async def _saved_alone(self, turn: Turn) -> set[int]:
        """Save one turn, at least its lease: without it, others would take it for dead."""
        try:
            return await self._saved([turn])
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("reply %s while it grows: %s", turn.begun.reply_id, traced(error))
            return await self._saved([turn], text=False)

    def _stop_orphans(self, running: list[Turn]) -> None:
        for turn in running:
            alone = time.monotonic() - turn.followed_at
            if not turn.followers and alone > self.limits.orphan_seconds:
                turn.stop(State.INTERRUPTED, "orphaned")


def _progress(turn: Turn, text: bool) -> journal.Progress:
    if not text:
        return journal.Progress(turn.begun.reply_id, None, None)
    return journal.Progress(turn.begun.reply_id, turn.text, turn.thought)
