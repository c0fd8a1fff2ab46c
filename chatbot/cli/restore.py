"""`restore`: replaces the database with a backup."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from chatbot.cli.services import AsJson, Failed, answer, at_database
from chatbot.config import Settings
from chatbot.storage import restore as files
from chatbot.storage.lock import InUse
from chatbot.storage.place import sqlite_file


def restore(
    file: Annotated[Path, typer.Argument(help="The copy, as `backup` made it.")],
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database; the app must be stopped.

    The copy is checked first. The database that is there is kept beside it under a dated name.
    Accounts, passwords, logins and messages are then those of the backup. For PostgreSQL use
    pg_restore.
    """
    target = sqlite_file(at_database(Settings.from_env().database_url))
    if target is None:
        command = f"pg_restore --clean --if-exists --dbname=… {file}"
        raise Failed(f"This database is a PostgreSQL: stop the app and use {command}.")
    try:
        done = files.restore(file, target, datetime.now())
    except InUse:
        raise Failed(f"{target} is in use: stop the app first, and any other program.") from None
    except files.NotRestored as error:
        raise Failed(f"Nothing was changed: {error}.") from None
    rows = done.rows
    told = (
        f"{target} now holds {file}: {rows['user']} accounts, {rows['conversation']} sessions, "
        f"{rows['message']} messages."
    )
    kept = (
        f"What was there is kept in {done.kept}. It holds what people wrote: "
        "delete it when you need it no more."
        if done.kept
        else "There was no database before."
    )
    values = {"file": str(target), "kept": str(done.kept) if done.kept else None, "rows": rows}
    answer(as_json, values, told, kept, "Start the app.")
