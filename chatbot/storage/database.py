"""Opens the database: SQLite or PostgreSQL by URL, pragmas, migrations, threads.

The event loop never waits for a writer or a server: `Storage.read` and `Storage.write` run a
function on a worker thread with its own connection. `Storage.read_inline` may run it on the event
loop. Searches have their own threads, so that nothing else waits for them.
"""

import asyncio
import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import peewee
from playhouse import db_url
from playhouse.migrations import Runner
from playhouse.pool import PooledSqliteDatabase

from chatbot.clock import Clock, now
from chatbot.errors import (
    BadSettings,
    StorageDamaged,
    StorageFault,
    StorageMissing,
    StorageUnavailable,
)
from chatbot.storage.current import using
from chatbot.storage.file import DatabaseFile
from chatbot.storage.lock import LOOK_SECONDS, InUse, UseLock
from chatbot.storage.place import (
    address,
    give_to_owner,
    is_sqlite,
    neighbour,
    shown,
    sqlite_file,
)
from chatbot.storage.prepared import peewee_fits
from chatbot.storage.trouble import OF_THE_DATABASE, described, first, meaning

P = ParamSpec("P")
T = TypeVar("T")
Transaction = Callable[[], AbstractContextManager[Any]]
log = logging.getLogger("chatbot.storage")

MIGRATIONS = Path(__file__).parent / "migrations"
WORKERS = 4
SEARCHERS = 2
SEARCH_SECONDS = 3
STEPS_BETWEEN_LOOKS = 20_000
"""SQLite steps between two checks of the clock: about a millisecond."""
BUSY_SECONDS = 5
CONNECT_SECONDS = 10
UPGRADE_SECONDS = 20
"""How long a start waits for another process that upgrades the schema."""
UPGRADE_LOCK = 0x75706772
"""Any number that no other lock uses."""
LOG_SECONDS = (0.5, 2, 8, 30)
"""Pauses between tries to empty the log; a reader of an older state blocks it."""

SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    # With WAL this is durable against a crash of the process; only a power cut can lose
    # the newest commits, and it cannot damage the file.
    "synchronous": "normal",
    "foreign_keys": 1,
    "busy_timeout": BUSY_SECONDS * 1000,
    # Overwrite deleted text and the earlier states of a growing reply.
    "secure_delete": 1,
}


class Storage:
    """An open database. Create it with `open_storage`; call `close` at the end."""

    def __init__(
        self,
        opened: Any,
        *,
        file: DatabaseFile | None = None,
        lock: UseLock | None = None,
        clock: Clock = now,
    ) -> None:
        self.database = opened
        self.clock = clock
        self._file = file
        self._lock = lock
        self._damaged = False
        """Whether a call has found damage; only a repair and a restart clear this."""
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="storage")
        self._searchers = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="search")
        self._asked = 0
        """Number of calls that the threads have not answered yet."""
        self._emptying: asyncio.Task[None] | None = None

    @property
    def _is_sqlite(self) -> bool:
        return isinstance(self.database, peewee.SqliteDatabase)

    @property
    def folder(self) -> Path | None:
        """The folder of the SQLite file; None for a database on a server."""
        return self._file.path.parent if self._file is not None else None

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns. It sees one consistent state and must not write.

        Raises `StorageUnavailable` when the database fails (full, locked, missing, damaged), and
        `StorageFault` when it rejects a statement of this app.
        """
        return await self._elsewhere(self._reading, work, *args, **kwargs)

    async def search(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for slow queries, on separate threads.

        Raises `SearchTooLong` after `SEARCH_SECONDS`.
        """
        call = functools.partial(self._call, self._searching, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._searchers, call)

    async def read_inline(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` for a query of about a millisecond: one row, or a page of rows.

        SQLite answers it on the event loop, faster than a thread and without waiting for writers.
        If calls wait for a thread, this one waits too: running streams come first.
        """
        if self._asked or not self._is_sqlite:
            return await self.read(work, *args, **kwargs)
        return self._call(self._reading, work, *args, **kwargs)

    async def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a write transaction; raises like `read`, and then nothing is written."""
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
        if self._file is not None and not self._file.is_there:
            log.error("database: %s was removed or replaced; restart the app", self._file.path)
            raise StorageMissing()
        try:
            with (
                using(self.database, self.clock),
                self.database.connection_context(),
                transaction(),
            ):
                return work(*args, **kwargs)
        except OF_THE_DATABASE as error:
            told = meaning(error)
            if isinstance(told, StorageFault):
                log.error("database: %s", described(error))
            elif isinstance(told, StorageUnavailable):
                log.error("database: %s", first(error))
            self._damaged |= isinstance(told, StorageDamaged)
            raise told from error

    async def look(self) -> None:
        """Run a small query to check the database; raises like `read`."""
        # SQLite, too, must read this from the database and not from memory.
        await self.read(self.database.table_exists, "user")
        if self._damaged or (self._file is not None and not self._file.looks_sound):
            raise StorageDamaged()

    async def empty_log(self) -> None:
        """Empty SQLite's write-ahead log, which holds copies of deleted text.

        Retries in the background while readers or writers block it. The log is also emptied when
        the last process closes the database.
        """
        if self._file is None or await asyncio.to_thread(self._empty_log):
            return
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._empty_log_later())

    async def _empty_log_later(self) -> None:
        for pause in LOG_SECONDS:
            await asyncio.sleep(pause)
            if await asyncio.to_thread(self._empty_log):
                return
        log.warning("database: the log could not be emptied; it still holds what was deleted")

    def _empty_log(self) -> bool:
        assert self._file is not None
        try:
            return self._file.is_there and self._file.empty_log()
        except sqlite3.Error as error:
            log.warning("database: the log could not be emptied: %s", error)
            return False

    def _reading(self) -> AbstractContextManager[Any]:
        if self._is_sqlite:
            return self.database.atomic()
        # By default each PostgreSQL statement sees the latest commits of other transactions.
        return self.database.atomic("REPEATABLE READ")

    @contextmanager
    def _searching(self) -> Iterator[None]:
        if not self._is_sqlite:
            with self._reading():
                self.database.execute_sql(f"SET LOCAL statement_timeout = {SEARCH_SECONDS * 1000}")
                yield
            return
        until = time.monotonic() + SEARCH_SECONDS
        connection = self.database.connection()
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
        try:
            with self.database.atomic():
                yield
        finally:
            connection.set_progress_handler(None, 0)

    def _writing(self) -> AbstractContextManager[Any]:
        # A deferred SQLite transaction that reads first and writes later fails if another writer
        # came in between; an immediate one waits for the lock.
        if self._is_sqlite:
            return self.database.atomic("IMMEDIATE")
        return self.database.atomic()

    def close(self) -> None:
        self._searchers.shutdown(wait=True)
        self._workers.shutdown(wait=True)
        self.database.close_all()
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self._lock.release()


def open_storage(url: str, *, may_upgrade: bool = True, clock: Clock = now) -> Storage:
    """Open the database at `url` and upgrade its schema. Stored times come from `clock`.

    Raises `BadSettings` when the place cannot be written, the server cannot be reached, the file
    is damaged, or the schema is old and another process uses the database. A server's schema is
    only changed with `may_upgrade`.
    """
    place = shown(url)
    peewee_fits()
    try:
        if is_sqlite(url):
            return _open_file(url, clock)
        return _open_server(url, clock, may_upgrade)
    except InUse:
        told = "is used by another process, and its schema has to be changed: stop the app first"
        raise BadSettings([f"DATABASE_URL: {place} {told}"]) from None
    except OF_THE_DATABASE as error:
        if isinstance(meaning(error), StorageDamaged):
            told = (
                f"is damaged ({error}); put a backup in its place: python -m chatbot restore FILE"
            )
            raise BadSettings([f"DATABASE_URL: {place} {told}"]) from error
        raise BadSettings([f"DATABASE_URL: {place} cannot be used: {error}"]) from error
    except (peewee.PeeweeException, OSError) as error:
        raise BadSettings([f"DATABASE_URL: {place} cannot be used: {error}"]) from error


def _open_file(url: str, clock: Clock) -> Storage:
    try:
        path = sqlite_file(url)
    except ValueError as error:
        raise BadSettings([f"DATABASE_URL: {error}"]) from None
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = UseLock(path)
    lock.share(UPGRADE_SECONDS)
    opened = None
    try:
        _make(path)
        # The pool gives each connection to one worker at a time.
        opened = PooledSqliteDatabase(
            address(path),
            uri=True,
            pragmas=SQLITE_PRAGMAS,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        until = time.monotonic() + UPGRADE_SECONDS
        while _pending(opened):
            # An exclusive lock needs all shared locks released, ours too.
            lock.release()
            try:
                lock.take()
            except InUse:
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_SECONDS)
                lock.share(UPGRADE_SECONDS)
                continue
            _upgrade(opened)
            _compact(opened)
            lock.share()
        return Storage(opened, file=DatabaseFile(path), lock=lock, clock=clock)
    except BaseException:
        if opened is not None:
            opened.close_all()
        lock.release()
        raise


def _make(path: Path) -> None:
    """Create an empty file that only its owner can read, unless the file exists."""
    if path.exists():
        return
    log_file = neighbour(path, "-wal")
    if log_file.exists() and log_file.stat().st_size:
        # SQLite would delete the log, and the newest data is in it.
        raise OSError(f"the file is missing, but {log_file.name} is there")
    path.touch(mode=0o600)
    give_to_owner(path, path.parent)


def _open_server(url: str, clock: Clock, may_upgrade: bool) -> Storage:
    scheme, _, rest = url.partition("://")
    more = {} if "connect_timeout=" in url else {"connect_timeout": CONNECT_SECONDS}
    try:
        opened = db_url.connect(
            f"{scheme}+pool://{rest}", unquote_password=True, stale_timeout=300, **more
        )
    except ValueError:
        # Do not quote the URL: it may hold a password.
        raise BadSettings(["DATABASE_URL: names no database"]) from None
    if not may_upgrade and (pending := _pending(opened)) and len(pending) < len(_known()):
        raise BadSettings(
            [
                f"DATABASE_URL: {shown(url)} has an older schema; the next start of the app "
                "brings it up to date"
            ]
        )
    _upgrade(opened)
    return Storage(opened, clock=clock)


def _compact(opened: Any) -> None:
    """Give back what the upgrade used of a SQLite file and its log."""
    try:
        with opened.connection_context():
            opened.execute_sql("VACUUM")
            opened.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    except peewee.OperationalError as error:
        # A disk with too little room for a second copy of it.
        log.warning("database: the file stays as large as it became: %s", error)


def _pending(opened: Any) -> list[str]:
    with opened.connection_context():
        status = Runner(opened, str(MIGRATIONS)).status()
    return [migration.name for migration in status if not migration.applied]


def _known() -> list[Path]:
    return list(MIGRATIONS.glob("[0-9]*.py"))


def _upgrade(opened: Any) -> None:
    with opened.connection_context(), _alone(opened):
        for name in Runner(opened, str(MIGRATIONS)).up():
            log.info("database: applied migration %s", name)


@contextmanager
def _alone(opened: Any) -> Iterator[None]:
    """Run the block while no other process can change the schema."""
    if isinstance(opened, peewee.SqliteDatabase):
        # No other process has the file open (`UseLock`). Migrations drop and rewrite tables; with
        # foreign keys on, a drop would delete the rows that refer to them.
        opened.execute_sql("PRAGMA foreign_keys = 0")
        try:
            yield
        finally:
            opened.execute_sql("PRAGMA foreign_keys = 1")
        return
    opened.execute_sql("SELECT pg_advisory_lock(%s)", (UPGRADE_LOCK,))
    try:
        yield
    finally:
        opened.execute_sql("SELECT pg_advisory_unlock(%s)", (UPGRADE_LOCK,))
