"""The file of an open SQLite database: whether it is still the opened one, and its log.

SQLite keeps writing to a file that was removed or renamed; that data is lost when it is closed.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from chatbot.storage.place import address, neighbour

MAGIC = b"SQLite format 3\0"
PATIENCE_SECONDS = 0.1


class DatabaseFile:
    """A file, identified when this object is created."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._identity = _identity(self.path)
        # Kept open: to close any handle of a file releases all locks that this process holds on it,
        # SQLite's included (fcntl(2)). Another process would then take itself for the only one, and
        # delete the write-ahead log that this one writes to.
        self._opened = self.path.open("rb", buffering=0)

    @property
    def is_there(self) -> bool:
        """Whether the path still points to the same file."""
        try:
            return _identity(self.path) == self._identity
        except OSError:
            return False

    @property
    def looks_sound(self) -> bool:
        """Whether the file starts with SQLite's header or is empty (new)."""
        try:
            self._opened.seek(0)
            return self._opened.read(len(MAGIC)) in (MAGIC, b"")
        except OSError:
            return False

    def close(self) -> None:
        """To be called after SQLite has closed the file."""
        self._opened.close()

    def empty_log(self) -> bool:
        """Move the write-ahead log into the file and truncate it: it holds copies of deleted text.
        False if other connections block it now. Raises `sqlite3.Error`."""
        if not neighbour(self.path, "-wal").exists():
            return True
        opened = sqlite3.connect(address(self.path), uri=True, timeout=PATIENCE_SECONDS)
        with closing(opened):
            # Writers wait for this, so it must not wait long for readers.
            [(busy, *_)] = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            return not busy


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
