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
from urllib.parse import quote, urlsplit

import peewee
from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.errors import BadSettings
from chatbot.storage.database import BUSY_SECONDS, MIGRATIONS

CONNECT_SECONDS = 10


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database on a server."""
    parts = urlsplit(url)
    return Path(parts.path.removeprefix("/")) if parts.scheme == "sqlite" else None


def pending_migrations(url: str) -> list[str] | None:
    """What the next start will apply; None when it will make the database first.

    Raises `BadSettings` when the database cannot be used.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        there = next(folder for folder in file.absolute().parents if folder.exists())
        if not os.access(there, os.W_OK):
            raise BadSettings([f"DATABASE_URL: {there} cannot be written"])
        return None
    try:
        more = {"unquote_password": True, "connect_timeout": CONNECT_SECONDS} if not file else {}
        opened = db_url.connect(url, **more)
        with opened.connection_context():
            if file is not None:
                [[found]] = opened.execute_sql("PRAGMA quick_check(1)").fetchall()
                if found != "ok":
                    raise BadSettings([f"DATABASE_URL: {file} is damaged: {found}"])
            status = Runner(opened, str(MIGRATIONS)).status()
        return [migration.name for migration in status if not migration.applied]
    except (peewee.PeeweeException, OSError, ValueError) as error:
        # Without what stands before the @, which may be a password.
        place = url.rpartition("@")[2]
        why = "" if isinstance(error, ValueError) else f": {error}".rstrip()
        raise BadSettings([f"DATABASE_URL: {place} cannot be used{why}"]) from None


def copy_sqlite(source: Path, target: Path) -> None:
    """A complete and consistent copy, as of one moment, while others read and write.

    Raises `OSError` or `sqlite3.Error`; `target` is then not there.
    """
    address = f"file:{quote(str(source.resolve()))}?mode=rw"
    with (
        whole_file(target) as part,
        closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as opened,
    ):
        # One read transaction: with WAL, writers do not wait for it.
        opened.execute("VACUUM INTO ?", [str(part)])


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
