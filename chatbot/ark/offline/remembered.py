"""The cache that works by itself: what of a prompt was read before.

A prompt shares its leading messages with an earlier one. The shortest that counts is documented
[D 1398933]; that the rest goes in steps is our guess.
"""

from collections import OrderedDict

from chatbot.ark.offline.attachment import Attachment
from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.usage import attached, count_messages, text_of

LEAST = 1_024
STEP = 128
MOST_PREFIXES = 10_000


class PromptCache:
    """`on` may be set to False: then nothing is ever found."""

    def __init__(self) -> None:
        self.on = True
        self._seen: OrderedDict[int, None] = OrderedDict()

    def read(self, model: str, messages: list[Message]) -> int:
        """How many tokens of the prompt come from the cache; it is remembered from then on."""
        mark, tokens, hit = hash(model), 0, 0
        for message in messages:
            tokens += count_messages([message])
            mark = hash((mark, message.get("role"), told(message)))
            if tokens < LEAST:
                continue
            if mark in self._seen:
                hit = tokens
            self._seen[mark] = None
            self._seen.move_to_end(mark)
        while len(self._seen) > MOST_PREFIXES:
            self._seen.popitem(last=False)
        return (hit - 1) // STEP * STEP if hit and self.on else 0


def told(message: Message) -> tuple[str, tuple[Attachment, ...]]:
    content = message.get("content")
    return text_of(content), tuple(attached(content))
