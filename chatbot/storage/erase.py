"""Deleting a conversation or a person so that nothing is left, in the rows or in the file.

Both run in a `Storage` transaction; `Storage.empty_log` after it takes the copies in SQLite's log.
What a row held is overwritten (`secure_delete`). The ledger keeps its numbers, without a person
they belonged to.
"""

from datetime import timedelta
from typing import Any

from chatbot.storage.fields import now
from chatbot.storage.models import Conversation, Login, Message, Usage, User

NETWORK_KEPT = timedelta(days=1)
"""How long the ledger knows on which network a deleted account was made."""


def conversation(user_id: int, conversation_id: str) -> list[str]:
    """Delete one conversation; the ids under which Ark still stores its replies."""
    found = Conversation.of(user_id, conversation_id)
    refs = _delete_messages(Message.conversation == found.id)
    found.delete_instance()
    return refs


def account(user_id: int) -> list[str]:
    """Delete the user with all that is theirs; the ids under which Ark still stores replies."""
    conversations = Conversation.select(Conversation.id).where(Conversation.user == user_id)
    refs = _delete_messages(Message.conversation.in_(conversations))
    network = User.select(User.network).where(User.id == user_id)
    Usage.update(user_id=None, conversation_id=None, network=network).where(
        Usage.user_id == user_id
    ).execute()
    # What it is for is over with the day.
    past = now() - NETWORK_KEPT
    Usage.update(network="").where(Usage.network != "", Usage.at < past).execute()
    Conversation.delete().where(Conversation.user == user_id).execute()
    Login.delete().where(Login.user == user_id).execute()
    User.delete().where(User.id == user_id).execute()
    return refs


def _delete_messages(which: Any) -> list[str]:
    stored: Any = Message.select(Message.ref).where(which, Message.ref.is_null(False))
    refs = [ref for row in stored for ref in row.ref.split()]
    # A chain of parents would be deleted step into step, and SQLite goes 1,000 steps deep.
    Message.update(parent=None).where(which).execute()
    Message.delete().where(which).execute()
    return refs
