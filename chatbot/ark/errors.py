"""Translates error responses of Ark, or of a compatible server, to our errors.

It looks at the code, then at parameter and status, and at the message only if nothing else helps
(docs/82379/1299023). Knows nothing of the SDK.
"""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from chatbot.ark.chunks import counted
from chatbot.clock import now
from chatbot.errors import (
    AccessRefused,
    AccountOverdue,
    ArkError,
    ArkOverloaded,
    ArkUnavailable,
    BadRequest,
    ContextBusy,
    ContextLost,
    EndpointClosed,
    EndpointNeeded,
    FieldRefused,
    FreeQuotaUsedUp,
    KeyRefused,
    LimitReached,
    ModelNotFound,
    ModelNotOpen,
    Moderated,
    NotSupported,
    PictureRefused,
    PicturesNotRead,
    PlanKey,
    PromptTooLong,
    QuotaUsedUp,
    RateLimited,
    StreamBroken,
    ToolNotOpen,
    WrongAddress,
)

Api = Literal["create", "context", "responses", "chat", "delete"]
CONTEXT_APIS = ("create", "context")

# Ark's codes, then those of OpenAI and of compatible servers, which put the code in `type`.
BY_CODE: dict[str, type[ArkError]] = {
    "AuthenticationError": KeyRefused,
    "InvalidAccountStatus": AccessRefused,
    "InvalidSubscription": PlanKey,
    "AccountOverdueError": AccountOverdue,
    "OperationDenied.ServiceOverdue": AccountOverdue,
    "OperationDenied.InvalidState": ContextBusy,
    "InvalidParameter.PreviousResponseNotFound": ContextLost,
    "InvalidEndpoint.ClosedEndpoint": EndpointClosed,
    "InvalidEndpointOrModel.ModelIDAccessDisabled": EndpointNeeded,
    "ModelNotOpen": ModelNotOpen,
    "ToolNotOpen": ToolNotOpen,
    "InvalidParameter.UnsupportedImageFormat": PictureRefused,
    "InvalidParameter.OversizeImage": PictureRefused,
    "InvalidArgumentError.InvalidImageDetail": FieldRefused,
    "InvalidArgumentError.InvalidPixelLimit": PictureRefused,
    "UnsupportedModel": NotSupported,
    "ContentSecurityDetectionError": ArkUnavailable,
    "SetLimitExceeded": LimitReached,
    "QuotaExceeded": QuotaUsedUp,
    "ServerOverloaded": ArkOverloaded,
    "RequestBurstTooFast": ArkOverloaded,
    "InflightBatchsizeExceeded": ArkOverloaded,
    "invalid_api_key": KeyRefused,
    "insufficient_quota": QuotaUsedUp,
    "context_length_exceeded": PromptTooLong,
    "exceed_context_size_error": PromptTooLong,
    "content_policy_violation": Moderated,
    "content_filter": Moderated,
    "model_not_found": ModelNotFound,
}
BY_START: dict[str, type[ArkError]] = {
    "OutofContext": PromptTooLong,
    "InvalidEndpointOrModel.": ModelNotFound,
    "InvalidEndpoint.": EndpointClosed,
    "InvalidImageURL.": PictureRefused,
}
LOST_PARAMS = ("context_id", "previous_response_id")
SENT: dict[Api, tuple[str, ...]] = {
    "create": (),
    "context": ("max_tokens", "stream_options", "temperature", "top_p"),
    # `caching`, `instructions` and `text` may be part of the chain that is continued.
    "responses": ("thinking", "reasoning", "expire_at", "max_output_tokens", "caching",
                  "instructions", "text", "tools", "max_tool_calls", "temperature", "top_p",
                  "detail"),
    "chat": ("thinking", "reasoning_effort", "max_completion_tokens", "max_tokens",
             "stream_options", "temperature", "top_p", "detail"),
    "delete": (),
}  # fmt: skip
"""Fields that a request can omit, or send with a smaller number."""

_NAMED = "|".join(sorted({name for names in SENT.values() for name in names}, reverse=True))
NAMED_IN_MESSAGE = re.compile(
    rf"(?:unknown field|parameters?:?|argument|field) [\"'`]?({_NAMED})\b|\b({_NAMED})\.type\b"
    rf"|({_NAMED}) and max_\w+ cannot be set|unsupported (thinking) type|\b({_NAMED}) is too large",
    re.IGNORECASE,
)
AT_MOST = re.compile(r"(?:<=|at most|less than or equal to|maximum(?: of| is)?) ?(\d{1,9})\b")
LACKED = re.compile(r"unknown field|not supported|unsupported|does not support", re.IGNORECASE)
TEXT_ONLY = re.compile(
    r"only support text input|not support image|image input is not supported", re.IGNORECASE
)
NOT_DOWNLOADED = re.compile(r"timeout while downloading url", re.IGNORECASE)
TOO_LONG = re.compile(
    r"exceed max message tokens|maximum context length|context (?:size|length|window) ",
    re.IGNORECASE,
)
WINDOW = re.compile(r"(?:maximum context length is|context size) \(?(\d{1,7})\b")
PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
"""The form of codes, parameters and ids. Other text may be a user's."""
REQUEST_ID = re.compile(r"request id: ([\w-]{1,80})", re.IGNORECASE)
LONGEST_WAIT = 86_400


@dataclass(frozen=True)
class Refusal:
    """A response other than 200, or an error inside a stream; then `status` is 0."""

    status: int
    body: Any
    """The object under `error`, else the body's text."""
    request_id: str = ""
    retry_after: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def code(self) -> str:
        return plain(self.fields.get("code")) or plain(self.fields.get("type"))

    @property
    def param(self) -> str:
        return plain(self.fields.get("param"))

    @property
    def message(self) -> str:
        found = self.fields.get("message", self.body)
        return found[:2000] if isinstance(found, str) else ""

    @property
    def from_ark(self) -> bool:
        """Whether it has Ark's form, or is the empty 404 that Ark sends for unknown paths."""
        if isinstance(self.body, dict):
            return bool(plain(self.fields.get("code")) and plain(self.fields.get("type")))
        return self.status == 404 and self.message.strip() in ("", "404 page not found")


def plain(value: Any) -> str:
    """The value if it looks like a code or id, else ""."""
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else ""


def error_for(refusal: Refusal, api: Api, model: str) -> ArkError:
    """The error for a call to `api` that got this refusal."""
    kind = _kind(refusal, api)
    named = REQUEST_ID.search(refusal.message)
    error = kind(
        refusal.message,
        model=model,
        ark_code=refusal.code,
        ark_status=refusal.status,
        param=refusal.param,
        request_id=plain(refusal.request_id) or (named.group(1) if named else ""),
        retry_after=seconds_to_wait(refusal.retry_after),
        from_ark=refusal.from_ark,
    )
    if api in CONTEXT_APIS and isinstance(error, ModelNotFound | AccessRefused | WrongAddress):
        # Ark closes the Context API model by model; the error for that is not documented.
        error.curable = error.ark_code not in ("ModelNotOpen", "InvalidAccountStatus")
    if isinstance(error, FieldRefused):
        error.field = _field(refusal, api)
        limit = AT_MOST.search(refusal.message)
        error.at_most = int(limit.group(1)) if limit and error.field.startswith("max_") else None
        error.by_model = bool(LACKED.search(refusal.message))
    if isinstance(error, PromptTooLong):
        told, named = counted(refusal.fields.get("n_ctx")), WINDOW.search(refusal.message)
        error.window = told or (int(named.group(1)) if named else 0)
        error.counts_reply = "completion" in refusal.message
    return error


def seconds_to_wait(retry_after: str) -> float | None:
    """A Retry-After header (RFC 9110, 10.2.3) in seconds; None if it is not usable."""
    text = retry_after.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return min(float(text), LONGEST_WAIT)
    try:
        left = (parsedate_to_datetime(text) - now()).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(left, 0.0), LONGEST_WAIT)


def _kind(refusal: Refusal, api: Api) -> type[ArkError]:
    code, status = refusal.code, refusal.status
    if "SensitiveContent" in code or "RiskDetection" in code:
        return Moderated
    if code == "QuotaExceeded" and "free trial" in refusal.message:
        return FreeQuotaUsedUp
    if code == "InvalidEndpointOrModel.ModelIDAccessDisabled" and api != "chat":
        return NotSupported
    if code == "UnsupportedModel" and api == "chat":
        return ModelNotFound
    known = BY_CODE.get(code)
    if known is None:
        starts = (start for start in BY_START if code.startswith(start))
        known = next((BY_START[start] for start in starts), None)
    if known is not None:
        return known
    if status == 0:
        return StreamBroken
    return _by_status(refusal, api)


def _by_status(refusal: Refusal, api: Api) -> type[ArkError]:
    match refusal.status:
        case 400 | 422:
            return _bad_request(refusal, api)
        case 401:
            return KeyRefused
        case 402:
            return AccountOverdue
        case 403:
            return AccessRefused
        case 404:
            return _not_found(refusal, api)
        case 405 | 501:
            return NotSupported if api != "chat" else WrongAddress
        case 429:
            return RateLimited
        case 408 | 409:
            return ArkUnavailable
    return ArkUnavailable if refusal.status >= 500 else BadRequest


def _not_found(refusal: Refusal, api: Api) -> type[ArkError]:
    code = refusal.code
    # The error for an expired context is not documented; `NotFound.…` is the generic code for a
    # missing resource.
    if code.startswith("NotFound."):
        return ContextLost if api in ("context", "responses") else ModelNotFound
    if api != "chat":
        # Another server than Ark lacks this path and says so in its own words.
        return NotSupported
    # Ollama and vLLM name the missing model; for a missing path no server does.
    return ModelNotFound if "model" in refusal.message.lower() else WrongAddress


def _bad_request(refusal: Refusal, api: Api) -> type[ArkError]:
    if refusal.param in LOST_PARAMS:
        return ContextLost
    if TEXT_ONLY.search(refusal.message):
        return PicturesNotRead
    if NOT_DOWNLOADED.search(refusal.message):
        return PictureRefused
    if api != "chat" and refusal.param == "model":
        return NotSupported
    if TOO_LONG.search(refusal.message):
        return PromptTooLong
    if _field(refusal, api):
        return FieldRefused
    if api != "chat" and "does not support this api" in refusal.message:
        return NotSupported
    return BadRequest


def _field(refusal: Refusal, api: Api) -> str:
    """The refused field if it can be left out; "" if it cannot or is not named."""
    if refusal.code == "InvalidArgumentError.InvalidImageDetail":
        return "detail" if "detail" in SENT[api] else ""
    field = refusal.param.partition(".")[0]
    if not field and (named := NAMED_IN_MESSAGE.search(refusal.message)):
        field = next(filter(None, named.groups()), "").lower()
    return field if field in SENT[api] else ""
