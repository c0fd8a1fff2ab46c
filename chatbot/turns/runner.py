"""Runs turns. A turn belongs to the server: it does not end when a tab closes or reloads. Many
followers can join, and the text is saved while it grows.

Who may start a turn is decided in `storage/turns.py`.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from chatbot.ark.chunks import CallStarts, PromptMessage
from chatbot.ark.memory import Memories, MemoryRequest
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import ArkError, ChatbotError, TooManyTurns, TurnRunning
from chatbot.storage import conversations, turns
from chatbot.storage.database import Storage
from chatbot.storage.messages import remembered
from chatbot.storage.tables import State
from chatbot.storage.turn_values import StartedTurn, TurnOptions, TurnRequest
from chatbot.turns import keeper
from chatbot.turns.bill import most_of
from chatbot.turns.final_save import FinalSave
from chatbot.turns.purse import Purse
from chatbot.turns.running import RunningTurn
from chatbot.turns.worker import is_gone, new_worker
from chatbot.views import Snapshot

log = logging.getLogger("chatbot.turns")
T = TypeVar("T")

KEEPALIVE_SECONDS = 0.25
FIRST_WORD_SECONDS = 0.003
"""How long the first frame waits for the first word, to show it at once."""
FRAME_COST_SECONDS = 0.004
"""Twice the processor time of one frame, so that frames for all people use at most half."""
HISTORY_LIMIT = 2_000
"""Most messages read to rebuild a memory. HISTORY_TOKENS is usually the lower limit."""
FORGET_SECONDS = 2
"""How long the end of the process waits for deletions at Ark."""
CONTINUE = (
    "请从你中断的地方直接往下写，不要重复已经写过的内容，也不要加任何开场白。"
    "(Continue exactly where you stopped: repeat nothing, add no introduction.)"
)


@dataclass(frozen=True)
class Limits:
    """The part of `Settings` that turns use."""

    model: str
    system_prompt: str
    history_tokens: int
    max_output_tokens: int
    turn_seconds: float
    orphan_seconds: float
    max_turns: int
    max_turns_per_user: int


class Runner:
    """The turns of this process. Lives in one event loop."""

    def __init__(self, storage: Storage, memories: Memories, purse: Purse, limits: Limits) -> None:
        self.limits = limits
        self.worker = new_worker()
        self._storage = storage
        self._memories = memories
        self._purse = purse
        self._turns: dict[UUID, RunningTurn] = {}
        self._starting = 0
        """Number of turns that are being stored and are not yet in `_turns`."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deletions: set[asyncio.Task[None]] = set()
        self._followers: Counter[int] = Counter()
        self._closing = asyncio.Event()
        self._prompt_hash = hashlib.sha256(limits.system_prompt.encode()).hexdigest()[:16]
        self._keeper = keeper.Keeper(
            storage, self.worker, self._turns.values, limits.orphan_seconds
        )
        self._final = FinalSave(storage, purse)

    def open(self) -> None:
        """Start to save turns regularly, and to end those whose process has died."""
        self._keeper.open()

    async def start(self, user_id: int, conversation_id: str, request: TurnRequest) -> RunningTurn:
        """Store the question and start the model call.

        Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`,
        `Paused`, `BudgetUsedUp`, `StorageUnavailable`; nothing is stored then.
        """
        # A stored question is answered, even if the caller is cancelled during the save.
        work = self._start(user_id, conversation_id, request)
        return await asyncio.shield(_kept(self._tasks, work))

    async def _start(self, user_id: int, conversation_id: str, request: TurnRequest) -> RunningTurn:
        # Count turns before the first await: many may start at once.
        if self._closing.is_set() or len(self._turns) + self._starting >= self.limits.max_turns:
            raise TooManyTurns()
        self._starting += 1
        try:
            if self._runs_in(conversation_id):
                # The database may not know: the lease can run out (clock jump, full disk).
                await self._storage.read(conversations.find, user_id, conversation_id)
                raise TurnRunning()
            turn = await self._storage.write(self._stored, user_id, conversation_id, request)
            self._turns[turn.id] = turn
        finally:
            self._starting -= 1
        if self._closing.is_set():
            turn.stop(State.INTERRUPTED, "server_stopped")
        _kept(self._tasks, self._run(turn))
        return turn

    def _stored(self, user_id: int, conversation_id: str, request: TurnRequest) -> RunningTurn:
        """Store the turn and reserve what it can use. Runs in a transaction."""
        options = TurnOptions(
            model=self.limits.model,
            memory_kind=self._memories.kind_for(self.limits.model),
            prompt_hash=self._prompt_hash,
            worker=self.worker,
            lease_seconds=keeper.LEASE_SECONDS,
            max_turns_per_user=self.limits.max_turns_per_user,
        )
        started = turns.start(user_id, conversation_id, request, options, is_gone)
        if started.ref is not None and started.held_tokens is None:
            # Ark did not report its size, but it was built from this history.
            started = replace(started, held_tokens=self._history_estimate(started))
        calls = [most_of(call) for call in self._first_calls(started)]
        self._purse.reserve(started, calls)
        return RunningTurn(started, calls, self.limits.max_output_tokens)

    def get(self, turn_id: UUID | None) -> RunningTurn | None:
        """The turn of this id, if it runs in this process."""
        return self._turns.get(turn_id) if turn_id is not None else None

    def writing(self, user_id: int, reply_id: int) -> RunningTurn | None:
        """The turn of this user that writes this reply, if it runs in this process."""
        for turn in self._turns.values():
            if turn.started.reply_id == reply_id and turn.started.user_id == user_id:
                return turn
        return None

    async def follow(self, turn: RunningTurn, frame_seconds: float) -> AsyncGenerator[Snapshot]:
        """Yield the reply as it grows: when it changes, but at most once per `frame_seconds`, and
        less often when many people follow, so that the server does not fall behind.

        Without changes it repeats the last snapshot, so that a follower can check whether it is
        still needed. The last snapshot is `done`.
        """
        turn.followers += 1
        person = turn.started.user_id
        self._followers[person] += 1
        try:
            if turn.turn.got_nothing:
                await turn.changed(turn.version, FIRST_WORD_SECONDS)
            while True:
                version, shown_at = turn.version, time.monotonic()
                snapshot = turn.snapshot()
                yield snapshot
                if snapshot.done:
                    return
                await turn.changed(version, KEEPALIVE_SECONDS)
                if snapshot.text:
                    # Each person gets the same share and divides it among all their tabs.
                    share = len(self._followers) * self._followers[person]
                    pace = max(frame_seconds, share * FRAME_COST_SECONDS)
                    await turn.ended(shown_at + pace - time.monotonic())
        finally:
            self._followers[person] -= 1
            if not self._followers[person]:
                del self._followers[person]
            turn.followers -= 1
            turn.watched_until = time.monotonic()

    def forget(self, refs: Sequence[str]) -> None:
        """Delete what Ark stores under these ids, in the background."""
        if refs:
            _kept(self._deletions, self._memories.forget(refs))

    async def close(self) -> None:
        """Stop every turn and save its text. For the end of the process."""
        self._closing.set()
        for turn in list(self._turns.values()):
            turn.stop(State.INTERRUPTED, "server_stopped")
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._keeper.close()
        await self._give_up_deletions()

    async def _give_up_deletions(self) -> None:
        if not self._deletions:
            return
        _, left = await asyncio.wait(self._deletions, timeout=FORGET_SECONDS)
        for deletion in left:
            deletion.cancel()
        if left:
            log.warning("the process ends: %s deletion(s) at Ark were not finished", len(left))
            await asyncio.wait(left)

    def _runs_in(self, conversation_id: str) -> bool:
        running = (str(turn.started.conversation_id) for turn in self._turns.values())
        return conversation_id in running

    def _first_calls(self, started: StartedTurn) -> list[CallStarts]:
        """The calls of this turn if nothing goes wrong."""
        held = started.held_tokens
        asked = (started.prefix, CONTINUE) if started.prefix else (started.question,)
        return self._memories.first_calls(
            self.limits.model,
            held,
            0 if held is not None else self._history_estimate(started),
            sum(map(estimate_tokens, asked)),
            self.limits.max_output_tokens,
        )

    def _history_estimate(self, started: StartedTurn) -> int:
        """The most tokens of system prompt and history that go into a new memory."""
        rows = remembered(started.before_id, HISTORY_LIMIT)
        history = sum(estimate_tokens(row.content) for row in rows)
        so_far = estimate_tokens(started.question) + estimate_tokens(started.prefix)
        return (
            estimate_tokens(self.limits.system_prompt)
            + min(history, self.limits.history_tokens)
            + (so_far if started.prefix else 0)
        )

    def _request(self, started: StartedTurn) -> MemoryRequest:
        async def load_history() -> list[PromptMessage]:
            rows = await self._storage.read(remembered, started.before_id, HISTORY_LIMIT)
            return [PromptMessage(row.role, row.content) for row in rows]

        so_far = (
            PromptMessage("user", started.question),
            PromptMessage("assistant", started.prefix),
        )
        return MemoryRequest(
            model=self.limits.model,
            system=self.limits.system_prompt,
            question=CONTINUE if started.prefix else started.question,
            ref=started.ref,
            held_tokens=started.held_tokens or 0,
            load_history=load_history,
            begun=so_far if started.prefix else (),
            history_tokens=self.limits.history_tokens,
            max_tokens=self.limits.max_output_tokens,
        )

    async def _run(self, running: RunningTurn) -> None:
        turn = running.turn
        try:
            if turn.state is State.STREAMING:
                running.reader = asyncio.create_task(self._read(running))
                await asyncio.wait([running.reader])
                _note_end(running, running.reader)
            model = self.limits.model
            outcome = turn.outcome(model, self._memories.kind_for(model))
            await self._final.make(running, outcome, self._closing)
        finally:
            del self._turns[running.id]
            running.finish()

    async def _read(self, running: RunningTurn) -> None:
        events: Any = self._memories.answer(self._request(running.started))
        async with asyncio.timeout(self.limits.turn_seconds), aclosing(events):
            async for event in events:
                if isinstance(event, CallStarts):
                    await self._authorize(running, event)
                running.take(event)
                if running.turn.overflows:
                    # The server ignores the limit. Leaving the loop ends the request.
                    running.turn.break_off(None)
                    running.turn.end(State.LENGTH)
                    return

    async def _authorize(self, running: RunningTurn, call: CallStarts) -> None:
        """Reserve what the turn can use including this call.

        Raises `BudgetUsedUp`, `Paused`, `ChangedElsewhere` or `StorageUnavailable`.
        """
        calls = running.turn.calls.most([call, *call.then])
        if running.covers(calls):
            return
        await self._storage.write(self._purse.reserve, running.started, calls, running.reserved)
        running.reserved = calls


def _note_end(running: RunningTurn, reader: asyncio.Task[None]) -> None:
    """Record in the turn how its reader ended, and log the error if there was one."""
    error = None if reader.cancelled() else reader.exception()
    if reader.cancelled() or error is not None:
        running.turn.break_off(error)
    match error:
        case None | TimeoutError():
            return
        case ArkError():
            log.warning("turn %s: %s", running.id, error.for_log())
        case ChatbotError():
            log.warning("turn %s: %s", running.id, error.code)
        case _:
            log.error("turn %s failed", running.id, exc_info=error)


def _kept(tasks: set[asyncio.Task[T]], work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task and hold it until it ends: the loop keeps only weak references."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
