"""Puts a copy of a SQLite database in the place of the present one, which is kept aside.

The app must not run: SQLite would write the log of one database into the other. Nothing is changed
before the copy has been read as a whole.
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
    """How many rows each table of the copy has."""
    kept: Path | None
    """Where the database now is that was there; None if there was none."""


def restore(copy: Path, target: Path, now: datetime) -> Restored:
    """Have `target` hold what `copy` holds.

    Ark's memories of the conversations are forgotten, because Ark may have heard more since: they
    are built anew from the messages. Raises `NotRestored`, `InUse` while another process uses
    `target`, `OSError`, or `sqlite3.Error`; `target` is then as it was.
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
    """Make the file that will be the database; raises `NotRestored` when it cannot be."""
    with copy.open("rb") as opened:
        start = opened.read(len(MAGIC))
    if start != MAGIC:
        what = "a dump of a PostgreSQL" if start.startswith(b"PGDMP") else "no SQLite database"
        raise NotRestored(f"{copy} is {what}")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    give_to_owner(part, target if target.exists() else target.parent)
    shutil.copyfile(copy, part)
    # Whoever copied the files of a running app has the newest messages in the second one.
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
    """Move the present database away, with what its log holds; its new place."""
    if not target.exists():
        for suffix in NEIGHBOURS:
            # Of a database that is gone; SQLite would take it for the new one's.
            if neighbour(target, suffix).exists():
                neighbour(target, suffix).rename(neighbour(target, f".{name}{suffix}"))
        return None
    kept = neighbour(target, f".{name}")
    if kept.exists():
        raise NotRestored(f"{kept} exists already")
    try:
        with closing(_connect(target)) as opened:
            # Takes in the log and removes it; refused while anybody else has the file open.
            opened.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise InUse() from None
    except sqlite3.DatabaseError:
        # Damaged, so its parts are kept as they are.
        pass
    left = [suffix for suffix in NEIGHBOURS if neighbour(target, suffix).exists()]
    if not left:
        with suppress(OSError):
            # A second name, so that at no moment there is no database.
            os.link(target, kept)
            return kept
    target.rename(kept)
    for suffix in left:
        neighbour(target, suffix).rename(neighbour(kept, suffix))
    return kept


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(address(file), uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _sync(folder: Path) -> None:
    # So that the new name, too, survives a power cut. Windows has nothing of the kind.
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
