"""Chooses the kind of memory for a model, and what to do after an error.

The database is the conversation; Ark's memory is a cache of it. `MemoryRequest` says what the
memory should contain. The caller decides, by `memory_upto`, whether it equals the visible branch.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from chatbot.ark.chunks import (
    CallFailed,
    CallOptions,
    CallStarts,
    Chunk,
    Note,
    PromptMessage,
    RemoteContext,
)
from chatbot.ark.client import ArkClient
from chatbot.ark.memory.attempt import Attempt
from chatbot.ark.memory.chat import ChatMemory
from chatbot.ark.memory.context import ContextMemory
from chatbot.ark.memory.learned import Learned
from chatbot.ark.memory.request import Event, Memory, MemoryRequest
from chatbot.ark.memory.responses import ResponsesMemory
from chatbot.catalog import wire_name
from chatbot.errors import ArkError, PromptTooLong

log = logging.getLogger("chatbot.memory")
pause = asyncio.sleep
"""The wait between two calls."""

RESPONSE_PREFIX = "resp_"
RETRY_SECONDS = 0.5
KindsOf = Callable[[str], Sequence[str]]
"""The kinds of memory to try for a model, the best first."""


class Memories:
    """The kinds of memory of each model; uses the next one if a model refuses one."""

    def __init__(
        self, client: ArkClient, kinds: Sequence[Memory], kinds_of: KindsOf, learned: Learned
    ) -> None:
        self._client = client
        self._by_kind = {memory.kind: memory for memory in kinds}
        self._kinds_of = kinds_of
        self._learned = learned

    def kind_for(self, model: str) -> str:
        """The kind of memory in use for this model."""
        return self._kinds(model)[self._step(model)].kind

    def first_calls(
        self, model: str, held: int | None, history: int, new: int, options: CallOptions
    ) -> list[CallStarts]:
        """The calls of a turn if nothing goes wrong, with the most tokens they can use.

        `held`: tokens that Ark holds; None if a memory must be built from `history` tokens.
        `new`: tokens of the question. `answer` reports each call again with its exact estimate.
        """
        memory = self._kinds(model)[self._step(model)]
        return memory.first_calls(held, history, new, options)

    def can_search(self, model: str) -> bool:
        """Whether this model is not known to refuse web search."""
        known = self._learned.of(wire_name(model), "responses")
        return self.kind_for(model) == "responses" and known.dialect.takes("tools")

    @staticmethod
    def _searches(kinds: Sequence[Memory], attempt: Attempt) -> bool:
        return kinds[attempt.step].kind == "responses" and attempt.dialect.takes("tools")

    def _kinds(self, model: str) -> list[Memory]:
        return [self._by_kind[kind] for kind in self._kinds_of(model)]

    def _step(self, model: str) -> int:
        """The index of the best kind that the model is not known to lack."""
        kinds = self._kinds(model)
        served = (self._learned.of(wire_name(model), one.kind).served for one in kinds)
        return next((step for step, known in enumerate(served) if known), len(kinds) - 1)

    async def forget(self, refs: Sequence[str]) -> None:
        """Delete what Ark stores under these ids, as far as its API can; failures are logged.

        Contexts cannot be deleted: they expire (docs/82379/1396491).
        """
        for ref in refs:
            if ref.startswith(RESPONSE_PREFIX):
                try:
                    await self._client.forget_response(ref)
                except ArkError as error:
                    log.warning("response not deleted: %s", error.for_log())

    async def answer(self, ask: MemoryRequest) -> AsyncIterator[Event]:
        """Yield the events of the reply; errors before its first word are repaired if possible.

        A lost memory is rebuilt once. A refused field is left out, a history that is too long is
        shortened once, and a refused kind of memory is replaced by the next one. Temporary errors
        are retried with growing, random pauses. A memory that may contain the turn although no
        answer came is never used again. After the first word nothing is repeated.

        `CallStarts` comes before each call, `CallFailed` if another call replaces it. The consumer
        can stop at `CallStarts` to prevent the call.
        """
        kinds = self._kinds(ask.model)
        attempt = self._begin(ask, kinds)
        while True:
            said = False
            memory = kinds[attempt.step]
            options = ask.options
            if attempt.without_search:
                options = replace(options, search=False)
            asked = replace(
                ask,
                dialect=attempt.dialect,
                history_tokens=attempt.history_tokens,
                options=options,
            )
            try:
                async with aclosing(memory.stream_reply(asked, attempt.ground)) as events:  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, RemoteContext):
                            attempt.ground = event
                            continue
                        if not said and _says_something(event):
                            said = True
                            await self._learn(ask.model, attempt, kinds)
                            if attempt.rebuilt:
                                yield Note("memory_rebuilt")
                            if attempt.without_search:
                                yield Note("search_closed")
                            elif ask.options.search and not self._searches(kinds, attempt):
                                yield Note("search_refused")
                        yield event
                return
            except ArkError as error:
                if said:
                    raise
                cure, seconds = await self._cure(error, attempt, ask, kinds)
                if not cure:
                    raise
                log.warning("%s: %s", cure, error.for_log())
                yield _failed(error)
                await pause(seconds)

    def _begin(self, ask: MemoryRequest, kinds: Sequence[Memory]) -> Attempt:
        step = self._step(ask.model)
        known = self._learned.of(wire_name(ask.model), kinds[step].kind)
        most = known.most_history
        return Attempt(
            ground=RemoteContext(ask.ref, ask.held_tokens),
            dialect=known.dialect,
            history_tokens=ask.history_tokens if most is None else min(ask.history_tokens, most),
            step=step,
            last_step=len(kinds) - 1,
        )

    async def _cure(
        self, error: ArkError, attempt: Attempt, ask: MemoryRequest, kinds: Sequence[Memory]
    ) -> tuple[str, float]:
        """Change the attempt after an error; returns a text for the log and the seconds to wait."""
        if attempt.rebuild(error):
            return "rebuilding memory", 0
        if attempt.reword(error):
            return "asking in other words", 0
        if ask.options.search and attempt.do_without_search(error):
            return "asking without web search", 0
        if isinstance(error, PromptTooLong):
            fixed = [
                PromptMessage("system", ask.system),
                *ask.begun,
                ask.question,
            ]
            history = await ask.load_history()
            if attempt.shorten(error, fixed, history, ask.options.max_tokens):
                return "shortening the history", 0
        if attempt.step_down(error):
            kind = kinds[attempt.step].kind
            attempt.dialect = self._learned.of(wire_name(ask.model), kind).dialect
            return f"stepping down to {kind}", 0
        seconds = attempt.retry_after(error, RETRY_SECONDS)
        return ("", 0) if seconds is None else ("retrying", seconds)

    async def _learn(self, model: str, attempt: Attempt, kinds: Sequence[Memory]) -> None:
        """Remember what has led to an answer."""
        name, kind = wire_name(model), kinds[attempt.step].kind
        known = self._learned.of(name, kind)
        most = attempt.history_tokens if attempt.shortened else known.most_history
        if (attempt.dialect, most) != (known.dialect, known.most_history):
            left_out = ", ".join(sorted(attempt.dialect.refused)) or "nothing"
            limit = attempt.dialect.most_output or "any"
            log.info("%s by %r: leaves out %s, output limit %s", model, kind, left_out, limit)
            await self._learned.learn(replace(known, dialect=attempt.dialect, most_history=most))
        # Another turn may have learned it at the same time.
        if attempt.proven and attempt.step > self._step(model):
            for better in kinds[: attempt.step]:
                lacking = replace(self._learned.of(name, better.kind), served=False)
                await self._learned.learn(lacking)
            log.warning("%s: from now on %r", model, kind)


def _failed(error: ArkError) -> CallFailed:
    return CallFailed(error.applied, error.wrote)


def _says_something(event: Event) -> bool:
    return isinstance(event, Chunk) and bool(event.text or event.thought)


def memories_for(
    kind: str, client: ArkClient, ttl: int, kinds_of: KindsOf, learned: Learned
) -> Memories:
    """The kinds of memory for the setting ARK_MEMORY.

    `auto` begins with the best kind that a model is known to have, for an unknown model with the
    best of all, and uses the next one if that is refused. Other servers than Ark get `chat`.
    """
    context, responses, chat = (
        ContextMemory(client, ttl),
        ResponsesMemory(client, ttl),
        ChatMemory(client),
    )
    memories: list[Memory] = [context, responses, chat]
    if kind == "auto" and client.speaks_ark:
        return Memories(client, memories, kinds_of, learned)
    only = [memory.kind for memory in memories if memory.kind == kind] or ["chat"]
    return Memories(client, memories, lambda _: only, learned)
