"""Field types of our own."""

from datetime import UTC, datetime

from peewee import BigIntegerField


def now() -> datetime:
    """The present moment, UTC, to the millisecond that `InstantField` keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def storable(text: str) -> str:
    """The text as a database can hold it: without NUL, which PostgreSQL refuses, and with halves
    of a surrogate pair, which no encoding has, replaced by U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(text: str) -> str:
    """The text without any character that is not seen, and no longer than a million of them."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())[:1_000_000]


def stored_instant(moment: datetime) -> int:
    """A moment as an `InstantField` keeps it."""
    return round(moment.timestamp() * 1000)


class InstantField(BigIntegerField):
    """A moment in time: an aware UTC datetime in Python, milliseconds since 1970 in the database.

    Integers sort and compare the same in SQLite and PostgreSQL, and have no time zone to lose.
    """

    def db_value(self, value: datetime | int | None) -> int | None:
        return stored_instant(value) if isinstance(value, datetime) else value

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)
