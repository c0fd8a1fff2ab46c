"""The route for what a user chooses for a session: model, thinking, search, and how it answers.

A route, not an event: the controls beside the prompt are plain HTML, so a frame of the chat need
not carry their state.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts
from chatbot.errors import BadInput, NotLoggedIn
from chatbot.service import ChatService
from chatbot.ui.cookies import token_of
from chatbot.ui.routes import PREFIX, answering, fields_of
from chatbot.ui.texts import language_of
from chatbot.ui.transcript import chosen_values


def options_route(accounts: Accounts, service: ChatService) -> Route:
    """POST {"session": id, "changes": {…}}: {"options"}, what holds from the next question on."""

    async def options(request: Request) -> Response:
        fields = await fields_of(request)
        person = await accounts.person(token_of(request))
        if person is None:
            raise NotLoggedIn()
        session: Any = fields.get("session")
        changes: Any = fields.get("changes")
        if not isinstance(session, str) or not isinstance(changes, dict):
            raise BadInput()
        chosen = await service.choose(person.id, session, changes)
        language = language_of(request.headers.get("accept-language"))
        return JSONResponse({"options": chosen_values(chosen, language)})

    return Route(f"{PREFIX}/options", answering(options), methods=["POST"])
