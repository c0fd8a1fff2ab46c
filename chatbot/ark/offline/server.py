"""The local Ark: an HTTP server on the loopback interface with a thread of its own.

It answers like Volcengine Ark. This file holds the server and the way of a request through it;
the APIs are in their own files.
"""

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Self

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chatbot.ark.offline.calls import (
    Call,
    CallName,
    chat_job,
    context_job,
    read_call,
    response_job,
)
from chatbot.ark.offline.contexts import Contexts
from chatbot.ark.offline.exchange import ClientLeft, Exchange
from chatbot.ark.offline.files import Files
from chatbot.ark.offline.job import Job
from chatbot.ark.offline.listener import Listener
from chatbot.ark.offline.models import MODELS, Model, check_served, list_models, model_of
from chatbot.ark.offline.refusals import Refusal, bad_key
from chatbot.ark.offline.remembered import PromptCache
from chatbot.ark.offline.responses import Responses
from chatbot.ark.offline.sending import send_events, send_whole
from chatbot.ark.offline.tokenizing import tokenize

logger = logging.getLogger("chatbot.offline")

READING_PACE = 1 / 40
API = "/api/v3"

Work = CallName | Literal[
    "models", "read", "delete", "input_items", "tokenization",
    "upload", "files", "read_file", "delete_file",
]  # fmt: skip
PATHS: list[tuple[str, str, Work]] = [
    ("POST", "/context/create", "create"),
    ("POST", "/context/chat/completions", "context"),
    ("POST", "/chat/completions", "chat"),
    ("POST", "/responses", "responses"),
    ("GET", "/models", "models"),
    ("POST", "/tokenization", "tokenization"),
    ("POST", "/files", "upload"),
    ("GET", "/files", "files"),
    ("GET", "/files/{ref}", "read_file"),
    ("DELETE", "/files/{ref}", "delete_file"),
    ("GET", "/responses/{ref}", "read"),
    ("DELETE", "/responses/{ref}", "delete"),
    ("GET", "/responses/{ref}/input_items", "input_items"),
]


class OfflineArk:
    """`with OfflineArk(pace=0) as ark:` serves at `ark.base_url` until the block ends. `pace` is
    the seconds between two pieces of text, None meaning reading speed; `now` its time of day in
    Unix seconds.

    A subclass may stand in the way of a request: each goes through `serve`; one that calls a
    model then goes through `answer`, `check` and `send`.
    """

    def __init__(
        self, *, port: int = 0, pace: float | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.port = port
        self.pace = pace
        self.now = now
        self.models: dict[str, Model] = dict(MODELS)
        self.context_store = Contexts(now)
        self.file_store = Files(now)
        self.cache = PromptCache()
        self.response_store = Responses(now, self.file_store, self.cache)
        self.listener: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{API}"

    @property
    def piece_seconds(self) -> float:
        return READING_PACE if self.pace is None else self.pace

    def start(self) -> Self:
        """Serve; when this returns, connections are accepted."""
        if self._thread is not None:
            raise RuntimeError("already started")
        # asyncio switches Nagle's delay off only on sockets that name their protocol.
        accepting = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            accepting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            accepting.bind(("127.0.0.1", self.port))
            accepting.listen(512)
        except OSError:
            accepting.close()
            raise
        self.port = accepting.getsockname()[1]
        self.listener = Listener(self.app())
        self._thread = threading.Thread(
            target=self.listener.serve_on, args=[accepting], name="offline-ark", daemon=True
        )
        self._thread.start()
        self.listener.ready.wait()
        return self

    def stop(self) -> None:
        """Drop every connection and end the thread, also while streams are open."""
        if self._thread is None or self.listener is None:
            return
        self.listener.close()
        self._thread.join(timeout=2)
        if self._thread.is_alive():
            logger.warning("the local Ark did not end in time")
        self._thread = self.listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def app(self) -> Starlette:
        """The routes it serves."""
        return Starlette(
            routes=[
                Route(API + path, Endpoint(self, work), methods=[method])
                for method, path, work in PATHS
            ]
        )

    async def serve(self, exchange: Exchange, work: Work) -> None:
        """Answer one request. Raises `ClientLeft` if the client left before the end."""
        try:
            await exchange.read()
            check_key(exchange.request.headers.get("authorization", ""))
            match work:
                case "create" | "context" | "chat" | "responses":
                    call = read_call(work, exchange.body, exchange.request_id)
                    await self.answer(exchange, call)
                case _:
                    await exchange.json(200, self._look_up(exchange, work))
        except Refusal as refusal:
            await exchange.json(refusal.status, refusal.body(exchange.request_id))

    async def answer(self, exchange: Exchange, call: Call) -> None:
        """Answer one model call. Raises `Refusal` if it is not a good one."""
        self.check(call)
        if call.api == "create":
            await exchange.json(200, self.context_store.create(call.body))
            return
        job = self._job(call)
        try:
            await self.send(exchange, call, job)
        finally:
            job.settle_once()

    def check(self, call: Call) -> None:
        """Raise `Refusal` if the model cannot be had by this API."""
        about = model_of(self.models, call.model)
        check_served(call.model, about, "context" if call.api == "create" else call.api)

    async def send(self, exchange: Exchange, call: Call, job: Job) -> None:
        """Send what a model call is answered with."""
        send = send_events if call.streaming else send_whole
        await send(exchange, job, self.piece_seconds)

    def _job(self, call: Call) -> Job:
        about = model_of(self.models, call.model)
        if call.api == "chat":
            return chat_job(call, self.now(), about, self.file_store, self.cache)
        if call.api == "responses":
            return response_job(call, self.response_store, about)
        return context_job(call, self.now(), self.context_store)

    def _look_up(self, exchange: Exchange, work: Work) -> dict[str, Any]:
        """The answer to a request that calls no model."""
        ref = exchange.request.path_params.get("ref", "")
        query = dict(exchange.request.query_params)
        match work:
            case "read":
                return self.response_store.read(ref)
            case "delete":
                return self.response_store.delete(ref)
            case "input_items":
                return self.response_store.input_items(ref, query)
            case "tokenization":
                return tokenize(exchange.body, exchange.request_id, int(self.now()))
            case "upload":
                return self.file_store.add(exchange.upload)
            case "files":
                return self.file_store.list(query)
            case "read_file":
                return self.file_store.read(ref)
            case "delete_file":
                return self.file_store.delete(ref)
        return list_models(self.models)


class Endpoint:
    """One path of the API as an ASGI application."""

    def __init__(self, ark: OfflineArk, work: Work) -> None:
        self._ark = ark
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send, new_request_id(self._ark.now()))
        try:
            await self._ark.serve(exchange, self._work)
        except ClientLeft:
            logger.debug("the client left %s", scope["path"])
        finally:
            await exchange.close()


def check_key(header: str) -> None:
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key.strip() or key.strip() == "wrong-key":
        raise bad_key()


def new_request_id(now: float) -> str:
    """Like Ark's: 02, milliseconds, random hexadecimal digits."""
    return f"02{int(now * 1000)}{secrets.token_hex(19)}"
