"""Token counts: a documented estimate, the same on every run, in the shapes Ark reports.

One token is about 1.7 Chinese characters or 3.3 others; a message costs four tokens more.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.attachment import Attachment

WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
WIDE_RUN = re.compile(f"[{WIDE}]+")
MESSAGE_TOKENS = 4


# A context is counted anew for each question, and most of it has been counted before.
@functools.lru_cache(2_000)
def count_tokens(text: str) -> int:
    """0.6 tokens for a CJK character, 0.3 for any other, rounded up."""
    wide = sum(map(len, WIDE_RUN.findall(text)))
    return (6 * wide + 3 * (len(text) - wide) + 9) // 10


def fit_tokens(text: str, limit: int) -> str:
    """The longest beginning of the text that costs at most `limit` tokens."""
    if count_tokens(text) <= limit:
        return text
    room = 10 * max(limit, 0)
    for index, char in enumerate(text):
        room -= 6 if WIDE_RUN.match(char) else 3
        if room < 0:
            return text[:index]
    return text


def text_of(content: Any) -> str:
    """The text of a message's content, be it a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def attached(content: Any) -> list[Attachment]:
    """The pictures and files of a message that was looked at."""
    parts = content if isinstance(content, list) else []
    found = (part.get("seen") for part in parts if isinstance(part, dict))
    return [seen for seen in found if isinstance(seen, Attachment)]


def count_messages(messages: Iterable[dict[str, Any]]) -> int:
    return sum(count_content(message.get("content")) + MESSAGE_TOKENS for message in messages)


def count_content(content: Any) -> int:
    seen = sum(attachment.tokens for attachment in attached(content))
    return seen + count_tokens(text_of(content))


@dataclass(frozen=True)
class Usage:
    """What a call cost, before it is put in the words of one API or the other."""

    prompt: int
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    searches: int = 0

    def chat(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }

    def responses(self) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "input_tokens": self.prompt,
            "output_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
        }
        if self.searches:
            usage["tool_usage"] = {"web_search": self.searches}
            usage["tool_usage_details"] = {"web_search": {"search_engine": self.searches}}
        return usage
