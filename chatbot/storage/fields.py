"""Field types of our own."""

from datetime import UTC, datetime

from peewee import BigIntegerField


def now() -> datetime:
    """The present moment, UTC, to the millisecond that `InstantField` keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class InstantField(BigIntegerField):
    """A moment in time: an aware UTC datetime in Python, milliseconds since 1970 in the database.

    Integers sort and compare the same in SQLite and PostgreSQL, and have no time zone to lose.
    """

    def db_value(self, value: datetime | int | None) -> int | None:
        if isinstance(value, datetime):
            return round(value.timestamp() * 1000)
        return value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
