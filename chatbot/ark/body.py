"""Limits the size of every response body, before and after decompression.

Sits between httpx and the network, so the limits also hold for what the SDK reads.
"""

import zlib
from collections.abc import AsyncIterator

import httpx

ERROR_BYTES = 64 * 1024
"""Limit for the body of an error; the rest is not read."""
STREAM_BYTES = 64 * 1024 * 1024
"""Limit for a stream: several times the longest reply with one event per token."""
BODY_BYTES = 4 * 1024 * 1024
"""Limit for any other body."""
PIECE_BYTES = 64 * 1024
"""How many bytes are decompressed at once."""


async def bound(response: httpx.Response) -> None:
    """Limit the body of a response that is about to be read (a `response` hook of httpx)."""
    packed = response.headers.pop("content-encoding", "").strip().lower()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    streamed = "event-stream" in response.headers.get("content-type", "")
    is_error = response.status_code >= 400
    most = ERROR_BYTES if is_error else STREAM_BYTES if streamed else BODY_BYTES
    response.stream = _Bounded(response.stream, packed, most, cut=is_error)


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, packed: str, most: int, *, cut: bool) -> None:
        self._stream = stream
        self._packed = packed
        self._most = most
        self._cut = cut
        """Whether to cut a body that is too long; otherwise it is an error."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        pieces = self._stream if self._packed in ("", "identity") else self._unpacked()
        async for piece in pieces:
            left -= len(piece)
            if left >= 0:
                yield piece
            elif self._cut:
                yield piece[:left]
                return
            else:
                raise httpx.RemoteProtocolError("the answer is longer than any reply")

    async def _unpacked(self) -> AsyncIterator[bytes]:
        # The client does not accept compression, but some proxies compress everything.
        if self._packed not in ("gzip", "x-gzip", "deflate"):
            raise httpx.DecodingError(f"packed as {self._packed[:20]!r}")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        async for piece in self._stream:
            while piece and not unpacker.eof:
                try:
                    yield unpacker.decompress(piece, PIECE_BYTES)
                except zlib.error:
                    raise httpx.DecodingError("packed in a way of its own") from None
                piece = unpacker.unconsumed_tail

    async def aclose(self) -> None:
        await self._stream.aclose()
