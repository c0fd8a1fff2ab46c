"""A shortcut is taken with the Gradio it was made for, and with no other."""

import gc
import re
import threading
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio import data_classes, http_server, state_holder
from gradio.queueing import Queue
from gradio.routes import App
from pydantic import BaseModel

from chatbot.garbage import search_rarely
from chatbot.ui.events import shorten
from chatbot.ui.frames import page_class
from chatbot.ui.sessions import Sessions
from chatbot.ui.shortcuts import GRADIO
from chatbot.ui.stopping import Stopping
from chatbot.ui.tabs import Tabs
from tests.server import ROOT


@pytest.fixture
def served():
    """A Gradio app as it is while it starts."""
    with gr.Blocks() as demo:
        gr.Textbox()
    return App.create_app(demo)


def begins(served):
    sessions = Sessions()
    sessions.attach(served)
    return sessions._make


def frees(served):
    sessions = Sessions()
    sessions.attach(served)
    return sessions._app


def stops(served):
    stopping = Stopping()
    stopping.attach(served)
    return stopping._stopped


def sends_frames(_):
    page = page_class()
    return page if page is not gr.Blocks else None


SHORTCUTS = {
    sends_frames: "frames",
    shorten: "events",
    frees: "freeing what closed tabs leave",
    begins: "the first event of a tab",
    stops: "stopping",
}


def test_the_shortcuts_fit_the_gradio_that_is_required(served, caplog):
    assert f"gradio=={GRADIO}\n" in (ROOT / "requirements.txt").read_text()
    assert all(shortcut(served) is not None for shortcut in SHORTCUTS)
    assert caplog.text == ""


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_with_another_version_none_is_taken(served, shortcut, monkeypatch, caplog):
    monkeypatch.setattr(gr, "__version__", "6.32.0")
    assert shortcut(served) is None
    [told] = caplog.messages
    assert re.search("is made for Gradio 6.31.0, this is 6.32.0$", told)


class Event(BaseModel):
    data: list
    fn_index: int


async def push(self, body, request):
    pass


async def call_function(self, block_fn, processed_input):
    pass


async def process_events(self, events):
    pass


async def clean_events(self, session):
    pass


class Holder:
    """Of sessions, in another shape."""

    session_data = time_last_used = property(lambda self: [])


def without_routes(served):
    del served.router.routes[:]


def with_more_of_a_tab(patch):
    made = state_holder.SessionState.__init__

    def make(self, blocks):
        made(self, blocks)
        self.colour = "red"

    patch.setattr(state_holder.SessionState, "__init__", make)


# What another Gradio may have: how to make it so, and what the log then says.
OTHERS = [
    (shorten, lambda _, p: p.delattr(data_classes, "PredictBodyInternal"), "cannot import name"),
    (shorten, lambda _, p: p.setattr(data_classes, "PredictBodyInternal", Event), "event_data"),
    (shorten, lambda _, p: p.delattr(Queue, "push"), "push"),
    (shorten, lambda _, p: p.setattr(Queue, "push", push), "unexpected keyword argument"),
    (shorten, lambda _, p: p.setattr(Queue, "push", len), "no coroutine function"),
    (shorten, lambda served, _: delattr(served.get_blocks()._queue, "stopped"), "stopped"),
    (shorten, lambda served, p: p.delattr(served.get_blocks(), "_queue"), "_queue"),
    (shorten, lambda served, _: without_routes(served), "no route /gradio_api/queue/join"),
    (shorten, lambda _, p: p.setattr(Queue, "process_events", process_events), "argument"),
    (shorten, lambda _, p: p.setattr(Queue, "get_events", lambda self: 1), "in another way"),
    (shorten, lambda served, p: p.setattr(served.get_blocks()._queue, "active_jobs", ()), "keeps"),
    (sends_frames, lambda _, p: p.setattr(gr.Blocks, "call_function", call_function), "argument"),
    (sends_frames, lambda _, p: p.delattr(gr.Blocks, "call_function"), "call_function"),
    (frees, lambda served, _: delattr(served, "state_holder"), "state_holder"),
    (frees, lambda served, p: p.setattr(served, "state_holder", Holder()), "something else"),
    (frees, lambda _, p: p.setattr(Queue, "clean_events", clean_events), "argument"),
    (begins, lambda _, p: p.delattr(state_holder, "SessionState"), "cannot import name"),
    (begins, lambda _, p: with_more_of_a_tab(p), "a tab has .*colour"),
    (stops, lambda served, _: delattr(served, "stop_event"), "stop_event"),
    (stops, lambda served, p: p.setattr(served, "stop_event", threading.Event()), "another one"),
    (stops, lambda _, p: p.setattr(http_server, "Server", SimpleNamespace), "another one"),
    (stops, lambda _, p: p.setattr(http_server.Server, "close", None), "cannot be closed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("shortcut", "change", "why"), OTHERS, ids=[f"{one.__name__}: {why}" for one, _, why in OTHERS]
)
def test_what_has_changed_turns_a_shortcut_off(served, shortcut, change, why, monkeypatch, caplog):
    change(served, monkeypatch)
    assert shortcut(served) is None
    [told] = caplog.messages
    assert told.startswith(f"the shortcut for {SHORTCUTS[shortcut]} is off")
    assert re.search(why, told)


@pytest.mark.anyio
async def test_what_is_off_is_left_to_gradio(served, monkeypatch):
    monkeypatch.setattr(gr, "__version__", "6.32.0")
    sessions = Sessions()
    sessions.attach(served)
    sessions.begin("tab")
    sessions.free("tab")
    assert not served.state_holder.session_data
    closed = []
    stopping = Stopping()
    stopping.attach(served)
    await stopping.let_go(Tabs(lambda _: None))
    stopping.close(SimpleNamespace(close=lambda verbose: closed.append(verbose)))
    assert closed == [False]
    assert not served.stop_event.is_set()


def test_a_python_that_does_not_freeze_searches_as_ever(monkeypatch, caplog):
    before = gc.get_threshold()
    monkeypatch.delattr(gc, "freeze")
    search_rarely()
    assert gc.get_threshold() == before
    assert "garbage is searched for" in caplog.text


def test_garbage_is_searched_for_rarely(monkeypatch):
    asked = []
    monkeypatch.setattr(gc, "freeze", lambda: asked.append("freeze"))
    monkeypatch.setattr(gc, "set_threshold", asked.append)
    search_rarely()
    assert asked == ["freeze", 10_000]
