"""When a turn runs: it is streaming, and its process has renewed its lease."""

from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from chatbot.storage.current import now
from chatbot.storage.tables import Turn

LONGEST_LEASE = timedelta(minutes=1)

# As literals: only then does a database see that the small index of streaming turns fits.
STREAMING = Turn.state == SQL("'streaming'")
ENDED = Turn.state != SQL("'streaming'")


def leases() -> tuple[datetime, datetime]:
    """After when, and up to when, a lease ends that runs now. One that would end later than any
    lease can was made before the clock was set back."""
    moment = now()
    return moment, moment + LONGEST_LEASE


def lease_runs(after: Any, until: Any) -> Any:
    """The condition that a turn's lease runs, for what `leases` gives."""
    return (Turn.lease_until > after) & (Turn.lease_until <= until)


def runs(lease_until: datetime | None) -> bool:
    """Whether a lease that ends then runs now."""
    after, until = leases()
    return lease_until is not None and after < lease_until <= until
