"""Ark through Volcengine's SDK: create a context, stream a reply, translate errors.

The only importer of the SDK. What the SDK raises, in any of its shapes, becomes an `ArkError`
here, once. No retries here: which call may be repeated is for `memory.py` to say.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any

import httpx
from volcenginesdkarkruntime import AsyncArk
from volcenginesdkarkruntime._exceptions import (
    ArkAPIConnectionError,
    ArkAPIError,
    ArkAPIStatusError,
    ArkAPITimeoutError,
)

from chatbot.ark.chunks import Chunk, Line, Tokens
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

CONNECT_SECONDS = 10
SDK_FAILURES = (ArkAPIError, httpx.HTTPError, json.JSONDecodeError)
"""Everything a call or a running stream can raise; the last two come bare out of a stream."""


class ArkClient:
    """One AsyncArk for the life of the process. Use it in one event loop; `close` it there."""

    def __init__(
        self, *, api_key: str, base_url: str, first_token_seconds: float, idle_seconds: float
    ) -> None:
        self._key = api_key
        self._first_token_seconds = first_token_seconds
        self._idle_seconds = idle_seconds
        # The SDK's own retry re-sends a POST after a timeout, which would apply one turn twice
        # to a session context.
        self._ark = AsyncArk(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=httpx.Timeout(
                max(first_token_seconds, idle_seconds) + CONNECT_SECONDS, connect=CONNECT_SECONDS
            ),
        )

    async def close(self) -> None:
        await self._ark.close()

    async def create_context(self, model: str, lines: Iterable[Line], ttl: int) -> str:
        """The id of a new session context that holds these messages (docs/82379/1528789).

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
            raise self._translate(error, on_context=False) from error
        if not context.id:
            raise StreamBroken("context.create answered without an id")
        return str(context.id)

    def stream_context(
        self, model: str, context_id: str, lines: Iterable[Line], max_tokens: int
    ) -> AsyncIterator[Chunk]:
        """The reply to new messages of a session context, as it comes (docs/82379/1529329)."""
        return self._stream(
            lambda: self._ark.context.completions.create(
                model=model,
                context_id=context_id,
                messages=_wire(lines),
                max_tokens=max_tokens,
                stream=True,
                stream_options={"include_usage": True},
            )
        )

    async def _stream(self, call: Callable[[], Awaitable[Any]]) -> AsyncIterator[Chunk]:
        """The chunks of a streaming call; raises `ArkError` and always ends the HTTP request.

        A stream that ends without a finish_reason did not finish: `StreamBroken`.
        """
        stream, finished = None, False
        limit = self._first_token_seconds
        try:
            async with asyncio.timeout(limit):
                stream = await call()
            async with aclosing(aiter(stream)) as events:
                while True:
                    async with asyncio.timeout(limit):
                        event = await anext(events, None)
                    if event is None:
                        break
                    limit = self._idle_seconds
                    chunk = _chunk(event)
                    finished = finished or bool(chunk.finish)
                    yield chunk
            if not finished:
                raise StreamBroken("the stream ended without a finish_reason")
        except TimeoutError:
            raise ArkSilent(f"no data for {limit:g} s") from None
        except SDK_FAILURES as error:
            raise self._translate(error, on_context=True) from error
        finally:
            if stream is not None:
                # A stream left open goes on, and is billed, at Ark's side.
                with suppress(httpx.HTTPError):
                    await stream.close()

    def _translate(self, error: Exception, *, on_context: bool) -> ArkError:
        kind, details = _describe(error, on_context=on_context)
        translated = kind(
            details["detail"].replace(self._key, "***"),
            ark_code=details["code"],
            request_id=details["request_id"],
        )
        cause = error.__cause__
        if isinstance(error, ArkAPIConnectionError) and isinstance(cause, httpx.ConnectError):
            translated.applied = False
        return translated


def _wire(lines: Iterable[Line]) -> list[dict[str, str]]:
    return [{"role": line.role, "content": line.content} for line in lines]


def _chunk(event: Any) -> Chunk:
    # `choices` is [] on the usage chunk and may be None or a string on a bad one; `delta` and
    # its fields may be None.
    choices = event.choices if isinstance(event.choices, list) else []
    text = thought = finish = ""
    if choices:
        delta = choices[0].delta
        text = getattr(delta, "content", None) or ""
        thought = getattr(delta, "reasoning_content", None) or ""
        finish = choices[0].finish_reason or ""
    return Chunk(text, thought, finish, _tokens(event.usage))


def _tokens(usage: Any) -> Tokens | None:
    """Usage as Ark reports it; the SDK hands it over as an object or, in part, as dicts."""
    if not usage:
        return None

    def read(holder: Any, name: str) -> Any:
        return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)

    prompt_details = read(usage, "prompt_tokens_details")
    completion_details = read(usage, "completion_tokens_details")
    return Tokens(
        prompt=read(usage, "prompt_tokens") or 0,
        cached=read(prompt_details, "cached_tokens") or 0,
        completion=read(usage, "completion_tokens") or 0,
        reasoning=read(completion_details, "reasoning_tokens") or 0,
    )


def _describe(error: Exception, *, on_context: bool) -> tuple[type[ArkError], dict[str, str]]:
    """Which of our errors it is, and what the log should say about it."""
    body = getattr(error, "body", None)
    message = str(body.get("message", "")) if isinstance(body, dict) else ""
    code = str(getattr(error, "code", None) or "")
    response = getattr(error, "response", None)
    request_id = response.headers.get("x-request-id", "") if response is not None else ""
    if not request_id and (named := re.search(r"[Rr]equest id: (\S+)", message)):
        request_id = named.group(1).rstrip(".")
    details = {"code": code, "request_id": request_id, "detail": message or repr(error)}

    if isinstance(error, ArkAPIStatusError):
        param = str(getattr(error, "param", None) or "")
        return _by_status(error.status_code, code, param, on_context=on_context), details
    if isinstance(error, ArkAPITimeoutError | ArkAPIConnectionError):
        return ArkUnavailable, details
    if isinstance(error, ArkAPIError):
        # An error payload in the middle of a stream: no status, only a code.
        return (Moderated if _is_moderation(code) else StreamBroken), details
    return StreamBroken, details


def _by_status(status: int, code: str, param: str, *, on_context: bool) -> type[ArkError]:
    """Ark's error table (docs/82379/1299023)."""
    match status:
        case 400:
            return _bad_request(code, param)
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
            if code == "UnsupportedModel":
                return NotSupported
            # What Ark answers for an expired context is not documented; `NotFound.…` is its
            # generic row for a resource.
            return ContextLost if on_context and code.startswith("NotFound") else ModelNotFound
        case 429:
            if code in ("QuotaExceeded", "SetLimitExceeded"):
                return QuotaUsedUp
            overload = code in ("ServerOverloaded", "RequestBurstTooFast")
            return ArkOverloaded if overload else RateLimited
        case 408 | 409:
            return ArkUnavailable
    return ArkUnavailable if status >= 500 else BadRequest


def _bad_request(code: str, param: str) -> type[ArkError]:
    if code == "InvalidParameter.PreviousResponseNotFound":
        return ContextLost
    if param in ("context_id", "previous_response_id"):
        return ContextLost
    if code.startswith("InvalidEndpoint."):
        return ModelNotFound
    if code.startswith("OutofContext"):
        return PromptTooLong
    if code == "ContentSecurityDetectionError":
        return ArkUnavailable
    return Moderated if _is_moderation(code) else BadRequest


def _is_moderation(code: str) -> bool:
    return "SensitiveContent" in code or "RiskDetection" in code
