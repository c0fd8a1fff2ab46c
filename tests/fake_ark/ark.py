"""`FakeArk`: the local Ark, and what a test can set on it."""

import asyncio
import threading
from collections import deque
from functools import partial

from chatbot.ark.offline import Context, OfflineArk, StoredResponse
from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.calls import Call
from chatbot.ark.offline.exchange import ClientLeft, Exchange
from chatbot.ark.offline.fields import check_fields
from chatbot.ark.offline.job import Job
from chatbot.ark.offline.server import Work
from tests.fake_ark.account import (
    Plugin,
    Standing,
    State,
    check_search,
    check_standing,
    check_state,
    too_fast,
)
from tests.fake_ark.chat_fields import CHAT
from tests.fake_ark.clock import Clock
from tests.fake_ark.connection import hang_up
from tests.fake_ark.faults import Fault
from tests.fake_ark.recorded import Recorded
from tests.fake_ark.shapes import (
    Annotations,
    ContextApi,
    LostShape,
    UnsupportedShape,
    context_shut,
    not_served,
)
from tests.fake_ark.stores import FakeContexts, FakeResponses
from tests.fake_ark.strike import Drop, Struck, answer_instead, send_struck


class FakeArk(OfflineArk):
    """`with FakeArk(pace=0) as ark:` serves at `ark.base_url` until the block ends.

    Every public attribute may be read and set from any thread while it runs.
    """

    def __init__(self, *, port: int = 0, pace: float | None = None) -> None:
        self.clock = Clock()
        super().__init__(port=port, pace=pace, now=self.clock.now)
        self.context_store: FakeContexts = FakeContexts(self.now)
        self.response_store: FakeResponses = FakeResponses(self.now, self.file_store, self.cache)
        self.requests: list[Recorded] = []
        # The model and the answer of each call that was answered, for what it would cost.
        self.billed: list[tuple[str, Answer]] = []
        # How many real seconds a context stays "in progress" after the client has left.
        # Not documented, but worth testing.
        self.linger = 0.0
        self.models_without_context: set[str] = set()
        self.models_without_responses: set[str] = set()
        self.unsupported_shape: UnsupportedShape = "not_found"
        self.context_api: ContextApi = "on"
        # What the account may do with a model, by its name; one that is not named is open.
        self.states: dict[str, State] = {}
        self.search_plugin: Plugin = "open"
        self.standing: Standing = "good"
        # So many calls of a model are still refused because they came too fast.
        self.burst = 0
        # How many real seconds a call waits before it is answered or refused.
        self.first_byte_seconds = 0.0
        # Whether chat refuses keys that it does not know. Not documented.
        self.strict_chat = False
        self._faults: deque[Fault] = deque()
        self._lock = threading.Lock()

    @property
    def contexts(self) -> dict[str, Context]:
        return self.context_store.live

    @property
    def responses(self) -> dict[str, StoredResponse]:
        return self.response_store.stored

    @property
    def lost_shape(self) -> LostShape:
        """How an expired or unknown context is reported."""
        return self.context_store.lost_shape

    @lost_shape.setter
    def lost_shape(self, shape: LostShape) -> None:
        self.context_store.lost_shape = shape

    @property
    def keeps_partial(self) -> bool:
        """Whether a context keeps what it had said when the client left or moderation stopped it.
        Not documented; both are worth testing."""
        return self.context_store.keeps_partial

    @keeps_partial.setter
    def keeps_partial(self, kept: bool) -> None:
        self.context_store.keeps_partial = kept

    @property
    def shows_cut_thoughts(self) -> bool:
        """Whether a response that was cut in its thoughts has them in its output."""
        return self.response_store.shows_cut_thoughts

    @shows_cut_thoughts.setter
    def shows_cut_thoughts(self, shown: bool) -> None:
        self.response_store.shows_cut_thoughts = shown

    @property
    def deletion_breaks_chains(self) -> bool:
        """Whether a response cannot be continued once one before it was deleted. Not documented."""
        return self.response_store.deletion_breaks_chains

    @deletion_breaks_chains.setter
    def deletion_breaks_chains(self, breaks: bool) -> None:
        self.response_store.deletion_breaks_chains = breaks

    @property
    def caches(self) -> bool:
        """Whether anything is ever read from a cache by chat and responses."""
        return self.cache.on

    @caches.setter
    def caches(self, on: bool) -> None:
        self.cache.on = on

    @property
    def annotations(self) -> Annotations:
        """Where the sources of a web search are told."""
        return self.response_store.annotations

    @annotations.setter
    def annotations(self, shape: Annotations) -> None:
        self.response_store.annotations = shape

    def fail_next(self, fault: Fault) -> None:
        """Let the next call that the fault fits go wrong."""
        with self._lock:
            self._faults.append(fault)

    def pending_faults(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def forget(self, ref: str) -> None:
        """Lose a context or response, as if it had expired."""
        self.contexts.pop(ref, None)
        self.responses.pop(ref, None)

    async def serve(self, exchange: Exchange, work: Work) -> None:
        recorded = Recorded(exchange, self.now())
        self.requests.append(recorded)
        try:
            await super().serve(exchange, work)
            recorded.finished = True
        except ClientLeft:
            recorded.disconnected = True
            raise

    async def answer(self, exchange: Exchange, call: Call) -> None:
        if self.first_byte_seconds:
            await exchange.pause(self.first_byte_seconds)
        if fault := self._take_fault(call):
            if await answer_instead(exchange, fault, self._drop(exchange)):
                return
            call = Struck(**vars(call), fault=fault)
        if self.context_api == "empty" and call.api in ("create", "context"):
            await exchange.start(404, {"content-length": "0"})
            await exchange.write(b"", more=False)
            return
        await super().answer(exchange, call)

    def check(self, call: Call) -> None:
        check_standing(self.standing)
        if self._bursts():
            raise too_fast()
        if call.api == "chat" and self.strict_chat:
            check_fields(call.body, CHAT)
        of_contexts = call.api in ("create", "context")
        if of_contexts and self.context_api != "on":
            raise context_shut(call.model, self.context_api)
        check_state(call.model, self.states.get(call.model, "open"))
        super().check(call)
        if call.api == "responses":
            check_search(call.body, self.search_plugin)
        if of_contexts and call.model in self.models_without_context:
            raise not_served(call.model, "context", self.unsupported_shape)
        if call.api == "responses" and call.model in self.models_without_responses:
            raise not_served(call.model, "responses", self.unsupported_shape)

    async def send(self, exchange: Exchange, call: Call, job: Job) -> None:
        try:
            self.billed.append((call.model, job.answer))
            if isinstance(call, Struck):
                await send_struck(exchange, call, job, self.piece_seconds, self._drop(exchange))
            else:
                await super().send(exchange, call, job)
        except ClientLeft:
            await asyncio.sleep(self.linger)
            raise

    def _bursts(self) -> bool:
        with self._lock:
            left, self.burst = self.burst, max(0, self.burst - 1)
            return left > 0

    def _take_fault(self, call: Call) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.fits(call)), None)
            if fault is not None:
                self._faults.remove(fault)
            return fault

    def _drop(self, exchange: Exchange) -> Drop:
        assert self.listener is not None
        return partial(hang_up, exchange, self.listener)
