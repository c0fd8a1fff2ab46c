"""The database and the clock that a query runs with: those of the `Storage` that called it.

The tables are classes, so there is one of each in a process; the databases are not. Two apps in one
process do not touch, because no database is kept here: each call brings its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import peewee

from chatbot.clock import Clock

_database: ContextVar[Any] = ContextVar("database", default=None)
_clock: ContextVar[Clock] = ContextVar("clock")


class CurrentDatabase(peewee.DatabaseProxy):
    """Stands for the database of the running call; outside of one, any use is an error."""

    @property
    def obj(self) -> Any:
        return _database.get()

    @obj.setter
    def obj(self, value: Any) -> None:
        assert value is None, "a call brings its database: see `using`"


database: Any = CurrentDatabase()


@contextmanager
def using(opened: Any, clock: Clock) -> Iterator[None]:
    """Run what is inside on this database, at the time of this clock."""
    before, clock_before = _database.set(opened), _clock.set(clock)
    try:
        yield
    finally:
        _database.reset(before)
        _clock.reset(clock_before)


def now() -> datetime:
    """The present moment by the clock of the running call."""
    return _clock.get()()


def is_sqlite() -> bool:
    return isinstance(database.obj, peewee.SqliteDatabase)
