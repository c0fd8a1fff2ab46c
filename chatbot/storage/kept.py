"""Writes replies that the database refused to files beside it, so that no text is lost."""

import os
import tempfile
from pathlib import Path
from uuid import UUID, uuid4

from chatbot.config import ROOT


def keep_aside(
    folder: Path | None, conversation_id: UUID, reply_id: int, thought: str, content: str
) -> Path:
    """Write a reply to a new file that only its owner can read; returns its path.

    Tries `folder`, then the app's `data` folder, then the system's temporary folder. Raises
    `OSError` if all of them fail.
    """
    name = f"reply-{conversation_id}-{reply_id}-{uuid4().hex[:8]}.txt"
    text = "\n\n".join(filter(None, (thought, content)))
    *places, last = (folder or ROOT / "data", Path(tempfile.gettempdir()))
    for place in places:
        try:
            return _write(place / name, text)
        except OSError:
            continue
    return _write(last / name, text)


def _write(file: Path, text: str) -> Path:
    opened = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(opened, "w", encoding="utf-8", errors="replace") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
    except OSError:
        # For example a full disk. Half a text would look like the whole.
        file.unlink(missing_ok=True)
        raise
    return file
