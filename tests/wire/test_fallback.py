"""The app with a Gradio that its shortcuts do not fit: Gradio's own way, and the same guard."""

import re

import httpx
import pytest

from chatbot.ui.doors import API
from chatbot.ui.shortcuts import GRADIO
from tests import another_gradio
from tests.fake_ark import FakeArk
from tests.page import ROUTES, Refused, browser
from tests.server import running_server

pytestmark = pytest.mark.anyio

JOIN, DATA = "gradio_api/queue/join", "gradio_api/queue/data"
OFF = [
    "frames",
    "opening the page",
    "events",
    "freeing what closed tabs leave",
    "stopping",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fallback")
    with (
        FakeArk(pace=0.02) as ark,
        running_server(ark, folder, before=another_gradio.pretend, REGISTRATION="open") as running,
    ):
        yield running


async def test_each_shortcut_is_told_once_and_only_once(server):
    told = re.findall(
        r"WARNING chatbot\.ui: the shortcut for (.+) is off, .+ (\d\S+), this", server.log
    )
    assert told == [(name, GRADIO) for name in OFF]
    assert len(re.findall("WARNING chatbot: garbage is searched for", server.log)) == 1


async def test_questions_are_answered(server):
    async with browser(server, "Ann") as ann:
        tab = ann.tab()
        conversation = await tab.new_conversation()
        assert await tab.ask(conversation, "echo: as ever") == "as ever"
        # Gradio hands the handler what the event says of itself.
        example = {"index": 0, "value": {"text": "echo: from a list"}}
        *_, frame = [
            frame
            async for frame in tab.event(
                "send_example", await tab.new_conversation(), None, "", data=example
            )
        ]
        assert "from a list" in str(frame[0])
        await tab.result("view", conversation, None)
        assert ["user", "echo: as ever"] in await tab.thread(conversation)


FILE = {"path": "http://192.0.2.1/big", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"data": [FILE, None]}, 400),
        ({"data": [["deep"] * 30, None]}, 400),
        ({"data": ["x"]}, 400),
        ({"data": ["x", None, "more"]}, 400),
        ({"data": None}, 400),
        ({"fn_index": 10_000}, 400),
        ({"fn_index": "view"}, 400),
        ({"session_hash": "../x"}, 400),
        ({"session_hash": None}, 400),
        ({"data": ["x" * 300, None]}, 400),
        ({"data": ["x" * 5_000, None]}, 413),
    ],
)
async def test_events_that_the_page_does_not_send_are_refused(server, event, status):
    async with browser(server) as someone:
        sent = {
            "data": [None, None],
            "fn_index": someone.functions["view"],
            "session_hash": "tab",
            **event,
        }
        assert (await someone.client.post(JOIN, json=sent)).status_code == status
        assert (await someone.client.post(JOIN, content=b"[" * 3_000)).status_code == 400


async def test_a_tab_is_its_users(server):
    async with browser(server, "Eve") as eve, browser(server, "Zoe") as zoe:
        hers = eve.tab()
        await hers.result("view", None, None)
        view = {"data": [None, None], "fn_index": zoe.functions["view"], "session_hash": hers.hash}
        assert (await zoe.client.post(JOIN, json=view)).status_code == 403
        async with zoe.client.stream("GET", f"{DATA}?session_hash={hers.hash}") as answers:
            assert answers.status_code == 403
        assert await hers.ask(await hers.new_conversation(), "echo: still mine") == "still mine"


async def test_without_a_login_there_is_only_the_login_page(server):
    async with browser(server) as nobody:
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await nobody.tab().result("new_session")
        login, *_ = await nobody.tab().result("view", None, None)
        assert login["visible"] is True


async def test_what_the_page_does_not_need_is_not_there(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in ("config", f"{API}/info", f"{API}/file=/etc/passwd", f"{API}/startup-events"):
            assert (await client.get(path)).status_code == 404
        for path in ("upload", "cancel", "run/view", "call/view"):
            assert (await client.post(f"{API}/{path}", json={})).status_code == 404
        evil = {"origin": "https://evil.test"}
        answer = await client.get(f"{ROUTES}/me", headers=evil)
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_handlers_refuse_as_ever(server):
    async with browser(server, "Kim") as kim, browser(server, "Lou") as lou:
        conversation = await kim.tab().new_conversation()
        with pytest.raises(Refused):
            await lou.tab().result("rename", conversation, "mine", "")
