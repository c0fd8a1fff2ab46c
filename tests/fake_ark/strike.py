"""What a fault does to a call: instead of the answer, to the answer, or while it is sent."""

from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.calls import Call
from chatbot.ark.offline.exchange import Exchange
from chatbot.ark.offline.job import Job
from chatbot.ark.offline.sending import EventStream, whole_body
from chatbot.ark.offline.wire import to_json
from tests.fake_ark.faults import Fault
from tests.fake_ark.steps import HangUp, Step, steps
from tests.fake_ark.usage import OddUsage

JSON = "application/json"


class Drop(Protocol):
    def __call__(self, *, reset: bool = False) -> Awaitable[None]:
        """Drop the connection."""


@dataclass(frozen=True)
class Struck(Call):
    """A call that something goes wrong with."""

    fault: Fault


async def answer_instead(exchange: Exchange, fault: Fault, drop: Drop) -> bool:
    """What a fault does before there is any answer; True if it was the answer."""
    match fault.kind:
        case "http":
            body = to_json(fault.refusal().body(exchange.request_id))
            await send_body(exchange, fault.status, body, JSON, fault.headers)
        case "body":
            await send_body(exchange, fault.status, fault.body, fault.type, fault.headers)
        case "reset":
            await drop(reset=True)
        case "silence_before":
            await exchange.pause(fault.seconds)
            return False
        case _:
            return False
    return True


def bend(answer: Answer, fault: Fault) -> None:
    """What a fault does to the answer itself."""
    if fault.kind == "finish":
        answer.pieces = answer.pieces[: fault.after]
        answer.finish = fault.finish
    elif fault.kind == "usage":
        price = answer.price
        answer.price = OddUsage(price.prompt, price.cached, shape=fault.usage)


async def send_struck(exchange: Exchange, call: Struck, job: Job, pace: float, drop: Drop) -> None:
    """Send an answer, with what goes wrong on the way."""
    bend(job.answer, call.fault)
    if not call.streaming:
        await send_piece(exchange, call.fault, job, pace, drop)
        return
    out = EventStream(exchange, pace, job.settle_if_ended)
    await out.open()
    if await play(steps(job.stream, call.fault), exchange, out):
        await out.close()
    else:
        await drop()


async def play(bent: Iterator[Step], exchange: Exchange, out: EventStream) -> bool:
    """Send the events; False if the connection is to break after them."""
    for step in bent:
        if isinstance(step, bytes):
            await out.send(step)
            continue
        await out.flush()
        if isinstance(step, HangUp):
            return False
        await exchange.pause(step.seconds)
    return True


async def send_piece(exchange: Exchange, fault: Fault, job: Job, pace: float, drop: Drop) -> None:
    """Send an answer in one piece: late, by half, or by half with the length of the whole."""
    if fault.kind == "slow_start":
        await exchange.pause(fault.seconds)
        pace = 0
    body = await whole_body(exchange, job, pace)
    half = body[: len(body) // 2]
    if fault.kind == "drop":
        await exchange.start(200, {"content-type": JSON, "content-length": str(len(body))})
        await exchange.write(half)
        await drop()
    else:
        await exchange.whole(200, half if fault.kind == "bad_json" else body)


async def send_body(
    exchange: Exchange, status: int, body: bytes, type: str, headers: Mapping[str, str]
) -> None:
    """An answer of any type, with these headers more."""
    named = {"content-type": type} if type else {}
    await exchange.start(status, {**named, "content-length": str(len(body)), **headers})
    await exchange.write(body, more=False)
