"""One request and the means to answer it, whole or bit by bit, while the client is there."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from chatbot.ark.offline.files import Upload
from chatbot.ark.offline.refusals import Refusal
from chatbot.ark.offline.wire import to_json


class ClientLeft(Exception):
    """The client closed the connection before the answer was complete."""


class Exchange:
    """`body` is None until the request was read, `status` until its answer began."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.request = Request(scope, receive)
        self.request_id = request_id
        self.body: Any = None
        self.upload: Upload | None = None
        self.status: int | None = None
        self._send = send
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
        if self.request.headers.get("content-type", "").startswith("multipart/form-data"):
            await self._read_form()
            return
        try:
            self.body = json.loads(content)
        except (ValueError, RecursionError):
            message = "The request body is not valid JSON."
            raise Refusal(400, "InvalidParameter", message) from None

    async def _read_form(self) -> None:
        try:
            async with self.request.form() as form:
                file = form.get("file")
                if isinstance(file, UploadFile):
                    fields = {name: told for name, told in form.items() if isinstance(told, str)}
                    self.upload = Upload(file.filename or "file", await file.read(), fields)
        except HTTPException:
            message = "The request body is not a valid form."
            raise Refusal(400, "InvalidParameter", message) from None

    async def close(self) -> None:
        if self._gone is not None:
            self._gone.cancel()
            with suppress(asyncio.CancelledError):
                await self._gone

    async def json(self, status: int, payload: Any) -> None:
        await self.whole(status, to_json(payload))

    async def whole(self, status: int, body: bytes) -> None:
        """Answer with this JSON text, in one piece."""
        length = str(len(body))
        await self.start(status, {"content-type": "application/json", "content-length": length})
        await self.write(body, more=False)

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """Send the status and the headers, with the ids that Ark adds to them."""
        self._check()
        self.status = status
        ids = {"x-request-id": self.request_id}
        if (echoed := self.request.headers.get("x-client-request-id")) is not None:
            ids["x-client-request-id"] = echoed
        raw = [(k.lower().encode(), v.encode("latin-1")) for k, v in {**headers, **ids}.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, body: bytes, more: bool = True) -> None:
        """Send a part of the body. Raises `ClientLeft` if nobody is there to have it."""
        self._check()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, None meaning until the client leaves, which raises `ClientLeft`."""
        assert self._gone is not None
        await asyncio.wait({self._gone}, timeout=seconds)
        self._check()

    def _check(self) -> None:
        if self._gone is not None and self._gone.done():
            raise ClientLeft

    async def _watch(self) -> None:
        receive: Callable[[], Awaitable[Any]] = self.request.receive
        while (await receive())["type"] != "http.disconnect":
            pass
