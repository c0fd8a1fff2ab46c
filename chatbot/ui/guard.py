"""Checks every request before Gradio gets it, and limits the rate.

The checks: the allow-list (`doors.py`), host names and origins (`proxies.py`, `origins.py`), and
for events and streams of the page, the tab (`tabs.py`) and the inputs (`event_inputs.py`). Then
Gradio or one of our routes answers.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.accounts import Accounts, login_key
from chatbot.addresses import network_of
from chatbot.errors import BadInput, BodyTooLarge, ChatbotError, NotLoggedIn, TooManyRequests
from chatbot.ui.answers import event_refusal, page_refusal, refusal, session_not_found
from chatbot.ui.cookies import token_of
from chatbot.ui.doors import Door, Doors, path_of
from chatbot.ui.event_inputs import EVENT, SESSION_HASH, Event, EventInputs
from chatbot.ui.events import Shortcuts
from chatbot.ui.lanes import Lanes
from chatbot.ui.origins import Origins
from chatbot.ui.pace import Pace
from chatbot.ui.proxies import Proxies, header
from chatbot.ui.tabs import CALLER, RUNNING, Caller, Running, Stream, Tab, Tabs

log = logging.getLogger("chatbot.ui")

FOR_ANYONE = {"view", "follow"}
"""The events of the login page."""
LONGEST_BODY = 2 * 1024 * 1024
"""Most bytes of a request to one of our routes, which may have a lower limit."""
CHUNK = 1024 * 1024
"""More bytes of an upload than the limit, so that the route can say what the limit is."""
MOST_FIELDS = 20
"""Most fields in the query of an address."""
LONGEST_ANONYMOUS = 4 * 1024
"""Most bytes of an event without a login."""
REFUSED_SECONDS = 0.3
"""Average delay before a request over the rate limit is refused: a waiting connection sends no
other request."""
NOBODY = "nobody"
"""The lane of all visitors without a login."""
IN_A_ROW = partial(Pace, burst=10, per_second=20)
"""Events of one user: 10 at once, then 20 per second. Opening a page takes three."""
UPLOADS = partial(Pace, burst=40, per_second=0.5)
"""Uploads of one person: 40 at once, then 30 per minute."""
OF_NOBODY_IN_A_ROW = partial(Pace, burst=10, per_second=50)
"""Events of all visitors without a login, together."""

# Blocks what model output must not do: forms, remote images (they leak data by their address),
# foreign styles. Gradio itself needs the inline and eval parts.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; form-action 'self'; base-uri 'self'; object-src 'none'; "
    "frame-ancestors {frame_ancestors}"
)

ANSWERS = {Door.JOIN: event_refusal, Door.PAGE: page_refusal}
# nginx and similar proxies buffer a stream until it ends, unless these headers forbid it.
STREAM_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform"}
STORED_HEADERS = {
    # What a person uploaded can do nothing, opened by itself. The style is the browser's own.
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
}

Passed = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Rules:
    """What the guard checks with; one set for the whole app."""

    accounts: Accounts
    doors: Doors
    proxies: Proxies
    origins: Origins
    inputs: EventInputs
    tabs: Tabs
    anonymous_pace: Pace
    person_pace: Pace
    frame_ancestors: str = "'self'"
    largest_file: int = LONGEST_BODY
    """Most bytes of an upload; the route tells the person."""
    upload_pace: Pace = field(default_factory=UPLOADS)
    lanes: Lanes = field(default_factory=lambda: Lanes(IN_A_ROW()))
    lane_of_nobody: Lanes = field(default_factory=lambda: Lanes(OF_NOBODY_IN_A_ROW()))

    async def watch(self) -> None:
        """End the tabs of logins that have ended for any reason. Runs until cancelled."""
        await self.tabs.watch(self.accounts.still_logged_in)


class Guard:
    """Plain ASGI middleware, because Starlette's `BaseHTTPMiddleware` disturbs streams."""

    def __init__(self, app: ASGIApp, rules: Rules, shortcuts: Shortcuts | None = None) -> None:
        self._app = app
        self._rules = rules
        self._joined = shortcuts.join if shortcuts else app
        self._streamed = shortcuts.data if shortcuts else app
        self._headers = {
            "Content-Security-Policy": POLICY.format(frame_ancestors=rules.frame_ancestors),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or "chatbot.guarded" in scope:
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # The page uses no web sockets.
            await send({"type": "websocket.close", "code": 1008})
            return
        scope["chatbot.guarded"] = True
        headers = dict(self._headers)
        send = _with_headers(send, headers)
        door = None
        try:
            self._rules.proxies.settle(scope)
            door = self._rules.doors.find(scope)
            if door is Door.STORED:
                headers.update(STORED_HEADERS)
            self._rules.origins.check(scope, door)
            passed = await self._admit(door, scope, receive)
        except ChatbotError as error:
            if isinstance(error, TooManyRequests):
                # Random, so that they do not all return at the same time.
                await asyncio.sleep(REFUSED_SECONDS * random.uniform(0.5, 1.5))
            answer = ANSWERS.get(door, refusal) if door else refusal
            await answer(error, Headers(scope=scope))(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await passed(scope, receive, send)

    async def _admit(self, door: Door, scope: Scope, receive: Receive) -> Passed:
        """The app that answers this request. Raises a `ChatbotError` if it is refused."""
        if door is Door.JOIN:
            return await self._join(scope, receive)
        if door is Door.DATA:
            return self._answers(scope, _session_hash(scope))
        # Gradio's page reads more from the query, such as what `deep_link` has stored.
        scope["query_string"] = b""
        if door is Door.HEARTBEAT:
            return await self._heartbeat(scope, path_of(scope).rpartition("/")[2])
        if door is Door.UPLOAD:
            return await self._upload(scope)
        _check_length(scope, LONGEST_BODY)
        return self._bounded(LONGEST_BODY)

    async def _upload(self, scope: Scope) -> Passed:
        """Nothing of the body has been read yet."""
        person = (await self._caller(scope)).person
        if person is None:
            raise NotLoggedIn()
        self._rules.upload_pace.take(person.id)
        return self._bounded(self._rules.largest_file + CHUNK)

    def _bounded(self, longest: int) -> Passed:
        async def passed(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, _at_most(longest, receive), send)

        return passed

    async def _join(self, scope: Scope, receive: Receive) -> Passed:
        rules, caller = self._rules, await self._caller(scope)
        if caller.person is None:
            rules.anonymous_pace.take(caller.key)
        else:
            rules.person_pace.take(caller.person.id)
        body = await _body(
            scope, receive, rules.inputs.longest_body if caller.person else LONGEST_ANONYMOUS
        )
        event = rules.inputs.read(body)
        if caller.person is None and event.name not in FOR_ANYONE:
            # After the login ended, the tab is lost; a tab without a login stays valid.
            rules.tabs.find(event.session_hash, "", caller.key)
            raise NotLoggedIn()
        running = rules.tabs.join(event.session_hash, caller)
        scope[CALLER], scope[RUNNING], scope[EVENT] = caller, running, event.fields
        # The length of the original body is wrong for the checked one.
        del MutableHeaders(scope=scope)["content-length"]
        person = caller.person
        lane = rules.lanes.go(person.id) if person else rules.lane_of_nobody.go(NOBODY)
        return _Join(self._joined, event, running, lane)

    def _answers(self, scope: Scope, session_hash: str) -> Passed:
        tab = self._find(scope, session_hash)
        if tab is None:
            return session_not_found()
        scope["query_string"] = f"session_hash={session_hash}".encode()
        return _Streaming(self._streamed, self._rules.tabs.open(tab, answers=True))

    async def _heartbeat(self, scope: Scope, session_hash: str) -> Passed:
        tab = self._find(scope, session_hash)
        if tab is None:
            # The first request of a page, together with its first event.
            tab = self._rules.tabs.enter(session_hash, await self._caller(scope))
        return _Streaming(self._app, self._rules.tabs.open(tab, answers=False))

    def _find(self, scope: Scope, session_hash: str) -> Tab | None:
        if not SESSION_HASH.fullmatch(session_hash):
            return None
        token = token_of(Request(scope))
        key = login_key(token) if token else ""
        return self._rules.tabs.find(session_hash, key, _network(scope))

    async def _caller(self, scope: Scope) -> Caller:
        token = token_of(Request(scope))
        person = await self._rules.accounts.person(token) if token else None
        key = login_key(token) if token and person else _network(scope)
        return Caller(person, key, time.monotonic())


def stand_in_front(app: Any, rules: Rules, shortcuts: Shortcuts | None) -> None:
    """Move the guard to the front of a web app that is just starting.

    Gradio puts its CORS middleware in front of all others, so the guard moves after the stack is
    built. If that fails, the guard stays in place: it refuses the same requests, but Gradio
    answers preflights.
    """
    if getattr(app, "middleware_stack", None) is None:
        log.warning("the guard stands behind Gradio's CORS: Starlette has changed")
        return
    app.middleware_stack = Guard(app.middleware_stack, rules, shortcuts)


class _Join:
    """Passes an event to Gradio in its lane; ends the event if Gradio refuses it."""

    def __init__(
        self, app: ASGIApp, event: Event, running: Running, lane: AbstractAsyncContextManager[None]
    ) -> None:
        self._app = app
        self._event = event
        self._running = running
        self._lane = lane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = given = False

        async def receive_given() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": self._event.body, "more_body": False}

        async def send_and_look(message: Message) -> None:
            nonlocal taken
            if message["type"] == "http.response.start":
                taken = message["status"] == 200
            await send(message)

        try:
            async with self._lane:
                await self._app(scope, receive_given, send_and_look)
        finally:
            if not taken:
                self._running.end()


class _Streaming:
    """A stream of a tab, which ends with the tab."""

    def __init__(self, app: ASGIApp, stream: Stream) -> None:
        self._app = app
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream, started = self._stream, False

        async def send_while_open(message: Message) -> None:
            nonlocal started
            if not stream.over:
                started = True
                await send(message)

        try:
            await self._app(scope, receive, send_while_open)
        except (asyncio.CancelledError, Exception):
            # Gradio may fail because the tab's data has been freed.
            if not stream.over:
                raise
        finally:
            stream.close()
        if not stream.over:
            return
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        # On this message the page reloads itself.
        last = session_not_found()
        if started:
            await send({"type": "http.response.body", "body": last.body, "more_body": False})
        else:
            await last(scope, receive, send)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Set these headers, and remove those that open a response to other sites."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent = MutableHeaders(scope=message)
            for name in [name for name in sent if name.startswith("access-control-")]:
                del sent[name]
            sent.update(headers)
            if sent.get("content-type", "").startswith("text/event-stream"):
                sent.update(STREAM_HEADERS)
        await send(message)

    return send_with_headers


def _at_most(longest: int, receive: Receive) -> Receive:
    """The body, as if the client had left after so many bytes."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= longest else {"type": "http.disconnect"}

    return receive_bounded


def _network(scope: Scope) -> str:
    address = scope["client"][0] if scope.get("client") else ""
    return f"network:{network_of(address)}"


def _check_length(scope: Scope, longest: int) -> None:
    declared = header(scope, b"content-length") or "0"
    if len(declared) > 9 or (declared.isdigit() and int(declared) > longest):
        raise BodyTooLarge()


async def _body(scope: Scope, receive: Receive, longest: int) -> bytes:
    """Read the body, at most `longest` bytes, whatever length it declares."""
    _check_length(scope, longest)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect()
        body += message.get("body", b"")
        if len(body) > longest:
            raise BodyTooLarge()
        if not message.get("more_body"):
            return bytes(body)


def _session_hash(scope: Scope) -> str:
    """The `session_hash` in the address of a stream."""
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadInput() from None
    return query.get("session_hash", [""])[0]
