"""Opens the database: SQLite or PostgreSQL by URL, pragmas, migrations, threads.

The event loop waits for no writer and no server: `Storage.read` and `Storage.write` take a function
to a worker thread that has a connection of its own; only `Storage.peek` may do without.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import peewee
from playhouse import db_url
from playhouse.migrations import Runner

from chatbot.errors import BadSettings, StorageUnavailable
from chatbot.storage.models import database

P = ParamSpec("P")
T = TypeVar("T")
Transaction = Callable[[], AbstractContextManager[Any]]
log = logging.getLogger("chatbot.storage")

MIGRATIONS = Path(__file__).parent / "migrations"
WORKERS = 4
BUSY_SECONDS = 5

SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    # With WAL this is durable against a crash of the process; only a power cut can lose
    # the newest commits, and it cannot damage the file.
    "synchronous": "normal",
    "foreign_keys": 1,
    "busy_timeout": BUSY_SECONDS * 1000,
}


class Storage:
    """An open database. Make one with `open_storage`; call `close` at the end."""

    def __init__(self, opened: Any) -> None:
        self.database = opened
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="storage")
        self._asked = 0
        """How many calls the threads have not answered yet."""

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns; it sees one consistent state and must not write.

        Raises `StorageUnavailable` when the database itself fails (full, locked, gone).
        """
        return await self._elsewhere(self._reading, work, *args, **kwargs)

    async def peek(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for what takes about a millisecond: a row, or a page of them.

        SQLite answers that sooner than a thread would, and without waiting for whoever writes.
        Where others wait for a thread, this waits, too: streams go before what is looked up.
        """
        if self._asked or not isinstance(self.database, peewee.SqliteDatabase):
            return await self.read(work, *args, **kwargs)
        return self._call(self._reading, work, *args, **kwargs)

    async def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for work that writes: all of it happens, or nothing."""
        return await self._elsewhere(self._writing, work, *args, **kwargs)

    def write_now(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` on the calling thread, for start-up and commands."""
        return self._call(self._writing, work, *args, **kwargs)

    async def _elsewhere(
        self, transaction: Transaction, work: Callable[..., T], *args: Any, **kwargs: Any
    ) -> T:
        loop = asyncio.get_running_loop()
        call = functools.partial(self._call, transaction, work, *args, **kwargs)
        self._asked += 1
        try:
            return await loop.run_in_executor(self._workers, call)
        finally:
            self._asked -= 1

    def _call(
        self, transaction: Transaction, work: Callable[..., T], *args: Any, **kwargs: Any
    ) -> T:
        try:
            with self.database.connection_context(), transaction():
                return work(*args, **kwargs)
        except (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError) as error:
            log.error("database: %s", _first(error))
            raise StorageUnavailable() from error

    def _reading(self) -> AbstractContextManager[Any]:
        return self.database.atomic()

    def _writing(self) -> AbstractContextManager[Any]:
        # A deferred SQLite transaction that reads first and writes later fails at once when
        # another writer got in between; an immediate one waits its turn.
        if isinstance(self.database, peewee.SqliteDatabase):
            return self.database.atomic("IMMEDIATE")
        return self.database.atomic()

    def close(self) -> None:
        self._workers.shutdown(wait=True)
        self.database.close_all()


def _first(error: BaseException) -> BaseException:
    """What went wrong first: a full disk ends the transaction, whose rollback then fails, too."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def open_storage(url: str) -> Storage:
    """Open the database at `url` and bring its schema up to date.

    Raises `BadSettings` when the place cannot be written or the server cannot be reached.
    """
    scheme, _, rest = url.partition("://")
    pooled = f"{scheme}+pool://{rest}"
    try:
        if scheme == "sqlite":
            path = Path(urlsplit(url).path.removeprefix("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            # Messages are nobody else's business on a shared machine.
            path.touch(mode=0o600)
            # The pool hands a connection to whichever worker asks, one at a time.
            opened = db_url.connect(
                pooled, pragmas=SQLITE_PRAGMAS, timeout=BUSY_SECONDS, check_same_thread=False
            )
        else:
            opened = db_url.connect(pooled, unquote_password=True, stale_timeout=300)
        database.initialize(opened)
        with opened.connection_context():
            for name in Runner(opened, str(MIGRATIONS)).up():
                log.info("database: applied migration %s", name)
    except (peewee.PeeweeException, OSError) as error:
        place = url.rpartition("@")[2]
        raise BadSettings([f"DATABASE_URL: {place} cannot be used: {error}"]) from error
    except ValueError:
        # What is wrong with the URL is told without it: it may hold a password.
        raise BadSettings(["DATABASE_URL: names no database"]) from None
    return Storage(opened)
