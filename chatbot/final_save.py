"""Stores how a turn ended, whatever the database says to it: a reply is not lost to a full disk, a
locked file, a text that the database does not take, or a mistake of ours."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from chatbot.budget import Budget
from chatbot.errors import StorageUnavailable, traced
from chatbot.storage import journal
from chatbot.storage.database import Storage
from chatbot.storage.fields import plain
from chatbot.storage.journal import Outcome
from chatbot.storage.kept import keep_aside
from chatbot.storage.models import Usage
from chatbot.turn import Turn

log = logging.getLogger("chatbot.turns")

CLOSING_TRIES = 2
LONGEST_PAUSE = 15
TRIES = 2
"""How often each way to save is tried where the database is there and yet does not take it."""

Save = Callable[[Turn, Outcome], None]


class FinalSave:
    """The last transaction of each turn of one process."""

    def __init__(self, storage: Storage, budget: Budget, owner: str) -> None:
        self.storage = storage
        self._budget = budget
        self._owner = owner

    async def make(self, turn: Turn, outcome: Outcome, closing: asyncio.Event) -> None:
        """Settle what the turn used, store how it ended and free its conversation.

        Returns when that is done; or, when the process is `closing` or nothing at all can be
        stored, with the text in a file.
        """
        reply_id = turn.begun.reply_id
        ways: list[Save] = [self._whole, self._plain, self._without_text, self._as_reserved]
        failed = 0
        for attempt in itertools.count():
            way = ways[failed // TRIES]
            try:
                await self.storage.write(way, turn, outcome)
                break
            except StorageUnavailable:
                # Told in the log already, and it passes.
                unsaved = closing.is_set() and attempt >= CLOSING_TRIES
            except Exception as error:
                # Whatever it is, the reply has to end and its conversation to be freed.
                log.error("reply %s: the final save failed: %s", reply_id, traced(error))
                failed += 1
                unsaved = failed == TRIES * len(ways)
            if unsaved:
                log.error("reply %s could not be saved", reply_id)
                way = self._as_reserved
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(2**attempt, LONGEST_PAUSE)):
                    await closing.wait()
        if not (way == self._whole or (way == self._plain and _simple(outcome))):
            await self._keep_aside(turn, outcome)

    def _whole(self, turn: Turn, outcome: Outcome) -> None:
        self._budget.settle(turn.reserved.usage_id, turn.calls.used())
        journal.finish(turn.begun, self._owner, outcome, turn.reserved.usage_id)

    def _plain(self, turn: Turn, outcome: Outcome) -> None:
        """Without what may be wrong: odd characters, and all that the server named."""
        simple = replace(
            outcome,
            content=plain(outcome.content),
            thought=plain(outcome.thought),
            ref=None,
            stored="",
            request_id="",
        )
        self._whole(turn, simple)

    def _without_text(self, turn: Turn, _: Outcome) -> None:
        """What was stored of the text while it grew stays."""
        self._budget.settle(turn.reserved.usage_id, turn.calls.used())
        journal.give_up(turn.begun, self._owner)

    def _as_reserved(self, turn: Turn, _: Outcome) -> None:
        Usage.change(turn.reserved.usage_id, settled=True)
        journal.give_up(turn.begun, self._owner)

    async def _keep_aside(self, turn: Turn, outcome: Outcome) -> None:
        begun = turn.begun
        try:
            file = await asyncio.to_thread(
                keep_aside,
                self.storage.folder,
                begun.conversation_id,
                begun.reply_id,
                outcome.thought,
                outcome.content,
            )
        except OSError as error:
            log.error("reply %s: its text could not be kept: %s", begun.reply_id, error)
        else:
            log.error("reply %s: its text is kept in %s", begun.reply_id, file)


def _simple(outcome: Outcome) -> bool:
    """Whether a plain text is the whole one."""
    return all(plain(text) == text for text in (outcome.content, outcome.thought))
