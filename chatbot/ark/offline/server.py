"""The local Ark: an HTTP server on the loopback interface with a thread of its own.

It answers like Volcengine Ark, for the demo without a key, for tests and for benchmarks.
This file holds the server and what a test can set on it; the APIs are in their own files.
"""

import asyncio
import logging
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chatbot.ark.offline import calls, control
from chatbot.ark.offline.clock import Clock
from chatbot.ark.offline.contexts import Context, Contexts
from chatbot.ark.offline.exchange import ClientLeft, Exchange, Recorded
from chatbot.ark.offline.faults import Call, Fault
from chatbot.ark.offline.listener import Listener
from chatbot.ark.offline.messages import check_flag
from chatbot.ark.offline.models import MODELS, Model, check_state, list_models, model_of
from chatbot.ark.offline.refusals import (
    ContextApi,
    LostShape,
    Refusal,
    UnsupportedShape,
    bad_key,
    context_shut,
    unsupported,
)
from chatbot.ark.offline.responses import Responses, StoredResponse

logger = logging.getLogger("chatbot.offline")

READING_PACE = 1 / 40
# A demo may run for weeks: only the latest requests are kept.
KEPT_REQUESTS = 2_000
API = "/api/v3"

Work = Literal["models", "read", "delete", "input_items"]


class OfflineArk:
    """`with OfflineArk(pace=0) as ark:` serves at `ark.base_url` until the block ends.

    Every public attribute may be read and set from any thread while it runs.
    """

    def __init__(
        self, *, port: int = 0, pace: float | None = None, clock: Clock | None = None
    ) -> None:
        self.port = port
        self.pace = pace
        self.clock = clock or Clock()
        self.requests: list[Recorded] = []
        # Whether a context keeps what it had said when the client left or moderation
        # stopped it. Not documented; both are worth testing.
        self.keeps_partial = True
        # How many real seconds a context stays "in progress" after the client has left.
        # Not documented either.
        self.linger = 0.0
        self.models_without_context: set[str] = set()
        self.models_without_responses: set[str] = set()
        self.unsupported_shape: UnsupportedShape = "not_found"
        # What the account can use, by name; a test may put its own models in.
        self.models: dict[str, Model] = dict(MODELS)
        self.context_api: ContextApi = "on"
        self._contexts = Contexts(self.clock.now)
        self._responses = Responses(self.clock.now)
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._server: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{API}"

    @property
    def contexts(self) -> dict[str, Context]:
        return self._contexts.live

    @property
    def responses(self) -> dict[str, StoredResponse]:
        return self._responses.stored

    @property
    def lost_shape(self) -> LostShape:
        """How an expired or unknown context is reported."""
        return self._contexts.lost_shape

    @lost_shape.setter
    def lost_shape(self, shape: LostShape) -> None:
        self._contexts.lost_shape = shape

    @property
    def min_ttl(self) -> int:
        return self._contexts.min_ttl

    @min_ttl.setter
    def min_ttl(self, seconds: int) -> None:
        self._contexts.min_ttl = seconds

    @property
    def truncation_types(self) -> dict[str, str]:
        """The one type of truncation that a model takes; a model not named takes both."""
        return self._contexts.truncation_types

    @property
    def shows_cut_thoughts(self) -> bool:
        """Whether a response that was cut in its thoughts has them in its output."""
        return self._responses.shows_cut_thoughts

    @shows_cut_thoughts.setter
    def shows_cut_thoughts(self, shown: bool) -> None:
        self._responses.shows_cut_thoughts = shown

    def fail_next(self, fault: Fault) -> None:
        """Let the next call that the fault fits go wrong."""
        with self._lock:
            self._faults.append(fault)

    def pending_faults(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def forget(self, ref: str) -> None:
        """Lose a context or response, as if it had expired."""
        self.contexts.pop(ref, None)
        self.responses.pop(ref, None)

    def start(self) -> "OfflineArk":
        """Serve; when this returns, connections are accepted."""
        if self._thread is not None:
            raise RuntimeError("already started")
        # asyncio switches Nagle's delay off only on sockets that name their protocol.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(512)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._server = Listener(self._app())
        self._thread = threading.Thread(
            target=self._server.serve_on, args=[listener], name="offline-ark", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        return self

    def stop(self) -> None:
        """Drop every connection and end the thread, also while streams are open."""
        if self._thread is None or self._server is None:
            return
        self._server.close()
        self._thread.join(timeout=2)
        if self._thread.is_alive():
            logger.warning("the local Ark did not end in time")
        self._thread = self._server = None

    def __enter__(self) -> "OfflineArk":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _app(self) -> Starlette:
        posts: dict[str, Call] = {
            "/context/create": "create",
            "/context/chat/completions": "context",
            "/chat/completions": "chat",
            "/responses": "responses",
        }
        reads: list[tuple[str, str, Work]] = [
            ("/models", "GET", "models"),
            ("/responses/{ref}", "GET", "read"),
            ("/responses/{ref}", "DELETE", "delete"),
            ("/responses/{ref}/input_items", "GET", "input_items"),
        ]
        return Starlette(
            routes=[
                *(Route(API + p, Endpoint(self, c), methods=["POST"]) for p, c in posts.items()),
                *(Route(API + p, Endpoint(self, w), methods=[m]) for p, m, w in reads),
                *control.routes(self),
            ]
        )

    async def answer(self, exchange: Exchange, call: Call) -> None:
        """Answer one model call."""
        body = exchange.recorded.body
        if not isinstance(body, dict):
            raise Refusal(400, "InvalidParameter", "The request body must be a JSON object.")
        streaming = call != "create" and check_flag(body, "stream")
        fault = self._take_fault(call, streaming)
        if fault is not None and await calls.interfere(exchange, fault):
            return
        self._check_support(body, call)
        if call == "create":
            await exchange.json(200, self._contexts.create(body))
            return
        job = self._job(body, call, exchange.recorded.request_id)
        try:
            if fault is not None:
                calls.bend(job, fault)
            send = calls.answer_stream if streaming else calls.answer_whole
            pace = READING_PACE if self.pace is None else self.pace
            await send(exchange, job, fault, pace)
        except ClientLeft:
            await asyncio.sleep(self.linger)
            raise
        finally:
            job.settle_once()

    async def look_up(self, exchange: Exchange, work: Work) -> None:
        """Answer a request that calls no model."""
        ref = exchange.request.path_params.get("ref", "")
        query = dict(exchange.request.query_params)
        answers: dict[Work, Callable[[], dict[str, Any]]] = {
            "models": lambda: list_models(self.models),
            "read": lambda: self._responses.read(ref),
            "delete": lambda: self._responses.delete(ref),
            "input_items": lambda: self._responses.input_items(ref, query),
        }
        await exchange.json(200, answers[work]())

    def _job(self, body: dict[str, Any], call: Call, request_id: str) -> calls.Job:
        now = self.clock.now()
        about = model_of(self.models, str(body.get("model")))
        if call == "chat":
            return calls.chat_job(body, request_id, now, about)
        if call == "responses":
            return calls.response_job(body, request_id, self._responses, about)
        return calls.context_job(body, request_id, now, self._contexts, lambda: self.keeps_partial)

    def _take_fault(self, call: Call, streaming: bool) -> Fault | None:
        with self._lock:
            fault = next((f for f in self._faults if f.fits(call, streaming)), None)
            if fault is not None:
                self._faults.remove(fault)
            return fault

    def _check_support(self, body: dict[str, Any], call: Call) -> None:
        model = str(body.get("model"))
        about = model_of(self.models, model)
        if call in ("create", "context") and self.context_api != "on":
            raise context_shut(model, self.context_api)
        check_state(model, about.state)
        api = "context" if call == "create" else call
        if api not in about.apis:
            raise unsupported(model, api, "bad_request")
        if call in ("create", "context") and model in self.models_without_context:
            raise unsupported(model, "context", self.unsupported_shape)
        if call == "responses" and model in self.models_without_responses:
            raise unsupported(model, "responses", self.unsupported_shape)

    def record(self, recorded: Recorded) -> None:
        self.requests.append(recorded)
        if len(self.requests) > KEPT_REQUESTS:
            del self.requests[: KEPT_REQUESTS // 10]

    def connection(self, client: Any) -> asyncio.Transport | None:
        """The connection from that address and port, for a fault that drops it."""
        assert self._server is not None
        for protocol in self._server.server_state.connections:
            if getattr(protocol, "client", None) == client:
                return protocol.transport
        return None


class Endpoint:
    """One path of the API as an ASGI application: who asks, what, and how it ended."""

    def __init__(self, ark: OfflineArk, work: Call | Work) -> None:
        self._ark = ark
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ark = self._ark
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        now = ark.clock.now()
        recorded = Recorded(
            method=scope["method"],
            path=scope["path"],
            headers=headers,
            request_id=new_request_id(now),
            at=now,
            client=scope["client"],
        )
        ark.record(recorded)
        exchange = Exchange(scope, receive, send, recorded, ark.connection(scope["client"]))
        try:
            try:
                await exchange.read()
                check_key(headers)
                await self._answer(exchange)
            except Refusal as refusal:
                if refusal.code:
                    body = refusal.body(recorded.request_id)
                    await exchange.json(refusal.status, body, refusal.headers)
                else:
                    await exchange.whole(refusal.status, b"")
            recorded.finished = True
        except ClientLeft:
            recorded.disconnected = True
            logger.debug("the client left %s", recorded.path)
        finally:
            await exchange.close()

    async def _answer(self, exchange: Exchange) -> None:
        match self._work:
            case "create" | "context" | "chat" | "responses":
                await self._ark.answer(exchange, self._work)
            case "models" | "read" | "delete" | "input_items":
                await self._ark.look_up(exchange, self._work)


def check_key(headers: dict[str, str]) -> None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip() or key.strip() == "wrong-key":
        raise bad_key()


def new_request_id(now: float) -> str:
    """Like Ark's: 02, milliseconds, random hexadecimal digits."""
    return f"02{int(now * 1000)}{secrets.token_hex(19)}"
