"""The login routes and the guard in front of the whole app.

An event of the page cannot set a cookie, so logging in happens here: JSON in, JSON and a cookie
out. Decides nothing about accounts; knows the browser's side of it: cookie, origins, headers.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.accounts import Accounts, Person
from chatbot.errors import BadInput, ChatbotError, NotLoggedIn, TooManyAttempts
from chatbot.storage.database import Storage
from chatbot.ui.texts import error_text, language_of

# Below /gradio_api: with server-side rendering only such paths reach Python.
PREFIX = "/gradio_api/chatbot"
COOKIE = "chatbot_login"
MAX_BODY = 16 * 1024
MAX_REQUEST = 2 * 1024 * 1024
"""The longest body of any request: an event of the page with the longest message is far below."""
UPLOADS = "/gradio_api/upload"

Handler = Callable[[Request], Awaitable[Response]]

# Model output may hold styles, forms and remote images (a leak by image address): what it must
# not reach is closed here. Gradio itself needs the inline and eval parts.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; form-action 'self'; base-uri 'self'; object-src 'none'; "
    "frame-ancestors {frame_ancestors}"
)


class BodyTooLarge(BadInput):
    """The body of a request is longer than any that this app's page sends."""

    status = 413


class NoUploads(ChatbotError):
    """Gradio's upload route asks nobody for a login, and this app takes no files."""

    code = "no_uploads"
    sentence = "This app takes no files."
    status = 403


class CrossSite(ChatbotError):
    """Another site's page tried to act in the name of whoever is logged in here."""

    code = "cross_site"
    sentence = "This request came from another site and was refused."
    status = 403


def token_of(cookies: Mapping[str, str]) -> str | None:
    """The login token among a request's cookies, which `Accounts.person` turns into a person."""
    return cookies.get(COOKIE) or None


def routes(accounts: Accounts, storage: Storage, *, login_days: float) -> list[Route]:
    """The routes to hand to the web app, in front of its own."""
    handle = _Handlers(accounts, storage, round(login_days * 24 * 3600))
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
    def __init__(self, accounts: Accounts, storage: Storage, max_age: int) -> None:
        self._accounts = accounts
        self._storage = storage
        self._max_age = max_age

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
        token = token_of(request.cookies)
        if token:
            await self._accounts.log_out(token)
        response = _user(None)
        set_login_cookie(response, request, "", 0)
        return response

    async def change_password(self, request: Request) -> Response:
        current, new = await texts_of(request, "current", "new")
        token = token_of(request.cookies)
        person = await self._accounts.person(token)
        if token is None or person is None:
            raise NotLoggedIn()
        await self._accounts.change_password(person, current, new, token)
        return _user(person)

    async def me(self, request: Request) -> Response:
        token = token_of(request.cookies)
        person = await self._accounts.person(token)
        response = _user(person)
        if token and person:
            # The login was renewed, so the browser should not forget it earlier.
            set_login_cookie(response, request, token, self._max_age)
        return response

    async def health(self, request: Request) -> Response:
        await self._storage.look()
        return JSONResponse({"status": "ok"})

    async def _logged_in(self, request: Request, token: str) -> Response:
        response = _user(await self._accounts.person(token))
        set_login_cookie(response, request, token, self._max_age)
        return response


def answering(handler: Handler) -> Handler:
    """The handler with every `ChatbotError` turned into its JSON answer."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except ChatbotError as error:
            response = _error(error, request.headers)
        response.headers["Cache-Control"] = "no-store"
        return response

    return answer


def _error(error: ChatbotError, headers: Headers) -> Response:
    message = error_text(error, language_of(headers.get("accept-language")))
    response = JSONResponse({"error": {"code": error.code, "message": message}}, error.status)
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.values["seconds"])
    if isinstance(error, BodyTooLarge):
        # The rest of the body is not read, so the connection is of no further use.
        response.headers["Connection"] = "close"
    return response


def _user(person: Person | None) -> Response:
    shown = person and {"name": person.name, "is_admin": person.is_admin}
    return JSONResponse({"user": shown})


async def texts_of(request: Request, *required: str, **optional: str) -> list[str]:
    """These fields of the JSON body, in this order; raises `BadInput` unless all are texts."""
    fields = await fields_of(request)
    texts: list[Any] = [fields.get(name) for name in required]
    for name, default in optional.items():
        text = fields.get(name)
        texts.append(default if text is None else text)
    if not all(isinstance(text, str) for text in texts):
        raise BadInput()
    return texts


async def fields_of(request: Request) -> dict[str, Any]:
    """The fields of the JSON body; raises `BadInput` when it has none."""
    try:
        fields: Any = json.loads(await _body(request))
    # Not JSON, not UTF-8, a length that is no number, or nested too deeply.
    except (ValueError, RecursionError):
        raise BadInput() from None
    if not isinstance(fields, dict):
        raise BadInput()
    return fields


async def _body(request: Request) -> bytes:
    """The body, read no further than `MAX_BODY`, whatever length it declares."""
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
    # The peer, or what a proxy that is named in TRUSTED_PROXIES says of its peer.
    return request.client.host if request.client else ""


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")


def set_login_cookie(response: Response, request: Request, value: str, max_age: int) -> None:
    """Have the browser keep this token; an empty one with an age of 0 has it forget the last."""
    # By hand: Starlette refuses `partitioned` before Python 3.14. A browser keeps the cookie
    # inside another site's frame, where hosted demos live, only if it is partitioned.
    kind = "Secure; SameSite=None; Partitioned" if _is_https(request) else "SameSite=Lax"
    cookie = f"{COOKIE}={value}; Path=/; HttpOnly; Max-Age={max_age}; {kind}"
    response.headers.append("set-cookie", cookie)


def _is_https(request: Request) -> bool:
    """Whether the browser sees https; behind a tunnel or a proxy this app itself sees http."""
    forwarded = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    # A same-origin GET has no Origin, but a Referer.
    page = request.headers.get("origin") or request.headers.get("referer", "")
    return page.startswith("https://") or "https" in (forwarded, request.url.scheme)


class Guard:
    """ASGI middleware: refuses what another site's page sends, and sets the security headers.

    Gradio reflects any origin with credentials, so its CORS protects nobody. Plain ASGI, because
    Starlette's `BaseHTTPMiddleware` gets in the way of streamed answers.
    """

    def __init__(self, app: ASGIApp, frame_ancestors: str = "'self'") -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": POLICY.format(frame_ancestors=frame_ancestors),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message if received <= MAX_REQUEST else {"type": "http.disconnect"}

        headers = Headers(scope=scope)
        refusal = _refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive_bounded, send_guarded)
        else:
            await _error(refusal, headers)(scope, receive, send_guarded)


def _refusal(scope: Scope, headers: Headers) -> ChatbotError | None:
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return None
    if not _is_same_origin(headers):
        return CrossSite()
    if UPLOADS in scope["path"]:
        return NoUploads()
    declared = headers.get("content-length", "0")
    too_large = len(declared) > 9 or (declared.isdigit() and int(declared) > MAX_REQUEST)
    return BodyTooLarge() if too_large else None


def _is_same_origin(headers: Headers) -> bool:
    """Whether our own page, or no page at all (a program), sent this request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    # Browsers send no Sec-Fetch-Site to plain http, except on this machine.
    hosts = [headers.get("host", ""), *headers.get("x-forwarded-host", "").split(",")]
    try:
        sender = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(sender) and sender.lower() in (host.strip().lower() for host in hosts)
