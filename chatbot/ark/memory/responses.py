"""The Responses API: Ark stores each reply, and the next one can continue it."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from chatbot.ark.chunks import (
    CallOptions,
    CallStarts,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.client import MOST_SEARCHES, MOST_TOOL_CALLS, ArkClient, searches
from chatbot.ark.dialect import PLAIN
from chatbot.ark.memory.attempt import estimate_lines
from chatbot.ark.memory.request import Event, MemoryRequest, history_of
from chatbot.clock import now

FOUND_TOKENS = 6_000
"""The most prompt tokens of what one search finds: five pages. Not documented; the longest that was
reported is about half."""


class ResponsesMemory:
    """Ark's Responses API (docs/82379/1569618): Ark stores each reply until its `expire_at`, and
    the next question continues it by its id. Use does not renew it; the next reply has its own."""

    kind = "responses"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    def first_calls(
        self, held: int | None, history: int, new: int, options: CallOptions
    ) -> list[CallStarts]:
        before = history if held is None else held
        search = searches(options, PLAIN)
        return [_call(before + new, options.max_tokens, search=search)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        new = [ask.question]
        if ground.ref is None:
            history, cut = await history_of(ask)
            if cut:
                yield Note("history_cut")
            new = [PromptMessage("system", ask.system), *history, *new]
        expires_at = now() + timedelta(seconds=self._ttl)
        most = ground.tokens + estimate_lines(new)
        hidden = self._client.hides_thoughts(ask.options, ask.dialect)
        search = searches(ask.options, ask.dialect)
        yield _call(most, ask.output_tokens, search=search, hidden=hidden)
        async with aclosing(
            self._client.stream_response(  # type: ignore[type-var]
                ask.model, ground.ref, new, ask.options, expires_at, ask.dialect
            )
        ) as chunks:
            async for chunk in chunks:
                if chunk.ref and chunk.finish:
                    yield MemorySaved("responses", chunk.ref, expires_at)
                yield chunk


def _call(most: int, output: int, *, search: bool, hidden: bool = False) -> CallStarts:
    """The call with the most tokens it can use. With searches the model reads its prompt once more
    after each, and all that was found."""
    if not search:
        return CallStarts(most, output, hidden)
    found = most * MOST_TOOL_CALLS + MOST_SEARCHES * FOUND_TOKENS
    return CallStarts(most + found, output, hidden, MOST_SEARCHES, found)
