"""The login routes.

An event of the page cannot set a cookie, so the login is here: JSON in, JSON and a cookie out.
`accounts` decides about accounts, `guard.py` about which requests get here.
"""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatbot.accounts import Accounts, Person
from chatbot.errors import BadInput, BodyTooLarge, ChatbotError, NotLoggedIn
from chatbot.ui.answers import refusal
from chatbot.ui.cookies import set_login_cookie, token_of
from chatbot.ui.doors import API

# Below /gradio_api: with server-side rendering only such paths reach Python.
PREFIX = f"{API}/chatbot"
MAX_BODY = 16 * 1024

Handler = Callable[[Request], Awaitable[Response]]


async def _never() -> bool:
    return False


def routes(
    accounts: Accounts,
    look: Callable[[], Awaitable[None]],
    *,
    login_days: float,
    paused: Callable[[], Awaitable[bool]] = _never,
) -> list[Route]:
    """The routes to put in front of the web app's own. `look` raises if the database has a problem,
    `paused` says whether new replies are refused."""
    handle = _Handlers(accounts, look, round(login_days * 24 * 3600), paused)
    table: list[tuple[str, str, Handler]] = [
        ("POST", "register", handle.register),
        ("POST", "login", handle.log_in),
        ("POST", "logout", handle.log_out),
        ("POST", "password", handle.change_password),
        ("GET", "me", handle.me),
        ("GET", "health", handle.health),
    ]
    return [
        Route(f"{PREFIX}/{name}", answering(handler), methods=[method], name=f"chatbot_{name}")
        for method, name, handler in table
    ]


class _Handlers:
    def __init__(
        self,
        accounts: Accounts,
        look: Callable[[], Awaitable[None]],
        max_age: int,
        paused: Callable[[], Awaitable[bool]],
    ) -> None:
        self._accounts = accounts
        self._look = look
        self._max_age = max_age
        self._paused = paused

    async def register(self, request: Request) -> Response:
        name, password, invite = await texts_of(request, "name", "password", invite="")
        token = await self._accounts.register(
            name, password, invite, _address(request), agent=_agent(request)
        )
        return await self._logged_in(request, token)

    async def log_in(self, request: Request) -> Response:
        name, password = await texts_of(request, "name", "password")
        token = await self._accounts.log_in(
            name, password, _address(request), agent=_agent(request)
        )
        return await self._logged_in(request, token)

    async def log_out(self, request: Request) -> Response:
        token = token_of(request)
        if token:
            await self._accounts.log_out(token)
        response = _user(None)
        set_login_cookie(response, request, "", 0)
        return response

    async def change_password(self, request: Request) -> Response:
        current, new = await texts_of(request, "current", "new")
        token = token_of(request)
        person = await self._accounts.person(token)
        if token is None or person is None:
            raise NotLoggedIn()
        await self._accounts.change_password(person, current, new, token)
        return _user(person)

    async def me(self, request: Request) -> Response:
        token = token_of(request)
        person = await self._accounts.person(token)
        # Say so before the user types a question that would be refused.
        paused = person is not None and await self._paused()
        response = _user(person, **({"paused": True} if paused else {}))
        if token and person:
            # The login was renewed: the cookie should last as long.
            set_login_cookie(response, request, token, self._max_age)
        return response

    async def health(self, request: Request) -> Response:
        await self._look()
        return JSONResponse({"status": "ok"})

    async def _logged_in(self, request: Request, token: str) -> Response:
        response = _user(await self._accounts.person(token))
        set_login_cookie(response, request, token, self._max_age)
        return response


def answering(handler: Handler) -> Handler:
    """Wrap a handler: every `ChatbotError` becomes its JSON response."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except ChatbotError as error:
            response = refusal(error, request.headers)
        except ClientDisconnect:
            # The client has left; nobody reads this response.
            response = Response(status_code=400)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer


def _user(person: Person | None, **more: bool) -> Response:
    shown = person and {"name": person.name, "is_admin": person.is_admin}
    return JSONResponse({"user": shown, **more})


async def texts_of(request: Request, *required: str, **optional: str) -> list[str]:
    """These fields of the JSON body, in this order. Raises `BadInput` unless all are texts."""
    fields = await fields_of(request)
    texts: list[Any] = [fields.get(name) for name in required]
    for name, default in optional.items():
        text = fields.get(name)
        texts.append(default if text is None else text)
    if not all(isinstance(text, str) for text in texts):
        raise BadInput()
    return texts


async def fields_of(request: Request) -> dict[str, Any]:
    """The fields of the JSON body. Raises `BadInput` if it is not a JSON object."""
    try:
        fields: Any = json.loads(await _body(request))
    # Not JSON, not UTF-8, an invalid length, or nested too deeply.
    except (ValueError, RecursionError):
        raise BadInput() from None
    if not isinstance(fields, dict):
        raise BadInput()
    return fields


async def _body(request: Request) -> bytes:
    """Read the body, at most `MAX_BODY` bytes, whatever length it declares."""
    declared = request.headers.get("content-length", "0")
    if int(declared) > MAX_BODY:
        raise BodyTooLarge()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLarge()
    return bytes(body)


def _address(request: Request) -> str:
    # The peer, or the peer of a proxy that is named in TRUSTED_PROXIES.
    return request.client.host if request.client else ""


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
