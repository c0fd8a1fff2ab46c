"""Reads server-sent events (WHATWG HTML, 9.2) of Ark and OpenAI-compatible servers.

The SDK is not used for this: its object per event takes seven times as long as plain JSON.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import httpx

DONE = b"[DONE]"
BOM = b"\xef\xbb\xbf"
END_SECONDS = 0.5
"""How long the end of a body may take after `[DONE]`."""
EVENT_BYTES = 4 * 1024 * 1024
"""Limit of one event: the last one of a response repeats the whole reply."""
ENDED: Final[dict[str, Any]] = {"type": "[DONE]"}
"""The event that stands for `[DONE]`."""


class BrokenEvent(Exception):
    """An event is not JSON, or longer than any reply."""


async def read_events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the data of each event up to the end of the body or to `[DONE]`, given as `ENDED`.

    A body that is one JSON object instead of a stream is one event. Raises `BrokenEvent`. Lines
    are split as bytes: splitting text would break at U+2028, which a JSON string may contain.
    """
    data: list[bytes] = []
    size, rest = 0, b""
    begun = after_cr = False
    pieces = response.aiter_bytes()
    async for piece in pieces:
        if not begun:
            rest, piece, begun = b"", *_beginning(rest + piece)
            if not begun:
                rest = piece
                continue
            if piece.lstrip()[:1] == b"{":
                yield _event([await _whole(piece, pieces)])
                return
        if b"\r" in piece or after_cr:
            # A line ends with CR LF, LF or CR; a CR LF may be split over two pieces.
            if after_cr:
                piece = piece.removeprefix(b"\n")
            after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > EVENT_BYTES:
            raise BrokenEvent("a line without end")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].lstrip())
                size += len(line)
                if size > EVENT_BYTES:
                    raise BrokenEvent("an event without end")
            elif not line and data:
                if data[0].startswith(DONE):
                    await _read_out(pieces)
                    yield ENDED
                    return
                yield _event(data)
                data, size = [], 0
    if rest.startswith(b"data:"):
        data.append(rest[5:].lstrip())
    if data:
        # The last blank line is missing.
        yield ENDED if data[0].startswith(DONE) else _event(data)


def _beginning(body: bytes) -> tuple[bytes, bool]:
    """The start of the body without a byte order mark, and whether it is long enough to decide."""
    if len(body) < len(BOM) and BOM.startswith(body):
        return body, False
    body = body.removeprefix(BOM)
    return body, bool(body.strip())


async def _whole(beginning: bytes, pieces: AsyncIterator[bytes]) -> bytes:
    read, size = [beginning], len(beginning)
    async for piece in pieces:
        read.append(piece)
        size += len(piece)
        if size > EVENT_BYTES:
            raise BrokenEvent("an answer without end")
    return b"".join(read)


async def _read_out(pieces: AsyncIterator[bytes]) -> None:
    """Read to the end of the body, so that the next question can reuse the connection."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(END_SECONDS):
            async for _ in pieces:
                pass


def _event(data: list[bytes]) -> dict[str, Any]:
    try:
        event = json.loads(b"\n".join(data) if len(data) > 1 else data[0])
    except (ValueError, RecursionError) as error:
        # Not only bad syntax: also invalid UTF-8, a number of 5,000 digits, 10,000 nested brackets.
        raise BrokenEvent(type(error).__name__) from None
    return event if isinstance(event, dict) else {}
