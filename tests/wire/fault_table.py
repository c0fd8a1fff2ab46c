"""What can go wrong at Ark, and what must have become of the turn afterwards.

Data only; `test_faults.py` plays it. In every turn the answer is `WHOLE`, asked for with "count 9",
and a fault strikes before its first piece, after its third, or once its end has been told.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from tests.fake_ark import AFTER_THE_END, FAULTS, Fault

WHOLE = "1 2 3 4 5 6 7 8 9"
PART = "1 2 3"

KINDS = ("context", "responses", "chat")
Kind = Literal["context", "responses", "chat"]
Place = Literal["context", "create", "responses", "chat"]
"""The call a refusal answers; `create` is the one that makes a context."""


class Cure(StrEnum):
    """What makes good, unseen by the person, what happened before the first word."""

    NONE = "none"
    RETRY = "retry"
    """Asked again, twice at most; the memory is as it was, so it is used again."""
    RENEW = "renew"
    """Asked again, twice at most, on a new memory: the old one may hold the turn already."""
    REWORD = "reword"
    """Asked again, once, without the field that is refused; the memory is used again."""
    REBUILD = "rebuild"
    """Asked again, once, on a memory built from the stored conversation."""


@dataclass(frozen=True)
class Refused:
    """A call that is answered with an error instead of a stream."""

    name: str
    error: str
    """The code stored with the reply when nothing helped."""
    cure: Cure = Cure.NONE
    state: str = "failed"
    elsewhere: dict[Place, tuple[str, Cure]] = field(default_factory=dict)
    """Error and cure where they differ."""
    fault: Fault | None = None
    """The fault itself, where `FAULTS` does not have it by this name."""

    def at(self, place: Place) -> tuple[str, Cure]:
        return self.elsewhere.get(place, (self.error, self.cure))

    @property
    def strike(self) -> Fault:
        return self.fault or FAULTS[self.name]


# Where no context and no earlier response is named, none can have been lost.
LOST_BY_ID = {
    "create": ("context_lost", Cure.NONE),
    "chat": ("context_lost", Cure.NONE),
}  # fmt: skip
BUSY_BY_ID = {
    "create": ("context_busy", Cure.NONE),
    "chat": ("context_busy", Cure.NONE),
}  # fmt: skip
LOST_BY_PATH = {
    "create": ("model_not_found", Cure.NONE),
    "chat": ("model_not_found", Cure.NONE),
}  # fmt: skip
ALWAYS_SERVED = {"chat": ("model_not_found", Cure.NONE)}
NO_PATH = {"chat": ("wrong_address", Cure.NONE)}

NO_PICTURES: dict[Place, tuple[str, Cure]] = {
    "create": ("bad_request", Cure.NONE),
    "context": ("bad_request", Cure.NONE),
}
"""Contexts take no pictures, so there is no detail to leave out."""

TOO_LONG = ["OutofContextError"]
"""Cured by leaving out a part of the history, which is tested apart."""

# The rows of Ark's table of errors (docs/82379/1299023), then what proxies and networks do.
REFUSED = [
    Refused("MissingParameter", "bad_request"),
    Refused("InvalidParameter", "bad_request"),
    Refused("InvalidArgumentError", "bad_request"),
    Refused("InvalidArgumentError.UnknownRole", "bad_request"),
    Refused(
        "InvalidArgumentError.InvalidImageDetail",
        "bad_request",
        Cure.REWORD,
        elsewhere=NO_PICTURES,
    ),
    Refused("InvalidArgumentError.InvalidPixelLimit", "picture_refused"),
    Refused("InvalidImageURL.InvalidFormat", "picture_refused"),
    Refused("InvalidParameter.UnsupportedParameter", "bad_request"),
    Refused("InvalidParameter.UnsupportedImageFormat", "picture_refused"),
    Refused("InvalidParameter.OversizeImage", "picture_refused"),
    Refused("InvalidImageURL.EmptyURL", "picture_refused"),
    Refused(
        "a picture that cannot be downloaded",
        "picture_refused",
        fault=Fault.http(400, "InvalidParameter", "Timeout while downloading url: https://a.b/c."),
    ),
    Refused(
        "a model for text only",
        "pictures_not_read",
        fault=Fault.http(400, "InvalidParameter", "Model only support text input."),
    ),
    Refused(
        "a model without pictures",
        "pictures_not_read",
        fault=Fault.http(400, "InvalidParameter", "Model do not support image input."),
    ),
    Refused(
        "a model of another API",
        "not_supported",
        elsewhere={"chat": ("bad_request", Cure.NONE)},
        fault=Fault.http(
            400,
            "InvalidParameter",
            "the requested model m does not support this api..",
            param="model",
        ),
    ),
    Refused("InvalidEndpoint.ClosedEndpoint", "endpoint_closed"),
    Refused("InvalidSubscription", "plan_key"),
    Refused("SensitiveContentDetected", "moderated", state="filtered"),
    Refused("SensitiveContentDetected.SevereViolation", "moderated", state="filtered"),
    Refused("SensitiveContentDetected.Violence", "moderated", state="filtered"),
    Refused("InputTextSensitiveContentDetected", "moderated", state="filtered"),
    Refused("InputTextSensitiveContentDetected.PolicyViolation", "moderated", state="filtered"),
    Refused("InputImageSensitiveContentDetected", "moderated", state="filtered"),
    Refused("OutputTextSensitiveContentDetected", "moderated", state="filtered"),
    Refused("InputTextRiskDetection", "moderated", state="filtered"),
    Refused("InputImageRiskDetection", "moderated", state="filtered"),
    Refused("OutputTextRiskDetection", "moderated", state="filtered"),
    Refused("ContentSecurityDetectionError", "ark_unavailable", Cure.RENEW),
    Refused("AuthenticationError", "key_refused"),
    Refused("InvalidAccountStatus", "access_refused"),
    Refused("PaymentRequired", "account_overdue"),
    Refused("AccountOverdueError", "account_overdue"),
    Refused("OperationDenied.ServiceOverdue", "account_overdue"),
    Refused("AccessDenied", "access_refused"),
    Refused("OperationDenied.PermissionDenied", "access_refused"),
    Refused("OperationDenied.ServiceNotOpen", "access_refused"),
    Refused("OperationDenied.UnsupportedPhase", "access_refused"),
    Refused("OperationDenied.FileQuotaExceeded", "access_refused"),
    Refused("OperationDenied.InvalidState", "context_busy", Cure.REBUILD, elsewhere=BUSY_BY_ID),
    Refused("InvalidEndpointOrModel.NotFound", "model_not_found"),
    Refused("ModelNotOpen", "model_not_open"),
    Refused("ToolNotOpen", "tool_not_open"),
    Refused("UnsupportedModel", "not_supported", elsewhere=ALWAYS_SERVED),
    Refused(
        "InvalidEndpointOrModel.ModelIDAccessDisabled",
        "not_supported",
        elsewhere={"chat": ("endpoint_needed", Cure.NONE)},
    ),
    Refused("NotFound.context_id", "context_lost", Cure.REBUILD, elsewhere=LOST_BY_PATH),
    Refused(
        "InvalidParameter.PreviousResponseNotFound",
        "context_lost",
        Cure.REBUILD,
        elsewhere=LOST_BY_ID,
    ),
    Refused(
        "InvalidParameter of context_id",
        "context_lost",
        Cure.REBUILD,
        elsewhere=LOST_BY_ID,
        fault=Fault.http(400, "InvalidParameter", param="context_id"),
    ),
    Refused(
        "InvalidParameter of previous_response_id",
        "context_lost",
        Cure.REBUILD,
        elsewhere=LOST_BY_ID,
        fault=Fault.http(400, "InvalidParameter", param="previous_response_id"),
    ),
    Refused("RequestTimeout", "ark_unavailable", Cure.RENEW),
    Refused("Conflict", "ark_unavailable", Cure.RENEW),
    Refused("UnprocessableEntity", "bad_request"),
    Refused("RateLimitExceeded.EndpointRPMExceeded", "rate_limited", Cure.RETRY),
    Refused("RateLimitExceeded.EndpointTPMExceeded", "rate_limited", Cure.RETRY),
    Refused("ModelAccountRpmRateLimitExceeded", "rate_limited", Cure.RETRY),
    Refused("ModelAccountTpmRateLimitExceeded", "rate_limited", Cure.RETRY),
    Refused("ModelAccountIpmRateLimitExceeded", "rate_limited", Cure.RETRY),
    Refused("APIAccountRpmRateLimitExceeded", "rate_limited", Cure.RETRY),
    Refused("AccountRateLimitExceeded", "rate_limited", Cure.RETRY),
    Refused("InflightBatchsizeExceeded", "ark_overloaded", Cure.RETRY),
    Refused("QuotaExceeded", "quota_used_up"),
    Refused(
        "QuotaExceeded of the free tokens",
        "free_quota_used_up",
        fault=Fault.http(429, "QuotaExceeded", "exhausted its free trial quota for the [m] model."),
    ),
    Refused(
        "QuotaExceeded of a plan",
        "quota_used_up",
        fault=Fault.http(429, "QuotaExceeded", "exceeded the 5-hour quota, reset at 12:00."),
    ),
    Refused("SetLimitExceeded", "limit_reached"),
    # What servers of other makes say.
    Refused("insufficient_quota", "quota_used_up", fault=Fault.http(429, "insufficient_quota")),
    Refused(
        "content_policy_violation",
        "moderated",
        state="filtered",
        fault=Fault.http(400, "content_policy_violation"),
    ),
    Refused("ServerOverloaded", "ark_overloaded", Cure.RETRY),
    Refused("RequestBurstTooFast", "ark_overloaded", Cure.RETRY),
    Refused("InternalServiceError", "ark_unavailable", Cure.RENEW),
    Refused("ServiceUnavailable", "ark_unavailable", Cure.RENEW),
    Refused("html", "ark_unavailable", Cure.RENEW),
    Refused("empty", "ark_unavailable", Cure.RENEW),
    Refused("reset", "ark_unavailable", Cure.RENEW),
    Refused("html 403", "access_refused", fault=Fault.html(403)),
    Refused("html 404", "not_supported", elsewhere=NO_PATH, fault=Fault.html(404)),
    Refused("empty 404", "not_supported", elsewhere=NO_PATH, fault=Fault.empty(404)),
    Refused("html 413", "bad_request", fault=Fault.html(413)),
    Refused("html 429", "rate_limited", Cure.RETRY, fault=Fault.html(429)),
    Refused("html 504", "ark_unavailable", Cure.RENEW, fault=Fault.html(504)),
    # A login page of the network, or ARK_BASE_URL of something that is no API.
    Refused("html 200", "stream_broken", fault=Fault.html(200)),
    Refused("empty 200", "stream_broken", fault=Fault.empty(200)),
]


@dataclass(frozen=True)
class Struck:
    """A stream that goes wrong, and the turn after it."""

    name: str
    moment: Literal["before", "middle", "end", "never"]
    """`never`: odd, but the answer came whole."""
    fault: Fault
    text: str
    state: str
    error: str
    counted: tuple[Kind, ...] = ()
    """Where Ark has told its usage all the same."""
    kinds: tuple[Kind, ...] = KINDS
    impatient: bool = False
    """Only the app's own clock can end it."""

    @property
    def remembered(self) -> bool:
        """Whether the turn is part of what the model is told later."""
        return bool(self.text) and self.state != "filtered"


BOTH_CHATS: tuple[Kind, ...] = ("context", "chat")
RESPONSES: tuple[Kind, ...] = ("responses",)


def strikes(
    name: str, error: str, faults: tuple[Fault, Fault, Fault], **more: object
) -> list[Struck]:
    """A fault at its three moments; once the end has been told nothing is missing but usage,
    which /responses tells together with the end."""
    before, middle, end = faults
    return [
        Struck(name, "before", before, "", "failed", error, **more),
        Struck(name, "middle", middle, PART, "interrupted", error, **more),
        Struck(name, "end", end, WHOLE, "complete", "", counted=RESPONSES, **more),
    ]


MOMENTS = (0, 3, AFTER_THE_END)

STRUCK = [
    *strikes("drop", "stream_broken", tuple(map(Fault.drop, MOMENTS))),
    *strikes("end of the body", "stream_broken", tuple(map(Fault.end, MOMENTS))),
    *strikes("error", "stream_broken", tuple(map(Fault.stream_error, MOMENTS))),
    *strikes("error in words", "stream_broken", tuple(map(Fault.stream_error_text, MOMENTS))),
    *strikes("event: error", "stream_broken", tuple(map(Fault.error_event, MOMENTS))),
    *strikes("bad JSON", "stream_broken", tuple(map(Fault.bad_json, MOMENTS))),
    *strikes("silence", "ark_silent", tuple(map(Fault.silence, MOMENTS)), impatient=True),
    *strikes("comments", "ark_silent", tuple(map(Fault.comments, MOMENTS)), impatient=True),
    *strikes("flat error", "stream_broken", tuple(map(Fault.error_flat, MOMENTS)), kinds=RESPONSES),
    Struck("silence before headers", "before", FAULTS["silence_before"],
           "", "failed", "ark_silent", impatient=True),
    Struck("slow beyond patience", "before", Fault.slow_start(60),
           "", "failed", "ark_silent", impatient=True),
    Struck("response.failed", "before", Fault.failed(0),
           "", "failed", "stream_broken", kinds=RESPONSES),
    Struck("response.failed", "middle", Fault.failed(3),
           PART, "interrupted", "stream_broken", kinds=RESPONSES),
    Struck("response.failed by moderation", "middle",
           Fault.failed(3, "OutputTextSensitiveContentDetected"),
           PART, "filtered", "moderated", kinds=RESPONSES),
    Struck("error by moderation", "before",
           Fault.stream_error(0, "OutputTextSensitiveContentDetected"),
           "", "filtered", "moderated"),
    Struck("error by moderation", "middle",
           Fault.stream_error(3, "OutputTextSensitiveContentDetected"),
           PART, "filtered", "moderated"),
    Struck("content_filter", "before", Fault.content_filter(0),
           "", "filtered", "", counted=KINDS),
    Struck("content_filter", "middle", Fault.content_filter(3),
           PART, "filtered", "", counted=KINDS),
    Struck("length", "before", Fault.length(0), "", "failed", "empty_reply", counted=KINDS),
    Struck("length", "middle", Fault.length(3), PART, "length", "", counted=KINDS),
    Struck("no finish_reason", "end", FAULTS["no_finish"], WHOLE, "interrupted", "stream_broken",
           counted=BOTH_CHATS),
    Struck("no [DONE]", "never", FAULTS["no_done"], WHOLE, "complete", "", counted=KINDS),
    Struck("slow first token", "never", Fault.slow_start(0.2), WHOLE, "complete", "",
           counted=KINDS),
    Struck("pause", "never", Fault.silence(3, 0.1), WHOLE, "complete", "", counted=KINDS),
    Struck("keep-alive", "never", FAULTS["keep_alive"], WHOLE, "complete", "", counted=KINDS),
    Struck("split UTF-8", "never", FAULTS["split_utf8"], WHOLE, "complete", "", counted=KINDS),
    Struck("null choices", "never", Fault.null_choices(3), WHOLE, "complete", "",
           counted=KINDS, kinds=BOTH_CHATS),
    Struck("no usage", "never", FAULTS["no_usage"], WHOLE, "complete", ""),
    Struck("empty usage", "never", FAULTS["empty_usage"], WHOLE, "complete", ""),
    Struck("partial usage", "never", FAULTS["partial_usage"], WHOLE, "complete", "",
           counted=KINDS),
]  # fmt: skip

# Valid JSON that is no event as documented, and where it may come.
ODD_EVENTS: list[tuple[str, tuple[Kind, ...]]] = [
    ("null", KINDS),
    ("5", KINDS),
    ('"text"', KINDS),
    ("[]", KINDS),
    ("{}", KINDS),
    ('{"choices": "text"}', BOTH_CHATS),
    ('{"choices": [null]}', BOTH_CHATS),
    ('{"choices": [{"index": 0}]}', BOTH_CHATS),
    ('{"choices": [{"delta": null, "finish_reason": null}]}', BOTH_CHATS),
    ('{"choices": [{"delta": "text"}]}', BOTH_CHATS),
    ('{"choices": [{"delta": {"content": 5}}]}', BOTH_CHATS),
    ('{"choices": [{"delta": {"content": [{"type": "text", "text": ""}]}}]}', BOTH_CHATS),
    ('{"choices": [], "usage": "text"}', BOTH_CHATS),
    ('{"choices": [], "usage": {"prompt_tokens": 7, "prompt_tokens_details": 5}}', BOTH_CHATS),
    ('{"type": 5}', RESPONSES),
    ('{"type": "response.output_text.delta"}', RESPONSES),
    ('{"type": "response.output_text.delta", "delta": 5}', RESPONSES),
    ('{"type": "response.completed"}', RESPONSES),
    ('{"type": "response.completed", "response": "text"}', RESPONSES),
]
