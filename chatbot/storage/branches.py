"""The versions of a conversation: which there are, which one is visible, what a model is told.

Nothing here destroys anything: an edited question and a regenerated reply stay as branches of
the tree, and only `Conversation.head_id` moves. Each function runs in a `Storage` transaction.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from peewee import JOIN, fn

from chatbot.errors import ChangedElsewhere, TurnRunning
from chatbot.storage.models import Conversation, Message


@dataclass(frozen=True)
class Versions:
    """Where the visible branch could have gone another way; `number` counts from 1."""

    message_id: int
    number: int
    count: int


def versions(conversation_id: UUID, branch: list[tuple[int, int | None]]) -> list[Versions]:
    """The branching points of a branch, given as ids with their parents' ids, in one query."""
    siblings = _siblings(conversation_id, {parent_id for _, parent_id in branch})
    return [
        Versions(message_id, places.index(message_id) + 1, len(places))
        for message_id, parent_id in branch
        if len(places := siblings[parent_id]) > 1
    ]


def show_version(user_id: int, conversation_id: str, message_id: int, step: int) -> None:
    """Make the version `step` places after this message visible (before it, when negative), with
    the newest of what followed it."""
    conversation = _idle(user_id, conversation_id)
    message: Any = Message.get_or_none(
        Message.id == message_id, Message.conversation == conversation.id
    )
    if message is None:
        raise ChangedElsewhere()
    places = _siblings(conversation.id, {message.parent_id})[message.parent_id]
    following = places[(places.index(message.id) + step) % len(places)]
    _show(conversation, _newest_below(following))


def undo(user_id: int, conversation_id: str, reply_id: int) -> str:
    """Take the newest turn off the visible branch; returns its question.

    The turn stays in the tree, beside whatever is asked in its place.
    """
    conversation = _idle(user_id, conversation_id)
    if conversation.head_id != reply_id:
        raise ChangedElsewhere()
    question = Message.get_by_id(reply_id).parent
    _show(conversation, question.parent_id)
    return str(question.content)


def remembered(before_id: int | None, limit: int) -> list[Any]:
    """The messages up to `before_id` that a model is told: questions with their answers."""
    rows: list[Any] = Message.branch(before_id, limit)
    kept = []
    for question, reply in pairwise(rows):
        if reply.is_reply and reply.is_remembered:
            kept += [question, reply]
    return kept


def _idle(user_id: int, conversation_id: str) -> Any:
    conversation = Conversation.of(user_id, conversation_id)
    if conversation.turn_is_running:
        raise TurnRunning()
    return conversation


def _siblings(conversation_id: UUID, parents: set[int | None]) -> dict[int | None, list[int]]:
    """By parent, the ids of all messages of the conversation that follow it, oldest first."""
    same_place: Any = Message.parent.in_(parents - {None})
    if None in parents:
        same_place |= Message.parent.is_null()
    rows: Any = (
        Message.select(Message.id, Message.parent)
        .where(Message.conversation == conversation_id, same_place)
        .order_by(Message.id)
        .tuples()
    )
    siblings: dict[int | None, list[int]] = {}
    for message_id, parent_id in rows:
        siblings.setdefault(parent_id, []).append(message_id)
    return siblings


def _show(conversation: Any, head_id: int | None) -> None:
    Conversation.update(head_id=head_id).where(Conversation.id == conversation.id).execute()


def _newest_below(message_id: int) -> int:
    """The newest message of a subtree. What follows a message is newer, so this is a leaf."""
    start = (
        Message.select(Message.id)
        .where(Message.id == message_id)
        .cte("below", recursive=True, columns=("id",))
    )
    child = Message.alias()
    path = start.union_all(
        child.select(child.id).join(start, JOIN.INNER, on=(child.parent == start.c.id))
    )
    return int(path.select_from(fn.MAX(path.c.id)).scalar())
