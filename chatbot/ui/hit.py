"""Finds the message of a session that matches a search, so that the page can open it there."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts
from chatbot.errors import NotLoggedIn
from chatbot.service import ChatService
from chatbot.ui.cookies import token_of
from chatbot.ui.routes import PREFIX, answering, texts_of


def hit_route(accounts: Accounts, service: ChatService) -> Route:
    """POST {"session", "search"}: {"message": id or null, "after"}, for the user's own session."""

    async def hit(request: Request) -> Response:
        session, search = await texts_of(request, "session", "search")
        person = await accounts.person(token_of(request))
        if person is None:
            raise NotLoggedIn()
        message, after = await service.hit(person.id, session, search)
        return JSONResponse({"message": message, "after": after})

    return Route(f"{PREFIX}/hit", answering(hit), methods=["POST"])
