"""`backup`: a copy of the whole database."""

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from chatbot.cli.services import AsJson, Failed, answer, at_database
from chatbot.config import Settings
from chatbot.storage.place import sqlite_file
from chatbot.storage.upkeep import copy_sqlite


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Copy the whole database to a file, consistently, also while the server runs.

    The copy is read again and compared before it gets its name. It is a SQLite database, to be put
    back with `restore`. It holds everything people wrote; only you can read it. For PostgreSQL use
    pg_dump.
    """
    source = sqlite_file(at_database(Settings.from_env().database_url))
    if source is None:
        raise Failed(f"This database is a PostgreSQL: use pg_dump --format=custom --file={file}.")
    if not source.exists():
        raise Failed(f"There is no database at {source} yet.")
    try:
        rows = copy_sqlite(source, file)
    except sqlite3.Error as error:
        raise Failed(f"{source} could not be copied: {error}.") from None
    size = file.stat().st_size
    values = {"file": str(file), "bytes": size, "rows": rows}
    answer(
        as_json, values, f"Copied to {file} and checked: {size:,} bytes, {sum(rows.values())} rows."
    )
