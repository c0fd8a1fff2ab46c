"""Whose a tab is, how many there may be, and when one is over."""

import asyncio
import time

import pytest

from chatbot.accounts import Person
from chatbot.errors import StorageUnavailable, TabLost, TooManyRequests
from chatbot.ui import tabs as module
from chatbot.ui.pace import Pace
from chatbot.ui.tabs import ANONYMOUS, IN_ALL, PER_NETWORK, PER_PERSON, STREAMS, Caller, Tabs

pytestmark = pytest.mark.anyio


def login(number: int, key: str = "") -> Caller:
    person = Person(number, f"person {number}", is_admin=False)
    return Caller(person, key or f"login {number}", time.monotonic())


def nobody(network: str = "192.0.2.1") -> Caller:
    return Caller(None, f"network:{network}", time.monotonic())


ANN, BOB = login(1), login(2)
ANN_ELSEWHERE = login(1, "another login of Ann's")


class Kept(Tabs):
    """Tabs that remember what was freed."""

    def __init__(self) -> None:
        self.freed: list[str] = []
        super().__init__(self.freed.append)


@pytest.fixture
def tabs() -> Kept:
    return Kept()


# Who joined, who asks, and whether that one gets in.
WHOSE = [
    (nobody(), nobody(), True),
    (nobody(), nobody("198.51.100.1"), False),
    (nobody(), ANN, True),
    (ANN, ANN, True),
    (ANN, ANN_ELSEWHERE, False),
    (ANN, BOB, False),
    (ANN, nobody(), False),
]


@pytest.mark.parametrize(("user", "caller", "passes"), WHOSE)
def test_a_tab_is_joined_by_its_user_only(tabs, user, caller, passes):
    tabs.join("tab", user)
    if passes:
        tabs.join("tab", caller)
    else:
        with pytest.raises(TabLost):
            tabs.join("tab", caller)


@pytest.mark.parametrize(("user", "caller", "passes"), WHOSE)
def test_a_tab_is_read_by_its_user_only(tabs, user, caller, passes):
    tabs.join("tab", user)
    key, network = (caller.key, "network:192.0.2.1") if caller.person else ("", caller.key)
    if passes:
        assert tabs.find("tab", key, network)
    else:
        with pytest.raises(TabLost):
            tabs.find("tab", key, network)


def test_a_tab_without_an_event_has_no_user(tabs):
    assert tabs.find("tab", "login 1", "network:192.0.2.1") is None


def test_the_first_login_owns_the_tab(tabs):
    tabs.join("tab", nobody())
    tabs.join("tab", ANN)
    for other in (nobody(), BOB):
        with pytest.raises(TabLost):
            tabs.join("tab", other)


async def listening(tabs, session_hash, tab, answers=True):
    """A stream of a tab, as a task; ends as `over` when the tab ends it."""
    opened = asyncio.Event()

    async def listen():
        stream = tabs.open(tab, answers=answers)
        opened.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert stream.over
            return "over"
        finally:
            stream.close()

    task = asyncio.create_task(listen())
    await opened.wait()
    return task


async def test_who_listened_before_the_login_hears_nothing_of_it(tabs):
    tab = tabs.enter("tab", nobody())
    answers = await listening(tabs, "tab", tab)
    heartbeat = await listening(tabs, "tab", tab, answers=False)
    tabs.join("tab", ANN)
    assert await asyncio.wait_for(answers, 5) == "over"
    assert not heartbeat.done()
    tabs.forget("tab")
    assert await asyncio.wait_for(heartbeat, 5) == "over"


def test_one_address_has_so_many_tabs_and_the_oldest_goes_first(tabs):
    for number in range(PER_NETWORK + 3):
        tabs.enter(f"tab{number}", nobody())
    assert len(tabs) == PER_NETWORK
    assert tabs.freed == ["tab0", "tab1", "tab2"]
    tabs.enter("honest", nobody("198.51.100.1"))
    assert tabs.freed == ["tab0", "tab1", "tab2"]


def test_all_without_a_login_have_so_many_tabs_together(tabs):
    tabs.enter("anns", ANN)
    for number in range(ANONYMOUS + 50):
        tabs.enter(f"tab{number}", nobody(f"198.51.{number}.1"))
    assert len(tabs) == ANONYMOUS + 1
    assert "anns" not in tabs.freed


def test_one_person_has_so_many_tabs_whatever_the_logins(tabs):
    for number in range(PER_PERSON + 2):
        tabs.enter(f"tab{number}", (ANN, ANN_ELSEWHERE)[number % 2])
    assert len(tabs) == PER_PERSON
    assert tabs.freed == ["tab0", "tab1"]


def test_a_tab_that_is_used_is_not_the_oldest(tabs):
    for number in range(PER_PERSON):
        tabs.enter(f"tab{number}", ANN)
    tabs.find("tab0", ANN.key, "")
    tabs.enter("new", ANN)
    assert tabs.freed == ["tab1"]


def test_there_are_so_many_tabs_in_all(tabs):
    for number in range(IN_ALL + 5):
        tabs.enter(f"tab{number}", login(number))
    assert len(tabs) == IN_ALL
    assert tabs.freed == [f"tab{number}" for number in range(5)]


def test_gradio_holds_streams_for_all_tabs_there_may_be():
    """Otherwise it would drop the stream of somebody who is listening."""
    from gradio.queueing import Queue

    queue = Queue(True, 1, 1, None, blocks=None)  # type: ignore[arg-type]
    assert queue.pending_messages_per_session.max_size > IN_ALL


def test_what_runs_is_never_thrown_out(tabs):
    running = [tabs.join(f"tab{number}", ANN) for number in range(PER_PERSON - 1)]
    tabs.enter("idle", ANN)
    tabs.enter("new", ANN)
    assert tabs.freed == ["idle"]
    running.append(tabs.join("new", ANN))
    with pytest.raises(TooManyRequests):
        tabs.enter("one more", ANN)
    tabs.join("bobs", BOB)
    running[0].end()
    tabs.join("one more", ANN)


def test_one_person_has_so_many_events_at_once(tabs):
    running = [tabs.join("tab", ANN) for _ in range(PER_PERSON)]
    with pytest.raises(TooManyRequests):
        tabs.join("tab", ANN)
    with pytest.raises(TooManyRequests):
        tabs.join("other", ANN_ELSEWHERE)
    tabs.join("bobs", BOB)
    running[0].end()
    running[0].end()
    tabs.join("tab", ANN)
    with pytest.raises(TooManyRequests):
        tabs.join("tab", ANN)


async def test_one_tab_has_so_many_streams(tabs):
    tab = tabs.enter("tab", ANN)
    tasks = [await listening(tabs, "tab", tab) for _ in range(STREAMS)]
    with pytest.raises(TooManyRequests):
        tabs.open(tab, answers=True)
    tabs.forget("tab")
    assert await asyncio.gather(*tasks) == ["over"] * STREAMS


async def test_a_tab_is_over_some_time_after_its_last_stream(tabs):
    tab = tabs.enter("tab", ANN)
    heartbeat = await listening(tabs, "tab", tab, answers=False)
    tabs.forget_unused(time.monotonic() + 3600)
    assert tabs.freed == []
    heartbeat.cancel()
    with pytest.raises(AssertionError):
        await heartbeat
    tabs.forget_unused(time.monotonic() + 1)
    assert tabs.freed == []
    tabs.forget_unused(time.monotonic() + module.CLOSED_SECONDS + 1)
    assert tabs.freed == ["tab"]
    assert len(tabs) == 0


async def test_an_event_without_a_reader_ends(tabs):
    """Its frames would pile up for as long as its reply grows."""
    tabs.join("unread", ANN)
    tabs.join("read", BOB)
    reading = await listening(tabs, "read", tabs.find("read", BOB.key, ""))
    tabs.forget_unused(time.monotonic() + module.UNREAD_SECONDS + 1)
    assert tabs.freed == ["unread"]
    tabs.forget("read")
    assert await reading == "over"


async def test_an_event_that_has_not_begun_goes_with_its_stream(tabs):
    waiting, begun = tabs.join("tab", ANN), tabs.join("tab", ANN)
    begun.started = True
    tab = tabs.find("tab", ANN.key, "")
    tabs.open(tab, answers=True).close()
    assert tab.running == {begun}
    waiting.end()


async def test_a_login_that_has_ended_loses_its_tabs(tabs, monkeypatch):
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.01)
    tasks = {
        caller.key: await listening(tabs, name, tabs.enter(name, caller))
        for name, caller in (("anns", ANN), ("other", ANN_ELSEWHERE), ("bobs", BOB))
    }
    anonymous = await listening(tabs, "nobodys", tabs.enter("nobodys", nobody()))
    answers = [StorageUnavailable(), {ANN_ELSEWHERE.key, BOB.key}]
    asked = []

    async def alive(keys):
        asked.append(keys)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    watching = asyncio.create_task(tabs.watch(alive))
    assert await asyncio.wait_for(tasks[ANN.key], 5) == "over"
    assert asked[0] == {ANN.key, ANN_ELSEWHERE.key, BOB.key}
    assert not any(task.done() for key, task in tasks.items() if key != ANN.key)
    assert not anonymous.done()
    assert tabs.freed == ["anns"]
    assert tabs.find("anns", BOB.key, "") is None
    watching.cancel()
    for name in ("other", "bobs", "nobodys"):
        tabs.forget(name)


# The pace


def test_a_bucket_fills_again_with_time():
    moment = 100.0
    pace = Pace(burst=3, per_second=0.5, clock=lambda: moment)
    for _ in range(3):
        pace.take("ann")
    with pytest.raises(TooManyRequests) as refusal:
        pace.take("ann")
    assert refusal.value.values == {"seconds": 2}
    pace.take("bob")
    moment += 2
    pace.take("ann")
    with pytest.raises(TooManyRequests):
        pace.take("ann")
    assert [pace.wait("zoe") for _ in range(5)] == [0, 0, 0, 2, 4]
    moment += 3600
    for _ in range(3):
        pace.take("ann")
    with pytest.raises(TooManyRequests):
        pace.take("ann")
