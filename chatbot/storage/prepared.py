"""Prepared queries: their SQL text is built once and reused.

Peewee takes 3 to 30 times longer to build a small query than SQLite to run it. Without this, the
database part of starting a turn takes 7 times as long, and the first word of a single user comes
half as late again (`benchmarks/RESULTS.md`). Peewee does not promise that the text can be reused.
So this is tested once with the installed Peewee; if the test fails, each query is built every time.
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
    """A reusable query. `Prepared(build)(1, "a")` runs the query `build(1, "a")` on the current
    database. It returns the rows of a select (models, or tuples if the query says so), the id of an
    inserted row, or the number of updated rows.

    `build` makes a query on one model. It gets placeholders: it can compare and pass them on, but
    not read their values. Keyword arguments keep their names.
    """

    def __init__(
        self, build: Callable[..., Any], *, fits: Callable[[], bool] | None = None
    ) -> None:
        self._build = build
        self._fits = fits or peewee_fits
        self._written: dict[tuple[Any, ...], tuple[Any, str, list[Any]]] = {}
        self._read: dict[tuple[Any, ...], Callable[[Any], Any]] = {}
        """Functions that turn a row into a model or tuple; Peewee makes them at the first row."""

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
            # Do not keep the rows themselves.
            first.row_cache = []
            self._read[key] = first.process_row
        return made

    def _write(self, query: Any, text: str, values: list[Any]) -> Any:
        cursor = database.execute_sql(text, values)
        if isinstance(query, Update):
            return cursor.rowcount
        return cursor.fetchall()[0][0] if database.returning_clause else cursor.lastrowid


prepared = Prepared
"""`Prepared` as a decorator for the function that builds the query."""


def _run(query: Any) -> Any:
    """Run a query with Peewee alone."""
    if isinstance(query, Insert | Update):
        return query.execute()
    rows = list(query)
    # Include the columns of joined tables.
    return list(query.clone().objects()) if rows and isinstance(rows[0], Model) else rows


@functools.cache
def peewee_fits() -> bool:
    """Whether prepared queries return what Peewee returns; logs a warning if not."""
    try:
        why = _differs()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        log.warning("database: queries are not prepared with this Peewee: %s", why)
    return not why


def _differs() -> str:
    """The difference between prepared queries and Peewee's own; empty if there is none."""
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
        # Twice, because the second run reuses the row reader of the first.
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
    """A table in memory to test prepared queries."""

    name = peewee.CharField()
    at = InstantField()

    class Meta:
        database = database


class _Place(Node):
    """A placeholder for a value in the query."""

    def __init__(self, number: int) -> None:
        self._mark = _Mark(number)

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(self._mark, converter=False)


class _Mark:
    """The mark of a placeholder among the query's parameters."""

    def __init__(self, number: int) -> None:
        self.number = number


def _plain(value: Any) -> Any:
    """A value converted for the database by its type alone, because its field is not known."""
    if isinstance(value, datetime):
        return stored_instant(value)
    return value.hex if isinstance(value, uuid.UUID) else value
