"""Session contexts: Ark keeps the conversation and adds each turn."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from chatbot.ark.chunks import (
    CallOptions,
    CallStarts,
    Chunk,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.client import ArkClient
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.memory.request import Event, MemoryRequest, history_of
from chatbot.clock import now


class ContextMemory:
    """Ark's session context (docs/82379/1396491): Ark has the history, we send the new turn."""

    kind = "context"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    def first_calls(
        self, held: int | None, history: int, new: int, options: CallOptions
    ) -> list[CallStarts]:
        most = options.max_tokens
        if held is not None:
            return [CallStarts(held + new, most)]
        return [CallStarts(history, 0), CallStarts(history + new, most)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        if ground.ref is None:
            history, cut = await history_of(ask)
            if cut:
                yield Note("history_cut")
            # A new context must not end with an assistant message, so the last reply is sent with
            # the new question.
            last = [history.pop()] if history and history[-1].role == "assistant" else []
            lines = [PromptMessage("system", ask.system), *history]
            most = estimate_lines(lines)
            new = [*last, ask.question]
            then = CallStarts(most + estimate_lines(new), ask.output_tokens)
            yield CallStarts(most, 0, then=(then,))
            ref, told = await self._client.create_context(ask.model, lines, self._ttl)
            yield Chunk(tokens=told)
            ground = RemoteContext(ref, most, tuple(last))
            yield ground
        # Each use renews the idle timer. Count from before the call, so it is never too late.
        yield MemorySaved("context", ground.ref, now() + timedelta(seconds=self._ttl))
        new = [*ground.lacking, ask.question]
        yield CallStarts(ground.tokens + estimate_lines(new), ask.output_tokens)
        async with aclosing(
            self._client.stream_context(  # type: ignore[type-var]
                ask.model, str(ground.ref), new, ask.options, ask.dialect
            )
        ) as chunks:
            async for chunk in chunks:
                yield chunk
