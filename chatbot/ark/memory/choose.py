"""Chooses the kind of memory for a model, and what to do after an error.

The database is the conversation; Ark's memory is a cache of it. `MemoryRequest` says what the
memory should contain. The caller decides, by `memory_upto`, whether it equals the visible branch.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from chatbot.ark.chunks import CallFailed, CallStarts, Chunk, Note, PromptMessage, RemoteContext
from chatbot.ark.client import ArkClient
from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.ark.memory.attempt import Attempt
from chatbot.ark.memory.chat import ChatMemory
from chatbot.ark.memory.context import ContextMemory
from chatbot.ark.memory.request import Event, Memory, MemoryRequest
from chatbot.ark.memory.responses import ResponsesMemory
from chatbot.catalog import kinds_of
from chatbot.errors import ArkError, PromptTooLong

log = logging.getLogger("chatbot.memory")
pause = asyncio.sleep
"""The wait between two calls."""

RESPONSE_PREFIX = "resp_"
RETRY_SECONDS = 0.5
LEARNED_SECONDS = 86_400
"""How long a kind of memory that a model refused is not tried again."""


class Memories:
    """The kinds of memory, best first; uses the next one if a model refuses one.

    What it learns about a model is kept for a day, in this process.
    """

    def __init__(self, client: ArkClient, kinds: Sequence[Memory]) -> None:
        self._client = client
        self._kinds = list(kinds)
        self._steps: dict[str, tuple[int, float]] = {}
        self._dialects: dict[tuple[str, str], Dialect] = {}
        self._rooms: dict[str, int] = {}

    def kind_for(self, model: str) -> str:
        """The kind of memory in use for this model."""
        return self._memory(model).kind

    def first_calls(
        self, model: str, held: int | None, history: int, new: int, max_tokens: int
    ) -> list[CallStarts]:
        """The calls of a turn if nothing goes wrong, with the most tokens they can use.

        `held`: tokens that Ark holds; None if a memory must be built from `history` tokens.
        `new`: tokens of the question. `answer` reports each call again with its exact estimate.
        """
        return self._memory(model).first_calls(held, history, new, max_tokens)

    def _memory(self, model: str) -> Memory:
        return self._kinds[self._step(model)]

    def _step(self, model: str) -> int:
        step, at = self._steps.get(model, (0, 0.0))
        return step if time.monotonic() - at < LEARNED_SECONDS else 0

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
        """Change the attempt after an error; returns a text for the log and the seconds to wait."""
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
        """Remember what has led to an answer."""
        kind = self._kinds[attempt.step].kind
        if attempt.dialect != self._dialect(model, attempt.step):
            left_out = ", ".join(sorted(attempt.dialect.refused)) or "nothing"
            most = attempt.dialect.most_output or "any"
            log.info("%s by %r: leaves out %s, output limit %s", model, kind, left_out, most)
            self._dialects[model, kind] = attempt.dialect
        # Another turn may have learned it at the same time.
        if attempt.proven and attempt.step > self._step(model):
            self._steps[model] = (attempt.step, time.monotonic())
            log.warning("%s: from now on %r", model, kind)
        if attempt.shortened:
            self._rooms[model] = attempt.history_tokens


def _failed(error: ArkError) -> CallFailed:
    return CallFailed(error.applied, error.wrote)


def _says_something(event: Event) -> bool:
    return isinstance(event, Chunk) and bool(event.text or event.thought)


def memories_for(kind: str, model: str, client: ArkClient, ttl: int) -> Memories:
    """The kinds of memory for the setting ARK_MEMORY.

    `auto` begins with the best kind that the model is known to have, for an unknown model with the
    best of all, and uses the next one if that is refused. Other servers than Ark get `chat`.
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
