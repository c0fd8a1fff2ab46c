"""A stream's events in the order they are sent, and what a fault makes of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from chatbot.ark.offline.response_events import ResponseStream
from chatbot.ark.offline.sending import ending, events_of
from chatbot.ark.offline.wire import DONE, Stream, event
from tests.fake_ark.faults import AFTER_THE_END, Fault

KEEP_ALIVE = b": keep-alive\n\n"
# Their work is done before the stream starts: on the headers' delay or the answer itself.
SHAPING = {"silence_before", "finish", "usage"}
# The stream goes on after them.
PASSING = {"silence", "bad_json", "null_choices", "odd_event", "unknown_event"}


@dataclass(frozen=True)
class Pause:
    """Nothing is sent for `seconds`; None waits until the client leaves."""

    seconds: float | None


@dataclass(frozen=True)
class HangUp:
    """The connection is dropped at this point."""


Step = bytes | Pause | HangUp


def steps(stream: Stream, fault: Fault) -> Iterator[Step]:
    """A stream's events in order, changed by the fault."""
    if fault.after == AFTER_THE_END:
        yield from after_the_end(stream, fault)
        return
    match fault.kind:
        case "usage" if fault.usage == "none":
            yield from all_without("usage", stream)
        case kind if kind in SHAPING:
            yield from events_of(stream)
        case "slow_start":
            yield Pause(fault.seconds)
            yield from events_of(stream)
        case "split_utf8":
            for sent in events_of(stream):
                yield from split(sent)
        case "keep_alive":
            for sent in events_of(stream):
                yield KEEP_ALIVE
                yield sent
        case "no_done" | "no_finish":
            yield from all_without(fault.kind.removeprefix("no_"), stream)
        case _:
            yield from stream.head()
            deltas = stream.deltas()
            yield from islice(deltas, fault.after)
            yield from strike(fault, stream)
            if fault.kind in PASSING:
                yield from deltas
                yield ending(stream)


def after_the_end(stream: Stream, fault: Fault) -> Iterator[Step]:
    yield from stream.head()
    yield from stream.deltas()
    stream.answer.ended = True
    yield stream.finish()
    yield from strike(fault, stream)
    if fault.kind == "bad_json":
        yield stream.usage() + DONE


def all_without(part: str, stream: Stream) -> Iterator[bytes]:
    """The whole stream without one part of its ending."""
    yield from stream.head()
    yield from stream.deltas()
    stream.answer.ended = part != "finish"
    parts = {"finish": stream.finish, "usage": stream.usage, "done": lambda: DONE}
    yield b"".join(sent() for name, sent in parts.items() if name != part)


def strike(fault: Fault, stream: Stream) -> Iterator[Step]:
    """What happens in mid-stream."""
    error: dict[str, Any] = {"code": fault.code, "message": fault.text}
    match fault.kind:
        case "silence":
            yield Pause(fault.seconds)
        case "drop":
            yield HangUp()
        case "error_payload":
            yield event({"error": {**error, "param": "", "type": fault.type}})
            yield DONE
        case "error_text":
            yield event({"error": fault.message})
            yield DONE
        case "error_event":
            yield event(error, "error")
        case "bad_json":
            yield b'data: {"id":"021","choices":[{"delta":{"content":"\n\n'
        case "odd_event":
            yield b"data: " + fault.body + b"\n\n"
        case "comments":
            while True:
                yield KEEP_ALIVE
                yield Pause(0.05)
        case "null_choices":
            yield event({"id": "021", "object": "chat.completion.chunk", "choices": None})
        case "failed" if isinstance(stream, ResponseStream):
            failed = stream.round.object(status="failed", error=error, output=[])
            yield stream.event("response.failed", response=failed)
            yield DONE
        case "unknown_event" if isinstance(stream, ResponseStream):
            place = {"item_id": stream.round.message_id, "output_index": 0}
            yield stream.event("response.reasoning_raw_text.delta", delta="?", **place)
        case "error_flat":
            yield event({"type": "error", **error, "param": None}, "error")
            yield DONE
        case _:
            pass


def split(sent: bytes) -> Iterator[Step]:
    """An event in two writes that part in the middle of its first wide character."""
    cut = next((at for at, byte in enumerate(sent) if byte >= 0xC0), -1) + 1
    if not cut:
        yield sent
        return
    yield sent[:cut]
    # Long enough for the two writes to be two reads on the other side.
    yield Pause(0.002)
    yield sent[cut:]
