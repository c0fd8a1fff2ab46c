"""Who asks: the bare SDK, or a page of an app. All are asked alike and tell alike what they heard.

A turn before the measured one has made every connection and, where there is one, the memory at
Ark's side, so that first tokens compare.
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from volcenginesdkarkruntime import AsyncArk

from benchmarks.page import Page, tokens_shown
from benchmarks.texts import history
from benchmarks.wire import Connection
from chatbot.ark.chunks import Line
from chatbot.ark.memory import newest_that_fit

MODEL = "ep-bench"
HISTORY_TOKENS = 16_000
"""The app's default of HISTORY_TOKENS: so much of a long history the model is given."""


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


class Bare:
    """The SDK alone: a session context, and its completions as a stream."""

    def __init__(self, ark: AsyncArk, messages: int) -> None:
        self._ark = ark
        self._messages = messages
        self._heard = Heard(0)

    async def prepare(self) -> None:
        await self._create()
        await self.ask("echo: hello")

    async def _create(self) -> None:
        lines = [Line(one["role"], one["content"]) for one in history(self._messages)]
        newest, _ = newest_that_fit(lines, HISTORY_TOKENS)
        told = [{"role": line.role, "content": line.content} for line in newest]
        created = await self._ark.context.create(
            model=MODEL,
            mode="session",
            # A context must not be created with an assistant message at its end.
            messages=[{"role": "system", "content": "Be brief."}, *told[:-1]],
            ttl=3600,
        )
        self._context = created.id

    async def ask(self, question: str) -> None:
        self._heard = Heard(time.time())
        stream = await self._ark.context.completions.create(
            model=MODEL,
            context_id=self._context,
            messages=[{"role": "user", "content": question}],
            max_tokens=4096,
            stream=True,
            stream_options={"include_usage": True},
        )
        await self._hear(stream)

    async def _hear(self, stream: object) -> None:
        async for chunk in stream:  # type: ignore[attr-defined]
            if chunk.choices and chunk.choices[0].delta.content:
                self._heard.tokens.append((time.time(), len(self._heard.tokens) + 1))

    def heard(self) -> Heard:
        return self._heard

    async def leave(self) -> None:
        await self._ark.close()


class BareFirst(Bare):
    """The SDK at the first question of a conversation: the context is made while one waits."""

    async def ask(self, question: str) -> None:
        asked = time.time()
        await self._create()
        await super().ask(question)
        self._heard.asked = asked


class BareChat(Bare):
    """The SDK's chat call with the whole history in each question, as the ChatInterface does."""

    async def prepare(self) -> None:
        self._told = history(self._messages)
        await self.ask("echo: hello")

    async def ask(self, question: str) -> None:
        self._heard = Heard(time.time())
        messages = [*self._told, {"role": "user", "content": question}]
        await self._hear(
            await self._ark.chat.completions.create(model=MODEL, messages=messages, stream=True)
        )


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


class FreshTab(Tab):
    """The same at the first question of a conversation."""

    async def _warm(self) -> None:
        await self._page.fire(self._page.named("new-session"), "click")
