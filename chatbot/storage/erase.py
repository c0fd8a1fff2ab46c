"""Deleting a conversation or a person so that nothing is left, in the rows or in the file.

Both run in a `Storage` transaction; `Storage.empty_log` after it takes the copies in SQLite's log.
What a row held is overwritten (`secure_delete`). The turns keep their numbers, without a person or
a conversation they belonged to.
"""

from datetime import timedelta
from typing import Any

from chatbot.storage import conversations
from chatbot.storage.current import now
from chatbot.storage.tables import Conversation, Login, Message, Turn, User

NETWORK_KEPT = timedelta(days=1)
"""How long a turn knows on which network the account of its deleted user was made."""


def conversation(user_id: int, conversation_id: str) -> list[str]:
    """Delete one conversation; the ids under which Ark still stores its replies.

    Raises `ConversationNotFound`.
    """
    found = conversations.hold(user_id, conversation_id)
    refs = _delete_messages(Turn.conversation == found.id, Message.conversation == found.id)
    found.delete_instance()
    return refs


def account(user_id: int) -> list[str]:
    """Delete the user with all that is theirs; the ids under which Ark still stores replies."""
    conversations.hold_user(user_id)
    mine = Conversation.select(Conversation.id).where(Conversation.user == user_id)
    network = User.select(User.network).where(User.id == user_id)
    Turn.update(network=network).where(Turn.user == user_id).execute()
    refs = _delete_messages(Turn.user == user_id, Message.conversation.in_(mine))
    # What it is for is over with the day.
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
    # A chain of parents would be deleted step into step, and SQLite goes 1,000 steps deep.
    Message.update(parent=None).where(messages).execute()
    Message.delete().where(messages).execute()
    return refs
