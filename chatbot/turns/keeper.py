"""Once a second, saves the text and renews the leases of the running turns of this process.

Ends turns whose process has died, and turns that nobody watches. Learns which models an admin has
switched off.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Collection
from uuid import UUID

from chatbot.catalog import Models
from chatbot.errors import StorageUnavailable, traced
from chatbot.storage import switches, turns
from chatbot.storage.database import Storage
from chatbot.storage.tables import State
from chatbot.storage.turn_values import Progress, Sign
from chatbot.turns.running import RunningTurn
from chatbot.turns.worker import is_gone

log = logging.getLogger("chatbot.turns")

SAVE_SECONDS = 1.0
RECOVER_TICKS = 5
MODEL_OFF = "model_off:"
"""The switch of a model that is off for all: this, and the model's name."""
LEASE_SECONDS = 10.0
"""How long a conversation stays locked after its process died unnoticed."""

LONGEST_WATCH = 60
"""Most seconds that another process can announce a follower for: its clock may be wrong."""


class Keeper:
    """Saves the turns that `running` returns, under this worker's name, until `close`."""

    def __init__(
        self,
        storage: Storage,
        worker: str,
        running: Callable[[], Collection[RunningTurn]],
        orphan_seconds: float,
        models: Models,
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._running = running
        self._orphan_seconds = orphan_seconds
        self._models = models
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._keep())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep(self) -> None:
        for tick in itertools.count():
            try:
                if self._running():
                    await self._save()
                if tick % RECOVER_TICKS == 0:
                    # An admin may have switched a model in another process.
                    self._models.off = await self._storage.read(switches.names_on, MODEL_OFF)
                    await self._storage.write(turns.recover, is_gone)
            except StorageUnavailable:
                # Already logged; the next tick tries again.
                pass
            except Exception as error:
                # This task must survive a bug: without it leases run out and nothing is saved.
                log.error("keeping turns saved: %s", traced(error))
            await asyncio.sleep(SAVE_SECONDS)

    async def _save(self) -> None:
        """In one transaction for all turns: save new text, renew leases, read stop requests."""
        running = list(self._running())
        try:
            signs = await self._saved(running)
        except StorageUnavailable:
            raise
        except Exception as error:
            # The database may refuse the text of one turn only: save each turn alone.
            log.error("saving all running replies: %s", traced(error))
            signs = {}
            for turn in running:
                signs |= await self._saved_alone(turn)
        for turn in running:
            self._heed(turn, signs.get(turn.id))

    def _heed(self, turn: RunningTurn, sign: Sign | None) -> None:
        if sign is None or sign.stop_requested:
            turn.stop(State.STOPPED)
            return
        if sign.followed_until is not None:
            ahead = (sign.followed_until - self._storage.clock()).total_seconds()
            watched_until = time.monotonic() + min(ahead, LONGEST_WATCH)
            turn.watched_until = max(turn.watched_until, watched_until)
        if turn.is_orphan(self._orphan_seconds):
            turn.stop(State.INTERRUPTED, "orphaned")

    async def _saved(
        self, running: Collection[RunningTurn], *, text: bool = True
    ) -> dict[UUID, Sign]:
        grown = [_progress(turn, text) for turn in running]
        return await self._storage.write(turns.save, self._worker, LEASE_SECONDS, grown)

    async def _saved_alone(self, turn: RunningTurn) -> dict[UUID, Sign]:
        """Save one turn, or at least renew its lease, so that nobody takes it for dead."""
        try:
            return await self._saved([turn])
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("turn %s while it grows: %s", turn.id, traced(error))
            return await self._saved([turn], text=False)


def _progress(running: RunningTurn, text: bool) -> Progress:
    started, turn = running.started, running.turn
    if not text:
        return Progress(started.id, started.reply_id, None, None)
    return Progress(started.id, started.reply_id, turn.text, turn.thought)
