"""The open tabs: their owner, their running events, and when they count as closed.

Gradio's page identifies a tab by a random `session_hash`. Who knows it can read all that the tab
gets. So a tab belongs to the login that used it first, and other logins are refused. When a tab is
closed, Gradio's data of it is freed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from chatbot.accounts import Person
from chatbot.errors import StorageUnavailable, TabLost, TooManyRequests

CALLER, RUNNING = "chatbot.caller", "chatbot.running"
"""Keys in a request's scope: who sent it, and the event that it starts."""

PER_PERSON = 40
"""Most tabs of one user, and most running events."""
PER_NETWORK = 100
"""The same for one address without a login: a school class may open the login page together."""
ANONYMOUS = 500
IN_ALL = 1_500
"""Fewer than the 2,000 that Gradio holds streams for, so that it never drops one in use."""
STREAMS = 4
"""Most streams of one tab. A page needs two, and lost ones may not have ended yet."""
WATCH_SECONDS = 2.0
"""How long the tabs of an ended login may still receive data."""
CLOSED_SECONDS = 60.0
"""A tab without streams and events counts as closed after this time; a page that lost its
connection comes back sooner."""
UNREAD_SECONDS = 20.0
"""How long an event may run while nobody reads its output, which fills the memory."""
RETRY_SECONDS = 5


@dataclass(frozen=True)
class Caller:
    """Who sent a request; looked up once for all parts that handle it."""

    person: Person | None
    key: str
    """The key of the login, or of the network of a visitor without a login."""
    at: float
    """`time.monotonic()` of the lookup."""

    @property
    def group(self) -> object:
        """Tabs with the same group are counted together."""
        return self.person.id if self.person else self.key


class Running:
    """An event, from its start to its end. Without a tab it is not counted."""

    def __init__(self, tab: "Tab | None" = None) -> None:
        self._tab = tab
        self.started = False

    def end(self) -> None:
        if self._tab is not None:
            self._tab.running.discard(self)


class Stream:
    """A response that lasts as long as its tab. When the tab is closed, `over` is set and the task
    that sends it is cancelled."""

    def __init__(self, tab: "Tab", *, answers: bool) -> None:
        self._tab = tab
        self._task = asyncio.current_task()
        self.answers = answers
        """Whether it carries the output of events."""
        self.over = False

    def end(self) -> None:
        self.over = True
        self._tab.streams.discard(self)
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Call when the browser or Gradio has ended it."""
        tab = self._tab
        tab.streams.discard(self)
        tab.used_at = time.monotonic()
        if self.answers:
            # Gradio drops waiting events when no stream is left.
            tab.running = {event for event in tab.running if event.started}


class Tab:
    """One page in one browser."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.running: set[Running] = set()
        self.streams: set[Stream] = set()
        self.used_at = time.monotonic()

    def is_over(self, moment: float) -> bool:
        """Whether the tab counts as closed."""
        unused = moment - self.used_at
        if self.running:
            return unused > UNREAD_SECONDS and not any(stream.answers for stream in self.streams)
        return unused > CLOSED_SECONDS and not self.streams


class Tabs:
    """The tabs of this process. `begin` creates Gradio's data of a tab, `free` frees it;
    `per_person` limits tabs and running events. Belongs to one event loop."""

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
        # Least recently used first.
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
        """The tab of this hash, which the caller now owns. Raises `TabLost`, `TooManyRequests`."""
        tab = self._tabs.get(session_hash)
        if tab is None:
            self._make_room(caller)
            tab = Tab(caller)
            self._add(session_hash, tab)
            self._begin(session_hash)
        elif tab.caller.key != caller.key:
            if tab.caller.person is not None or caller.person is None:
                raise TabLost()
            # The page was opened without a login. Now it belongs to the login alone.
            self._remove(session_hash)
            for stream in [stream for stream in tab.streams if stream.answers]:
                stream.end()
            tab.caller = caller
            self._add(session_hash, tab)
        else:
            self._use(session_hash, tab)
        return tab

    def find(self, session_hash: str, key: str, network: str) -> Tab | None:
        """The tab of this hash; None if there is none. `key`: of the caller's login, if any.

        Raises `TabLost` if it belongs to somebody else.
        """
        tab = self._tabs.get(session_hash)
        if tab is not None:
            if tab.caller.key != (key if tab.caller.person else network):
                raise TabLost()
            self._use(session_hash, tab)
        return tab

    def open(self, tab: Tab, *, answers: bool) -> Stream:
        """A new stream of this tab, sent by the current task. Raises `TooManyRequests`."""
        if len(tab.streams) >= STREAMS:
            raise TooManyRequests(seconds=RETRY_SECONDS)
        stream = Stream(tab, answers=answers)
        tab.streams.add(stream)
        return stream

    def forget(self, session_hash: str) -> None:
        """Close a tab: its streams, its hash, and Gradio's data of it."""
        tab = self._remove(session_hash)
        if tab is not None:
            for stream in list(tab.streams):
                stream.end()
            tab.running.clear()
            self._free(session_hash)

    def forget_unused(self, moment: float) -> None:
        """Close the tabs that have not been used for long."""
        for session_hash, tab in list(self._tabs.items()):
            if tab.is_over(moment):
                self.forget(session_hash)

    async def watch(self, alive: Callable[[Collection[str]], Awaitable[set[str]]]) -> None:
        """Close unused tabs, and tabs whose login is not `alive`. Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.forget_unused(time.monotonic())
            keys = {tab.caller.key for tab in self._tabs.values() if tab.caller.person}
            if not keys:
                continue
            try:
                ended = keys - await alive(keys)
            except StorageUnavailable:
                # Already logged. Until it works again, no login can start and no tab is closed.
                continue
            for session_hash, tab in list(self._tabs.items()):
                if tab.caller.key in ended:
                    self.forget(session_hash)

    def _make_room(self, caller: Caller) -> None:
        """Close the least recently used tab if there are too many."""
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
