"""Failed and unfinished attempts to log in or register, by account and by address, for all
processes together."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from chatbot.storage.current import database, is_sqlite, now
from chatbot.storage.tables import Attempt

SKEW = timedelta(minutes=1)
"""How far ahead the clock of another machine may be."""
# Any number that no other lock uses.
LOCK = 0x61636374

Failures = dict[str, tuple[int, datetime]]
"""By subject: how many attempts have failed, and when the last one did."""


def add(
    subjects: Collection[str], window: timedelta, check: Callable[[Failures, datetime], None]
) -> list[int]:
    """Count an attempt for each subject before its outcome is known; returns ids for `forget`.

    Counting first makes a limit hold when many attempts come at once. `check` gets the failures of
    the last `window` and the current time; if it raises, nothing is counted.
    """
    if not is_sqlite():
        # SQLite has one writer at a time; here two could count before either has inserted.
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    moment = now()
    since, until = moment - window, moment + SKEW
    # Also drop attempts from the future: the clock was set back after they were counted.
    Attempt.delete().where((Attempt.at <= since) | (Attempt.at > until)).execute()
    check(_recent(subjects, since), moment)
    return [Attempt.create(subject=subject).id for subject in subjects]


def forget(attempts: Iterable[int]) -> None:
    """Delete these attempts, because they succeeded."""
    Attempt.delete().where(Attempt.id.in_(list(attempts))).execute()


def forget_all(subject: str) -> None:
    Attempt.delete().where(Attempt.subject == subject).execute()


def _recent(subjects: Collection[str], since: datetime) -> Failures:
    rows: Any = (
        Attempt.select(Attempt.subject, fn.COUNT(Attempt.id), fn.MAX(Attempt.at))
        .where(Attempt.subject.in_(list(subjects)), Attempt.at > since)
        .group_by(Attempt.subject)
        .tuples()
    )
    return {subject: (count, last) for subject, count, last in rows}
