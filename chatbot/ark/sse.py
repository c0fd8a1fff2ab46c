"""Server-sent events (WHATWG HTML, 9.2) as Ark and OpenAI-compatible servers send them.

Read here and not by the SDK, whose objects per event take seven times as long as the JSON.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx

DONE = b"[DONE]"
END_SECONDS = 0.5
"""How long the end of a body may take after `[DONE]`."""


async def read_events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The data of each event up to `[DONE]` or the end; raises `json.JSONDecodeError`.

    Lines are split as bytes: a JSON string may hold U+2028, at which text lines would break.
    """
    data: list[bytes] = []
    rest = b""
    pieces = response.aiter_bytes()
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].lstrip())
            elif not line and data:
                if data[0].startswith(DONE):
                    await _read_out(pieces)
                    return
                yield _event(data)
                data = []
    if data and not data[0].startswith(DONE):
        # The last blank line is missing.
        yield _event(data)


async def _read_out(pieces: AsyncIterator[bytes]) -> None:
    """Read to the end of the body: only then can the next question use the connection."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(END_SECONDS):
            async for _ in pieces:
                pass


def _event(data: list[bytes]) -> dict[str, Any]:
    event = json.loads(b"\n".join(data))
    return event if isinstance(event, dict) else {}
