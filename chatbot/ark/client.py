"""Ark through Volcengine's SDK: create a context, stream a reply, translate errors.

The only importer of the SDK. What the SDK raises, in any of its shapes, becomes an `ArkError`
here, once. No retries here: which call may be repeated is for `memory.py` to say.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkAPIConnectionError,
    ArkAPIError,
    ArkAPIStatusError,
)

from chatbot.ark.body import bound
from chatbot.ark.chunks import Chunk, PromptMessage, Tokens
from chatbot.ark.dialect import PLAIN, Dialect
from chatbot.ark.errors import Api, Refusal, error_for
from chatbot.ark.parse import (
    ODD,
    Event,
    chat_chunk,
    output_of,
    read_ref,
    read_usage,
    response_chunk,
    told_error,
)
from chatbot.ark.reach import unreachable
from chatbot.ark.sse import ENDED, BrokenEvent, read_events
from chatbot.catalog import wire_name
from chatbot.errors import ArkError, ArkSilent, ReplyTooLong, StreamBroken

CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 30
"""How long an idle connection is kept for the next question, which then needs no handshake; by
default five. Servers commonly wait for a minute."""
ARK_PATH = re.compile(r"/api/(?:\w+/)?v3$")
"""How Ark's addresses end, those of its plans (`/api/coding/v3`) included."""
THINKING_OFF = {"type": "disabled"}
"""Current models think unless they are told not to, which takes them half a minute more."""
SPARE_EVENTS = 1_000
"""Events without text that a stream may have, beside two for each token it may take."""
LIMITS = httpx.Limits(
    max_connections=1000,
    # Each request looks at every idle connection: a hundred of them took a fifth of a crowd's time.
    max_keepalive_connections=10,
    keepalive_expiry=KEEPALIVE_SECONDS,
)
SDK_FAILURES = (ArkAPIError, httpx.HTTPError, BrokenEvent, ValueError, RecursionError)
"""Everything a call or a running stream can raise; the last two come out of JSON that the SDK
reads."""


class ArkClient:
    """One AsyncArk for the life of the process. Use it in one event loop; `close` it there.

    A `model` is as ARK_MODEL names it. `Dialect` says what the model has refused so far.
    """

    def __init__(
        self, *, api_key: str, base_url: str, first_token_seconds: float, idle_seconds: float
    ) -> None:
        self._key = api_key
        self.speaks_ark = bool(ARK_PATH.search(base_url))
        self._first_token_seconds = first_token_seconds
        self._idle_seconds = idle_seconds
        # The SDK's own retry re-sends a POST after a timeout, which would apply one turn twice
        # to a session context.
        self._ark = AsyncArk(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            # Each call below has its own limit; one of httpx's is set anew for every piece read.
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            http_client=httpx.AsyncClient(
                event_hooks={
                    "request": [] if self.speaks_ark else [_drop_nulls],
                    "response": [bound],
                },
                # Texts of a few bytes are not worth packing, and what is not packed cannot burst.
                headers={"Accept-Encoding": "identity"},
                limits=LIMITS,
            ),
        )

    async def close(self) -> None:
        await self._ark.close()

    def hides_thoughts(self, dialect: Dialect) -> bool:
        """Whether the model may think without showing all of it: Ark's newer ones show a summary
        of their thoughts, if they cannot be told not to think."""
        return self.speaks_ark and not dialect.takes("thinking")

    async def create_context(
        self, model: str, lines: Iterable[PromptMessage], ttl: int
    ) -> tuple[str, Tokens | None]:
        """The id of a new session context that holds these messages, and what it took
        (docs/82379/1528789).

        `ttl` is in seconds. The last message must not be the assistant's.
        """
        try:
            async with asyncio.timeout(self._first_token_seconds):
                context = await self._ark.context.create(
                    model=wire_name(model), mode="session", messages=_wire(lines), ttl=ttl
                )
        except TimeoutError:
            raise ArkSilent("context.create") from None
        except SDK_FAILURES as error:
            raise self._translate(error, "create", model) from error
        # Anything can stand in the place of a context, such as a page of a proxy.
        ref = read_ref(getattr(context, "id", None))
        if not ref:
            raise StreamBroken("context.create answered something else")
        return ref, read_usage(getattr(context, "usage", None))

    def stream_context(
        self,
        model: str,
        context_id: str,
        lines: Iterable[PromptMessage],
        max_tokens: int,
        dialect: Dialect = PLAIN,
    ) -> AsyncIterator[Chunk]:
        """The reply to new messages of a session context, as it comes (docs/82379/1529329)."""
        return self._stream(
            "context",
            model,
            max_tokens,
            lambda: self._ark.context.completions.create(
                model=wire_name(model),
                context_id=context_id,
                messages=_wire(lines),
                max_tokens=dialect.output(max_tokens),
                stream=True,
                **_usage_wanted(dialect),
            ),
            chat_chunk,
        )

    def stream_response(
        self,
        model: str,
        previous: str | None,
        lines: Iterable[PromptMessage],
        max_tokens: int,
        expires_at: datetime,
        dialect: Dialect = PLAIN,
    ) -> AsyncIterator[Chunk]:
        """The reply of the Responses API, stored until `expires_at` (docs/82379/1569618).

        It goes on from the stored reply `previous`; `max_tokens` includes the thoughts. No
        `caching`: what is said again is cached by itself, and asking for it costs storage.
        """
        fields: dict[str, Any] = {}
        if dialect.takes("thinking"):
            fields["thinking"] = THINKING_OFF
        if dialect.takes("expire_at"):
            fields["expire_at"] = int(expires_at.timestamp())
        return self._stream(
            "responses",
            model,
            max_tokens,
            lambda: self._ark.responses.create(
                model=wire_name(model),
                previous_response_id=previous,
                input=[{"type": "message", **line} for line in _wire(lines)],
                max_output_tokens=dialect.output(max_tokens),
                store=True,
                stream=True,
                **fields,
            ),
            response_chunk,
        )

    def stream_chat(
        self, model: str, lines: Iterable[PromptMessage], max_tokens: int, dialect: Dialect = PLAIN
    ) -> AsyncIterator[Chunk]:
        """The reply to a whole history (docs/82379/1494384), of Ark or a compatible server.

        Of Ark's two limits the one is asked for that includes the thoughts, as long as the model
        takes it.
        """
        fields = _usage_wanted(dialect)
        if self.speaks_ark and dialect.takes("thinking"):
            fields["thinking"] = THINKING_OFF
        whole = dialect.takes("max_completion_tokens")
        if not self.speaks_ark:
            whole = whole and not dialect.takes("max_tokens")
        limit = "max_completion_tokens" if whole else "max_tokens"
        return self._stream(
            "chat",
            model,
            max_tokens,
            lambda: self._ark.chat.completions.create(
                model=wire_name(model),
                messages=_wire(lines),
                stream=True,
                **{limit: dialect.output(max_tokens)},
                **fields,
            ),
            chat_chunk,
        )

    async def forget_response(self, response_id: str) -> None:
        """Delete a stored response (docs/82379/1783719); one that is gone already is fine."""
        try:
            async with asyncio.timeout(self._first_token_seconds):
                await self._ark.responses.delete(response_id)
        except TimeoutError:
            raise ArkSilent("responses.delete") from None
        except SDK_FAILURES as error:
            if getattr(error, "status_code", None) != 404:
                raise self._translate(error, "delete", "") from error

    async def _stream(
        self,
        api: Api,
        model: str,
        max_tokens: int,
        call: Callable[[], Awaitable[Any]],
        read: Callable[[Any], Chunk],
    ) -> AsyncIterator[Chunk]:
        """The chunks of a streaming call; raises `ArkError` and always ends the HTTP request.

        A stream that ends without a finish_reason did not finish: `StreamBroken`.
        """
        stream, finished, answered = None, False, False
        limit = self._first_token_seconds
        silent = 2 * max_tokens + SPARE_EVENTS
        try:
            async with asyncio.timeout(limit):
                stream = await call()
            async with aclosing(read_events(stream.response)) as events:  # type: ignore[type-var]
                while True:
                    async with asyncio.timeout(limit):
                        event = await anext(events, None)
                    if event is None:
                        break
                    try:
                        chunk = self._read(event, read, api, model)
                    except ODD as error:
                        raise StreamBroken(f"an event of an odd shape: {error}") from None
                    if chunk.text or chunk.thought:
                        limit = self._idle_seconds
                        answered = answered or bool(chunk.text)
                    else:
                        silent -= 1
                        if silent < 0:
                            raise ReplyTooLong()
                    if event is ENDED and answered and not finished and not self.speaks_ark:
                        # Servers of other makes may leave the reason out.
                        chunk = Chunk(finish="stop")
                    if chunk.finish and not answered and api == "responses":
                        chunk = _with_output(chunk, event)
                    finished = finished or bool(chunk.finish)
                    yield chunk
            if not finished:
                raise StreamBroken("the stream ended without a finish_reason")
        except TimeoutError:
            raise ArkSilent(f"no data for {limit:g} s") from None
        except SDK_FAILURES as error:
            raise self._translate(error, api, model) from error
        finally:
            if stream is not None:
                # A stream left open goes on, and is billed, at Ark's side.
                with suppress(httpx.HTTPError):
                    await stream.close()

    def _read(self, event: Event, read: Callable[[Any], Chunk], api: Api, model: str) -> Chunk:
        refusal = told_error(event)
        if refusal is not None:
            raise error_for(refusal, api, model)
        return read(event)

    def _translate(self, error: Exception, api: Api, model: str) -> ArkError:
        if isinstance(error, ArkAPIStatusError):
            headers = error.response.headers
            refusal = Refusal(
                error.status_code,
                error.body,
                headers.get("x-request-id", ""),
                headers.get("retry-after", ""),
            )
            translated = error_for(refusal, api, model)
            # An error of Ark's own comes in the place of an answer; a proxy's page may hide one.
            translated.wrote = not (translated.from_ark or translated.ark_code)
        elif isinstance(error, ArkAPIConnectionError):
            translated = unreachable(error)(repr(error))
            connecting = (httpx.ConnectError, httpx.ConnectTimeout)
            translated.applied = not isinstance(error.__cause__, connecting)
        else:
            translated = StreamBroken(repr(error))
        translated.detail = translated.detail.replace(self._key, "***")
        return translated


async def _drop_nulls(request: httpx.Request) -> None:
    """Leave unset arguments out of the body: the SDK spells out more than 20 of them as null,
    which Ark takes and strict servers refuse."""
    if request.method == "POST":
        fields = json.loads(request.content)
        body = json.dumps({key: value for key, value in fields.items() if value is not None})
        content = body.encode()
        request.stream = httpx.ByteStream(content)
        request.headers["Content-Length"] = str(len(content))


def _wire(lines: Iterable[PromptMessage]) -> list[dict[str, str]]:
    return [{"role": line.role, "content": line.content} for line in lines]


def _usage_wanted(dialect: Dialect) -> dict[str, Any]:
    wanted = dialect.takes("stream_options")
    return {"stream_options": {"include_usage": True}} if wanted else {}


def _with_output(chunk: Chunk, event: Event) -> Chunk:
    """The last chunk of a stream, with the text of its event when none has come before."""
    try:
        said = output_of(event)
    except ODD:
        return chunk
    return replace(chunk, text=chunk.text or said.text)
