"""Faults a test can ask for: refusals before a stream, and streams that go wrong.

What each does is in `strike.py` and `steps.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from chatbot.ark.offline.calls import Call, CallName
from chatbot.ark.offline.refusals import BUSY, Refusal
from tests.fake_ark.usage import UsageShape

Kind = Literal[
    # instead of an answer
    "http", "body", "reset", "silence_before",
    # in streams and in answers that come in one piece
    "slow_start", "drop", "bad_json", "finish", "usage",
    # in streams only
    "silence", "no_done", "no_finish", "end", "error_payload", "error_text", "error_event",
    "null_choices", "split_utf8", "keep_alive", "comments", "odd_event",
    # in streams of the Responses API only
    "failed", "error_flat", "unknown_event",
]  # fmt: skip
INSTEAD = {"http", "body", "reset", "silence_before"}
ANYWHERE = {*INSTEAD, "slow_start", "drop", "bad_json", "finish", "usage"}

AFTER_THE_END = -1
"""In `Fault.after`: when the finish_reason has been sent, and before usage and `[DONE]`."""

# What Ark writes for the codes that tests meet most often [D 1299023].
MESSAGES = {
    "AuthenticationError": "The API key or AK/SK in the request is missing or invalid.",
    "AccountOverdueError": "The request failed because your account has an overdue balance.",
    "AccessDenied": "The request failed because you do not have access to the requested resource.",
    "OperationDenied.InvalidState": BUSY,
    "OutputTextSensitiveContentDetected": (
        "The request failed because the output text may contain sensitive information."
    ),
    "InputTextSensitiveContentDetected": (
        "The request failed because the input text may contain sensitive information."
    ),
    "InvalidEndpoint.ClosedEndpoint": (
        "The request targeted an endpoint that is currently closed or temporarily unavailable."
    ),
    "ServerOverloaded": "The service is currently unable to handle additional requests.",
    "InternalServiceError": "The service encountered an unexpected internal error.",
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, once. `path` narrows it to one kind of call; without it,
    any call but `create` takes it. A fault that only a stream can have waits for one."""

    kind: Kind
    status: int = 500
    code: str = ""
    message: str = ""
    type: str = ""
    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: int = 0
    seconds: float | None = None
    finish: Literal["stop", "length", "content_filter"] = "stop"
    usage: UsageShape = "whole"
    path: CallName | None = None

    @classmethod
    def http(
        cls,
        status: int,
        code: str,
        message: str = "",
        *,
        type: str = "",
        param: str = "",
        headers: Mapping[str, str] | None = None,
        path: CallName | None = None,
    ) -> "Fault":
        """An error answer in Ark's form."""
        return cls("http", status=status, code=code, message=message, type=type, param=param,
                   headers=headers or {}, path=path)  # fmt: skip

    @classmethod
    def html(cls, status: int = 502) -> "Fault":
        """A proxy's error page."""
        page = f"<html><body><h1>{status} Bad Gateway</h1></body></html>"
        return cls("body", status=status, body=page.encode(), type="text/html")

    @classmethod
    def empty(cls, status: int = 502) -> "Fault":
        """A status and nothing more."""
        return cls("body", status=status)

    @classmethod
    def reset(cls) -> "Fault":
        """The connection is reset before any header."""
        return cls("reset")

    @classmethod
    def silence_before(cls, seconds: float | None = None) -> "Fault":
        """No headers for `seconds`, or until the client leaves; then the usual answer."""
        return cls("silence_before", seconds=seconds)

    @classmethod
    def slow_start(cls, seconds: float = 2.0) -> "Fault":
        """Headers at once, the first token late."""
        return cls("slow_start", seconds=seconds)

    @classmethod
    def silence(cls, after: int = 3, seconds: float | None = None) -> "Fault":
        """The stream pauses for `seconds` or until the client leaves, then continues."""
        return cls("silence", after=after, seconds=seconds)

    @classmethod
    def drop(cls, after: int = 3) -> "Fault":
        """The connection breaks after this many pieces of text."""
        return cls("drop", after=after)

    @classmethod
    def no_done(cls) -> "Fault":
        """A whole stream without its `[DONE]`."""
        return cls("no_done")

    @classmethod
    def no_finish(cls) -> "Fault":
        """A whole text and `[DONE]`, but no `finish_reason`."""
        return cls("no_finish")

    @classmethod
    def end(cls, after: int = 3) -> "Fault":
        """The body ends properly in mid-answer: no reason, no `[DONE]`."""
        return cls("end", after=after)

    @classmethod
    def stream_error(
        cls,
        after: int = 3,
        code: str = "InternalServiceError",
        message: str = "",
        type: str = "InternalServerError",
    ) -> "Fault":
        """`data: {"error":{…}}` in mid-stream."""
        return cls("error_payload", after=after, code=code, message=message, type=type)

    @classmethod
    def stream_error_text(cls, after: int = 3, message: str = "internal error") -> "Fault":
        """`data: {"error":"text"}` in mid-stream."""
        return cls("error_text", after=after, message=message)

    @classmethod
    def error_event(cls, after: int = 3, code: str = "InternalServiceError") -> "Fault":
        """A flat `event: error` in mid-stream, which ends there."""
        return cls("error_event", after=after, code=code)

    @classmethod
    def bad_json(cls, after: int = 3) -> "Fault":
        """One event that is not JSON; the rest follows."""
        return cls("bad_json", after=after)

    @classmethod
    def null_choices(cls, after: int = 3) -> "Fault":
        """One more chunk whose `choices` is null."""
        return cls("null_choices", after=after)

    @classmethod
    def content_filter(cls, after: int = 3) -> "Fault":
        """Moderation stops the answer after this many pieces."""
        return cls("finish", after=after, finish="content_filter")

    @classmethod
    def length(cls, after: int = 3) -> "Fault":
        """The limit is reached after this many pieces; on /responses `response.incomplete`."""
        return cls("finish", after=after, finish="length")

    incomplete = length

    @classmethod
    def split_utf8(cls) -> "Fault":
        """Every event that is not plain ASCII is written in two parts, split within a character."""
        return cls("split_utf8")

    @classmethod
    def keep_alive(cls) -> "Fault":
        """A comment line before every event."""
        return cls("keep_alive")

    @classmethod
    def comments(cls, after: int = 3) -> "Fault":
        """Comment lines, and nothing else, until the client leaves."""
        return cls("comments", after=after)

    @classmethod
    def odd_event(cls, data: str, after: int = 3) -> "Fault":
        """One event more, with this data; the rest follows."""
        return cls("odd_event", after=after, body=data.encode())

    @classmethod
    def with_usage(cls, usage: UsageShape) -> "Fault":
        """The usage is left out ("none"), `{}` ("empty") or "partial"."""
        return cls("usage", usage=usage)

    @classmethod
    def failed(cls, after: int = 3, code: str = "server_error") -> "Fault":
        """`response.failed` after this many pieces."""
        return cls("failed", after=after, code=code)

    @classmethod
    def error_flat(cls, after: int = 3, code: str = "server_error") -> "Fault":
        """A flat `{"type":"error",…}` after this many pieces."""
        return cls("error_flat", after=after, code=code)

    @classmethod
    def unknown_event(cls, after: int = 3) -> "Fault":
        """One event more, of a type that no SDK knows, which is to be ignored; the rest follows."""
        return cls("unknown_event", after=after)

    def on(self, path: CallName) -> "Fault":
        """The same fault for one kind of call only."""
        return replace(self, path=path)

    def fits(self, call: Call) -> bool:
        """Whether this fault applies to this call."""
        if self.path is None and call.api == "create":
            return False
        if self.path not in (None, call.api):
            return False
        if self.kind in ("failed", "error_flat", "unknown_event"):
            return call.streaming and call.api == "responses"
        if self.kind == "null_choices":
            return call.streaming and call.api in ("chat", "context")
        if call.api == "create":
            return self.kind in INSTEAD
        return call.streaming or self.kind in ANYWHERE

    def refusal(self) -> Refusal:
        refusal = Refusal(self.status, self.code, self.text, param=self.param)
        refusal.type = self.type or refusal.type
        return refusal

    @property
    def text(self) -> str:
        return self.message or MESSAGES.get(self.code, f"The request failed: {self.code}.")
