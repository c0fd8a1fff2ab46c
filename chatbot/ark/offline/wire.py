"""Bytes of a stream, and what a stream consists of for those who only send it.

No `id:` lines: the SDK's decoder makes an empty event of the next comment then.
"""

import json
from collections.abc import Iterator
from typing import Any, Protocol

from chatbot.ark.offline.answer import Answer

DONE = b"data: [DONE]\n\n"


def to_json(value: Any) -> bytes:
    # A lone surrogate can come in as a JSON escape but has no UTF-8 form.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def event(payload: Any, name: str = "") -> bytes:
    line = b"event: " + name.encode() + b"\n" if name else b""
    return line + b"data: " + to_json(payload) + b"\n\n"


class Stream(Protocol):
    """The parts of a streamed reply, in order."""

    answer: Answer

    def head(self) -> Iterator[bytes]:
        """All before the first text, thoughts included."""

    def deltas(self) -> Iterator[bytes]:
        """One event for each piece of text."""

    def finish(self) -> bytes:
        """The event or events that say why the text ended."""

    def usage(self) -> bytes:
        """The event with the token counts, empty if there is none."""
