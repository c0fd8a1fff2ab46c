"""Deletes a conversation or a user completely, from the tables and from the file.

Both functions run in a `Storage` transaction; call `Storage.empty_log` afterwards to remove the
copies in SQLite's log. Deleted rows are overwritten (`secure_delete`). Turns keep their numbers
but lose their user and conversation.
"""

from datetime import timedelta
from typing import Any

from chatbot.storage import conversations
from chatbot.storage.current import now
from chatbot.storage.tables import Conversation, Login, Message, Turn, User

NETWORK_KEPT = timedelta(days=1)
"""How long the turns of a deleted user keep the network where the account was registered."""


def conversation(user_id: int, conversation_id: str) -> list[str]:
    """Delete one conversation; returns the ids of its replies that Ark still stores.

    Raises `ConversationNotFound`.
    """
    found = conversations.hold(user_id, conversation_id)
    refs = _delete_messages(Turn.conversation == found.id, Message.conversation == found.id)
    found.delete_instance()
    return refs


def account(user_id: int) -> list[str]:
    """Delete a user with all their data; returns the ids of replies that Ark still stores."""
    conversations.hold_user(user_id)
    mine = Conversation.select(Conversation.id).where(Conversation.user == user_id)
    network = User.select(User.network).where(User.id == user_id)
    Turn.update(network=network).where(Turn.user == user_id).execute()
    refs = _delete_messages(Turn.user == user_id, Message.conversation.in_(mine))
    # The network is only needed for daily limits.
    past = now() - NETWORK_KEPT
    Turn.update(network="").where(Turn.network != "", Turn.started_at < past).execute()
    Conversation.delete().where(Conversation.user == user_id).execute()
    Login.delete().where(Login.user == user_id).execute()
    Turn.update(user=None).where(Turn.user == user_id).execute()
    User.delete().where(User.id == user_id).execute()
    return refs


def _delete_messages(turns: Any, messages: Any) -> list[str]:
    stored: Any = Turn.select(Turn.refs).where(turns, Turn.refs != "").tuples()
    refs = [ref for (told,) in stored for ref in told.split()]
    Turn.update(conversation=None, question_id=None, reply_id=None, refs="").where(turns).execute()
    # Unlink parents first: SQLite follows a chain of deletions only 1,000 levels deep.
    Message.update(parent=None).where(messages).execute()
    Message.delete().where(messages).execute()
    return refs
