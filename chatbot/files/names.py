"""File names as people gave them, cleaned for the page and for downloads."""

import re
from pathlib import PurePosixPath

from chatbot.characters import storable

LONGEST = 200
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "application/pdf": ".pdf"}
UNNAMED = {"image": "picture", "pdf": "document"}


def clean_name(told: str, kind: str, type: str) -> str:
    """The name without a path and invisible characters, at most 200 characters, never empty."""
    last = re.split(r"[/\\]", storable(told))[-1]
    name = "".join(char for char in last if char.isprintable()).strip(" .")
    if not name:
        return f"{UNNAMED[kind]}{SUFFIXES[type]}"
    if kind == "pdf" and not name.lower().endswith(".pdf"):
        # Ark knows by it what the file is.
        name = f"{name}.pdf"
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix[:20]
    return name if len(name) <= LONGEST else stem[: LONGEST - len(suffix)] + suffix


def download_name(name: str, type: str) -> str:
    """The name with the suffix of what the file is now: each picture was made a JPEG or PNG."""
    suffix = SUFFIXES[type]
    return name if name.lower().endswith(suffix) else f"{PurePosixPath(name).stem}{suffix}"
