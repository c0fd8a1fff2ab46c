"""Decides whether a turn runs: it is streaming, and its lease has not expired."""

from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from chatbot.storage.current import now
from chatbot.storage.tables import Turn

LONGEST_LEASE = timedelta(minutes=1)

# Literals, not parameters: only then can a database use the partial index of streaming turns.
STREAMING = Turn.state == SQL("'streaming'")
ENDED = Turn.state != SQL("'streaming'")


def leases() -> tuple[datetime, datetime]:
    """The earliest (exclusive) and the latest end of a valid lease. A later end means that the
    clock was set back after the lease was written."""
    moment = now()
    return moment, moment + LONGEST_LEASE


def lease_runs(after: Any, until: Any) -> Any:
    """The SQL condition that a turn's lease is valid, for the two values of `leases`."""
    return (Turn.lease_until > after) & (Turn.lease_until <= until)


def runs(lease_until: datetime | None) -> bool:
    """Whether a lease with this end is valid now."""
    after, until = leases()
    return lease_until is not None and after < lease_until <= until
