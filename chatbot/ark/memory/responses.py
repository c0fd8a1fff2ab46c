"""The Responses API: Ark stores each reply, and the next one can continue it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from chatbot.ark.chunks import CallStarts, MemorySaved, Note, PromptMessage, RemoteContext
from chatbot.ark.client import ArkClient
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.memory.request import Event, MemoryRequest, history_of
from chatbot.clock import now


class ResponsesMemory:
    """Ark's Responses API (docs/82379/1569618): Ark stores each reply until its `expire_at`, and
    the next question continues it by its id. Use does not renew it; the next reply has its own."""

    kind = "responses"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        before = history if held is None else held
        return [CallStarts(before + new, max_tokens)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        new = [PromptMessage("user", ask.question)]
        if ground.ref is None:
            history, cut = await history_of(ask)
            if cut:
                yield Note("history_cut")
            new = [PromptMessage("system", ask.system), *history, *new]
        expires_at = now() + timedelta(seconds=self._ttl)
        most = ground.tokens + estimate_lines(new)
        yield CallStarts(most, ask.output_tokens, self._client.hides_thoughts(ask.dialect))
        async with aclosing(
            self._client.stream_response(  # type: ignore[type-var]
                ask.model, ground.ref, new, ask.max_tokens, expires_at, ask.dialect
            )
        ) as chunks:
            async for chunk in chunks:
                if chunk.ref and chunk.finish:
                    yield MemorySaved("responses", chunk.ref, expires_at)
                yield chunk
