"""The path of a SQLite database from `DATABASE_URL`, and the files beside it.

Everything after `sqlite:///` is the path, unchanged: `#`, `?` and `%` have no special meaning.
"""

import os
from pathlib import Path
from urllib.parse import quote

SCHEME = "sqlite:///"


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database on a server.

    `~` at the beginning is the home folder. Raises `ValueError` if the URL does not name a file.
    """
    if not is_sqlite(url):
        return None
    name = url.removeprefix(SCHEME)
    if not url.startswith(SCHEME) or not name or name.startswith((":memory:", "file:")):
        raise ValueError("sqlite:/// must be followed by the path of a file")
    if "\0" in name:
        raise ValueError("no path has a NUL character")
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise ValueError(f"nobody's home folder is known for {name}") from None


def address(file: Path, mode: str = "rw") -> str:
    """The file as a SQLite URI. Mode `rw` never creates the file."""
    return f"file:{quote(str(file.resolve()))}?mode={mode}"


def neighbour(file: Path, suffix: str) -> Path:
    """A file that belongs to this one: `-wal`, `-shm`, `-journal`, `.lock`."""
    return file.with_name(file.name + suffix)


def give_to_owner(made: Path | int, beside: Path) -> None:
    """Give a file created by root to the owner of `beside`, such as the service's user."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = beside.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def shown(url: str) -> str:
    """The database URL as messages show it, without a password."""
    if is_sqlite(url):
        try:
            return str(sqlite_file(url))
        except ValueError:
            return url.removeprefix(SCHEME)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
