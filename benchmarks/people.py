"""Fills a database with conversations, directly through the tables: no page, no Ark."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

from peewee import chunked, fn

from benchmarks.texts import history
from chatbot.storage.database import open_storage
from chatbot.storage.models import Conversation, Message, User, database

ROWS = 200
"""Rows per statement."""


@contextlib.contextmanager
def opened(url: str) -> Iterator[None]:
    storage = open_storage(url)
    try:
        with storage.database.connection_context():
            yield
    finally:
        storage.close()


def converse(url: str, name: str, lengths: Sequence[int], size: int = 1024) -> list[str]:
    """Give this person conversations of so many messages each; their ids."""
    with opened(url), database.atomic():
        user = User.get(User.name == name)
        ids = [uuid4() for _ in lengths]
        conversations = [
            {"id": id, "user": user, "title": f"Session {place}"} for place, id in enumerate(ids)
        ]
        for some in chunked(conversations, ROWS):
            Conversation.insert_many(some).execute()
        next_id = (Message.select(fn.MAX(Message.id)).scalar() or 0) + 1
        rows: list[dict[str, Any]] = []
        for id, length in zip(ids, lengths, strict=True):
            rows += _thread(id, next_id + len(rows), length, size)
        for some in chunked(rows, ROWS):
            Message.insert_many(some).execute()
        _set_heads(ids)
    return [str(id) for id in ids]


def _thread(conversation: UUID, first_id: int, length: int, size: int) -> list[dict[str, Any]]:
    return [
        {
            "id": first_id + place,
            "conversation": conversation,
            "parent": first_id + place - 1 if place else None,
            **said,
        }
        for place, said in enumerate(history(length, size))
    ]


def _set_heads(ids: list[UUID]) -> None:
    newest = Message.select(fn.MAX(Message.id)).where(Message.conversation == Conversation.id)
    for some in chunked(ids, ROWS):
        Conversation.update(head_id=newest).where(Conversation.id.in_(some)).execute()
