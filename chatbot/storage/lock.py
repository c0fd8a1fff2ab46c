"""A lock on a file beside a SQLite database, seen by all processes of the machine.

Every process with the database open holds it shared; replacing the file or changing its schema
needs it exclusively. The kernel releases it when the process ends.
"""

import logging
import os
import time
from pathlib import Path

from chatbot.storage.place import give_to_owner, neighbour

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("chatbot.storage")

LOOK_SECONDS = 0.05


class InUse(Exception):
    """Another process uses the database."""


class UseLock:
    """The lock beside one database. Call `share` or `take`, and `release` at the end.

    The lock file stays: if it were removed, two processes could lock two files of one name.
    """

    def __init__(self, database: Path) -> None:
        self._file = neighbour(database.resolve(), ".lock")
        self._opened: int | None = None

    def share(self, seconds: float = 0) -> None:
        """Take the lock shared. Raises `InUse` if it is still held exclusively after `seconds`."""
        self._lock(alone=False, seconds=seconds)

    def take(self, seconds: float = 0) -> None:
        """Take the lock exclusively. Raises `InUse` if others still hold it after `seconds`."""
        self._lock(alone=True, seconds=seconds)

    def release(self) -> None:
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    def _lock(self, *, alone: bool, seconds: float) -> None:
        if fcntl is None:
            return
        if self._opened is None:
            self._opened = self._open()
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        until = time.monotonic() + seconds
        while True:
            try:
                return fcntl.flock(self._opened, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    self.release()
                    raise InUse() from None
            except OSError as error:
                # The file system has no locks, like some network shares.
                log.warning("database: %s cannot be locked: %s", self._file, error.strerror)
                return
            time.sleep(LOOK_SECONDS)

    def _open(self) -> int:
        opened = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        give_to_owner(opened, self._file.parent)
        return opened
