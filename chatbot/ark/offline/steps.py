"""A stream's events in the order they are sent, and what a fault makes of them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from chatbot.ark.offline.faults import SHAPING, Fault
from chatbot.ark.offline.wire import DONE, KEEP_ALIVE, HangUp, Pause, Step, Stream, event


def steps(stream: Stream, fault: Fault | None) -> Iterator[Step]:
    """A stream's events in order, bent by the fault if there is one."""
    if fault is None or fault.kind in SHAPING:
        yield from stream.head()
        yield from stream.deltas()
        yield ending(stream)
        return
    match fault.kind:
        case "slow_start":
            yield Pause(fault.seconds)
            yield from steps(stream, None)
        case "split_utf8":
            for step in steps(stream, None):
                yield from split(step)
        case "keep_alive":
            for step in steps(stream, None):
                yield KEEP_ALIVE
                yield step
        case "no_done" | "no_finish":
            yield from stream.head()
            yield from stream.deltas()
            yield ending(stream, without=fault.kind)
        case _:
            yield from stream.head()
            deltas = stream.deltas()
            yield from islice(deltas, fault.after)
            yield from strike(fault, stream)
            if fault.kind in ("silence", "bad_json", "null_choices"):
                yield from deltas
                yield ending(stream)


def ending(stream: Stream, without: str = "") -> bytes:
    """The events after the last text, at once: nothing is generated between them."""
    stream.answer.ended = without != "no_finish"
    finish = stream.finish() if stream.answer.ended else b""
    return finish + stream.usage() + (DONE if without != "no_done" else b"")


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
        case "null_choices":
            yield event({"id": "021", "object": "chat.completion.chunk", "choices": None})
        case "failed":
            yield stream.finish()
            yield DONE
        case "error_flat":
            yield event({"type": "error", **error, "param": None}, "error")
            yield DONE
        case _:
            pass


def split(step: Step) -> Iterator[Step]:
    """An event in two writes that part in the middle of its first wide character."""
    cut = 0
    if isinstance(step, bytes):
        cut = next((at for at, byte in enumerate(step) if byte >= 0xC0), -1) + 1
    if not cut or not isinstance(step, bytes):
        yield step
        return
    yield step[:cut]
    # Long enough for the two writes to be two reads on the other side.
    yield Pause(0.002)
    yield step[cut:]
