"""The database and the clock that a query uses: those of the `Storage` that called it.

Table classes are shared by the whole process, databases are not. Two apps in one process do not
share a database, because each call sets its own.
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
    """The database of the running call; any use outside a call is an error."""

    @property
    def obj(self) -> Any:
        return _database.get()

    @obj.setter
    def obj(self, value: Any) -> None:
        assert value is None, "a call brings its database: see `using`"


database: Any = CurrentDatabase()


@contextmanager
def using(opened: Any, clock: Clock) -> Iterator[None]:
    """Run the block on this database with this clock."""
    before, clock_before = _database.set(opened), _clock.set(clock)
    try:
        yield
    finally:
        _database.reset(before)
        _clock.reset(clock_before)


def now() -> datetime:
    """The current time by the clock of the running call."""
    return _clock.get()()


def is_sqlite() -> bool:
    return isinstance(database.obj, peewee.SqliteDatabase)
