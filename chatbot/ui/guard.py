"""What stands in front of Gradio: only what the page needs gets in, and only whose turn it is.

A request goes through the list of doors (`doors.py`), names and origins (`proxies.py`,
`origins.py`), and, where it is an event or a stream of the page, the tab it names (`tabs.py`) and
what it brings (`event_inputs.py`). Then it is Gradio's, or a route's of ours.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
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
"""Of a request to a route of ours, which may have a lower limit of its own."""
MOST_FIELDS = 20
"""In the query of an address."""
LONGEST_ANONYMOUS = 4 * 1024
"""Of an event without a login."""
REFUSED_SECONDS = 0.3
"""How long, on average, a request over the pace waits for its refusal: a connection that waits
sends no further request."""
NOBODY = "nobody"
"""The lane of all who are not logged in."""
IN_A_ROW = partial(Pace, burst=10, per_second=20)
"""Events of one person: ten at once, then 20 a second. Opening a page takes three."""
OF_NOBODY_IN_A_ROW = partial(Pace, burst=10, per_second=50)
"""Events of all who are not logged in, together."""

# Model output may hold styles, forms and remote images (a leak by image address): what it must
# not reach is closed here. Gradio itself needs the inline and eval parts.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; form-action 'self'; base-uri 'self'; object-src 'none'; "
    "frame-ancestors {frame_ancestors}"
)

# nginx and others like it hold a stream back until it ends, to pack or to encrypt it in one piece.
ANSWERS = {Door.JOIN: event_refusal, Door.PAGE: page_refusal}
STREAM_HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache, no-transform"}

Passed = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Rules:
    """What the guard asks; one set for the whole app."""

    accounts: Accounts
    doors: Doors
    proxies: Proxies
    origins: Origins
    inputs: EventInputs
    tabs: Tabs
    anonymous_pace: Pace
    person_pace: Pace
    frame_ancestors: str = "'self'"
    lanes: Lanes = field(default_factory=lambda: Lanes(IN_A_ROW()))
    lane_of_nobody: Lanes = field(default_factory=lambda: Lanes(OF_NOBODY_IN_A_ROW()))

    async def watch(self) -> None:
        """For ever: end the tabs of logins that have ended, whoever ended them."""
        await self.tabs.watch(self.accounts.still_logged_in)


class Guard:
    """ASGI middleware. Plain, because Starlette's `BaseHTTPMiddleware` gets in the way of
    streamed answers."""

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
            # The page opens no web socket.
            await send({"type": "websocket.close", "code": 1008})
            return
        scope["chatbot.guarded"] = True
        send = self._with_headers(send)
        door = None
        try:
            self._rules.proxies.settle(scope)
            door = self._rules.doors.find(scope)
            self._rules.origins.check(scope, door)
            passed = await self._admit(door, scope, receive)
        except ChatbotError as error:
            if isinstance(error, TooManyRequests):
                # Not all at the same moment.
                await asyncio.sleep(REFUSED_SECONDS * random.uniform(0.5, 1.5))
            answer = ANSWERS.get(door, refusal) if door else refusal
            await answer(error, Headers(scope=scope))(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await passed(scope, receive, send)

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
                headers.update(self._headers)
                if headers.get("content-type", "").startswith("text/event-stream"):
                    headers.update(STREAM_HEADERS)
            await send(message)

        return send_with_headers

    async def _admit(self, door: Door, scope: Scope, receive: Receive) -> Passed:
        """What answers the request. Raises a `ChatbotError` that says why it is refused."""
        if door is Door.JOIN:
            return await self._join(scope, receive)
        if door is Door.DATA:
            return self._answers(scope, _session_hash(scope))
        # Gradio's page takes other things from there, such as what `deep_link` has stored.
        scope["query_string"] = b""
        if door is Door.HEARTBEAT:
            return await self._heartbeat(scope, path_of(scope).rpartition("/")[2])
        _check_length(scope, LONGEST_BODY)
        return self._bounded

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message if received <= LONGEST_BODY else {"type": "http.disconnect"}

        await self._app(scope, receive_bounded, send)

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
            # Whose login has ended has lost the tab; a page that was nobody's has not.
            rules.tabs.find(event.session_hash, "", caller.key)
            raise NotLoggedIn()
        running = rules.tabs.join(event.session_hash, caller)
        scope[CALLER], scope[RUNNING], scope[EVENT] = caller, running, event.fields
        # Of the body as it came, which nobody reads any more.
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
            # The first that a page does, together with its first event.
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
    """Put the guard before all of a web app that is just starting.

    Gradio puts its CORS in front of every middleware that is handed to it, so the guard moves once
    the stack is built. Where that cannot be done it stays where it is: refused is the same, but
    preflights are answered by Gradio.
    """
    if getattr(app, "middleware_stack", None) is None:
        log.warning("the guard stands behind Gradio's CORS: Starlette has changed")
        return
    app.middleware_stack = Guard(app.middleware_stack, rules, shortcuts)


class _Join:
    """Gradio's answer to an event, in its turn; the event ends here if Gradio does not take it."""

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
            # Gradio may miss by now what has been freed.
            if not stream.over:
                raise
        finally:
            stream.close()
        if not stream.over:
            return
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        # The page then loads itself again.
        last = session_not_found()
        if started:
            await send({"type": "http.response.body", "body": last.body, "more_body": False})
        else:
            await last(scope, receive, send)


def _network(scope: Scope) -> str:
    address = scope["client"][0] if scope.get("client") else ""
    return f"network:{network_of(address)}"


def _check_length(scope: Scope, longest: int) -> None:
    declared = header(scope, b"content-length") or "0"
    if len(declared) > 9 or (declared.isdigit() and int(declared) > longest):
        raise BodyTooLarge()


async def _body(scope: Scope, receive: Receive, longest: int) -> bytes:
    """The body, read no further than `longest`, whatever length it declares."""
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
    """The tab that a stream is for, as its address names it."""
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadInput() from None
    return query.get("session_hash", [""])[0]
