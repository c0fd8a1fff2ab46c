"""Looks at a database and copies it, without opening it for the app.

Nothing here makes a database or changes its schema, so it is safe beside a running server, also
one of another version.
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
    """What the next start will apply; None when it will make the database first.

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
        # What is wrong with the URL is told without it: it may hold a password.
        why = "" if isinstance(error, ValueError) else f": {error}".rstrip()
        raise BadSettings([f"DATABASE_URL: {shown(url)} cannot be used{why}"]) from None


def copy_sqlite(source: Path, target: Path) -> dict[str, int]:
    """A complete and consistent copy, as of one moment, while others read and write; how many rows
    each of its tables has.

    The copy is read again before it gets its name. Raises `OSError` or `sqlite3.Error`; `target`
    is then not there.
    """
    with (
        whole_file(target) as part,
        closing(_connect(source)) as opened,
    ):
        # One read transaction: with WAL, writers do not wait for it.
        opened.execute("BEGIN")
        rows = row_counts(opened)
        with closing(_connect(part)) as copy:
            opened.backup(copy)
            # Without the pages that are free, which may hold what was deleted long ago.
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("VACUUM")
        with closing(_connect(part)) as copy:
            check_sound(copy)
            if row_counts(copy) != rows:
                raise sqlite3.DatabaseError("the copy has not all rows of the original")
    return rows


def check_sound(opened: sqlite3.Connection) -> None:
    """Read the whole database; raises `sqlite3.DatabaseError` when anything in it is damaged."""
    [(found,)] = opened.execute("PRAGMA integrity_check(1)").fetchall()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def row_counts(opened: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has."""
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
    """A new file that gets its name once it is complete and on the disk; only its owner's."""
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
