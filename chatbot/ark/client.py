"""Ark through Volcengine's SDK: create a context, stream a reply, translate errors.

The only importer of the SDK. What the SDK raises, in any of its shapes, becomes an `ArkError`
here, once. No retries here: which call may be repeated is for `memory.py` to say.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any

import httpx
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkAPIConnectionError,
    ArkAPIError,
    ArkAPIStatusError,
    ArkAPITimeoutError,
)

from chatbot.ark.chunks import Chunk, Line, Tokens, counted
from chatbot.ark.sse import read_events
from chatbot.errors import (
    AccessRefused,
    AccountOverdue,
    ArkError,
    ArkOverloaded,
    ArkSilent,
    ArkUnavailable,
    BadRequest,
    ContextBusy,
    ContextLost,
    KeyRefused,
    ModelNotFound,
    Moderated,
    NotSupported,
    PromptTooLong,
    QuotaUsedUp,
    RateLimited,
    StreamBroken,
)

Event = dict[str, Any]
CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 30
"""How long an idle connection is kept for the next question, which then needs no handshake; by
default five. Servers commonly wait for a minute."""
ARK_PATH = re.compile(r"/api/(?:\w+/)?v3$")
"""How Ark's addresses end, those of its plans (`/api/coding/v3`) included."""
ODD = (AttributeError, KeyError, TypeError, ValueError)
"""What reading an answer of an unexpected shape raises."""
LIMITS = httpx.Limits(
    max_connections=1000,
    # Each request looks at every idle connection: a hundred of them took a fifth of a crowd's time.
    max_keepalive_connections=10,
    keepalive_expiry=KEEPALIVE_SECONDS,
)
SDK_FAILURES = (ArkAPIError, httpx.HTTPError, json.JSONDecodeError)
"""Everything a call or a running stream can raise; the last two come bare out of a stream."""


class ArkClient:
    """One AsyncArk for the life of the process. Use it in one event loop; `close` it there."""

    def __init__(
        self, *, api_key: str, base_url: str, first_token_seconds: float, idle_seconds: float
    ) -> None:
        self._key = api_key
        self.speaks_ark = bool(ARK_PATH.search(base_url))
        self.hides_thoughts = self.speaks_ark
        """Whether a model may think without showing all of it: Ark's newer ones show a summary."""
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
                event_hooks={"request": [] if self.speaks_ark else [_drop_nulls]}, limits=LIMITS
            ),
        )

    async def close(self) -> None:
        await self._ark.close()

    async def create_context(
        self, model: str, lines: Iterable[Line], ttl: int
    ) -> tuple[str, Tokens | None]:
        """The id of a new session context that holds these messages, and what it took
        (docs/82379/1528789).

        `ttl` is in seconds. The last message must not be the assistant's.
        """
        try:
            async with asyncio.timeout(self._first_token_seconds):
                context = await self._ark.context.create(
                    model=model, mode="session", messages=_wire(lines), ttl=ttl
                )
        except TimeoutError:
            raise ArkSilent("context.create") from None
        except SDK_FAILURES as error:
            raise self._translate(error, "create") from error
        try:
            return str(context.id), _tokens(context.usage)
        except ODD:
            # Such as a page of a proxy in its place.
            raise StreamBroken("context.create answered something else") from None

    def stream_context(
        self, model: str, context_id: str, lines: Iterable[Line], max_tokens: int
    ) -> AsyncIterator[Chunk]:
        """The reply to new messages of a session context, as it comes (docs/82379/1529329)."""
        return self._stream(
            "context",
            lambda: self._ark.context.completions.create(
                model=model,
                context_id=context_id,
                messages=_wire(lines),
                max_tokens=max_tokens,
                stream=True,
                stream_options={"include_usage": True},
            ),
            _chunk,
        )

    def stream_response(
        self,
        model: str,
        previous: str | None,
        lines: Iterable[Line],
        max_tokens: int,
        expires_at: datetime,
    ) -> AsyncIterator[Chunk]:
        """The reply of the Responses API, stored until `expires_at` (docs/82379/1569618).

        It goes on from the stored reply `previous`; `max_tokens` includes the thoughts.
        """
        return self._stream(
            "responses",
            lambda: self._ark.responses.create(
                model=model,
                previous_response_id=previous,
                input=[{"type": "message", **line} for line in _wire(lines)],
                max_output_tokens=max_tokens,
                store=True,
                caching={"type": "enabled"},
                expire_at=int(expires_at.timestamp()),
                stream=True,
            ),
            _response_chunk,
        )

    def stream_chat(
        self, model: str, lines: Iterable[Line], max_tokens: int
    ) -> AsyncIterator[Chunk]:
        """The reply to a whole history (docs/82379/1494384), of Ark or a compatible server."""
        return self._stream(
            "chat",
            lambda: self._ark.chat.completions.create(
                model=model,
                messages=_wire(lines),
                max_tokens=max_tokens,
                stream=True,
                stream_options={"include_usage": True},
            ),
            _chunk,
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
                raise self._translate(error, "responses") from error

    async def _stream(
        self,
        api: str,
        call: Callable[[], Awaitable[Any]],
        read: Callable[[Any], Chunk],
    ) -> AsyncIterator[Chunk]:
        """The chunks of a streaming call; raises `ArkError` and always ends the HTTP request.

        A stream that ends without a finish_reason did not finish: `StreamBroken`.
        """
        stream, finished = None, False
        limit = self._first_token_seconds
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
                        _raise_told(event)
                        chunk = read(event)
                    except ODD as error:
                        raise StreamBroken(f"an event of an odd shape: {error}") from None
                    if chunk.text or chunk.thought:
                        limit = self._idle_seconds
                    finished = finished or bool(chunk.finish)
                    yield chunk
            if not finished:
                raise StreamBroken("the stream ended without a finish_reason")
        except TimeoutError:
            raise ArkSilent(f"no data for {limit:g} s") from None
        except SDK_FAILURES as error:
            raise self._translate(error, api) from error
        finally:
            if stream is not None:
                # A stream left open goes on, and is billed, at Ark's side.
                with suppress(httpx.HTTPError):
                    await stream.close()

    def _translate(self, error: Exception, api: str) -> ArkError:
        kind, details = _describe(error, api)
        translated = kind(
            details["detail"].replace(self._key, "***"),
            ark_code=details["code"],
            request_id=details["request_id"],
        )
        cause = error.__cause__
        if isinstance(error, ArkAPIConnectionError) and isinstance(cause, httpx.ConnectError):
            translated.applied = False
        # An error of Ark's own comes in the place of an answer; a proxy's page may hide one.
        translated.wrote = not (isinstance(error, ArkAPIStatusError) and details["code"])
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


def _wire(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [{"role": line.role, "content": line.content} for line in lines]


def _raise_told(event: Event) -> None:
    """Raise the error that an event tells in the middle of a stream, in any of its forms."""
    error = event.get("error")
    if event.get("type") == "response.failed":
        error = (event.get("response") or {}).get("error") or {}
    elif error is None and "code" in event and "choices" not in event:
        # `event: error`, and the Responses API's own: code and message stand outermost.
        error = event
    if error is None:
        return
    fields = error if isinstance(error, dict) else {"message": error}
    code = str(fields.get("code") or "")
    kind = Moderated if _is_moderation(code) else StreamBroken
    message = str(fields.get("message") or "")
    raise kind(message, ark_code=code, request_id=_request_id_in(message))


def _request_id_in(message: str) -> str:
    named = re.search(r"[Rr]equest id: (\S+)", message)
    return named.group(1).rstrip(".") if named else ""


def _chunk(event: Event) -> Chunk:
    # `choices` is [] on the usage chunk and may be null or a string on a bad one; `delta` and
    # its fields may be null.
    choices = event.get("choices")
    tokens = _tokens(event.get("usage"))
    if not isinstance(choices, list) or not choices:
        return Chunk(tokens=tokens)
    delta = choices[0].get("delta") or {}
    # `reasoning` is what Ollama and newer vLLM call it.
    thought = _text(delta.get("reasoning_content") or delta.get("reasoning"))
    finish = _text(choices[0].get("finish_reason"))
    return Chunk(_text(delta.get("content")), thought, finish, tokens)


def _response_chunk(event: Event) -> Chunk:
    """A chunk from an event of the Responses API (docs/82379/1599499)."""
    match event.get("type"):
        case "response.created":
            return Chunk(ref=_text((event.get("response") or {}).get("id")))
        case "response.output_text.delta":
            return Chunk(text=_text(event.get("delta")))
        case "response.reasoning_summary_text.delta":
            return Chunk(thought=_text(event.get("delta")))
        case "response.completed":
            response = event.get("response") or {}
            tokens = _tokens(response.get("usage"))
            return Chunk(finish="stop", tokens=tokens, ref=response.get("id") or "")
        case "response.incomplete":
            response = event.get("response") or {}
            filtered = "content_filter" in str(response.get("incomplete_details"))
            finish = "content_filter" if filtered else "length"
            return Chunk(finish=finish, tokens=_tokens(response.get("usage")))
    return Chunk()


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in the place of text")
    return value


def _tokens(usage: Any) -> Tokens | None:
    """Usage as a server reports it, in the spelling of either API."""
    if not isinstance(usage, dict):
        return None

    def count(holder: Any, *names: str) -> int | None:
        if not isinstance(holder, dict):
            return None
        told = (counted(holder.get(name)) for name in names)
        return next((number for number in told if number is not None), None)

    given = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    made = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return Tokens(
        prompt=count(usage, "prompt_tokens", "input_tokens"),
        cached=count(given, "cached_tokens") or 0,
        completion=count(usage, "completion_tokens", "output_tokens"),
        reasoning=count(made, "reasoning_tokens") or 0,
    )


def _describe(error: Exception, api: str) -> tuple[type[ArkError], dict[str, str]]:
    """Which of our errors it is, and what the log should say about it."""
    body = getattr(error, "body", None)
    message = str(body.get("message", "")) if isinstance(body, dict) else ""
    code = str(getattr(error, "code", None) or "")
    response = getattr(error, "response", None)
    request_id = response.headers.get("x-request-id", "") if response is not None else ""
    request_id = request_id or _request_id_in(message)
    details = {"code": code, "request_id": request_id, "detail": message or repr(error)}

    if isinstance(error, ArkAPIStatusError):
        param = str(getattr(error, "param", None) or "")
        return _by_status(error.status_code, code, param, api), details
    if isinstance(error, ArkAPITimeoutError | ArkAPIConnectionError):
        return ArkUnavailable, details
    return StreamBroken, details


def _by_status(status: int, code: str, param: str, api: str) -> type[ArkError]:
    """Ark's error table (docs/82379/1299023)."""
    match status:
        case 400:
            return _bad_request(code, param, api)
        case 401:
            return AccessRefused if code.startswith("InvalidAccountStatus") else KeyRefused
        case 402:
            return AccountOverdue
        case 403:
            if code == "OperationDenied.InvalidState":
                return ContextBusy
            overdue = code in ("AccountOverdueError", "OperationDenied.ServiceOverdue")
            return AccountOverdue if overdue else AccessRefused
        case 404:
            return _not_found(code, api)
        case 405 | 501:
            return NotSupported
        case 429:
            if code in ("QuotaExceeded", "SetLimitExceeded"):
                return QuotaUsedUp
            overload = code in ("ServerOverloaded", "RequestBurstTooFast")
            return ArkOverloaded if overload else RateLimited
        case 408 | 409:
            return ArkUnavailable
    return ArkUnavailable if status >= 500 else BadRequest


def _not_found(code: str, api: str) -> type[ArkError]:
    # What Ark answers for an expired context is not documented; `NotFound.…` is its generic row
    # for a resource.
    if code.startswith("NotFound") and api in ("context", "responses"):
        return ContextLost
    if code == "UnsupportedModel":
        return NotSupported
    # A server that is not Ark has no such path, and says so in its own words; and the Context
    # API takes endpoint ids only.
    missing = code.startswith(("InvalidEndpointOrModel.NotFound", "ModelNotOpen", "NotFound"))
    return ModelNotFound if api == "chat" or missing else NotSupported


def _bad_request(code: str, param: str, api: str) -> type[ArkError]:
    if code == "InvalidParameter.PreviousResponseNotFound":
        return ContextLost
    if param in ("context_id", "previous_response_id"):
        return ContextLost
    if api != "chat" and param in ("model", "caching"):
        return NotSupported
    if code.startswith("InvalidEndpoint."):
        return ModelNotFound
    if code.startswith("OutofContext"):
        return PromptTooLong
    if code == "ContentSecurityDetectionError":
        return ArkUnavailable
    return Moderated if _is_moderation(code) else BadRequest


def _is_moderation(code: str) -> bool:
    return "SensitiveContent" in code or "RiskDetection" in code
