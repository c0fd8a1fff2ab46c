"""Translates database errors: the disk or server has a problem, the file is damaged, or this app
has a bug."""

import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

import peewee

from chatbot.errors import (
    ChatbotError,
    SearchTooLong,
    StorageDamaged,
    StorageFault,
    StorageUnavailable,
)

OURS = Path(__file__).parents[1]
OF_THE_DATABASE = (peewee.DatabaseError, peewee.InterfaceError)

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
IN_TROUBLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
CANCELED = "57014"
DAMAGED_STATES = ("XX001", "XX002")
TROUBLE_STATES = ("08", "25P02", "25006", "40", "53", "55", "57", "58", "XX")


def meaning(error: BaseException) -> ChatbotError:
    """The error to show instead of one of `OF_THE_DATABASE`.

    A full disk ends the transaction, and then the rollback fails with another error. In the chain
    of errors, damage counts first, then a slow search, then an unavailable database.
    """
    kinds = {_kind(one) for one in _chain(error)}
    for kind in (StorageDamaged, SearchTooLong, StorageUnavailable):
        if kind in kinds:
            return kind()
    return StorageFault()


def _kind(error: BaseException) -> type[ChatbotError]:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in DAMAGED:
            return StorageDamaged
        if code == sqlite3.SQLITE_INTERRUPT:
            return SearchTooLong
        return StorageUnavailable if code in IN_TROUBLE else StorageFault
    if not hasattr(error, "sqlstate"):
        return StorageFault
    state: str | None = error.sqlstate
    if state is None:
        # The server was not reached or disconnected. Wrong usage has another class.
        gone = type(error).__name__ in ("OperationalError", "InterfaceError")
        return StorageUnavailable if gone else StorageFault
    if state == CANCELED:
        return SearchTooLong
    if state in DAMAGED_STATES:
        return StorageDamaged
    return StorageUnavailable if state.startswith(TROUBLE_STATES) else StorageFault


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__context__


def described(error: BaseException) -> str:
    """For the log: what failed and where in this app, without the values of the statement."""
    driver = getattr(error, "orig", None)
    code = getattr(driver, "sqlite_errorname", None) or getattr(driver, "sqlstate", None)
    places = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if OURS in Path(frame.filename).parents
    ]
    return f"{type(error).__name__} {code or ''} at {' < '.join(reversed(places))}"


def first(error: BaseException) -> BaseException:
    """The first error in the chain."""
    *_, deepest = _chain(error)
    return deepest
