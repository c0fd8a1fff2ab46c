"""The SDK alone as an asker: what everything else is compared with."""

import time

from volcenginesdkarkruntime import AsyncArk

from benchmarks.askers import MODEL, Heard
from benchmarks.texts import history
from chatbot.ark.chunks import PromptMessage
from chatbot.ark.memory.request import newest_that_fit

HISTORY_TOKENS = 16_000
"""The app's default of HISTORY_TOKENS: so much of a long history the model is given."""


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
        lines = [PromptMessage(one["role"], one["content"]) for one in history(self._messages)]
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
