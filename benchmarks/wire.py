"""As much HTTP/1.1 as the benchmarks need, lean enough not to be what is measured.

One connection, kept alive, one request at a time. Bodies come whole or as server-sent events.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """An answer other than 2xx."""


class Connection:
    """A browser's connection to one server; `headers` go with every request."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._address = urlsplit(url)
        self._headers = headers
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Any:
        return json.loads(await self.text(path))

    async def text(self, path: str) -> bytes:
        length = await self._ask("GET", path, b"")
        return await self._body(length)

    async def post(self, path: str, fields: Any) -> Any:
        length = await self._ask("POST", path, json.dumps(fields).encode())
        return json.loads(await self._body(length))

    async def events(self, path: str) -> AsyncIterator[bytes]:
        """The data of each server-sent event, unread, until the server ends the stream."""
        await self._ask("GET", path, b"")
        rest = b""
        async for piece in self._chunks():
            *events, rest = (rest + piece).split(b"\n\n")
            for event in events:
                yield event[5:]

    async def drain(self, path: str, fields: Any) -> None:
        """Read an answer to its end and throw it away."""
        await self._ask("POST", path, json.dumps(fields).encode())
        async for _ in self._chunks():
            pass

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()

    async def _ask(self, method: str, path: str, body: bytes) -> int | None:
        """The length of the answer's body, if it is told."""
        headers = {
            "host": self._address.netloc,
            "content-type": "application/json",
            "content-length": str(len(body)),
            **self._headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{method} /{path} HTTP/1.1\r\n{head}\r\n".encode() + body
        answer = await self._exchange(request)
        status = int(answer.split(maxsplit=2)[1])
        length = None
        for line in answer.splitlines():
            if line.startswith("content-length:"):
                length = int(line.partition(":")[2])
        if not 200 <= status < 300:
            raise Refused(f"{method} {path}: {status} {(await self._body(length))[:300]!r}")
        return length

    async def _exchange(self, request: bytes) -> str:
        """The head of the answer, in lower case."""
        kept = self._streams is not None
        try:
            if self._streams is None:
                host, port = self._address.hostname, self._address.port
                self._streams = await asyncio.open_connection(host, port)
            reader, writer = self._streams
            writer.write(request)
            return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        except (asyncio.IncompleteReadError, ConnectionError):
            if not kept:
                raise
            # Servers close connections that were idle for some seconds; browsers then open another.
            self.close()
            self._streams = None
            return await self._exchange(request)

    async def _body(self, length: int | None) -> bytes:
        assert self._streams is not None
        if length is not None:
            return await self._streams[0].readexactly(length)
        return b"".join([piece async for piece in self._chunks()])

    async def _chunks(self) -> AsyncIterator[bytes]:
        assert self._streams is not None
        reader = self._streams[0]
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
