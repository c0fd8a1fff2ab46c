"""What models were learned to refuse (`ark/memory/learned.py`)."""

from datetime import datetime
from typing import Any

from chatbot.storage.current import now
from chatbot.storage.tables import Capability


def since(server: str, moment: datetime) -> list[Any]:
    """The rows of this server that were learned after a moment."""
    rows: Any = Capability.select().where(
        Capability.server == server, Capability.learned_at > moment
    )
    return list(rows)


def save(server: str, model: str, kind: str, **values: Any) -> None:
    """Store what was learned; it replaces what was known."""
    Capability.insert(
        server=server, model=model, kind=kind, learned_at=now(), **values
    ).on_conflict(
        conflict_target=[Capability.server, Capability.model, Capability.kind],
        update={**values, "learned_at": now()},
    ).execute()
