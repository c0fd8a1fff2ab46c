"""The file of an open SQLite database: whether it is still the one that was opened, and its log.

SQLite goes on with a file that was removed or renamed, and what it writes is lost at the end.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from chatbot.storage.place import address, neighbour

MAGIC = b"SQLite format 3\0"
PATIENCE_SECONDS = 0.1


class DatabaseFile:
    """A file as it was when this was made."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._identity = _identity(self.path)

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to the same file."""
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    @property
    def looks_sound(self) -> bool:
        """Whether it still begins as a SQLite database does; a new one is empty."""
        try:
            with self.path.open("rb") as opened:
                return opened.read(len(MAGIC)) in (MAGIC, b"")
        except OSError:
            return False

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and cut it off, as it holds copies of what was
        deleted; False when others are in the way at the moment. Raises `sqlite3.Error`."""
        if not neighbour(self.path, "-wal").exists():
            return True
        opened = sqlite3.connect(address(self.path), uri=True, timeout=PATIENCE_SECONDS)
        with closing(opened):
            # Those who write wait for this, so it must not wait long for those who read.
            [(busy, *_)] = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not busy


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
