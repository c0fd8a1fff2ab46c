"""`backup`: a copy of the whole database."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from chatbot.cli.desk import AsJson, Failed, answer
from chatbot.config import Settings
from chatbot.storage.upkeep import copy_sqlite, sqlite_file


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Copy the whole database to a file, consistently, also while the server runs.

    The copy is a SQLite database: to restore it, stop the app and put it in the place of the
    original. It holds everything people wrote; only you can read it. For PostgreSQL use pg_dump.
    """
    source = sqlite_file(Settings.from_env().database_url)
    if source is None:
        raise Failed(f"This database is a PostgreSQL: use pg_dump --format=custom --file={file}.")
    if not source.exists():
        raise Failed(f"There is no database at {source} yet.")
    try:
        copy_sqlite(source, file)
    except sqlite3.Error as error:
        raise Failed(f"{source} could not be copied: {error}.") from None
    size = file.stat().st_size
    answer(as_json, {"file": str(file), "bytes": size}, f"Copied to {file}, {size:,} bytes.")
