"""Runs turns. A turn belongs to the server: it does not end when a tab closes or reloads. Many
followers can join, and the text is saved while it grows.

Who may start a turn is decided in `storage/turns.py`.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from chatbot.ark.chunks import CallStarts, Note
from chatbot.ark.memory import Memories
from chatbot.catalog import Models
from chatbot.errors import (
    ArkError,
    ChatbotError,
    PicturesNotRead,
    TooManyTurns,
    TurnRunning,
)
from chatbot.options import Bounds
from chatbot.storage import conversations, turns
from chatbot.storage.database import Storage
from chatbot.storage.tables import State
from chatbot.storage.turn_values import TurnOptions, TurnRequest
from chatbot.turns import keeper
from chatbot.turns.bill import most_of
from chatbot.turns.choices import Choices
from chatbot.turns.final_save import FinalSave
from chatbot.turns.prompt import Prompt, prompt_hash
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
FORGET_SECONDS = 2
"""How long the end of the process waits for deletions at Ark."""


@dataclass(frozen=True)
class Limits:
    """The part of `Settings` that turns use."""

    models: Models
    bounds: Bounds
    system_prompt: str
    history_tokens: int
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
        self.choices = Choices(limits.models, limits.bounds, memories.kind_for, memories.can_search)
        self._purse = purse
        self._turns: dict[UUID, RunningTurn] = {}
        self._starting = 0
        """Number of turns that are being stored and are not yet in `_turns`."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deletions: set[asyncio.Task[None]] = set()
        self._followers: Counter[int] = Counter()
        self._closing = asyncio.Event()
        self._keeper = keeper.Keeper(
            storage, self.worker, self._turns.values, limits.orphan_seconds, limits.models
        )
        self._final = FinalSave(storage, purse)

    def open(self) -> None:
        """Start to save turns regularly, and to end those whose process has died."""
        self._keeper.open()

    async def start(
        self,
        user_id: int,
        conversation_id: str,
        request: TurnRequest,
        changes: dict[str, Any] | None = None,
    ) -> RunningTurn:
        """Store the question, with changes of what its user chose, and start the model call.

        Raises `ConversationNotFound`, `TurnRunning`, `TooManyTurns`, `ChangedElsewhere`,
        `Paused`, `BudgetUsedUp`, `StorageUnavailable`; nothing is stored then.
        """
        # A stored question is answered, even if the caller is cancelled during the save.
        work = self._start(user_id, conversation_id, request, changes)
        return await asyncio.shield(_kept(self._tasks, work))

    async def _start(
        self,
        user_id: int,
        conversation_id: str,
        request: TurnRequest,
        changes: dict[str, Any] | None,
    ) -> RunningTurn:
        # Count turns before the first await: many may start at once.
        if self._closing.is_set() or len(self._turns) + self._starting >= self.limits.max_turns:
            raise TooManyTurns()
        self._starting += 1
        try:
            if self._runs_in(conversation_id):
                # The database may not know: the lease can run out (clock jump, full disk).
                await self._storage.read(conversations.find, user_id, conversation_id)
                raise TurnRunning()
            turn = await self._storage.write(
                self._stored, user_id, conversation_id, request, changes
            )
            self._turns[turn.id] = turn
        finally:
            self._starting -= 1
        if self._closing.is_set():
            turn.stop(State.INTERRUPTED, "server_stopped")
        _kept(self._tasks, self._run(turn))
        return turn

    def _stored(
        self,
        user_id: int,
        conversation_id: str,
        request: TurnRequest,
        changes: dict[str, Any] | None,
    ) -> RunningTurn:
        """Store the turn and reserve what it can use. Runs in a transaction."""
        if changes is not None:
            conversations.choose(user_id, conversation_id, changes)
        started = turns.start(user_id, conversation_id, request, self._chosen, is_gone)
        settled = self.choices.settled(started.options)
        prompt = Prompt(started, settled, self.limits.system_prompt, self.limits.history_tokens)
        if started.ref is not None:
            # If Ark did not report its size: it was built from this history.
            held = started.held_tokens or prompt.history_estimate()
            # Forget the oldest turns when the memory has grown too long.
            fits = held <= prompt.history_room
            started = replace(
                started, ref=started.ref if fits else None, held_tokens=held if fits else None
            )
            prompt = replace(prompt, started=started)
        if not prompt.can_read_files():
            raise PicturesNotRead(model=settled.model.name)
        calls = [most_of(call) for call in self._first_calls(prompt)]
        self._purse.reserve(started, calls)
        return RunningTurn(prompt, calls)

    def _chosen(self, options: str) -> TurnOptions:
        settled = self.choices.settled(options)
        name = settled.model.name
        return TurnOptions(
            model=name,
            memory_kind=self._memories.kind_for(name),
            prompt_hash=prompt_hash(self.limits.system_prompt, settled),
            worker=self.worker,
            lease_seconds=keeper.LEASE_SECONDS,
            max_turns_per_user=self.limits.max_turns_per_user,
        )

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

    def _first_calls(self, prompt: Prompt) -> list[CallStarts]:
        """The calls of this turn if nothing goes wrong."""
        held = prompt.started.held_tokens
        return self._memories.first_calls(
            prompt.started.model,
            held,
            0 if held is not None else prompt.history_estimate(),
            prompt.question_estimate(),
            prompt.options,
        )

    async def _run(self, running: RunningTurn) -> None:
        turn = running.turn
        try:
            if turn.state is State.STREAMING:
                running.reader = asyncio.create_task(self._read(running))
                await asyncio.wait([running.reader])
                _note_end(running, running.reader)
            model = running.started.model
            outcome = turn.outcome(model, self._memories.kind_for(model))
            await self._final.make(running, outcome, self._closing)
        finally:
            del self._turns[running.id]
            running.finish()

    async def _read(self, running: RunningTurn) -> None:
        if running.started.changes_model:
            running.take(Note("model_changed"))
        events: Any = self._memories.answer(await running.prompt.request(self._storage))
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
