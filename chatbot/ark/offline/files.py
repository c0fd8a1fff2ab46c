"""The Files API: what was uploaded, and until when it is there.

A file is "processing" until it has been asked for twice; a type that no model reads then has
"failed".
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.attachment import Attachment
from chatbot.ark.offline.documents import PDF, document_of
from chatbot.ark.offline.picture_size import MIME, read_format
from chatbot.ark.offline.pictures import picture_of
from chatbot.ark.offline.refusals import file_busy, invalid, lost_file, missing

DAY = 86_400
USUAL_DAYS, MOST_DAYS = 7, 30
POLLS = 2
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Upload:
    """A file as it came, and the fields beside it."""

    name: str
    content: bytes
    fields: dict[str, str]


@dataclass
class StoredFile:
    id: str
    name: str
    content: bytes
    mime: str
    created_at: int
    expire_at: int
    polls: int = 0

    @property
    def status(self) -> str:
        if self.polls < POLLS:
            return "processing"
        return "active" if self.mime else "failed"

    def told(self) -> dict[str, Any]:
        told = {
            "object": "file",
            "id": self.id,
            "purpose": "user_data",
            "filename": self.name,
            "bytes": len(self.content),
            "mime_type": self.mime or "application/octet-stream",
            "created_at": self.created_at,
            "expire_at": self.expire_at,
            "status": self.status,
        }
        if self.status == "failed":
            message = "The file type is not supported."
            told["error"] = {"code": "InvalidParameter", "message": message, "param": "file",
                             "type": "BadRequest"}  # fmt: skip
        return told


class Files:
    """The files of the account, in the order they came."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.stored: dict[str, StoredFile] = {}
        self._now = now

    def add(self, upload: Upload | None) -> dict[str, Any]:
        if upload is None:
            raise missing("file")
        purpose = upload.fields.get("purpose")
        if not purpose:
            raise missing("purpose")
        if purpose != "user_data":
            raise invalid("purpose", "it must be user_data")
        now = int(self._now())
        added = StoredFile(
            id=self._new_id(),
            name=upload.name,
            content=upload.content,
            mime=type_of(upload.content),
            created_at=now,
            expire_at=read_expiry(upload.fields.get("expire_at"), now),
        )
        self.stored[added.id] = added
        return added.told()

    def read(self, ref: str) -> dict[str, Any]:
        file = self._find(ref)
        file.polls += 1
        return file.told()

    def seen(self, ref: Any) -> Attachment:
        """What a model sees of a file that a message names."""
        file = self._find(ref)
        if file.status != "active":
            raise file_busy()
        if file.mime == PDF:
            return document_of(file.content, file.name)
        return picture_of(file.content)

    def delete(self, ref: str) -> dict[str, Any]:
        self.stored.pop(self._find(ref).id)
        return {"id": ref, "object": "file", "deleted": True}

    def list(self, query: dict[str, str]) -> dict[str, Any]:
        """Newest first. The list says that it is a file, as Ark's does."""
        files = [file for file in self.stored.values() if file.expire_at > self._now()]
        if query.get("order", "desc") == "desc":
            files = files[::-1]
        ids = [file.id for file in files]
        if (after := query.get("after")) in ids:
            files = files[ids.index(after) + 1 :]
        limit = query.get("limit", "100")
        if not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise invalid("limit", "it must be in [1, 100]")
        page = files[: int(limit)]
        return {
            "object": "file",
            "data": [file.told() for file in page],
            "first_id": page[0].id if page else "",
            "last_id": page[-1].id if page else "",
            "has_more": len(files) > len(page),
        }

    def _find(self, ref: Any) -> StoredFile:
        file = self.stored.get(ref) if isinstance(ref, str) else None
        if file is None or file.expire_at <= self._now():
            raise lost_file(str(ref))
        return file

    def _new_id(self) -> str:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._now() + 8 * 3600))
        return f"file-{stamp}-{''.join(secrets.choice(LETTERS) for _ in range(5))}"


def type_of(content: bytes) -> str:
    """What the file really is, "" if no model reads it."""
    if content.startswith(b"%PDF-"):
        return PDF
    form = read_format(content)
    return MIME[form] if form else ""


def read_expiry(told: str | None, now: int) -> int:
    if told is None:
        return now + USUAL_DAYS * DAY
    if not told.isdigit() or not now + DAY <= int(told) <= now + MOST_DAYS * DAY:
        raise invalid("expire_at", f"it must be 1 to {MOST_DAYS} days from now")
    return int(told)
