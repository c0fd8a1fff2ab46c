"""A turn that runs in this process: its task, its followers and its stop."""

import asyncio
import time
from contextlib import suppress
from uuid import UUID

from chatbot.ark.memory import Event
from chatbot.storage.tables import State
from chatbot.storage.turn_values import StartedTurn
from chatbot.turns.prompt import Prompt
from chatbot.turns.turn import Turn
from chatbot.usage import Used
from chatbot.views import Snapshot


class RunningTurn:
    """One turn with its task. Belongs to one event loop."""

    def __init__(self, prompt: Prompt, reserved: list[Used]) -> None:
        self.prompt = prompt
        self.started: StartedTurn = prompt.started
        self.reserved = reserved
        """The calls for which budget is reserved."""
        self.turn = Turn(
            prompt.settled.max_tokens, self.started.prefix, self.started.prefix_thought
        )
        self.done = False
        self.followers = 0
        self.started_at = time.monotonic()
        self.watched_until = self.started_at
        """When somebody last watched it, by the monotonic clock."""
        self.version = 0
        self.reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def id(self) -> UUID:
        return self.started.id

    @property
    def text(self) -> str:
        return self.turn.text

    def take(self, event: Event) -> None:
        """Apply an event of the model call and notify the followers."""
        after_ms = round((time.monotonic() - self.started_at) * 1000)
        if self.turn.take(event, after_ms):
            self._tell()
        if self.turn.state is not State.STREAMING:
            self._ended.set()

    def stop(self, state: State, error: str = "") -> None:
        """End the turn and its HTTP request to Ark now."""
        self.turn.end(state, error)
        self._ended.set()
        if self.reader is not None:
            self.reader.cancel()

    def finish(self) -> None:
        """Notify the followers that the reply is stored."""
        self.done = True
        self._ended.set()
        self._tell()

    def covers(self, calls: list[Used]) -> bool:
        """Whether the reserved budget is enough for these calls, at any price."""
        reserved, needed = sum(self.reserved, Used()), sum(calls, Used())
        longest = max((call.prompt for call in self.reserved), default=0)
        return (
            needed.prompt <= reserved.prompt
            and needed.completion <= reserved.completion
            and needed.searches <= reserved.searches
            # A longer request may have a higher price.
            and all(call.prompt <= longest for call in calls)
        )

    def snapshot(self) -> Snapshot:
        turn = self.turn
        return Snapshot(turn.text, turn.thought, tuple(turn.notes), self.done, turn.search)

    async def changed(self, since: int, seconds: float) -> None:
        """Wait until the turn has changed since version `since`, at most `seconds`."""
        if self.version == since:
            await _happened(self._changed, seconds)

    async def ended(self, seconds: float) -> None:
        """Wait until no more text will come, at most `seconds`."""
        if seconds > 0:
            await _happened(self._ended, seconds)

    def is_orphan(self, seconds: float) -> bool:
        """Whether nobody has watched it for this many seconds."""
        return not self.followers and time.monotonic() - self.watched_until > seconds

    def _tell(self) -> None:
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def _happened(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
