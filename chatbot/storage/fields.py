"""Custom field types, and the range of valid ids."""

from datetime import UTC, datetime

from peewee import BigIntegerField

MOST_ID = 2**63 - 1


def is_id(told: object) -> bool:
    """Whether this can be the id of a row. SQLite raises an error for larger numbers."""
    return isinstance(told, int) and 0 < told <= MOST_ID


def stored_instant(moment: datetime) -> int:
    """A time as an `InstantField` stores it: milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


class InstantField(BigIntegerField):
    """A point in time: an aware UTC datetime in Python, milliseconds since 1970 in the database.

    Integers sort and compare the same in SQLite and PostgreSQL and need no time zone.
    """

    def db_value(self, value: datetime | int | None) -> int | None:
        return stored_instant(value) if isinstance(value, datetime) else value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
