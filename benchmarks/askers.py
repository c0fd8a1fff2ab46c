"""Who asks: pages of an app, and a bare ear on Ark's wire. `bare.py` has the SDK's.

All are asked alike and tell alike what they heard. A turn before the measured one has made every
connection and, where there is one, the memory at Ark's side, so that first tokens compare. A reply
counts, and is told by its numbers: to be timed, it has to be the first such of its conversation.
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.page import Page, tokens_shown
from benchmarks.wire import Connection

MODEL = "ep-bench"


@dataclass
class Heard:
    """One reply: when it was asked for, and when it had grown to how many tokens."""

    asked: float
    tokens: list[tuple[float, int]] = field(default_factory=list)
    bytes: int = 0

    def at(self, token: int) -> float:
        """When this token (counted from 1) was there."""
        return next(at for at, count in self.tokens if count >= token)


class Asker(Protocol):
    """Somebody who asks and waits for the reply."""

    async def prepare(self) -> None: ...

    async def ask(self, question: str) -> None: ...

    def heard(self) -> Heard:
        """What became of the last question; worked out here, after the measuring."""
        ...

    async def leave(self) -> None: ...


class Tab:
    """A page of the app or of the plain ChatInterface."""

    def __init__(self, url: str, headers: dict[str, str], conversation: str = "") -> None:
        self._page = Page(url, headers)
        self._conversation = conversation
        self._asked = 0.0

    async def prepare(self) -> None:
        await self._page.open()
        if self._conversation:
            chosen = self._page.named("session-list")
            self._page.values[chosen] = self._conversation
            await self._page.fire(chosen, "select")
        await self._warm()

    async def _warm(self) -> None:
        await self.ask("echo: hello")

    async def ask(self, question: str) -> None:
        self._asked = time.time()
        await self._page.enter(question)
        await self._page.settled()

    def heard(self) -> Heard:
        frames = self._page.frames
        return Heard(self._asked, tokens_shown(frames), sum(len(raw) for _, raw in frames))

    async def leave(self) -> None:
        self._page.close()


class Ear:
    """Hears Ark at its fastest: one connection without the SDK, and nothing is parsed."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, {"authorization": "Bearer bench-key"})
        self._heard = Heard(0)

    async def prepare(self) -> None:
        pass

    async def ask(self, question: str) -> None:
        self._heard = Heard(time.time())
        asked = [{"role": "user", "content": question}]
        body = {"model": MODEL, "messages": asked, "stream": True, "max_tokens": 65_536}
        await self._connection.drain("api/v3/chat/completions", body)
        self._heard.tokens.append((time.time(), 1))

    def heard(self) -> Heard:
        return self._heard

    async def leave(self) -> None:
        self._connection.close()


class Looker(Tab):
    """Somebody who asks nothing: opens a conversation, looks through the list, searches."""

    async def prepare(self) -> None:
        await self._page.open()
        self._told = Heard(0)

    async def ask(self, question: str) -> None:
        page = self._page
        page.answers.clear()
        self._told = Heard(time.time())
        if question.startswith("open"):
            chosen = page.named("session-list")
            page.values[chosen] = self._conversation
            await page.fire(chosen, "select")
        else:
            search = page.named("search-sessions")
            page.values[search] = "zebra" if question.startswith("search") else ""
            await page.fire(search, "change")
        await page.settled()
        first, raw = page.answers[0]
        self._told.tokens.append((first, 1))
        self._told.bytes = len(raw)

    def heard(self) -> Heard:
        return self._told


class FreshTab(Tab):
    """The same at the first question of a conversation."""

    async def _warm(self) -> None:
        await self._page.fire(self._page.named("new-session"), "click")
