"""Prepared queries: their text is put together once.

Peewee takes three to thirty times longer to write a small query than SQLite to run it; without this
a turn takes seven times as long to start in the database, and one user's first word comes half as
late again (`benchmarks/RESULTS.md`). That the text can be kept is nothing Peewee promises, so it is
tried out with the Peewee that is installed; if it does not work, each query is written anew.
"""

import functools
import logging
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import peewee
from peewee import Insert, Model, Node, Update

from chatbot.storage.current import database, using
from chatbot.storage.fields import InstantField, stored_instant

log = logging.getLogger("chatbot.storage")


class Prepared:
    """A query for any values: `Prepared(build)(1, "a")` is what `build(1, "a")` gives, run on the
    current database: the rows of a select (models, or tuples if it says so), the id the database
    gives to an insert's row, the number of rows that an update changes.

    `build` is for one model. It is given a place for each value, so it can compare and hand on
    what it gets, but not look at it. Values named at the call come to it by these names.
    """

    def __init__(
        self, build: Callable[..., Any], *, fits: Callable[[], bool] | None = None
    ) -> None:
        self._build = build
        self._fits = fits or peewee_fits
        self._written: dict[tuple[Any, ...], tuple[Any, str, list[Any]]] = {}
        self._read: dict[tuple[Any, ...], Callable[[Any], Any]] = {}
        """What makes a model or a tuple of a row; Peewee finds out how at the first row."""

    def __call__(self, *values: Any, **named: Any) -> Any:
        if not self._fits():
            return _run(self._build(*values, **named))
        # A dict keeps its order, so the same call has the same key.
        key = (type(database.obj), *named)
        if key not in self._written:
            query: Any = self._build(
                *map(_Place, range(len(values))),
                **{name: _Place(number) for number, name in enumerate(named, len(values))},
            )
            if isinstance(query, Insert) and database.returning_clause:
                query = query.returning(query.table._meta.primary_key)
            self._written[key] = (query, *query.sql())
        query, text, order = self._written[key]
        given = (*values, *named.values())
        filled = [_plain(given[one.number]) if isinstance(one, _Mark) else one for one in order]
        if isinstance(query, Insert | Update):
            return self._write(query, text, filled)
        if key in self._read:
            found = database.execute_sql(text, filled).fetchall()
            return list(map(self._read[key], found))
        rows = query.model.raw(text, *filled)
        first = (rows.tuples() if query._row_type == peewee.ROW.TUPLE else rows).execute()
        made = list(first)
        if made:
            # Without the rows themselves, which are kept nowhere.
            first.row_cache = []
            self._read[key] = first.process_row
        return made

    def _write(self, query: Any, text: str, values: list[Any]) -> Any:
        cursor = database.execute_sql(text, values)
        if isinstance(query, Update):
            return cursor.rowcount
        return cursor.fetchall()[0][0] if database.returning_clause else cursor.lastrowid


prepared = Prepared
"""The same, to stand above the function that builds the query."""


def _run(query: Any) -> Any:
    """What a query gives, by Peewee alone."""
    if isinstance(query, Insert | Update):
        return query.execute()
    rows = list(query)
    # What is read of a joined table as well, beside the model's own.
    return list(query.clone().objects()) if rows and isinstance(rows[0], Model) else rows


@functools.cache
def peewee_fits() -> bool:
    """Whether prepared queries give what Peewee gives; if not, the log says so."""
    try:
        why = _differs()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        log.warning("database: queries are not prepared with this Peewee: %s", why)
    return not why


def _differs() -> str:
    """What is different between prepared queries and Peewee's own; empty if nothing is."""
    tried = peewee.SqliteDatabase(":memory:")
    with using(tried, lambda: datetime.now().astimezone()), tried.connection_context():
        tried.create_tables([_Tried])
        moment = datetime.fromtimestamp(1_700_000_000).astimezone()
        add = Prepared(lambda **values: _Tried.insert(**values), fits=_yes)
        find = Prepared(lambda name: _Tried.select().where(_Tried.name == name), fits=_yes)
        tell = Prepared(
            lambda name: _Tried.select(_Tried.name, _Tried.at).where(_Tried.name == name).tuples(),
            fits=_yes,
        )
        change = Prepared(
            lambda old, **values: _Tried.update(**values).where(_Tried.name == old), fits=_yes
        )
        ids = [add(name=name, at=moment) for name in ("a", "b")]
        if ids != [1, 2]:
            return "the ids of new rows"
        if [change(name, name="c") for name in ("b", "none")] != [1, 0]:
            return "how many rows were changed"
        # Twice: how a row is read is kept from the first time.
        for _ in range(2):
            for name in ("a", "c", "none"):
                own = _Tried.select().where(_Tried.name == name)
                if [row.__data__ for row in find(name)] != [row.__data__ for row in own]:
                    return "the rows that are found"
                if tell(name) != [(row.name, row.at) for row in own]:
                    return "the values that are found"
    return ""


def _yes() -> bool:
    return True


class _Tried(Model):
    """A table in memory to try out prepared queries with."""

    name = peewee.CharField()
    at = InstantField()

    class Meta:
        database = database


class _Place(Node):
    """Where a value will stand."""

    def __init__(self, number: int) -> None:
        self._mark = _Mark(number)

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(self._mark, converter=False)


class _Mark:
    """Stands for a value among a query's parameters."""

    def __init__(self, number: int) -> None:
        self.number = number


def _plain(value: Any) -> Any:
    """A value as the database takes it, by its type alone: no field says what it is for."""
    if isinstance(value, datetime):
        return stored_instant(value)
    return value.hex if isinstance(value, uuid.UUID) else value
