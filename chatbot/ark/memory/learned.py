"""What models were learned to refuse, by kind of memory. Kept for a day, then tried again.

The database keeps it, so that a restart does not ask in vain again. Other processes on the database
learn it at their next start, or by themselves.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.clock import Clock
from chatbot.errors import ChatbotError
from chatbot.storage import capabilities
from chatbot.storage.database import Storage

KEPT = timedelta(days=1)
LONGEST_NAME, LONGEST_SERVER = 120, 200
"""Characters that the database stores."""
log = logging.getLogger("chatbot.memory")


@dataclass(frozen=True)
class Capability:
    """What is known of one model with one kind of memory."""

    model: str
    """The name that is sent to Ark."""
    kind: str
    served: bool = True
    """Whether the model has this kind of memory."""
    dialect: Dialect = PLAIN
    most_history: int | None = None
    """Most tokens of history that fit; None if unknown."""
    learned_at: datetime | None = None


Save = Callable[[Capability], Awaitable[None]]


class Learned:
    """The capabilities that differ from what is documented."""

    def __init__(self, known: Iterable[Capability], save: Save, clock: Clock) -> None:
        self._known = {(one.model, one.kind): one for one in known}
        self._save = save
        self._clock = clock

    def of(self, model: str, kind: str) -> Capability:
        """What is known; what was learned more than a day ago counts as unknown."""
        known = self._known.get((model, kind))
        if known is None or known.learned_at is None or self._clock() - known.learned_at > KEPT:
            return Capability(model, kind)
        return known

    async def learn(self, capability: Capability) -> None:
        """Remember this, here and in the database; without the database, here only."""
        learned = replace(capability, learned_at=self._clock())
        self._known[learned.model, learned.kind] = learned
        try:
            await self._save(learned)
        except ChatbotError as error:
            log.warning("not stored what %s refuses: %s", learned.model, error.code)


def kept_in(storage: Storage, server: str) -> Learned:
    """What this database has on the models of a server (its address)."""
    server = server[:LONGEST_SERVER]
    rows = storage.write_now(capabilities.since, server, storage.clock() - KEPT)
    known = [
        Capability(
            row.model,
            row.kind,
            row.served,
            # A limit below 1 would make every call fail.
            Dialect(frozenset(row.refused.split()), row.most_output or None),
            row.most_history,
            row.learned_at,
        )
        for row in rows
    ]

    async def save(one: Capability) -> None:
        await storage.write(
            lambda: capabilities.save(
                server,
                one.model[:LONGEST_NAME],
                one.kind,
                served=one.served,
                refused=" ".join(sorted(one.dialect.refused)),
                most_output=one.dialect.most_output,
                most_history=one.most_history,
            )
        )

    return Learned(known, save, storage.clock)
