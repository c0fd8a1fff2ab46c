"""Stores how a turn ended. A reply is not lost to a full disk, a locked file, a text that the
database refuses, or a bug in this app."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from chatbot.characters import plain
from chatbot.errors import StorageUnavailable, traced
from chatbot.storage import turns
from chatbot.storage.database import Storage
from chatbot.storage.kept import keep_aside
from chatbot.storage.turn_values import Outcome
from chatbot.turns.purse import Purse
from chatbot.turns.running import RunningTurn
from chatbot.usage import Numbers

log = logging.getLogger("chatbot.turns")

CLOSING_TRIES = 2
LONGEST_PAUSE = 15
TRIES = 2
"""How often each way to save is tried when the database works but refuses the data."""

Save = Callable[[RunningTurn, Outcome], None]


class FinalSave:
    """Makes the last transaction of each turn of this process."""

    def __init__(self, storage: Storage, purse: Purse) -> None:
        self._storage = storage
        self._purse = purse

    async def make(self, turn: RunningTurn, outcome: Outcome, closing: asyncio.Event) -> None:
        """Store what the turn used and how it ended, and free its conversation.

        Returns when that is done. If the process is `closing`, or the database takes nothing, the
        text is written to a file instead.
        """
        ways: list[Save] = [self._whole, self._plain, self._without_text, self._as_reserved]
        failed = 0
        for attempt in itertools.count():
            way = ways[failed // TRIES]
            try:
                await self._storage.write(way, turn, outcome)
                break
            except StorageUnavailable:
                # Already logged. Retry: this error is temporary.
                unsaved = closing.is_set() and attempt >= CLOSING_TRIES
            except Exception as error:
                # Whatever the error is, end the reply and free its conversation.
                log.error("turn %s: the final save failed: %s", turn.id, traced(error))
                failed += 1
                unsaved = failed == TRIES * len(ways)
            if unsaved:
                log.error("turn %s could not be saved", turn.id)
                way = self._as_reserved
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(2**attempt, LONGEST_PAUSE)):
                    await closing.wait()
        if not (way == self._whole or (way == self._plain and _simple(outcome))):
            await self._keep_aside(turn, outcome)

    def _whole(self, turn: RunningTurn, outcome: Outcome) -> None:
        turns.finish(turn.started, outcome, self._used(turn))

    def _plain(self, turn: RunningTurn, outcome: Outcome) -> None:
        """Save without odd characters and without ids from the server: either may be the cause."""
        simple = replace(
            outcome,
            content=plain(outcome.content),
            thought=plain(outcome.thought),
            ref=None,
            refs="",
            request_id="",
        )
        self._whole(turn, simple)

    def _without_text(self, turn: RunningTurn, _: Outcome) -> None:
        """Keep the text as it was last stored while it grew."""
        turns.give_up(turn.started, self._used(turn))

    def _as_reserved(self, turn: RunningTurn, _: Outcome) -> None:
        turns.give_up(turn.started, None)

    def _used(self, turn: RunningTurn) -> Numbers:
        return self._purse.used(turn.started.model, turn.turn.calls.used())

    async def _keep_aside(self, turn: RunningTurn, outcome: Outcome) -> None:
        try:
            file = await asyncio.to_thread(
                keep_aside,
                self._storage.folder,
                turn.started.conversation_id,
                turn.started.reply_id,
                outcome.thought,
                outcome.content,
            )
        except OSError as error:
            log.error("turn %s: its text could not be kept: %s", turn.id, error)
        else:
            log.error("turn %s: its text is kept in %s", turn.id, file)


def _simple(outcome: Outcome) -> bool:
    """Whether `_plain` saves the text unchanged."""
    return all(plain(text) == text for text in (outcome.content, outcome.thought))
