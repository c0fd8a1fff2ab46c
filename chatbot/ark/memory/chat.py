"""Plain chat: Ark stores nothing; the history is sent with every question."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from chatbot.ark.chunks import (
    CallOptions,
    CallStarts,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.client import ArkClient
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.memory.request import Event, MemoryRequest, history_of


class ChatMemory:
    """No memory at Ark: the history is sent with every question (docs/82379/1494384).

    Works with every model and every OpenAI-compatible server.
    """

    kind = "chat"

    def __init__(self, client: ArkClient) -> None:
        self._client = client

    def first_calls(
        self, held: int | None, history: int, new: int, options: CallOptions
    ) -> list[CallStarts]:
        return [CallStarts(history + new, options.max_tokens)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        history, cut = await history_of(ask)
        if cut:
            yield Note("history_cut")
        lines = [PromptMessage("system", ask.system), *history, ask.question]
        hidden = self._client.hides_thoughts(ask.options, ask.dialect)
        yield CallStarts(estimate_lines(lines), ask.output_tokens, hidden)
        yield MemorySaved("chat", None, None)
        async with aclosing(
            self._client.stream_chat(ask.model, lines, ask.options, ask.dialect)  # type: ignore[type-var]
        ) as chunks:
            async for chunk in chunks:
                yield chunk
