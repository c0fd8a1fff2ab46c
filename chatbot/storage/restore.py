"""Replaces a SQLite database with a backup copy, and keeps the old one under another name.

The app must not run: SQLite would write the log of one database into the other. Nothing changes
before the whole copy has been read.
"""

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chatbot.storage.database import BUSY_SECONDS, MIGRATIONS
from chatbot.storage.file import MAGIC
from chatbot.storage.lock import InUse, UseLock
from chatbot.storage.place import address, give_to_owner, neighbour
from chatbot.storage.upkeep import check_sound, row_counts

NEIGHBOURS = ("-wal", "-shm", "-journal")
OURS = {"schema_migration", "user", "conversation", "message"}


class NotRestored(Exception):
    """The copy cannot be used, or the present database cannot be replaced; one sentence."""


@dataclass(frozen=True)
class Restored:
    """What was done."""

    rows: dict[str, int]
    """The number of rows of each table in the copy."""
    kept: Path | None
    """The new path of the old database; None if there was none."""


def restore(copy: Path, target: Path, now: datetime) -> Restored:
    """Replace the database at `target` with `copy`.

    Ark may hold newer messages than the copy, so its memories are dropped and later rebuilt from
    the messages. Raises `NotRestored`, `InUse` while another process uses `target`, `OSError`, or
    `sqlite3.Error`; `target` is then unchanged.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and copy.exists() and copy.samefile(target):
        raise NotRestored(f"{copy} is the database itself")
    lock = UseLock(target)
    lock.take()
    part = neighbour(target, f".{os.getpid()}.part")
    try:
        rows = _prepare(copy, part, target)
        kept = _set_aside(target, f"before-restore-{now:%Y%m%d-%H%M%S}")
        part.replace(target)
        _sync(target.parent)
        return Restored(rows, kept)
    finally:
        for suffix in ("", *NEIGHBOURS):
            neighbour(part, suffix).unlink(missing_ok=True)
        lock.release()


def _prepare(copy: Path, part: Path, target: Path) -> dict[str, int]:
    """Make the new database file `part`; returns its row counts. Raises `NotRestored`."""
    with copy.open("rb") as opened:
        start = opened.read(len(MAGIC))
    if start != MAGIC:
        what = "a dump of a PostgreSQL" if start.startswith(b"PGDMP") else "no SQLite database"
        raise NotRestored(f"{copy} is {what}")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    give_to_owner(part, target if target.exists() else target.parent)
    shutil.copyfile(copy, part)
    # If somebody copied the files of a running app, the newest messages are in the log.
    for suffix in ("-wal", "-journal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(neighbour(copy, suffix), neighbour(part, suffix))
    try:
        with closing(_connect(part)) as opened:
            rows = _check(opened, copy)
            opened.execute(
                "UPDATE conversation "
                "SET memory_ref = NULL, memory_expires_at = NULL, memory_upto = NULL"
            )
            opened.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise NotRestored(f"{copy} is damaged: {error}") from None
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    return rows


def _check(opened: sqlite3.Connection, copy: Path) -> dict[str, int]:
    check_sound(opened)
    rows = row_counts(opened)
    if not rows.keys() >= OURS:
        raise NotRestored(f"{copy} is a database, but not one of this app")
    known = {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    applied = {name for (name,) in opened.execute("SELECT name FROM schema_migration")}
    if newer := sorted(applied - known):
        raise NotRestored(f"{copy} was made by a newer version of this app ({newer[-1]})")
    return rows


def _set_aside(target: Path, name: str) -> Path | None:
    """Move the current database away, including its log; returns the new path."""
    if not target.exists():
        for suffix in NEIGHBOURS:
            # Left over from a deleted database; SQLite would use it for the new one.
            if neighbour(target, suffix).exists():
                neighbour(target, suffix).rename(neighbour(target, f".{name}{suffix}"))
        return None
    kept = neighbour(target, f".{name}")
    if kept.exists():
        raise NotRestored(f"{kept} exists already")
    try:
        with closing(_connect(target)) as opened:
            # Merges and removes the log; fails while another process has the file open.
            opened.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise InUse() from None
    except sqlite3.DatabaseError:
        # The database is damaged: keep its files as they are.
        pass
    left = [suffix for suffix in NEIGHBOURS if neighbour(target, suffix).exists()]
    if not left:
        with suppress(OSError):
            # Add a second name, so that `target` always exists.
            os.link(target, kept)
            return kept
    target.rename(kept)
    for suffix in left:
        neighbour(target, suffix).rename(neighbour(kept, suffix))
    return kept


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(address(file), uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _sync(folder: Path) -> None:
    # Sync the folder, so that the new name survives a power cut. Windows cannot do this.
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
