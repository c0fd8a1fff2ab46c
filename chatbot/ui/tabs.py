"""The open tabs: whose each one is, what it has running, and when it is over.

A tab is known by the `session_hash` that Gradio's page makes up for it, which is a key to all that
the tab is shown. So it belongs to the login that used it first, and nobody else gets to it. What
Gradio keeps for a tab is freed with it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from chatbot.accounts import Person
from chatbot.errors import StorageUnavailable, TabLost, TooManyRequests

CALLER, RUNNING = "chatbot.caller", "chatbot.running"
"""Where in a request's scope handlers find who asks, and the event that begins."""

PER_PERSON = 40
"""Tabs of one person, and events of theirs that run at once."""
PER_NETWORK = 100
"""Tabs of one address without a login, and their events: a class that opens the login page
together."""
ANONYMOUS = 500
IN_ALL = 1_500
"""Fewer than Gradio holds streams for (2,000), so that it never drops one that is in use."""
STREAMS = 4
"""Streams of one tab; a page needs two, and a lost one may not have ended yet."""
WATCH_SECONDS = 2.0
"""So long may a login that has ended go on listening."""
CLOSED_SECONDS = 60.0
"""A tab without a stream and without an event is over after so long; a page that was only cut off
comes back sooner."""
UNREAD_SECONDS = 20.0
"""So long may an event run that nobody reads the answers of: they pile up in memory."""
RETRY_SECONDS = 5


@dataclass(frozen=True)
class Caller:
    """Who sent a request, known once for all that handle it."""

    person: Person | None
    key: str
    """Of the login, or of the network that somebody without a login comes from."""
    at: float
    """`time.monotonic()` when it was looked up."""

    @property
    def group(self) -> object:
        """Whose tabs are counted together."""
        return self.person.id if self.person else self.key


class Running:
    """An event, from its joining to its end; one without a tab is in nobody's books."""

    def __init__(self, tab: "Tab | None" = None) -> None:
        self._tab = tab
        self.started = False

    def end(self) -> None:
        if self._tab is not None:
            self._tab.running.discard(self)


class Stream:
    """An answer that goes on for as long as the tab is open; the task that makes it is cancelled
    when the tab is over, and `over` says so."""

    def __init__(self, tab: "Tab", *, answers: bool) -> None:
        self._tab = tab
        self._task = asyncio.current_task()
        self.answers = answers
        """Whether it carries what events answer."""
        self.over = False

    def end(self) -> None:
        self.over = True
        self._tab.streams.discard(self)
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """The browser, or Gradio, has ended it."""
        tab = self._tab
        tab.streams.discard(self)
        tab.used_at = time.monotonic()
        if self.answers:
            # Gradio drops what waits for its turn when nobody listens any more.
            tab.running = {event for event in tab.running if event.started}


class Tab:
    """One page in one browser."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.running: set[Running] = set()
        self.streams: set[Stream] = set()
        self.used_at = time.monotonic()

    def is_over(self, moment: float) -> bool:
        """Whether nobody is there any more."""
        unused = moment - self.used_at
        if self.running:
            return unused > UNREAD_SECONDS and not any(stream.answers for stream in self.streams)
        return unused > CLOSED_SECONDS and not self.streams


class Tabs:
    """The tabs of this process. `begin` makes what Gradio keeps for one, `free` gives it back;
    `per_person`: tabs, and running events. Lives in one event loop."""

    def __init__(
        self,
        free: Callable[[str], None],
        begin: Callable[[str], None] = lambda _: None,
        *,
        per_person: int = PER_PERSON,
    ) -> None:
        self._free = free
        self._begin = begin
        self._per_person = per_person
        # The least recently used come first.
        self._tabs: dict[str, Tab] = {}
        self._groups: dict[object, dict[str, Tab]] = {}
        self._anonymous = 0

    def __len__(self) -> int:
        return len(self._tabs)

    @property
    def busy(self) -> bool:
        """Whether any event runs."""
        return any(tab.running for tab in self._tabs.values())

    def join(self, session_hash: str, caller: Caller) -> Running:
        """Begin an event. Raises `TabLost` or `TooManyRequests`."""
        tab = self.enter(session_hash, caller)
        group = self._groups[caller.group].values()
        most = self._per_person if caller.person else PER_NETWORK
        if sum(len(other.running) for other in group) >= most:
            raise TooManyRequests(seconds=RETRY_SECONDS)
        running = Running(tab)
        tab.running.add(running)
        return running

    def enter(self, session_hash: str, caller: Caller) -> Tab:
        """The tab of this hash, from now on this caller's. Raises `TabLost`, `TooManyRequests`."""
        tab = self._tabs.get(session_hash)
        if tab is None:
            self._make_room(caller)
            tab = Tab(caller)
            self._add(session_hash, tab)
            self._begin(session_hash)
        elif tab.caller.key != caller.key:
            if tab.caller.person is not None or caller.person is None:
                raise TabLost()
            # The page was opened by nobody; whoever logs in has it from now on, alone.
            self._remove(session_hash)
            for stream in [stream for stream in tab.streams if stream.answers]:
                stream.end()
            tab.caller = caller
            self._add(session_hash, tab)
        else:
            self._use(session_hash, tab)
        return tab

    def find(self, session_hash: str, key: str, network: str) -> Tab | None:
        """The tab of this hash, None if there is none; `key`: of the login that asks, if any.

        Raises `TabLost` when it is somebody else's.
        """
        tab = self._tabs.get(session_hash)
        if tab is not None:
            if tab.caller.key != (key if tab.caller.person else network):
                raise TabLost()
            self._use(session_hash, tab)
        return tab

    def open(self, tab: Tab, *, answers: bool) -> Stream:
        """A stream of this tab, made by the current task. Raises `TooManyRequests`."""
        if len(tab.streams) >= STREAMS:
            raise TooManyRequests(seconds=RETRY_SECONDS)
        stream = Stream(tab, answers=answers)
        tab.streams.add(stream)
        return stream

    def forget(self, session_hash: str) -> None:
        """End a tab: its streams, its hash, and what Gradio keeps for it."""
        tab = self._remove(session_hash)
        if tab is not None:
            for stream in list(tab.streams):
                stream.end()
            tab.running.clear()
            self._free(session_hash)

    def forget_unused(self, moment: float) -> None:
        """Forget the tabs that nobody has used for long."""
        for session_hash, tab in list(self._tabs.items()):
            if tab.is_over(moment):
                self.forget(session_hash)

    async def watch(self, alive: Callable[[Collection[str]], Awaitable[set[str]]]) -> None:
        """For ever: forget what is unused, and every tab whose login is not `alive` any more."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.forget_unused(time.monotonic())
            keys = {tab.caller.key for tab in self._tabs.values() if tab.caller.person}
            if not keys:
                continue
            try:
                ended = keys - await alive(keys)
            except StorageUnavailable:
                # In the log already. Nobody is let in meanwhile, and nobody thrown out.
                continue
            for session_hash, tab in list(self._tabs.items()):
                if tab.caller.key in ended:
                    self.forget(session_hash)

    def _make_room(self, caller: Caller) -> None:
        """Forget the least recently used tab where there are too many."""
        group = self._groups.get(caller.group, {})
        if len(group) >= (self._per_person if caller.person else PER_NETWORK):
            self._evict(group)
        if caller.person is None and self._anonymous >= ANONYMOUS:
            self._evict({hash: tab for hash, tab in self._tabs.items() if not tab.caller.person})
        if len(self._tabs) >= IN_ALL:
            self._evict(self._tabs)

    def _evict(self, tabs: dict[str, Tab]) -> None:
        idle = [session_hash for session_hash, tab in tabs.items() if not tab.running]
        unseen = (session_hash for session_hash in idle if not tabs[session_hash].streams)
        chosen = next(unseen, idle[0] if idle else None)
        if chosen is None:
            raise TooManyRequests(seconds=RETRY_SECONDS)
        self.forget(chosen)

    def _add(self, session_hash: str, tab: Tab) -> None:
        self._tabs[session_hash] = tab
        self._groups.setdefault(tab.caller.group, {})[session_hash] = tab
        self._anonymous += tab.caller.person is None

    def _remove(self, session_hash: str) -> Tab | None:
        tab = self._tabs.pop(session_hash, None)
        if tab is not None:
            group = self._groups[tab.caller.group]
            del group[session_hash]
            if not group:
                del self._groups[tab.caller.group]
            self._anonymous -= tab.caller.person is None
        return tab

    def _use(self, session_hash: str, tab: Tab) -> None:
        tab.used_at = time.monotonic()
        for tabs in (self._tabs, self._groups[tab.caller.group]):
            tabs[session_hash] = tabs.pop(session_hash)
