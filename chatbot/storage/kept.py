"""Replies that the database did not take, in files beside it, so that no word is lost."""

import os
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

import peewee

from chatbot.config import ROOT
from chatbot.storage.models import database


def keep_aside(conversation_id: UUID, reply_id: int, thought: str, content: str) -> Path:
    """Write a reply to a new file that only its owner can read; returns the file.

    It lies beside a SQLite database, else in the app's `data` folder, else where the system keeps
    temporary files. Raises `OSError` when none of them takes it.
    """
    name = f"reply-{conversation_id}-{reply_id}-{uuid4().hex[:8]}.txt"
    text = "\n\n".join(filter(None, (thought, content)))
    for folder in (_beside_database(), Path(tempfile.gettempdir())):
        file = folder / name
        try:
            opened = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(opened, "w", encoding="utf-8", errors="replace") as written:
                written.write(text)
                written.flush()
                os.fsync(written.fileno())
            return file
        except OSError:
            file.unlink(missing_ok=True)
            if folder == Path(tempfile.gettempdir()):
                raise
    raise AssertionError("the last folder either takes the file or raises")


def _beside_database() -> Path:
    opened = database.obj
    if isinstance(opened, peewee.SqliteDatabase):
        return Path(opened.database).absolute().parent
    return ROOT / "data"
