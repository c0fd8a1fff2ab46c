"""Who uses a SQLite database: a lock on a file beside it, which all processes of a machine see.

Everybody who has the database open shares it; who replaces the file or changes its schema takes it
alone. The kernel lets go of it with the process, however that ends.
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

    The file of the lock stays: removing it would let two processes lock two files of one name.
    """

    def __init__(self, database: Path) -> None:
        self._file = neighbour(database.resolve(), ".lock")
        self._opened: int | None = None

    def share(self, seconds: float = 0) -> None:
        """Use the database beside others; raises `InUse` while somebody has it alone."""
        self._lock(alone=False, seconds=seconds)

    def take(self, seconds: float = 0) -> None:
        """Have the database alone; raises `InUse` when others still use it after so long."""
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
                # A file system without locks, such as some network shares.
                log.warning("database: %s cannot be locked: %s", self._file, error.strerror)
                return
            time.sleep(LOOK_SECONDS)

    def _open(self) -> int:
        opened = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        give_to_owner(opened, self._file.parent)
        return opened
