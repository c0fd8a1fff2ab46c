"""Where a SQLite database lies: the file that `DATABASE_URL` names, and its neighbours.

Everything behind `sqlite:///` is the path, to the character: `#`, `?` and `%` have no meaning here.
"""

import os
from pathlib import Path
from urllib.parse import quote

SCHEME = "sqlite:///"


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for a database on a server.

    `~` at the beginning is the home folder. Raises `ValueError` for what cannot name a file.
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
    """The file as SQLite's URI. With the mode `rw` it is never made anew."""
    return f"file:{quote(str(file.resolve()))}?mode={mode}"


def neighbour(file: Path, suffix: str) -> Path:
    """A file that belongs to this one: `-wal`, `-shm`, `-journal`, `.lock`."""
    return file.with_name(file.name + suffix)


def give_to_owner(made: Path | int, beside: Path) -> None:
    """Let a new file belong to whoever owns `beside`, when root made it for a service's user."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = beside.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def shown(url: str) -> str:
    """A database as people are told of it: without a password."""
    if is_sqlite(url):
        try:
            return str(sqlite_file(url))
        except ValueError:
            return url.removeprefix(SCHEME)
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
