"""Pictures and PDF files of questions. An attachment without a message waits to be sent."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from chatbot.errors import AttachmentNotFound
from chatbot.storage import conversations
from chatbot.storage.current import now
from chatbot.storage.prepared import prepared
from chatbot.storage.tables import Attachment
from chatbot.views import Attached

UNSENT_KEPT = timedelta(days=1)
"""How long a file that is not sent is kept."""
MOST_UNSENT = 20
"""Most files that wait in one conversation, in all tabs."""


class Stored(NamedTuple):
    """A file with its content."""

    kind: str
    type: str
    name: str
    width: int
    height: int
    pages: int
    data: bytes


def add(user_id: int, conversation_id: str, file: Stored) -> Attached:
    """Store a file that waits to be sent; the oldest of too many is deleted, because a page that
    was loaded again does not show it. Raises `ConversationNotFound`."""
    conversation = conversations.hold(user_id, conversation_id)
    Attachment.delete().where(
        Attachment.message.is_null(), Attachment.created_at < now() - UNSENT_KEPT
    ).execute()
    _make_room(conversation.id)
    row: Any = Attachment.create(
        user=user_id, conversation=conversation.id, size=len(file.data), **file._asdict()
    )
    return _attached(row)


def give_back(user_id: int, conversation_id: str, message_id: int) -> list[Attached]:
    """Let copies of a message's files wait to be sent again. Raises `ConversationNotFound`."""
    conversation = conversations.hold(user_id, conversation_id)
    rows: Any = Attachment.select().where(
        Attachment.message == message_id, Attachment.conversation == conversation.id
    )
    copies = []
    for row in list(rows.order_by(Attachment.place)):
        _make_room(conversation.id)
        copies.append(_copied(row, message=None, created_at=now()))
    return copies


def remove(user_id: int, attachment_id: str) -> None:
    """Delete a file that waits to be sent; one that is gone already is no error."""
    found = _uuid(attachment_id)
    Attachment.delete().where(
        Attachment.id == found, Attachment.user == user_id, Attachment.message.is_null()
    ).execute()


def attach(conversation_id: uuid.UUID, message_id: int, ids: Sequence[str]) -> None:
    """Send these waiting files with a message, in this order. Raises `AttachmentNotFound` if one
    does not wait in this conversation."""
    for place, attachment_id in enumerate(ids):
        changed = (
            Attachment.update(message=message_id, place=place)
            .where(
                Attachment.id == _uuid(attachment_id),
                Attachment.conversation == conversation_id,
                Attachment.message.is_null(),
            )
            .execute()
        )
        if not changed:
            raise AttachmentNotFound()


def copy(from_message: int, to_message: int) -> None:
    """Give a message the same files as another one."""
    rows: Any = Attachment.select().where(Attachment.message == from_message)
    for row in list(rows):
        _copied(row, message=to_message)


def content(user_id: int, attachment_id: str) -> Stored:
    """A file with its content. Raises `AttachmentNotFound` unless it belongs to the user."""
    row: Any = Attachment.get_or_none(
        Attachment.id == _uuid(attachment_id), Attachment.user == user_id
    )
    if row is None:
        raise AttachmentNotFound()
    return _stored(row)


def of_messages(message_ids: Iterable[int]) -> dict[int, list[Attached]]:
    """The files of these messages by message id, without their content. One query."""
    a = Attachment
    columns = (a.id, a.message, a.kind, a.name, a.width, a.height, a.pages, a.size)
    rows: Any = (
        a.select(*columns).where(a.message.in_(list(message_ids))).order_by(a.message, a.place)
    )
    found: dict[int, list[Attached]] = {}
    for row in rows:
        found.setdefault(row.message_id, []).append(_attached(row))
    return found


def contents(message_ids: Iterable[int]) -> dict[int, list[Stored]]:
    """The files of these messages by message id, with their content."""
    rows: Any = (
        Attachment.select()
        .where(Attachment.message.in_(list(message_ids)))
        .order_by(Attachment.message, Attachment.place)
    )
    found: dict[int, list[Stored]] = {}
    for row in rows:
        found.setdefault(row.message_id, []).append(_stored(row))
    return found


def first_name(message_id: int) -> str:
    """The name of the first file of a message; empty if it has none."""
    files = of_messages([message_id]).get(message_id, [])
    return files[0].name if files else ""


def in_conversation(conversation_id: uuid.UUID) -> bool:
    """Whether any message of a conversation has a file."""
    return bool(list(_sent(conversation_id)))


def _copied(row: Any, **changes: Any) -> Attached:
    """Store a copy of a file with these changes."""
    copy_id = uuid.uuid4()
    Attachment.insert(**{**row.__data__, **changes, "id": copy_id}).execute()
    return _attached(row)._replace(id=str(copy_id))


def _make_room(conversation_id: uuid.UUID) -> None:
    """Delete the oldest files that wait in a conversation, so that one more may."""
    waiting: Any = (
        Attachment.select(Attachment.id)
        .where(Attachment.conversation == conversation_id, Attachment.message.is_null())
        .order_by(Attachment.created_at.desc(), Attachment.id)
        .offset(MOST_UNSENT - 1)
        .limit(MOST_UNSENT)
        .tuples()
    )
    ids = [attachment_id for (attachment_id,) in waiting]
    if ids:
        Attachment.delete().where(Attachment.id.in_(ids)).execute()


@prepared
def _sent(conversation_id: Any) -> Any:
    mine = (Attachment.conversation == conversation_id) & Attachment.message.is_null(False)
    return Attachment.select(Attachment.id).where(mine).limit(1).tuples()


def _attached(row: Any) -> Attached:
    return Attached(str(row.id), row.kind, row.name, row.width, row.height, row.pages, row.size)


def _stored(row: Any) -> Stored:
    return Stored(row.kind, row.type, row.name, row.width, row.height, row.pages, bytes(row.data))


def _uuid(told: str) -> uuid.UUID:
    try:
        return uuid.UUID(told)
    except ValueError:
        raise AttachmentNotFound() from None
