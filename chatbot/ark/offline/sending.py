"""How an answer leaves: event by event at its pace, or in one piece after the same time."""

import asyncio
from collections.abc import Callable, Iterator

from chatbot.ark.offline.exchange import Exchange
from chatbot.ark.offline.job import Job
from chatbot.ark.offline.wire import DONE, Stream, to_json

# Without a pace, so many events share a write; the first one always goes alone.
EVENTS_PER_WRITE = 16


class EventStream:
    """The body of a streamed answer: `open` it, `send` its events, one every `pace` seconds, and
    `close` it. `before_write` is called before anything leaves, so that it can settle what a
    client may rely on having seen. Everything raises `ClientLeft` once the client has left."""

    def __init__(self, exchange: Exchange, pace: float, before_write: Callable[[], None]) -> None:
        self._exchange = exchange
        self._pace = pace
        self._before_write = before_write
        self._batch: list[bytes] = []
        self._room = 1

    async def open(self) -> None:
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        await self._exchange.start(200, headers)

    async def send(self, event: bytes) -> None:
        self._batch.append(event)
        if len(self._batch) >= self._room:
            await self._write()
            self._room = 1 if self._pace else EVENTS_PER_WRITE
            # Even at full speed others must get their turn.
            await asyncio.sleep(self._pace)

    async def flush(self) -> None:
        """Write what is held back. The next event goes alone again."""
        await self._write()
        self._room = 1

    async def close(self) -> None:
        self._before_write()
        await self._exchange.write(b"".join(self._batch), more=False)

    async def _write(self) -> None:
        self._before_write()
        if self._batch:
            await self._exchange.write(b"".join(self._batch))
            self._batch.clear()


async def send_events(exchange: Exchange, job: Job, pace: float) -> None:
    out = EventStream(exchange, pace, job.settle_if_ended)
    await out.open()
    for event in events_of(job.stream):
        await out.send(event)
    await out.close()


async def send_whole(exchange: Exchange, job: Job, pace: float) -> None:
    await exchange.whole(200, await whole_body(exchange, job, pace))


async def whole_body(exchange: Exchange, job: Job, pace: float) -> bytes:
    """The same answer in one piece, after the time its pieces would have taken. It is
    remembered from then on."""
    if wait := pace * len(job.answer.pieces):
        await exchange.pause(wait)
    job.answer.ended = True
    body = to_json(job.whole())
    job.settle_once()
    return body


def events_of(stream: Stream) -> Iterator[bytes]:
    yield from stream.head()
    yield from stream.deltas()
    yield ending(stream)


def ending(stream: Stream) -> bytes:
    """The events after the last text, at once: nothing is generated between them."""
    stream.answer.ended = True
    return stream.finish() + stream.usage() + DONE
