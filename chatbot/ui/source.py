"""The source text of a message, so that the page copies the stored text."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts
from chatbot.errors import NotLoggedIn
from chatbot.service import ChatService
from chatbot.ui.cookies import token_of
from chatbot.ui.routes import PREFIX, answering, texts_of


def source_route(accounts: Accounts, service: ChatService) -> Route:
    """POST {"message": id}: {"text"}, for the user's own message."""

    async def source(request: Request) -> Response:
        (message,) = await texts_of(request, "message")
        person = await accounts.person(token_of(request))
        if person is None:
            raise NotLoggedIn()
        return JSONResponse({"text": await service.source(person.id, message)})

    return Route(f"{PREFIX}/source", answering(source), methods=["POST"])
