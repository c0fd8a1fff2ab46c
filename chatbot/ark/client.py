"""Ark through Volcengine's SDK: create a context, stream a reply, translate errors.

The only importer of the SDK. Every exception of the SDK becomes an `ArkError` here. No retries
here: `memory/choose.py` decides which call may be repeated.
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
from chatbot.ark.chunks import CallOptions, Chunk, PromptMessage, Tokens
from chatbot.ark.content import chat_message, response_item
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
"""How long an idle connection is kept, so that the next question needs no handshake. The default
of httpx is 5; servers usually keep it for a minute."""
ARK_PATH = re.compile(r"/api/(?:\w+/)?v3$")
"""How Ark's addresses end, those of its plans (`/api/coding/v3`) included."""
MOST_TOOL_CALLS = 2
MOST_KEYWORDS = 2
MOST_SEARCHES = MOST_TOOL_CALLS * MOST_KEYWORDS
"""The most searches of one reply; each keyword counts (docs/82379/1338550)."""
WEB_SEARCH = {"type": "web_search", "max_keyword": MOST_KEYWORDS, "limit": 5}
SPARE_EVENTS = 1_000
"""Events without text that a stream may have, in addition to two for each allowed token."""
SWITCH = {"off": {"type": "disabled"}, "on": {"type": "enabled"}}
"""The field `thinking` (docs/82379/1449737); efforts have a field of their own."""
LIMITS = httpx.Limits(
    max_connections=1000,
    # Each request checks every idle connection: 100 of them took 20 % of the time under load.
    max_keepalive_connections=10,
    keepalive_expiry=KEEPALIVE_SECONDS,
)
SDK_FAILURES = (ArkAPIError, httpx.HTTPError, BrokenEvent, ValueError, RecursionError)
"""All exceptions of a call or a stream; the last two come from JSON that the SDK parses."""


class ArkClient:
    """One AsyncArk for the life of the process. Use it in one event loop; `close` it there.

    `model` has the form of ARK_MODEL. `Dialect` says what the model has refused so far.
    """

    def __init__(
        self, *, api_key: str, base_url: str, first_token_seconds: float, idle_seconds: float
    ) -> None:
        self._key = api_key
        self.speaks_ark = bool(ARK_PATH.search(base_url))
        self._first_token_seconds = first_token_seconds
        self._idle_seconds = idle_seconds
        # The SDK's own retry repeats a POST after a timeout, which would add a turn twice to a
        # session context.
        self._ark = AsyncArk(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            # Each call below has its own limit; httpx restarts its read timeout at every piece.
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            http_client=httpx.AsyncClient(
                event_hooks={
                    "request": [] if self.speaks_ark else [_drop_nulls],
                    "response": [bound],
                },
                # No compression: the texts are short, and there can be no decompression bomb.
                headers={"Accept-Encoding": "identity"},
                limits=LIMITS,
            ),
        )

    async def close(self) -> None:
        await self._ark.close()

    def hides_thoughts(self, options: CallOptions, dialect: Dialect) -> bool:
        """Whether the model may think without showing all of it: Ark's newer models show only a
        summary, unless thinking is switched off."""
        return self.speaks_ark and (options.thinking != "off" or not dialect.takes("thinking"))

    async def create_context(
        self, model: str, lines: Iterable[PromptMessage], ttl: int
    ) -> tuple[str, Tokens | None]:
        """Create a session context with these messages (docs/82379/1528789); returns its id and
        its usage.

        `ttl` is in seconds. The last message must not be the assistant's.
        """
        try:
            async with asyncio.timeout(self._first_token_seconds):
                context = await self._ark.context.create(
                    model=wire_name(model), mode="session", messages=_texts(lines), ttl=ttl
                )
        except TimeoutError:
            raise ArkSilent("context.create") from None
        except SDK_FAILURES as error:
            raise self._translate(error, "create", model) from error
        # The answer may be anything, such as a page of a proxy.
        ref = read_ref(getattr(context, "id", None))
        if not ref:
            raise StreamBroken("context.create answered something else")
        return ref, read_usage(getattr(context, "usage", None))

    def stream_context(
        self,
        model: str,
        context_id: str,
        lines: Iterable[PromptMessage],
        options: CallOptions,
        dialect: Dialect = PLAIN,
    ) -> AsyncIterator[Chunk]:
        """Stream the reply to new messages in a session context (docs/82379/1529329), which has
        neither thinking nor tools."""
        return self._stream(
            "context",
            model,
            options.max_tokens,
            lambda: self._ark.context.completions.create(
                model=wire_name(model),
                context_id=context_id,
                messages=_texts(lines),
                max_tokens=dialect.output(options.max_tokens),
                stream=True,
                **_sampling(options, dialect),
                **_usage_wanted(dialect),
            ),
            chat_chunk,
        )

    def stream_response(
        self,
        model: str,
        previous: str | None,
        lines: Iterable[PromptMessage],
        options: CallOptions,
        expires_at: datetime,
        dialect: Dialect = PLAIN,
    ) -> AsyncIterator[Chunk]:
        """Stream a reply of the Responses API, stored until `expires_at` (docs/82379/1569618).

        It continues the stored reply `previous`. `caching` is not set: repeated input is cached
        automatically, and explicit caching costs storage.
        """
        fields = _sampling(options, dialect) | _response_thinking(options, dialect)
        if dialect.takes("expire_at"):
            fields["expire_at"] = int(expires_at.timestamp())
        if searches(options, dialect):
            # Not stored with a response: sent again each time. The SDK adds the header for it.
            fields |= {"tools": [WEB_SEARCH], "max_tool_calls": MOST_TOOL_CALLS}
        return self._stream(
            "responses",
            model,
            options.max_tokens,
            lambda: self._ark.responses.create(
                model=wire_name(model),
                previous_response_id=previous,
                input=[response_item(line, dialect) for line in lines],
                max_output_tokens=dialect.output(options.max_tokens),
                store=True,
                stream=True,
                **fields,
            ),
            response_chunk,
        )

    def stream_chat(
        self,
        model: str,
        lines: Iterable[PromptMessage],
        options: CallOptions,
        dialect: Dialect = PLAIN,
    ) -> AsyncIterator[Chunk]:
        """Stream the reply to a history (docs/82379/1494384), from Ark or a compatible server.

        Of Ark's two limits it sends the one that includes the thoughts, unless the model has
        refused it.
        """
        fields = _usage_wanted(dialect) | _sampling(options, dialect)
        fields |= _chat_thinking(options, dialect, self.speaks_ark)
        whole = dialect.takes("max_completion_tokens")
        if not self.speaks_ark:
            whole = whole and not dialect.takes("max_tokens")
        limit = "max_completion_tokens" if whole else "max_tokens"
        return self._stream(
            "chat",
            model,
            options.max_tokens,
            lambda: self._ark.chat.completions.create(
                model=wire_name(model),
                messages=[chat_message(line, dialect) for line in lines],
                stream=True,
                **{limit: dialect.output(options.max_tokens)},
                **fields,
            ),
            chat_chunk,
        )

    async def forget_response(self, response_id: str) -> None:
        """Delete a stored response (docs/82379/1783719); a missing one is no error."""
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
                        # Servers of other vendors may omit the reason.
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
                # Ark continues and bills a stream that is left open.
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
            # After an error of Ark itself there is no answer; a proxy's page may hide one.
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
    """Remove null fields from the body: the SDK sends more than 20 unset arguments as null, which
    Ark accepts but strict servers refuse."""
    if request.method == "POST":
        fields = json.loads(request.content)
        body = json.dumps({key: value for key, value in fields.items() if value is not None})
        content = body.encode()
        request.stream = httpx.ByteStream(content)
        request.headers["Content-Length"] = str(len(content))


def searches(options: CallOptions, dialect: Dialect) -> bool:
    """Whether the model may search the web in this call."""
    return options.search and dialect.takes("tools")


def _texts(lines: Iterable[PromptMessage]) -> list[dict[str, str]]:
    return [{"role": line.role, "content": line.content} for line in lines]


def _sampling(options: CallOptions, dialect: Dialect) -> dict[str, Any]:
    """The fields of the sampling, as far as they are chosen and accepted."""
    chosen = {"temperature": options.temperature, "top_p": options.top_p}
    return {
        name: value for name, value in chosen.items() if value is not None and dialect.takes(name)
    }


# Thinking is always sent, because current models think by default, which takes half a minute more.
# Either the switch or an effort: Ark refuses an effort beside thinking that is off.


def _response_thinking(options: CallOptions, dialect: Dialect) -> dict[str, Any]:
    if options.thinking in SWITCH:
        return {"thinking": SWITCH[options.thinking]} if dialect.takes("thinking") else {}
    return {"reasoning": {"effort": options.thinking}} if dialect.takes("reasoning") else {}


def _chat_thinking(options: CallOptions, dialect: Dialect, on_ark: bool) -> dict[str, Any]:
    if options.thinking in SWITCH:
        sent = on_ark and dialect.takes("thinking")
        return {"thinking": SWITCH[options.thinking]} if sent else {}
    taken = dialect.takes("reasoning_effort")
    return {"reasoning_effort": options.thinking} if taken else {}


def _usage_wanted(dialect: Dialect) -> dict[str, Any]:
    wanted = dialect.takes("stream_options")
    return {"stream_options": {"include_usage": True}} if wanted else {}


def _with_output(chunk: Chunk, event: Event) -> Chunk:
    """The last chunk of a stream, with the text of its event if no text has come before."""
    try:
        said = output_of(event)
    except ODD:
        return chunk
    return replace(chunk, text=chunk.text or said.text)
