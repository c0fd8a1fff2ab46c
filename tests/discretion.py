"""What may stand in no log: what people wrote, keys, passwords, login tokens."""

import re

from tests.fake_ark import FakeArk

PASSWORD = "correct horse battery"
KEYS = ("test-key", "very-secret-key", PASSWORD)
TOKEN = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])")
"""32 random bytes, as login tokens are written."""
SHORTEST = 8
"""Shorter messages, such as "on", stand in a log by chance."""


def indiscretions(log: str, ark: FakeArk | None) -> list[str]:
    """The lines of a log that say too much, given what this Ark was asked and told."""
    words = {line for text in _texts(ark) for line in text.splitlines() if len(line) >= SHORTEST}
    return [
        line
        for line in log.splitlines()
        if TOKEN.search(line) or any(word in line for word in (*KEYS, *words))
    ]


def _texts(ark: FakeArk | None) -> list[str]:
    """Every message that was part of a request: questions, and replies given again."""
    if ark is None:
        return []
    lists = [
        request.body.get("messages") or request.body.get("input") or []
        for request in ark.requests
        if isinstance(request.body, dict)
    ]
    messages = [message for found in lists if isinstance(found, list) for message in found]
    return [
        str(message["content"])
        for message in messages
        if isinstance(message, dict) and message.get("role") != "system" and "content" in message
    ]
