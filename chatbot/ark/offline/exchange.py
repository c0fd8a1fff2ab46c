"""One request and the means to answer it: whole, in events, late, or not at all.

Notes what became of it, above all whether the client left before the end.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from chatbot.ark.offline.refusals import Refusal
from chatbot.ark.offline.wire import HangUp, Pause, Step, to_json

# Without a pace, so many events share a write; the first one always goes alone.
EVENTS_PER_WRITE = 16


class ClientLeft(Exception):
    """The client closed the connection before the answer was complete."""


@dataclass
class Recorded:
    """A request as it came in, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    request_id: str
    body: Any = None
    status: int | None = None
    disconnected: bool = False
    finished: bool = False
    at: float = field(default=0.0)
    client: Any = None
    """Address and port, which tell one connection from another."""


class Exchange:
    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        recorded: Recorded,
        transport: asyncio.Transport | None,
    ) -> None:
        self.request = Request(scope, receive)
        self.recorded = recorded
        self._send = send
        self._transport = transport
        self._gone: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Read the body, and watch from then on whether the client leaves."""
        try:
            content = await self.request.body()
        except ClientDisconnect:
            raise ClientLeft from None
        self._gone = asyncio.create_task(self._watch())
        if not content:
            return
        try:
            self.recorded.body = json.loads(content)
        except (ValueError, RecursionError):
            message = "The request body is not valid JSON."
            raise Refusal(400, "InvalidParameter", message) from None

    async def close(self) -> None:
        if self._gone is not None:
            self._gone.cancel()
            with suppress(asyncio.CancelledError):
                await self._gone

    async def json(self, status: int, payload: Any, headers: dict[str, str] | None = None) -> None:
        await self.whole(status, to_json(payload), "application/json", headers)

    async def whole(
        self,
        status: int,
        body: bytes,
        type: str = "",
        headers: dict[str, str] | None = None,
        *,
        promise: int | None = None,
    ) -> None:
        """An answer in one piece. A `promise` longer than the body is not kept: the
        connection is dropped after it."""
        length = str(len(body) if promise is None else promise)
        named = {"content-type": type} if type else {}
        await self._start(status, {**named, "content-length": length, **(headers or {})})
        await self._write(body, more=promise is not None)
        if promise is not None:
            await self.hang_up()

    async def events(
        self, steps: Iterator[Step], pace: float, before_write: Callable[[], None]
    ) -> None:
        """A stream of events, one every `pace` seconds. `before_write` is called before
        anything leaves, so that it can settle what a client may rely on having seen."""
        await self._start(200, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        batch: list[bytes] = []
        room = 1
        for step in steps:
            if isinstance(step, bytes):
                batch.append(step)
                if len(batch) < room:
                    continue
            before_write()
            if batch:
                await self._write(b"".join(batch))
                batch.clear()
                room = 1 if pace else EVENTS_PER_WRITE
            if isinstance(step, Pause):
                await self.pause(step.seconds)
                room = 1
            elif isinstance(step, HangUp):
                await self.hang_up()
                return
            else:
                # Even at full speed others must get their turn.
                await asyncio.sleep(pace)
        before_write()
        await self._write(b"".join(batch), more=False)

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, None meaning until the client leaves, which raises `ClientLeft`."""
        assert self._gone is not None
        await asyncio.wait({self._gone}, timeout=seconds)
        self._check()

    async def hang_up(self, *, reset: bool = False) -> None:
        """Drop the connection; a reset also throws away what was not yet delivered."""
        if self._transport is None or self._gone is None:
            raise RuntimeError("no connection to drop")
        if reset:
            linger = struct.pack("ii", 1, 0)
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        else:
            self._transport.close()
        await self._gone

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._check()
        self.recorded.status = status
        echoed = self.recorded.headers.get("x-client-request-id")
        ids = {"x-request-id": self.recorded.request_id}
        if echoed is not None:
            ids["x-client-request-id"] = echoed
        raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in {**headers, **ids}.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _write(self, body: bytes, more: bool = True) -> None:
        self._check()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _check(self) -> None:
        if self._gone is not None and self._gone.done():
            raise ClientLeft

    async def _watch(self) -> None:
        receive: Callable[[], Awaitable[Any]] = self.request.receive
        while (await receive())["type"] != "http.disconnect":
            pass
