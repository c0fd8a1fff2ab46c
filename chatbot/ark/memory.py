"""How a conversation is remembered at Ark's side, and what is done when it is forgotten.

The database is the conversation; what Ark holds is a cache of it. A memory is told what it
should contain (`Ask`) and answers; whether its content equals the visible branch is decided by
the caller, by `memory_upto`.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chatbot.ark.chunks import CallFailed, CallStarts, Chunk, Ground, Held, Line, Note
from chatbot.ark.client import ArkClient
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import ArkError, ContextLost, NotSupported
from chatbot.storage.fields import now

log = logging.getLogger("chatbot.memory")

RESPONSE_PREFIX = "resp_"
RETRIES = 2
RETRY_SECONDS = 0.5
Event = CallStarts | CallFailed | Chunk | Held | Note


@dataclass(frozen=True)
class Ask:
    """One question, and where the model finds what came before it."""

    model: str
    system: str
    question: str
    ref: str | None
    """What Ark holds, if it holds exactly the visible branch; None to build it anew."""
    held_tokens: int
    """The most tokens that Ark can count for what it holds under `ref`."""
    load_history: Callable[[], Awaitable[Sequence[Line]]]
    """The remembered messages of the visible branch before the question, oldest first."""
    begun: tuple[Line, ...]
    """Question and answer so far when the answer is continued; they are never left out."""
    history_tokens: int
    max_tokens: int


class Memory(Protocol):
    """One way to keep a conversation at Ark's side."""

    kind: str

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        """The calls of a turn in which nothing goes wrong: see `Memories.first_calls`."""
        ...

    def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        """The reply, on what Ark holds or else on a memory built from the history.

        A memory that has been built is told as a new `Ground`, before it is asked anything. Each
        call to Ark is told as `CallStarts` before it is made.
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

    def first_calls(
        self, model: str, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        """The calls of a turn in which nothing goes wrong, with the most tokens they can use.

        `held`: what Ark holds; None when a memory has to be built, from `history`. `new`: what
        is asked. Each call is told again, counted exactly, before it is made.
        """
        return self._memory(model).first_calls(held, history, new, max_tokens)

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

        Each call is told as `CallStarts` before it is made, and as `CallFailed` when another one
        takes its place; whoever takes the events decides so whether the next call is made.
        """
        ground, rebuilt, retries = Ground(ask.ref, ask.held_tokens), False, 0
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
                yield _failed(error)
                ground, rebuilt = Ground(), True
            except NotSupported as error:
                if said or not self._step_down(ask.model, memory):
                    raise
                log.warning("stepping down: %s", error.for_log())
                yield _failed(error)
                ground = Ground()
            except ArkError as error:
                if said or not error.retryable or retries == RETRIES:
                    raise
                log.warning("retrying: %s", error.for_log())
                yield _failed(error)
                retries += 1
                if error.applied:
                    ground = Ground()
                await asyncio.sleep(RETRY_SECONDS * 2**retries * random.uniform(0.5, 1))


def _failed(error: ArkError) -> CallFailed:
    return CallFailed(error.applied, error.wrote)


def _says_something(event: Event) -> bool:
    return isinstance(event, Chunk) and bool(event.text or event.thought)


class ContextMemory:
    """Ark's session context (docs/82379/1396491): Ark adds the history, we send the new turn."""

    kind = "context"

    def __init__(self, client: ArkClient, ttl: int) -> None:
        self._client = client
        self._ttl = ttl

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        if held is not None:
            return [CallStarts(held + new, max_tokens)]
        return [CallStarts(history, 0), CallStarts(history + new, max_tokens)]

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        if ground.ref is None:
            history, cut = await _history(ask)
            if cut:
                yield Note("history_cut")
            # A context must not be created with an assistant message at its end, so the last
            # reply travels with the new question.
            last = [history.pop()] if history and history[-1].role == "assistant" else []
            lines = [Line("system", ask.system), *history]
            most = estimate_lines(lines)
            yield CallStarts(most, 0)
            ref, told = await self._client.create_context(ask.model, lines, self._ttl)
            yield Chunk(tokens=told)
            ground = Ground(ref, most, tuple(last))
            yield ground
        # Each use renews the idle timer; counted from before the call, so never too late.
        yield Held("context", ground.ref, now() + timedelta(seconds=self._ttl))
        new = [*ground.lacking, Line("user", ask.question)]
        yield CallStarts(ground.tokens + estimate_lines(new), ask.max_tokens)
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

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        before = history if held is None else held
        return [CallStarts(before + new, max_tokens, self._client.hides_thoughts)]

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        new = [Line("user", ask.question)]
        if ground.ref is None:
            history, cut = await _history(ask)
            if cut:
                yield Note("history_cut")
            new = [Line("system", ask.system), *history, *new]
        expires_at = now() + timedelta(seconds=self._ttl)
        most = ground.tokens + estimate_lines(new)
        yield CallStarts(most, ask.max_tokens, self._client.hides_thoughts)
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

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        return [CallStarts(history + new, max_tokens, self._client.hides_thoughts)]

    async def once(self, ask: Ask, ground: Ground) -> AsyncIterator[Event | Ground]:
        history, cut = await _history(ask)
        if cut:
            yield Note("history_cut")
        lines = [Line("system", ask.system), *history, Line("user", ask.question)]
        yield CallStarts(estimate_lines(lines), ask.max_tokens, self._client.hides_thoughts)
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


async def _history(ask: Ask) -> tuple[list[Line], bool]:
    """What stands before the question in a memory that is built, and whether anything of it
    was left out."""
    room = ask.history_tokens - estimate_lines(ask.begun)
    kept, cut = newest_that_fit(await ask.load_history(), room)
    return [*kept, *ask.begun], cut


def estimate_lines(lines: Iterable[Line]) -> int:
    """The most prompt tokens that these messages can count."""
    return sum(estimate_tokens(line.content) for line in lines)


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
