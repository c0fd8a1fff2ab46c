"""How a conversation is remembered at Ark's side, and what is done when it is forgotten.

The database is the conversation; what Ark holds is a cache of it. A memory is told what it
should contain (`MemoryRequest`) and answers; whether its content equals the visible branch is
decided by the caller, by `memory_upto`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from chatbot.ark.attempt import Attempt, estimate_lines
from chatbot.ark.chunks import (
    CallFailed,
    CallStarts,
    Chunk,
    MemorySaved,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.client import ArkClient
from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.ark.tokens import estimate_tokens
from chatbot.catalog import kinds_of
from chatbot.clock import now
from chatbot.errors import ArkError, PromptTooLong

log = logging.getLogger("chatbot.memory")
pause = asyncio.sleep
"""How a wait between two calls is spent."""

RESPONSE_PREFIX = "resp_"
RETRY_SECONDS = 0.5
LEARNED_SECONDS = 86_400
"""How long a kind of memory that a model lacks is not tried again."""
Event = CallStarts | CallFailed | Chunk | MemorySaved | Note


@dataclass(frozen=True)
class MemoryRequest:
    """One question, and where the model finds what came before it."""

    model: str
    system: str
    question: str
    ref: str | None
    """What Ark holds, if it holds exactly the visible branch; None to build it anew."""
    held_tokens: int
    """The most tokens that Ark can count for what it holds under `ref`."""
    load_history: Callable[[], Awaitable[Sequence[PromptMessage]]]
    """The remembered messages of the visible branch before the question, oldest first."""
    begun: tuple[PromptMessage, ...]
    """Question and answer so far when the answer is continued; they are never left out."""
    history_tokens: int
    max_tokens: int
    dialect: Dialect = PLAIN
    """What the model has refused so far."""

    @property
    def output_tokens(self) -> int:
        """The most tokens of an answer, thoughts included."""
        return self.dialect.output(self.max_tokens)


class Memory(Protocol):
    """One way to keep a conversation at Ark's side."""

    kind: str

    def first_calls(
        self, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        """The calls of a turn in which nothing goes wrong: see `Memories.first_calls`."""
        ...

    def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        """The reply, on what Ark holds or else on a memory built from the history.

        A memory that has been built is told as a new `RemoteContext`, before it is asked anything.
        Each call to Ark is told as `CallStarts` before it is made.
        """
        ...


class Memories:
    """The ways to remember, from the best down; steps down where a model lacks one.

    What is learned of a model is kept for a day, in this process.
    """

    def __init__(self, client: ArkClient, kinds: Sequence[Memory]) -> None:
        self._client = client
        self._kinds = list(kinds)
        self._steps: dict[str, tuple[int, float]] = {}
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._rooms: dict[str, int] = {}

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
        return self._kinds[self._step(model)]

    def _step(self, model: str) -> int:
        step, at = self._steps.get(model, (0, 0.0))
        return step if time.monotonic() - at < LEARNED_SECONDS else 0

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

    async def answer(self, ask: MemoryRequest) -> AsyncIterator[Event]:
        """The reply, with everything that can be made good made good before its first word.

        A lost memory is rebuilt once and the turn replayed once. A field that the model does not
        take is left out, a history that is too long is shortened once, and a kind of memory that
        is refused gives way to the next one. What passes by itself is retried, with growing,
        random pauses; a memory that may have taken the turn although no answer came is never used
        again. After the first word nothing is repeated.

        Each call is told as `CallStarts` before it is made, and as `CallFailed` when another one
        takes its place; whoever takes the events decides so whether the next call is made.
        """
        attempt = self._begin(ask)
        while True:
            said = False
            memory = self._kinds[attempt.step]
            asked = replace(ask, dialect=attempt.dialect, history_tokens=attempt.history_tokens)
            try:
                async with aclosing(memory.stream_reply(asked, attempt.ground)) as events:  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, RemoteContext):
                            attempt.ground = event
                            continue
                        if not said and _says_something(event):
                            said = True
                            self._learn(ask.model, attempt)
                            if attempt.rebuilt:
                                yield Note("memory_rebuilt")
                        yield event
                return
            except ArkError as error:
                if said:
                    raise
                cure, seconds = await self._cure(error, attempt, ask)
                if not cure:
                    raise
                log.warning("%s: %s", cure, error.for_log())
                yield _failed(error)
                await pause(seconds)

    def _begin(self, ask: MemoryRequest) -> Attempt:
        step = self._step(ask.model)
        return Attempt(
            ground=RemoteContext(ask.ref, ask.held_tokens),
            dialect=self._dialect(ask.model, step),
            history_tokens=min(ask.history_tokens, self._rooms.get(ask.model, ask.history_tokens)),
            step=step,
            last_step=len(self._kinds) - 1,
        )

    async def _cure(
        self, error: ArkError, attempt: Attempt, ask: MemoryRequest
    ) -> tuple[str, float]:
        """What is done about a refusal, in words for the log, and the seconds to wait before."""
        if attempt.rebuild(error):
            return "rebuilding memory", 0
        if attempt.reword(error):
            return "asking in other words", 0
        if isinstance(error, PromptTooLong):
            fixed = [
                PromptMessage("system", ask.system),
                *ask.begun,
                PromptMessage("user", ask.question),
            ]
            if attempt.shorten(error, fixed, await ask.load_history(), ask.max_tokens):
                return "shortening the history", 0
        if attempt.step_down(error):
            attempt.dialect = self._dialect(ask.model, attempt.step)
            return f"stepping down to {self._kinds[attempt.step].kind}", 0
        seconds = attempt.retry_after(error, RETRY_SECONDS)
        return ("", 0) if seconds is None else ("retrying", seconds)

    def _dialect(self, model: str, step: int) -> Dialect:
        return self._dialects.get((model, self._kinds[step].kind), PLAIN)

    def _learn(self, model: str, attempt: Attempt) -> None:
        """Keep what has led to an answer."""
        kind = self._kinds[attempt.step].kind
        if attempt.dialect != self._dialect(model, attempt.step):
            left_out = ", ".join(sorted(attempt.dialect.refused)) or "nothing"
            most = attempt.dialect.most_output or "any"
            log.info("%s by %r: leaves out %s, output limit %s", model, kind, left_out, most)
            self._dialects[model, kind] = attempt.dialect
        # Two turns may find out at once.
        if attempt.proven and attempt.step > self._step(model):
            self._steps[model] = (attempt.step, time.monotonic())
            log.warning("%s: from now on %r", model, kind)
        if attempt.shortened:
            self._rooms[model] = attempt.history_tokens


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

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        if ground.ref is None:
            history, cut = await _history(ask)
            if cut:
                yield Note("history_cut")
            # A context must not be created with an assistant message at its end, so the last
            # reply travels with the new question.
            last = [history.pop()] if history and history[-1].role == "assistant" else []
            lines = [PromptMessage("system", ask.system), *history]
            most = estimate_lines(lines)
            new = [*last, PromptMessage("user", ask.question)]
            then = CallStarts(most + estimate_lines(new), ask.output_tokens)
            yield CallStarts(most, 0, then=(then,))
            ref, told = await self._client.create_context(ask.model, lines, self._ttl)
            yield Chunk(tokens=told)
            ground = RemoteContext(ref, most, tuple(last))
            yield ground
        # Each use renews the idle timer; counted from before the call, so never too late.
        yield MemorySaved("context", ground.ref, now() + timedelta(seconds=self._ttl))
        new = [*ground.lacking, PromptMessage("user", ask.question)]
        yield CallStarts(ground.tokens + estimate_lines(new), ask.output_tokens)
        async with aclosing(
            self._client.stream_context(  # type: ignore[type-var]
                ask.model, str(ground.ref), new, ask.max_tokens, ask.dialect
            )
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
        return [CallStarts(before + new, max_tokens)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        new = [PromptMessage("user", ask.question)]
        if ground.ref is None:
            history, cut = await _history(ask)
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
        return [CallStarts(history + new, max_tokens)]

    async def stream_reply(
        self, ask: MemoryRequest, ground: RemoteContext
    ) -> AsyncIterator[Event | RemoteContext]:
        history, cut = await _history(ask)
        if cut:
            yield Note("history_cut")
        lines = [PromptMessage("system", ask.system), *history, PromptMessage("user", ask.question)]
        hidden = self._client.hides_thoughts(ask.dialect)
        yield CallStarts(estimate_lines(lines), ask.output_tokens, hidden)
        yield MemorySaved("chat", None, None)
        async with aclosing(
            self._client.stream_chat(ask.model, lines, ask.max_tokens, ask.dialect)  # type: ignore[type-var]
        ) as chunks:
            async for chunk in chunks:
                yield chunk


def memories_for(kind: str, model: str, client: ArkClient, ttl: int) -> Memories:
    """The ways to remember for a setting of ARK_MEMORY.

    `auto` begins with what the model is known to be served by, an unknown model with the best kind
    of all, and steps down when that is refused; other servers than Ark's get the plain history.
    """
    context, responses, chat = (
        ContextMemory(client, ttl),
        ResponsesMemory(client, ttl),
        ChatMemory(client),
    )
    named: dict[str, Memory] = {memory.kind: memory for memory in (context, responses, chat)}
    if kind != "auto":
        return Memories(client, [named[kind]])
    kinds = kinds_of(model) if client.speaks_ark else ("chat",)
    return Memories(client, [named[name] for name in kinds])


async def _history(ask: MemoryRequest) -> tuple[list[PromptMessage], bool]:
    """What stands before the question in a memory that is built, and whether anything of it
    was left out."""
    room = ask.history_tokens - estimate_lines(ask.begun)
    kept, cut = newest_that_fit(await ask.load_history(), room)
    return [*kept, *ask.begun], cut


def newest_that_fit(
    history: Sequence[PromptMessage], budget: int
) -> tuple[list[PromptMessage], bool]:
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
