"""A Gradio page as far as its events go: what a browser sends and hears, without drawing it.

It follows the page's own wiring, so the app and its peers are driven alike: an event, what is
chained to it, and the events of what it changed. Frames are kept unread until somebody asks.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.wire import Connection

Frame = tuple[float, bytes]
EVENT_ID = re.compile(rb'"event_id":\s*"([^"]+)"')
ANSWER = re.compile(rb'"process_(?:generating|completed)"')
NUMBERS = re.compile(r"^(?:<p>)?[\d\s]*?(\d+)\s*(?:</p>)?$")


class EventFailed(Exception):
    """The server ended an event with an error."""


class Page:
    """One tab. `headers` hold the cookie of whoever is logged in."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._posts = Connection(url, headers)
        self._stream = Connection(url, headers)
        self._hash = secrets.token_hex(8)
        self._events: dict[str, asyncio.Queue[Frame]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._side: set[asyncio.Task[None]] = set()
        self._posting = asyncio.Lock()
        self.frames: list[Frame] = []
        """What came for the chatbot while it was being written, with the time of each."""
        self.answers: list[Frame] = []
        """The first answer to each event."""

    async def open(self) -> None:
        """Load the page, up to the end of what it does by itself."""
        page = (await self._posts.text("")).decode()
        # As a browser does: the page brings it along.
        _, _, told = page.partition("window.gradio_config = ")
        config, _ = json.JSONDecoder().raw_decode(told)
        self._wiring = config["dependencies"]
        self._parts = {part["id"]: part for part in config["components"]}
        self.values = {id: part["props"].get("value") for id, part in self._parts.items()}
        self.chatbot = self.named("chatbot")
        for wire in self._wiring:
            if any(event == "load" for _, event in wire["targets"]):
                await self._run(wire)
        await self.settled()

    def named(self, elem_id: str) -> int:
        """The part of the page with this id."""
        return next(
            id for id, part in self._parts.items() if part["props"].get("elem_id") == elem_id
        )

    async def enter(self, text: str) -> None:
        """Type into the prompt and press Enter; returns when the reply has ended."""
        prompt = self.named("prompt")
        self.values[prompt] = text
        self.frames = []
        await self.fire(prompt, "submit")

    async def fire(self, part: int, event: str) -> None:
        for wire in self._wiring:
            if [part, event] in wire["targets"]:
                await self._run(wire)

    async def settled(self) -> None:
        """Wait for what the last event has set off beside it."""
        while self._side:
            await asyncio.gather(*self._side)

    def close(self) -> None:
        self._posts.close()
        self._stream.close()

    async def _run(self, wire: dict[str, Any]) -> None:
        if wire["backend_fn"]:
            await self._ask(wire)
        for after in self._wiring:
            if after["trigger_after"] == wire["id"]:
                await self._run(after)

    async def _ask(self, wire: dict[str, Any]) -> None:
        inputs = [self.values[id] for id in wire["inputs"]]
        state = [self._parts[id]["type"] == "state" for id in wire["inputs"]]
        body = {
            "data": [None if kept else value for kept, value in zip(state, inputs, strict=True)],
            "fn_index": wire["id"],
            "session_hash": self._hash,
        }
        if wire["queue"] is False:
            async with self._posting:
                answer = await self._posts.post("gradio_api/run/predict", body)
            self._take(wire, answer)
            return
        async with self._posting:
            joined = await self._posts.post("gradio_api/queue/join", body)
        inbox = self._events.setdefault(joined["event_id"], asyncio.Queue())
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        told = False
        while True:
            at, raw = await inbox.get()
            if not told and ANSWER.search(raw[:200]):
                self.answers.append((at, raw))
            if b'"process_generating"' in raw[:200]:
                if self.chatbot in wire["outputs"]:
                    self.frames.append((at, raw))
                if not told:
                    told = True
                    self._take(wire, json.loads(raw)["output"])
            elif b'"process_completed"' in raw[:200]:
                self._events.pop(joined["event_id"])
                message = json.loads(raw)
                if not message["success"]:
                    raise EventFailed(message["output"])
                self._take(wire, message["output"])
                return

    async def _read(self) -> None:
        async for raw in self._stream.events(f"gradio_api/queue/data?session_hash={self._hash}"):
            if named := EVENT_ID.search(raw):
                inbox = self._events.setdefault(named[1].decode(), asyncio.Queue())
                inbox.put_nowait((time.time(), raw))

    def _take(self, wire: dict[str, Any], output: dict[str, Any]) -> None:
        """Set the values that came, and set off the events of those that changed."""
        changed = list(output.get("changed_state_ids") or [])
        for id, value in zip(wire["outputs"], output["data"], strict=True):
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" not in value:
                    continue
                value = value["value"]
            if id != self.chatbot and value != self.values[id]:
                changed.append(id)
            self.values[id] = value
        for id in changed:
            task = asyncio.create_task(self.fire(id, "change"))
            self._side.add(task)
            task.add_done_callback(self._side.discard)


def tokens_shown(frames: list[Frame]) -> list[tuple[float, int]]:
    """When each frame came and up to which number the reply then counted."""
    shown = [(at, _last_number(json.loads(raw)["output"]["data"])) for at, raw in frames]
    return [(at, number) for at, number in shown if number]


def _last_number(data: Any) -> int:
    found = (NUMBERS.match(text) for text in _texts(data))
    return max((int(match[1]) for match in found if match), default=0)


def _texts(data: Any) -> Iterator[str]:
    """The texts of a frame, be it whole or the difference to the one before."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        # A difference is a list of [action, path, value]; the path is no text.
        is_change = len(data) == 3 and data[0] in ("append", "replace", "add", "delete")
        for value in data[2:] if is_change else data:
            yield from _texts(value)
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
