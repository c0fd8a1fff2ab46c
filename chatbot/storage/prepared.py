"""Prepared statements: queries whose text is put together once.

Peewee takes three to ten times longer to write a small query than SQLite to answer it.
"""

from collections.abc import Callable
from typing import Any

from peewee import Node


class Prepared:
    """A query for any values: `Prepared(database, build)(1, "a")` are the rows of `build(1, "a")`.

    `build` returns a select of one model. It is given a place for each value, so it can compare
    and hand on what it gets, but not look at it.
    """

    def __init__(self, database: Any, build: Callable[..., Any]) -> None:
        self._database = database
        self._build = build
        self._written: dict[type, tuple[Any, str, list[Any]]] = {}

    def __call__(self, *values: Any) -> Any:
        kind = type(self._database.obj)
        if kind not in self._written:
            query = self._build(*(_Place(number) for number in range(len(values))))
            self._written[kind] = (query.model, *query.sql())
        model, text, order = self._written[kind]
        return model.raw(
            text, *(one.of(values) if isinstance(one, _Filled) else one for one in order)
        )


class _Place(Node):
    """Where a value will stand."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(_Filled(self._number, ctx.state.converter), converter=False)


class _Filled:
    """Which value it is, and what the field it is compared with makes of it."""

    def __init__(self, number: int, convert: Callable[[Any], Any] | None) -> None:
        self._number = number
        self._convert = convert

    def of(self, values: tuple[Any, ...]) -> Any:
        value = values[self._number]
        return self._convert(value) if self._convert else value
