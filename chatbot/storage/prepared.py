"""Prepared statements: queries whose text is put together once.

Peewee takes three to thirty times longer to write a small query than SQLite to run it.
"""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from peewee import ROW, Insert, Node, Update

from chatbot.storage.current import database
from chatbot.storage.fields import stored_instant


class Prepared:
    """A query for any values: `Prepared(build)(1, "a")` is what `build(1, "a")` gives, run on the
    current database: the rows of a select (models, or tuples if it says so), the id the database
    gives to an insert's row, the number of rows that an update changes.

    `build` is for one model. It is given a place for each value, so it can compare and hand on
    what it gets, but not look at it. Values named at the call come to it by these names.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._written: dict[tuple[Any, ...], tuple[Any, str, list[Any]]] = {}
        self._read: dict[tuple[Any, ...], Callable[[Any], Any]] = {}
        """What makes a model or a tuple of a row; Peewee finds out how at the first row."""

    def __call__(self, *values: Any, **named: Any) -> Any:
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
        first = (rows.tuples() if query._row_type == ROW.TUPLE else rows).execute()
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
