"""A reply on its way out: its pieces, why it ends, what it costs, how much has been sent.

It knows nothing of the wire; `chat.py` and `responses.py` put it into bytes.
"""

import base64
import hashlib
from dataclasses import dataclass, field, replace
from typing import Literal

from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.models import ThinkingMode
from chatbot.ark.offline.script import (
    Reply,
    is_chinese,
    is_command,
    more_thoughts,
    pieces,
    reply_to,
    thought_about,
)
from chatbot.ark.offline.search import FOUND_ENOUGH, SEARCH_FIRST, Search, SearchTool, report
from chatbot.ark.offline.usage import Usage, count_tokens, fit_tokens, text_of

Finish = Literal["stop", "length", "content_filter"]
Thinking = Literal["enabled", "disabled", "auto"]


@dataclass
class Answer:
    """`sent` counts the pieces handed to the wire, so `said` is what a client can have seen."""

    thoughts: list[str]
    pieces: list[str]
    finish: Finish
    price: Usage
    searches: list[Search] = field(default_factory=list)
    sealed: bool = False
    """Whether the raw thoughts come along, which only Ark can read."""
    sent: int = 0
    ended: bool = field(default=False, init=False)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """All that was thought, after the searches too."""
        return "".join([*self.thoughts, *(p for s in self.searches for p in s.thoughts)])

    @property
    def only_thought(self) -> bool:
        """Whether the limit was reached before the first word of the answer."""
        return bool(self.thoughts) and not self.pieces and self.finish == "length"

    @property
    def said(self) -> str:
        return "".join(self.pieces[: self.sent])

    @property
    def usage(self) -> Usage:
        reasoning = count_tokens(self.thought)
        spent = reasoning + count_tokens(self.text)
        return replace(self.price, completion=spent, reasoning=reasoning)

    @property
    def whole(self) -> bool:
        """Whether it was said to its end: neither cut off nor stopped by moderation."""
        return self.ended and self.finish != "content_filter"


def answer_to(
    messages: list[Message],
    price: Usage,
    *,
    thinking: str | None = None,
    effort: str | None = None,
    mode: ThinkingMode = "asked",
    max_tokens: int | None = None,
    max_total: int | None = None,
    stop: list[str] | None = None,
    search: SearchTool | None = None,
) -> Answer:
    """The scripted reply within its limits; `max_total` counts the thoughts too."""
    asked = text_of(messages[-1].get("content")) if messages else ""
    reply = reply_to(messages)
    searches = plan_searches(asked, search)
    if searches and not is_command(asked):
        reply = Reply(report(searches[0].query, is_chinese(asked)), reply.reasoning)
    thought = think(reply, messages, thinking, mode)
    if thought and effort:
        thought += more_thoughts(asked, effort)
    content = reply.content
    finish: Finish = "stop"
    for word in stop or []:
        content = content.split(word, 1)[0]
    if thought and searches:
        language = "zh" if is_chinese(asked) else "en"
        after = pieces(FOUND_ENOUGH[language])
        thought = SEARCH_FIRST[language] + (more_thoughts(asked, effort) if effort else "")
        searches = [replace(made, thoughts=after) for made in searches]
    if max_total is not None:
        kept = fit_tokens(thought, max_total)
        # Whoever is stopped while thinking does not come to search.
        searches = searches if kept == thought else []
        thought = kept
        room = max_total - count_tokens(thought)
        for number, made in enumerate(searches):
            after = pieces(fit_tokens("".join(made.thoughts), room))
            searches[number] = replace(made, thoughts=after)
            room -= count_tokens("".join(after))
        max_tokens = room if max_tokens is None else min(max_tokens, room)
    if max_tokens is not None and len(kept := fit_tokens(content, max_tokens)) < len(content):
        content, finish = kept, "length"
    read = sum(made.tokens for made in searches)
    price = replace(price, prompt=price.prompt + read, searches=len(searches))
    return Answer(pieces(thought), pieces(content), finish, price, searches)


def seal(thought: str) -> str:
    """What stands for a raw thought: nobody can read it."""
    return base64.b64encode(
        hashlib.sha512(thought.encode("utf-8", "replace")).digest() * 2
    ).decode()


def plan_searches(asked: str, tool: SearchTool | None) -> list[Search]:
    """The searches for a question. The script's own commands need none, unless it is forced."""
    if tool is None or (is_command(asked) and not tool.forced):
        return []
    return [tool.search(query, is_chinese(asked)) for query in tool.queries(asked)]


def think(reply: Reply, messages: list[Message], thinking: str | None, mode: ThinkingMode) -> str:
    """What is thought before the reply, by what was asked for and how the model thinks."""
    if thinking == "disabled" and mode != "shown":
        return ""
    on = mode in ("on", "always") and thinking != "auto"
    if (thinking == "enabled" or on) and not reply.reasoning:
        return thought_about(text_of(messages[-1].get("content")))
    return reply.reasoning
