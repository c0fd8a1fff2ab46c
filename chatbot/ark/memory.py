"""How a conversation is remembered at Ark's side, and what is done when it is forgotten.

The database is the conversation; what Ark holds is a cache of it. A memory is told what it
should contain (`Ask`) and answers; whether its content equals the visible branch is decided by
the caller, by `memory_upto`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chatbot.ark.chunks import Chunk, Ground, Held, Line, Note, Spent
from chatbot.ark.client import ArkClient
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import ArkError, ContextLost, NotSupported
from chatbot.storage.fields import now

log = logging.getLogger("chatbot.memory")

RESPONSE_PREFIX = "resp_"
RETRIES = 2
RETRY_SECONDS = 0.5
Event = Chunk | Held | Note | Spent


@dataclass(frozen=True)
class Ask:
    """One question, and where the model finds what came before it."""

    model: str
    system: str
    question: str
    ref: str | None
    """What Ark holds, if it holds exactly the visible branch; None to build it anew."""
    load_history: Callable[[], Awaitable[Sequence[Line]]]
    """The remembered messages of the visible branch before the question, oldest first."""
    history_tokens: int
    max_tokens: int


class Memory(Protocol):
    """One way to keep a conversation at Ark's side."""

    kind: str

    def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        """The reply, on what Ark holds or else on a memory built from the history.

        A memory that has been built is told as a new `Ground`, before it is asked anything.
        """
        ...


class Memories:
    """The ways to remember, from the cheapest down; steps down where a model lacks one."""

    def __init__(self, client: ArkClient, kinds: Sequence[Memory]) -> None:
        self._client = client
        self._kinds = list(kinds)
        self._steps: dict[str, int] = {}

    def kind_for(self, model: str) -> str:
        """The name of the way in use for this model."""
        return self._memory(model).kind

    def _memory(self, model: str) -> Memory:
        return self._kinds[self._steps.get(model, 0)]

    def _step_down(self, model: str, memory: Memory) -> bool:
        """Use the next way from now on; False when this was the last."""
        step = self._kinds.index(memory) + 1
        if step == len(self._kinds):
            return False
        # Two turns may find out at once.
        self._steps[model] = max(step, self._steps.get(model, 0))
        log.warning("%s does not serve %r: now %r", model, memory.kind, self.kind_for(model))
        return True

    async def forget(self, refs: Sequence[str]) -> None:
        """Delete what Ark stores under these ids, as far as its API can; failures are logged.

        Contexts cannot be deleted: they end with their time to live (docs/82379/1396491).
        """
        for ref in refs:
            if ref.startswith(RESPONSE_PREFIX):
                try:
                    await self._client.forget_response(ref)
                except ArkError as error:
                    log.warning("response not deleted: %s", error.for_log())

    async def answer(self, ask: Ask) -> AsyncIterator[Event]:
        """The reply, with everything that can be made good made good before its first word.

        A lost memory is rebuilt once and the turn replayed once. What passes by itself is
        retried, with growing, random pauses; a memory that may have taken the turn although no
        answer came is never used again. After the first word nothing is repeated.
        """
        ground, rebuilt, retries = Ground(ask.ref), False, 0
        while True:
            said = False
            memory = self._memory(ask.model)
            try:
                async with aclosing(memory.once(ask, ground)) as events:  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, Ground):
                            ground = event
                            continue
                        if rebuilt and not said and _says_something(event):
                            yield Note("memory_rebuilt")
                        said = said or _says_something(event)
                        yield event
                return
            except ContextLost as error:
                if said or ground.ref is None or rebuilt:
                    raise
                log.warning("rebuilding memory: %s", error.for_log())
                ground, rebuilt = Ground(), True
            except NotSupported as error:
                if said or not self._step_down(ask.model, memory):
                    raise
                log.warning("stepping down: %s", error.for_log())
                ground = Ground()
            except ArkError as error:
                if said or not error.retryable or retries == RETRIES:
                    raise
                log.warning("retrying: %s", error.for_log())
                retries += 1
                if error.applied:
                    ground = Ground()
                await asyncio.sleep(RETRY_SECONDS * 2**retries * random.uniform(0.5, 1))


def _says_something(event: Event) -> bool:
    return isinstance(event, Chunk) and bool(event.text or event.thought)


class ContextMemory:
    """Ark's session context (docs/82379/1396491): Ark adds the history, we send the new turn."""

    kind = "context"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        if ground.ref is None:
            history, cut = newest_that_fit(await ask.load_history(), ask.history_tokens)
            if cut:
                yield Note("history_cut")
            # A context must not be created with an assistant message at its end, so the last
            # reply travels with the new question.
            last = [history.pop()] if history and history[-1].role == "assistant" else []
            ref, tokens = await self._client.create_context(
                ask.model, [Line("system", ask.system), *history], self._ttl
            )
            yield Spent(tokens)
            ground = Ground(ref, tuple(last))
            yield ground
        # Each use renews the idle timer; counted from before the call, so never too late.
        yield Held("context", ground.ref, now() + timedelta(seconds=self._ttl))
        new = [*ground.lacking, Line("user", ask.question)]
        async with aclosing(
            self._client.stream_context(ask.model, str(ground.ref), new, ask.max_tokens)  # type: ignore[type-var]
        ) as chunks:
            async for chunk in chunks:
                yield chunk


class ResponsesMemory:
    """Ark's Responses API (docs/82379/1569618): each reply is stored there and can be gone on
    from by its id, until its own `expire_at`; use does not renew it, but the next reply has its
    own."""

    kind = "responses"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        new = [Line("user", ask.question)]
        if ground.ref is None:
            history, cut = newest_that_fit(await ask.load_history(), ask.history_tokens)
            if cut:
                yield Note("history_cut")
            new = [Line("system", ask.system), *history, *new]
        expires_at = now() + timedelta(seconds=self._ttl)
        async with aclosing(
            self._client.stream_response(  # type: ignore[type-var]
                ask.model, ground.ref, new, ask.max_tokens, expires_at
            )
        ) as chunks:
            async for chunk in chunks:
                if chunk.ref and chunk.finish:
                    yield Held("responses", chunk.ref, expires_at)
                yield chunk


class ChatMemory:
    """No memory there: the history travels with every question (docs/82379/1494384).

    What every model and every OpenAI-compatible server can do.
    """

    kind = "chat"

    def __init__(self, client: ArkClient) -> None:
        self._client = client

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        history, cut = newest_that_fit(await ask.load_history(), ask.history_tokens)
        if cut:
            yield Note("history_cut")
        lines = [Line("system", ask.system), *history, Line("user", ask.question)]
        async with aclosing(
            self._client.stream_chat(ask.model, lines, ask.max_tokens)  # type: ignore[type-var]
        ) as chunks:
            async for chunk in chunks:
                yield chunk


def memories_for(kind: str, model: str, client: ArkClient, ttl: int) -> Memories:
    """The ways to remember for a setting of ARK_MEMORY.

    `auto` begins with what serves the model, and steps down when Ark says it does not: endpoint
    ids with the Context API, model ids with the Responses API, other servers than Ark's with
    the plain history.
    """
    context, responses, chat = (
        ContextMemory(client, ttl),
        ResponsesMemory(client, ttl),
        ChatMemory(client),
    )
    named: dict[str, Memory] = {memory.kind: memory for memory in (context, responses, chat)}
    if kind != "auto":
        return Memories(client, [named[kind]])
    if not client.speaks_ark:
        return Memories(client, [chat])
    if model.startswith("ep-"):
        return Memories(client, [context, responses, chat])
    return Memories(client, [responses, chat])


def newest_that_fit(history: Sequence[Line], budget: int) -> tuple[list[Line], bool]:
    """The newest whole turns that fit into `budget` tokens, and whether any were left out."""
    start, used = len(history), 0
    for index in range(len(history) - 1, -1, -1):
        used += estimate_tokens(history[index].content)
        if used > budget:
            break
        # A turn begins with its question; half a turn would put words into nobody's mouth.
        if history[index].role == "user":
            start = index
    return list(history[start:]), start > 0
