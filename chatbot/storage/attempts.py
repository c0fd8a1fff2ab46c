"""Attempts to log in or register that failed, or whose outcome is not known yet: by account and by
address, for all processes together."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from chatbot.storage.current import database, is_sqlite, now
from chatbot.storage.tables import Attempt

SKEW = timedelta(minutes=1)
"""By how much the clock of another process's machine may be ahead."""
# Any number will do, as long as nothing else locks it.
LOCK = 0x61636374

Failures = dict[str, tuple[int, datetime]]
"""By subject: how many attempts have failed, and when the last one did."""


def add(
    subjects: Collection[str], window: timedelta, check: Callable[[Failures, datetime], None]
) -> list[int]:
    """Count an attempt for each subject before its outcome is known; the ids to forget it by.

    Counting first is what makes a limit hold when many attempts come at once. `check` is given the
    failures of the last `window` and the present moment, and raises what is wrong with them; then
    nothing is counted.
    """
    if not is_sqlite():
        # SQLite has one writer at a time; here two could count before either has inserted.
        database.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    moment = now()
    since, until = moment - window, moment + SKEW
    # What was counted before the clock was set back would count for as long as it was ahead.
    Attempt.delete().where((Attempt.at <= since) | (Attempt.at > until)).execute()
    check(_recent(subjects, since), moment)
    return [Attempt.create(subject=subject).id for subject in subjects]


def forget(attempts: Iterable[int]) -> None:
    """These attempts have succeeded."""
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
