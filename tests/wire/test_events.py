"""The way of an event to its handler: `chatbot/ui/events.py`, over real HTTP."""

import asyncio
import socket
from contextlib import closing

import httpx
import pytest

from chatbot import bootstrap
from chatbot.bootstrap import create_app
from chatbot.config import Settings
from chatbot.listening import port_for
from tests.page import browser, reply_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(tmp_path):
    url = f"sqlite:///{tmp_path / 'chat.db'}"
    made = create_app(Settings(ark_api_key=None, database_url=url, bcrypt_cost=4), pace=0.02)
    yield made
    made.close()


class Launched:
    """An app of this process, as `browser` wants it."""

    def __init__(self, app):
        self.url = app.launch()


async def test_an_event_without_a_place_starts_when_one_is_free(app, monkeypatch):
    monkeypatch.setattr(bootstrap, "EVENTS", 1)
    async with browser(Launched(app), "Ann") as ann:
        first, second = ann.tab(), ann.tab()
        conversation = await first.new_conversation()
        async with asyncio.TaskGroup() as both:
            asked = both.create_task(first.ask(conversation, "count 20"))
            listed = both.create_task(second.result("sessions", "", conversation, 100))
        assert asked.result().endswith("20")
        assert listed.result()


async def test_an_event_for_which_there_is_no_room_is_refused(app, monkeypatch):
    monkeypatch.setattr(bootstrap, "EVENTS", 1)
    monkeypatch.setattr(bootstrap, "QUEUE_SIZE", 1)
    async with browser(Launched(app), "Ann") as ann:
        tab = ann.tab()
        conversation = await tab.new_conversation()
        asked = tab.event("send", conversation, None, "", "count 40", "")
        await anext(asked)
        wanted = {"data": ["", conversation, None], "fn_index": ann.functions["sessions"]}
        answers = [
            await ann.client.post("gradio_api/queue/join", json={**wanted, "session_hash": "x"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 503]
        *_, (messages, *_) = [outputs async for outputs in asked]
        assert reply_of(messages).endswith("40")


async def test_a_queue_that_was_stopped_takes_nothing(app):
    async with browser(Launched(app)) as someone:
        app.demo._queue.stopped = True
        view = {"data": [None, None], "fn_index": someone.functions["view"], "session_hash": "x"}
        answer = await someone.client.post("gradio_api/queue/join", json=view)
    assert answer.status_code == 503


@pytest.mark.parametrize(
    "body",
    [b"", b"not JSON", b'{"fn_index": 0}', b"[" * 3_000, b"\xff"],
    ids=["empty", "text", "no data", "deep", "no utf-8"],
)
async def test_what_is_no_event_is_refused(app, body):
    async with httpx.AsyncClient(base_url=Launched(app).url) as client:
        answer = await client.post("gradio_api/queue/join", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_input")


async def test_the_stream_of_no_tab_is_over_at_once(app):
    async with httpx.AsyncClient(base_url=Launched(app).url) as client:
        for query in ("", "?session_hash=", "?session_hash=unknown"):
            async with client.stream("GET", f"gradio_api/queue/data{query}") as frames:
                assert '"session_not_found":true' in await anext(frames.aiter_text())


async def test_no_event_asks_for_gradios_own_login(app, monkeypatch):
    app.demo.auth_message = ""
    url = app.launch()
    asked = []

    # Somebody of whom Gradio's login knows nothing.
    def nobody(request):
        asked.append(request.url.path)

    app.demo.app.auth_dependency = nobody
    view = {"data": [None, None], "session_hash": "x"}
    view["fn_index"] = next(n for n, entry in app.demo.fns.items() if entry.name == "view")
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.post("gradio_api/queue/join", json=view)).status_code == 200
        answers = await client.get("gradio_api/queue/data?session_hash=x")
        assert "process_completed" in answers.text
    assert asked == []


async def test_a_port_that_was_taken_for_a_moment_is_tried_again(app, monkeypatch):
    faster = socket.create_server(("127.0.0.1", 0))
    port = faster.getsockname()[1]
    asked = []

    def gone_at_the_second_look(host, wanted):
        if asked:
            faster.close()
        asked.append(wanted)
        return port

    monkeypatch.setattr(bootstrap, "port_for", gone_at_the_second_look)
    assert Launched(app).url.endswith(f":{port}/")
    assert len(asked) == 2


async def test_a_port_that_somebody_took_meanwhile_gives_way(app, monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as faster:
        found = iter([faster.getsockname()[1]])
        monkeypatch.setattr(
            bootstrap, "port_for", lambda host, port: next(found, None) or port_for(host, port)
        )
        async with browser(Launched(app), "Ann") as ann:
            tab = ann.tab()
            assert await tab.ask(await tab.new_conversation(), "echo: here") == "here"
