"""Server-sent events (WHATWG HTML, 9.2) as Ark and OpenAI-compatible servers send them.

Read here and not by the SDK, whose objects per event take seven times as long as the JSON.
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
"""The longest event: the last one of a response repeats the whole reply."""
ENDED: Final[dict[str, Any]] = {"type": "[DONE]"}
"""Told in the place of `[DONE]`."""


class BrokenEvent(Exception):
    """An event that is no JSON, or longer than any reply."""


async def read_events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The data of each event up to the end of the body or to `[DONE]`, which is told as `ENDED`.

    A body that is one JSON object, though a stream was asked for, is told as one event. Raises
    `BrokenEvent`. Lines are split as bytes: a JSON string may hold U+2028, at which text lines
    would break.
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
            # A line ends with CR LF, with LF or with CR, and any of them may come in two pieces.
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
    """The body's beginning without a byte order mark, and whether it is long enough to tell."""
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
    """Read to the end of the body: only then can the next question use the connection."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(END_SECONDS):
            async for _ in pieces:
                pass


def _event(data: list[bytes]) -> dict[str, Any]:
    try:
        event = json.loads(b"\n".join(data) if len(data) > 1 else data[0])
    except (ValueError, RecursionError) as error:
        # Not only for bad syntax: bytes that are no UTF-8, a number of 5,000 digits, 10,000
        # brackets in each other.
        raise BrokenEvent(type(error).__name__) from None
    return event if isinstance(event, dict) else {}
