"""Looking at what was asked of Ark, and at what became of a conversation."""

import json

from chatbot.storage.tables import Conversation

SYSTEM = ("system", "Be brief.")
CALLS = {
    "/api/v3/context/create": "create",
    "/api/v3/context/chat/completions": "context",
    "/api/v3/responses": "responses",
    "/api/v3/chat/completions": "chat",
}


def calls(ark, since=0):
    """Which calls were made, in order, and whether they were answered."""
    return [(CALLS[r.path], r.status == 200) for r in ark.requests[since:] if r.path in CALLS]


def shown(messages):
    return [(m.role, m.content) for m in messages]


async def recalled(chat, one):
    reply = await chat.ask(one, "recall")
    assert reply.state == "complete", reply.error
    return [tuple(line) for line in json.loads(reply.content)]


async def stored(chat, one):
    return await chat.storage.read(lambda: Conversation.get_by_id(one))
