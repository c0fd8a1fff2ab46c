"""Checks and copies a database without opening it for the app.

Nothing here creates a database or changes its schema. So it is safe beside a running server, even
of another version.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import peewee
from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.errors import BadSettings
from chatbot.storage.database import BUSY_SECONDS, CONNECT_SECONDS, MIGRATIONS
from chatbot.storage.place import address, shown, sqlite_file


def pending_migrations(url: str) -> list[str] | None:
    """The migrations that the next start will apply; None if it will create the database.

    Raises `BadSettings` when the database cannot be used.
    """
    try:
        file = sqlite_file(url)
    except ValueError as error:
        raise BadSettings([f"DATABASE_URL: {error}"]) from None
    if file is not None and not file.exists():
        there = next(folder for folder in file.absolute().parents if folder.exists())
        if not os.access(there, os.W_OK):
            raise BadSettings([f"DATABASE_URL: {there} cannot be written"])
        return None
    try:
        if file is not None:
            opened: Any = peewee.SqliteDatabase(address(file), uri=True, timeout=BUSY_SECONDS)
        else:
            more = {} if "connect_timeout=" in url else {"connect_timeout": CONNECT_SECONDS}
            opened = db_url.connect(url, unquote_password=True, **more)
        with opened.connection_context():
            if file is not None:
                [[found]] = opened.execute_sql("PRAGMA quick_check(1)").fetchall()
                if found != "ok":
                    raise BadSettings([f"DATABASE_URL: {file} is damaged: {found}"])
            status = Runner(opened, str(MIGRATIONS)).status()
        return [migration.name for migration in status if not migration.applied]
    except (peewee.PeeweeException, OSError, ValueError) as error:
        # Do not quote the URL: it may hold a password.
        why = "" if isinstance(error, ValueError) else f": {error}".rstrip()
        raise BadSettings([f"DATABASE_URL: {shown(url)} cannot be used{why}"]) from None


def copy_sqlite(source: Path, target: Path) -> dict[str, int]:
    """Make a complete, consistent copy while others read and write; returns the rows per table.

    The copy is checked before it gets its name. Raises `OSError` or `sqlite3.Error`; then `target`
    does not exist.
    """
    with (
        whole_file(target) as part,
        closing(_connect(source)) as opened,
    ):
        # One read transaction; with WAL, writers do not wait for it.
        opened.execute("BEGIN")
        rows = row_counts(opened)
        with closing(_connect(part)) as copy:
            opened.backup(copy)
            # Remove free pages: they may hold text that was deleted long ago.
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("VACUUM")
        with closing(_connect(part)) as copy:
            check_sound(copy)
            if row_counts(copy) != rows:
                raise sqlite3.DatabaseError("the copy has not all rows of the original")
    return rows


def check_sound(opened: sqlite3.Connection) -> None:
    """Read the whole database. Raises `sqlite3.DatabaseError` if anything is damaged."""
    [(found,)] = opened.execute("PRAGMA integrity_check(1)").fetchall()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def row_counts(opened: sqlite3.Connection) -> dict[str, int]:
    """The number of rows of each table."""
    tables = opened.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    counts = {}
    for (name,) in tables:
        [(counts[name],)] = opened.execute(f'SELECT COUNT(*) FROM "{name}"').fetchall()
    return counts


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(address(file), uri=True, timeout=BUSY_SECONDS, isolation_level=None)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A new file, private to its owner, that gets its name once it is complete and on disk."""
    if target.exists():
        raise FileExistsError(errno.EEXIST, "exists already", str(target))
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
