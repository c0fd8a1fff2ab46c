"""Messages: the visible branch, its versions, and the part that a model gets.

Nothing is deleted here: the old question after an edit, and the old reply after a regeneration,
stay as branches of the tree. Only `Conversation.head_id` moves.
"""

from itertools import groupby, pairwise
from typing import Any, NamedTuple
from uuid import UUID

from peewee import JOIN, SQL, fn

from chatbot import sources
from chatbot.errors import ChangedElsewhere, ConversationNotFound, TurnRunning
from chatbot.storage import attachments, conversations
from chatbot.storage.current import now
from chatbot.storage.fields import is_id
from chatbot.storage.leases import STREAMING, lease_runs, leases
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Conversation, Message, Role, State, Turn
from chatbot.views import Shown, Versions

FORGOTTEN = (State.FAILED, State.FILTERED)
"""The model does not get turns in these states: one without text has no answer, and with a
moderated text Ark would refuse every later request."""


def add(conversation_id: UUID, parent: Any, role: Role, content: str = "") -> Any:
    """Store a new message after `parent`; returns it."""
    values = {
        "role": role, "content": content, "thought": "", "notes": "", "sources": "",
        "created_at": now(),
    }  # fmt: skip
    parent_id = parent.id if parent else None
    message_id = _add(conversation_id, parent_id, **values)
    return Message(id=message_id, conversation=conversation_id, parent=parent, **values)


def change(message_id: int, **values: Any) -> None:
    _change(message_id, **values)


def at(message_id: int | None) -> Any:
    """The parent and content of a message; None if it does not exist."""
    return next(iter(_at(message_id)), None) if message_id is not None else None


def of(conversation_id: UUID, message_id: int, role: Role) -> Any:
    """A message of this conversation and role. Raises `ChangedElsewhere` if there is none."""
    found = _of(conversation_id, message_id)
    if found.role != role:
        raise ChangedElsewhere()
    return found


def text_of(user_id: int, message_id: int) -> str:
    """The text of a message. Raises `ConversationNotFound` unless it belongs to the user."""
    mine = (Message.id == message_id) & (Conversation.user == user_id)
    row = Message.select(Message.content).join(Conversation).where(mine)
    found = row.first() if is_id(message_id) else None
    if found is None:
        raise ConversationNotFound()
    return str(found.content)


def branch(head_id: int | None, limit: int) -> list[Any]:
    """The newest `limit` messages of the branch that ends in `head_id`, oldest first.

    One query that follows the parents; its cost depends on `limit`, not on the length of the
    conversation.
    """
    return [] if head_id is None else sorted(_branch(head_id, limit), key=lambda row: row.id)


def shown_branch(head_id: int | None, limit: int) -> list[Shown]:
    """`branch` as a page shows it, with the outcome of each reply."""
    # Tuples, because building models takes twice as long.
    rows = [] if head_id is None else sorted(_shown_branch(head_id, limit), key=_by_turn)
    return [_shown(list(of_message)) for _, of_message in groupby(rows, key=lambda row: row[0])]


class Told(NamedTuple):
    """A message as a model gets it."""

    id: int
    role: str
    content: str


def remembered(before_id: int | None, limit: int) -> list[Told]:
    """The messages up to `before_id` that a model gets: questions with their answers."""
    rows = [] if before_id is None else sorted(_told_branch(before_id, limit), key=_by_turn)
    forgotten = {message_id for message_id, _, _, state, _ in rows if state in FORGOTTEN}
    # A message with several turns has several rows: keep one.
    each = {row[0]: Told(*row[:3]) for row in rows}
    kept = []
    for (_, question), (reply_id, reply) in pairwise(each.items()):
        if reply.role == Role.ASSISTANT and reply.content and reply_id not in forgotten:
            kept += [question, reply]
    return kept


def with_files(shown: list[Shown]) -> list[Shown]:
    """These messages, each with its pictures and files. One query."""
    files = attachments.of_messages(message.id for message in shown)
    return [
        message._replace(files=tuple(files[message.id])) if message.id in files else message
        for message in shown
    ]


def versions(conversation_id: UUID, shown: list[Shown]) -> list[Versions]:
    """The branching points of a branch, in one query."""
    siblings = _siblings(conversation_id, {message.parent_id for message in shown})
    return [
        Versions(message.id, places.index(message.id) + 1, len(places))
        for message in shown
        if len(places := siblings[message.parent_id]) > 1
    ]


def show_version(user_id: int, conversation_id: str, message_id: int, step: int) -> None:
    """Show the version `step` places after this message (before it, if negative), with its newest
    continuation. Raises `ConversationNotFound`, `TurnRunning` or `ChangedElsewhere`."""
    conversation = _idle(user_id, conversation_id)
    message = _of(conversation.id, message_id)
    places = _siblings(conversation.id, {message.parent_id})[message.parent_id]
    following = places[(places.index(message.id) + step) % len(places)]
    conversations.change(conversation.id, head_id=_newest_below(following))


def undo(user_id: int, conversation_id: str, reply_id: int) -> str:
    """Remove the newest turn from the visible branch; returns its question.

    The turn stays in the tree. Raises `ConversationNotFound`, `TurnRunning` or `ChangedElsewhere`.
    """
    conversation = _idle(user_id, conversation_id)
    if conversation.head_id != reply_id:
        raise ChangedElsewhere()
    question: Any = Message.get_by_id(reply_id).parent
    conversations.change(conversation.id, head_id=question.parent_id)
    return str(question.content)


def _of(conversation_id: UUID, message_id: int) -> Any:
    here = (Message.id == message_id) & (Message.conversation == conversation_id)
    found = Message.get_or_none(here) if is_id(message_id) else None
    if found is None:
        raise ChangedElsewhere()
    return found


def _idle(user_id: int, conversation_id: str) -> Any:
    conversation = conversations.hold(user_id, conversation_id)
    mine = (Turn.conversation == conversation.id) & STREAMING & lease_runs(*leases())
    if Turn.select(SQL("1")).where(mine).exists():
        raise TurnRunning()
    return conversation


def _by_turn(row: tuple[Any, ...]) -> tuple[int, Any]:
    message_id, *_, started_at = row
    return message_id, (started_at is not None, started_at)


def _shown(rows: list[tuple[Any, ...]]) -> Shown:
    """Build one message from its rows: one row per turn, oldest first."""
    (
        message_id, parent_id, role, content, thought, notes, created_at, found, thought_ms, state,
        error, *_, first_token_ms, model, _started_at,
    ) = rows[-1]  # fmt: skip
    ended = [row[11:16] for row in rows if row[9] not in (None, State.STREAMING)]
    sums = [sum(numbers) for numbers in zip(*ended, strict=True)] or [None] * 5
    prompt, cached, completion, micro_yuan, searches = sums
    return Shown(
        message_id, parent_id, role, content, thought, state or State.COMPLETE, error or "",
        tuple(notes.split()), created_at, prompt, cached,
        completion, micro_yuan, first_token_ms, model or "", thought_ms, searches,
        sources.read(found),
    )  # fmt: skip


def _siblings(conversation_id: UUID, parents: set[int | None]) -> dict[int | None, list[int]]:
    """The ids of the messages after each parent, oldest first, by parent id."""
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


def _newest_below(message_id: int) -> int:
    """The newest message of a subtree. A child is newer than its parent, so this is a leaf."""
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


@prepared
def _add(conversation_id: Any, parent_id: Any, **values: Any) -> Any:
    return Message.insert(conversation=conversation_id, parent=parent_id, **values)


@prepared
def _change(message_id: Any, **values: Any) -> Any:
    return Message.update(**values).where(Message.id == message_id)


@prepared
def _at(message_id: Any) -> Any:
    return Message.select(
        Message.id, Message.parent, Message.content
    ).where(Message.id == message_id)  # fmt: skip


@prepared
def _branch(head_id: Any, limit: Any) -> Any:
    return _on_branch(Message.select(Message), head_id, limit)


@prepared
def _shown_branch(head_id: Any, limit: Any) -> Any:
    shown = Message.select(
        Message.id, Message.parent, Message.role, Message.content, Message.thought, Message.notes,
        Message.created_at, Message.sources, Message.thought_ms, Turn.state, Turn.error,
        Turn.prompt_tokens, Turn.cached_tokens, Turn.completion_tokens, Turn.micro_yuan,
        Turn.searches, Turn.first_token_ms, Turn.model, Turn.started_at,
    )  # fmt: skip
    return _with_turns(_on_branch(shown, head_id, limit))


@prepared
def _told_branch(head_id: Any, limit: Any) -> Any:
    told = Message.select(
        Message.id, Message.role, Message.content, Turn.state, Turn.started_at
    )  # fmt: skip
    return _with_turns(_on_branch(told, head_id, limit))


def _with_turns(messages: Any) -> Any:
    return messages.join(Turn, JOIN.LEFT_OUTER, on=(Turn.reply_id == Message.id)).tuples()


def _on_branch(messages: Any, head_id: Any, limit: Any) -> Any:
    start = (
        Message.select(Message.id, Message.parent, SQL("1").alias("depth"))
        .where(Message.id == head_id)
        .cte("branch", recursive=True, columns=("id", "parent_id", "depth"))
    )
    step = Message.alias()
    up = step.select(step.id, step.parent, start.c.depth + SQL("1")).join(
        start, JOIN.INNER, on=((step.id == start.c.parent_id) & (start.c.depth < limit))
    )
    path = start.union_all(up)
    return messages.join(path, on=(Message.id == path.c.id)).switch(Message).with_cte(path)
