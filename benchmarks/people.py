"""Fills a database with conversations, directly through the tables: no page, no Ark."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from peewee import chunked, fn

from benchmarks.texts import history
from chatbot.clock import now
from chatbot.storage.database import open_storage
from chatbot.storage.tables import Conversation, Message, Role, State, Turn, User

ROWS = 200
"""Rows per statement."""


def converse(url: str, name: str, lengths: Sequence[int], size: int = 1024) -> list[str]:
    """Give this person conversations of so many messages each, with a turn for each reply; the ids
    of the conversations."""
    with closing(open_storage(url)) as storage:
        return storage.write_now(partial(_converse, name, lengths, size))


def _converse(name: str, lengths: Sequence[int], size: int) -> list[str]:
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
    turns = [_turn(user, row) for row in rows if row["role"] == Role.ASSISTANT]
    for some in chunked(turns, ROWS):
        Turn.insert_many(some).execute()
    _set_heads(ids)
    return [str(id) for id in ids]


def _turn(user: User, reply: dict[str, Any]) -> dict[str, Any]:
    return {
        "user": user,
        "conversation": reply["conversation"],
        "reply_id": reply["id"],
        "state": State.COMPLETE,
        "prompt_tokens": 100,
        "completion_tokens": 100,
        # Not today's, which each page counts.
        "started_at": now() - timedelta(days=7),
    }


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
