"""The guard in front of the real Gradio: its routes, and whose tab a browser gets to."""

import asyncio
import json
import os
import sys
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from chatbot import bootstrap
from chatbot.bootstrap import create_app
from chatbot.clock import now
from chatbot.config import Settings
from chatbot.storage import users
from chatbot.storage.tables import Login
from chatbot.ui import sessions, tabs
from tests.page import PASSWORD, ROUTES, Refused, browser, text_of
from tests.server import ROOT

pytestmark = pytest.mark.anyio

JOIN, DATA, HEARTBEAT = "gradio_api/queue/join", "gradio_api/queue/data", "gradio_api/heartbeat"
PATIENCE = 20


class Launched:
    """An app of this process, as `browser` wants it."""

    def __init__(self, app):
        self.app = app
        self.url = app.launch()


@pytest.fixture
def app(tmp_path):
    url = f"sqlite:///{tmp_path / 'chat.db'}"
    made = create_app(
        Settings(ark_api_key=None, database_url=url, bcrypt_cost=4, _env_file=None), pace=0
    )
    yield made
    made.close()


# The routes


def served(routes, prefix=""):
    """Every method and path that a web app has, with something for each of its parameters."""
    for route in routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from served(included.routes, prefix)
        elif (below := getattr(route, "routes", None)) is not None:
            yield from served(below, prefix + getattr(route, "path", ""))
        else:
            for method in getattr(route, "methods", None) or ("GET",):
                yield method, prefix + route.path


def filled(path):
    """A path whose parameters have a value that its route takes."""
    parts = path.replace("{path:path}", "a.js").replace("{path_or_url:path}", "http://a.test/")
    parts = parts.replace("{id:uuid}", "0f9c2f0e-3b1e-4a9e-8f57-1f2f3c4d5e6f")
    while "{" in parts:
        before, _, rest = parts.partition("{")
        parts = before + "abc" + rest.partition("}")[2]
    return parts


OPEN = {
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/theme.css"),
    ("GET", "/assets/{path:path}"),
    ("GET", "/static/{path:path}"),
    ("GET", "/gradio_api/app_id"),
    ("GET", "/gradio_api/heartbeat/{session_hash}"),
    ("GET", "/gradio_api/queue/data"),
    ("POST", "/gradio_api/queue/join"),
}


async def test_of_all_routes_only_those_of_the_list_are_reached(app):
    app.launch()
    own = {(method, route.path) for route in app.routes for method in route.methods}
    every = set(served(app.demo.app.routes))
    closed = {"file={path_or_url:path}", "upload", "cancel", "run/{api_name}", "deep_link"}
    assert {f"/gradio_api/{path}" for path in closed} <= {path for _, path in every}
    assert OPEN | own <= every
    async with httpx.AsyncClient(base_url=app.demo.local_url) as client:
        reached = set()
        for method, path in every:
            async with client.stream(method, filled(path)) as answer:
                refused = answer.status_code == 404
                # An answer to HEAD has no words; nothing on the list that HEAD asks for is missing.
                if refused and method != "HEAD":
                    refused = b"no_such_address" in await answer.aread()
            if not refused:
                reached.add((method, path))
    assert reached == OPEN | own


async def test_gradios_cors_is_never_seen(app):
    async with browser(Launched(app), "Ann") as ann:
        for origin in (ann.client.base_url, "http://localhost:1", "https://evil.test"):
            asked = {"origin": str(origin).rstrip("/"), "access-control-request-method": "POST"}
            answers = [
                await ann.client.options(JOIN, headers=asked),
                await ann.client.options(f"{ROUTES}/me", headers=asked),
                await ann.client.get(f"{ROUTES}/me", headers=asked),
                await ann.client.get("", headers=asked),
            ]
            for answer in answers:
                assert not [name for name in answer.headers if name.startswith("access-control")]
            assert [answer.status_code for answer in answers[:2]] == [404, 404]


async def test_where_the_guard_cannot_move_to_the_front_it_still_guards(app, monkeypatch):
    monkeypatch.setattr(bootstrap, "stand_in_front", lambda *_: None)
    async with browser(Launched(app), "Ann") as ann:
        assert (await ann.client.get("config")).status_code == 404
        evil = {"origin": "https://evil.test"}
        assert (await ann.client.get(f"{ROUTES}/me", headers=evil)).status_code == 403
        tab = ann.tab()
        assert await tab.ask(await tab.new_conversation(), "echo: guarded") == "guarded"


async def test_the_guard_holds_on_gradios_own_way_of_an_event(app, monkeypatch):
    monkeypatch.setattr(bootstrap, "shorten", lambda *_: None)
    async with browser(Launched(app), "Ann") as ann:
        tab = ann.tab()
        assert await tab.ask(await tab.new_conversation(), "echo: guarded") == "guarded"
        sent = {
            "data": [{"path": "a"}, None],
            "fn_index": ann.functions["view"],
            "session_hash": "x",
        }
        assert (await ann.client.post(JOIN, json=sent)).status_code == 400
        async with asyncio.timeout(PATIENCE):
            while any(tab.running for tab in app.rules.tabs._tabs.values()):
                await asyncio.sleep(0.01)


async def test_no_event_makes_the_server_fetch_anything(app):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    elsewhere = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    file = {
        "path": f"http://127.0.0.1:{elsewhere.server_port}/secret",
        "url": f"http://127.0.0.1:{elsewhere.server_port}/secret",
        "meta": {"_type": "gradio.FileData"},
    }
    server = Launched(app)
    async with browser(server, "Ann") as ann, browser(server) as nobody:
        for someone in (ann, nobody):
            for name, number in someone.functions.items():
                entry = app.demo.fns[number]
                if entry.fn is None or not entry.inputs:
                    continue
                sent = {
                    "data": [file] * len(entry.inputs), "fn_index": number,
                    "session_hash": "tab", "event_data": {"index": 0, "value": file},
                }  # fmt: skip
                states = {type(part).__name__ for part in entry.inputs} == {"State"}
                answer = await someone.client.post(JOIN, json=sent)
                assert answer.status_code == 400 or states, name
            for path in (f"file={file['path']}", f"proxy={file['path']}"):
                assert (await someone.client.get(f"gradio_api/{path}")).status_code == 404
    elsewhere.shutdown()
    elsewhere.server_close()
    assert asked == []


# Whose tab


@asynccontextmanager
async def people(server):
    """Ann with an open tab and something in it, and those who know its hash."""
    async with (
        browser(server, "Ann") as ann,
        browser(server, "Bob") as bob,
        browser(server) as nobody,
        browser(server, known=None) as again,
    ):
        login = {"name": "Ann", "password": PASSWORD}
        (await again.client.post(f"{ROUTES}/login", json=login)).raise_for_status()
        yield {"ann": ann, "ann again": again, "bob": bob, "nobody": nobody}


async def test_a_tab_is_its_logins_alone(app):
    async with people(Launched(app)) as who:
        tab = who["ann"].tab()
        conversation = await tab.new_conversation()
        await tab.ask(conversation, "echo: the secret")
        for name, other in who.items():
            stolen = other.tab()
            stolen.hash = tab.hash
            view = {
                "data": [None, None],
                "fn_index": other.functions["view"],
                "session_hash": tab.hash,
            }
            joined = await other.client.post(JOIN, json=view)
            # To its end: of one that is left early Gradio hears late, and drops the tab's events.
            data = await other.client.get(f"{DATA}?session_hash={tab.hash}")
            async with other.client.stream("GET", f"{HEARTBEAT}/{tab.hash}") as heartbeat:
                pass
            told = {joined.status_code, data.status_code, heartbeat.status_code}
            assert told == ({200} if name == "ann" else {403}), name
            if name != "ann":
                assert joined.json()["error"]["code"] == "tab_lost"
        assert await tab.thread(conversation)


async def test_a_running_reply_is_neither_read_nor_broken_with_its_hash(app):
    async with people(Launched(app)) as who:
        tab = who["ann"].tab()
        conversation = await tab.new_conversation()
        asked = tab.event("send", conversation, None, "", "count 200", "")
        await anext(asked)
        for name in ("ann again", "bob", "nobody"):
            client = who[name].client
            for _ in range(3):
                answer = await client.get(f"{DATA}?session_hash={tab.hash}")
                assert (answer.status_code, "count" in answer.text) == (403, False)
            cancel = {"session_hash": tab.hash, "fn_index": 26, "event_id": "x"}
            assert (await client.post("gradio_api/cancel", json=cancel)).status_code == 404
        *_, (messages, *_) = [frame async for frame in asked]
        assert text_of(messages[-1]).endswith("200")


async def test_whoever_logs_in_takes_the_tab_over(app):
    async with browser(Launched(app)) as ann:
        tab = ann.tab()
        await tab.result("view", None, None)
        before = dict(ann.client.cookies)
        new = {"name": "Ann", "password": PASSWORD}
        (await ann.client.post(f"{ROUTES}/register", json=new)).raise_for_status()
        conversation = await tab.new_conversation()
        assert await tab.ask(conversation, "echo: mine") == "mine"
        ann.client.cookies = httpx.Cookies(before)
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            await tab.result("view", None, None)


# What is freed, and what ends


def kept_by_gradio(app):
    queue = app.demo._queue
    return {
        *app.demo.app.state_holder.session_data,
        *queue.pending_messages_per_session,
        *queue.pending_event_ids_session,
    }


async def test_what_a_closed_tab_has_left_is_freed(app, monkeypatch):
    monkeypatch.setattr(tabs, "CLOSED_SECONDS", 0.1)
    monkeypatch.setattr(tabs, "WATCH_SECONDS", 0.1)
    async with browser(Launched(app), "Ann") as ann:
        stays = ann.tab()
        async with ann.client.stream("GET", f"{HEARTBEAT}/{stays.hash}"):
            for _ in range(5):
                gone = ann.tab()
                await gone.result("view", None, None)
                conversation = await stays.new_conversation()
                assert gone.hash in kept_by_gradio(app) or gone.hash not in app.rules.tabs._tabs
            async with asyncio.timeout(PATIENCE):
                while kept_by_gradio(app) != {stays.hash}:
                    await asyncio.sleep(0.05)
            assert await stays.ask(conversation, "echo: still here") == "still here"
        async with asyncio.timeout(PATIENCE):
            while kept_by_gradio(app):
                await asyncio.sleep(0.05)


async def test_a_gradio_that_keeps_its_sessions_elsewhere_works_as_before(app, monkeypatch, caplog):
    monkeypatch.setattr(tabs, "CLOSED_SECONDS", 0.1)
    monkeypatch.setattr(tabs, "WATCH_SECONDS", 0.1)
    attach = app.sessions.attach
    monkeypatch.setattr(app.sessions, "attach", lambda _: attach(object()))
    async with browser(Launched(app), "Ann") as ann:
        assert "the shortcut for freeing what closed tabs leave is off" in caplog.text
        tab = ann.tab()
        assert await tab.ask(await tab.new_conversation(), "echo: works") == "works"
        async with asyncio.timeout(PATIENCE):
            while len(app.rules.tabs):
                await asyncio.sleep(0.05)


NEW = "another horse"


async def log_out(one, app):
    (await one.client.post(f"{ROUTES}/logout")).raise_for_status()


async def change_password_elsewhere(one, app):
    login = {"name": one.name, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=app.demo.local_url) as elsewhere:
        (await elsewhere.post(f"{ROUTES}/login", json=login)).raise_for_status()
        change = {"current": PASSWORD, "new": NEW}
        (await elsewhere.post(f"{ROUTES}/password", json=change)).raise_for_status()


async def delete_account(one, app):
    gone = {"password": PASSWORD}
    (await one.client.post(f"{ROUTES}/delete-account", json=gone)).raise_for_status()


async def disable_from_the_command_line(one, app):
    command = [sys.executable, "-m", "chatbot", "users", "disable", one.name]
    environment = {**os.environ, "DATABASE_URL": app.settings.database_url}
    done = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await done.wait() == 0


async def expire(one, app):
    user = await app.storage.read(users.by_name_key, one.name)
    over = Login.update(expires_at=now() - timedelta(seconds=1)).where(Login.user == user)
    await app.storage.write(over.execute)


ENDS = [
    log_out, change_password_elsewhere, delete_account, disable_from_the_command_line, expire,
]  # fmt: skip


async def test_a_login_that_ends_loses_its_running_streams(tmp_path):
    """However it ends, and whichever process ends it; the others go on."""
    url = f"sqlite:///{tmp_path / 'chat.db'}"
    settings = Settings(ark_api_key=None, database_url=url, bcrypt_cost=4, _env_file=None)
    app = create_app(settings, pace=0.02)
    server = Launched(app)
    async with AsyncExitStack() as stack:
        rows = []
        for number in range(len(ENDS) + 1):
            one = await stack.enter_async_context(browser(server, f"person {number}"))
            one.name = f"person {number}"
            tab = one.tab()
            conversation = await tab.new_conversation()
            rows.append((one, tab, conversation))
        watching = [asyncio.create_task(watch(one, tab, talk)) for one, tab, talk in rows]
        for _, tab, _ in rows:
            async with asyncio.timeout(PATIENCE):
                while not app.rules.tabs._tabs[tab.hash].running:
                    await asyncio.sleep(0.01)
        for end, (one, _, _) in zip(ENDS, rows, strict=False):
            await end(one, app)
        for end, told in zip(ENDS, watching, strict=False):
            last = await asyncio.wait_for(told, PATIENCE)
            # The reply of an account that is deleted is stopped before.
            stopped = end is delete_account and last["msg"] == "close_stream"
            assert stopped or last.get("session_not_found"), end.__name__
        # All have been cut off; the rest may come at once.
        app.offline_ark.pace = 0
        # It has heard the whole reply, although the others were cut off.
        assert (await asyncio.wait_for(watching[-1], 60))["msg"] == "close_stream"
        assert set(app.rules.tabs._tabs) == {rows[-1][1].hash}
        for one, tab, _ in rows[:-1]:
            # Nobody gets back in with what they still hold.
            view = {"data": [""], "fn_index": one.functions["sessions"], "session_hash": tab.hash}
            answer = await one.client.post(JOIN, json={**view, "data": ["", None, None]})
            assert answer.status_code == 401
    app.close()


async def watch(one, tab, conversation):
    """Ask for something long, and read all that the tab is shown; the last message."""
    sent = {
        "data": [conversation, None, "", "count 400", ""], "fn_index": one.functions["send"],
        "session_hash": tab.hash,
    }  # fmt: skip
    (await one.client.post(JOIN, json=sent)).raise_for_status()
    last = {}
    async with one.client.stream("GET", f"{DATA}?session_hash={tab.hash}") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                last = json.loads(line[5:])
    return last


async def test_what_no_button_sends_is_refused_without_a_word_in_the_log(app, caplog):
    server = Launched(app)
    async with browser(server, "odd one") as one:
        tab = one.tab()
        talk = await tab.new_conversation()
        assert await tab.ask(talk, "echo: \ud800") == "\ufffd"
        for number in ("9" * 60, "9" * 18, "-1", "\u0663", "1.5", "", None):
            for event in ("regenerate", "undo", "choose_option"):
                option = {"index": 0, "value": "continue"} if event == "choose_option" else None
                with pytest.raises(Refused):
                    await tab.result(event, talk, None, "", number, data=option)
            with pytest.raises(Refused):
                await tab.result("show_version", talk, None, number, "1")
        await tab.result("sessions", "\ud800", talk, None)
        await tab.result("rename", talk, "a \ud800 title", "\udfff")
        with pytest.raises(Refused):
            await tab.result("select_session", "\ud800", None)
    assert not [record for record in caplog.records if record.exc_info]


def test_each_tab_has_a_state_of_its_own(app):
    app.launch()
    for tab in "ab":
        app.sessions.begin(tab)
    one, other = (app.demo.state_holder.session_data[tab] for tab in "ab")
    for name in sessions.OF_A_TAB:
        assert getattr(one, name) is not getattr(other, name), name
