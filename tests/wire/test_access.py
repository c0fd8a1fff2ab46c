"""Who may do what: every event of the page and every route, for everybody who might try.

Ann has a session. The others know its ids, and the id of her account and of her login.
"""

import inspect
import re
import uuid
from dataclasses import dataclass
from itertools import product

import gradio as gr
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from chatbot.accounts import Accounts
from chatbot.bootstrap import create_app
from chatbot.config import Settings
from chatbot.self_service import SelfService
from chatbot.storage.attachments import Stored
from chatbot.storage.tables import Attachment, Login, User
from chatbot.storage.turn_values import Send
from chatbot.turns.runner import Runner
from chatbot.ui.account_routes import account_routes
from chatbot.ui.cookies import NAME as COOKIE
from chatbot.ui.export import export_route
from chatbot.ui.files_routes import files_routes
from chatbot.ui.hit import hit_route
from chatbot.ui.options_route import options_route
from chatbot.ui.routes import PREFIX, routes
from chatbot.ui.source import source_route
from tests.conftest import finished
from tests.page import PASSWORD

pytestmark = pytest.mark.anyio

SECRET = "the moon is made of cheese"
LOG_IN = "Please log in first."
ADMINS_ONLY = "Only admins of this demo may do this."
NOT_THEIRS = "This session does not exist any more."
NOT_TAKEN = "That request could not be understood."
WRONG_PASSWORD = "Name or password is wrong."

# Every function that Gradio can be asked to run is in one of these.
FOR_ANYONE = {"view", "follow", "sessions"}
ABOUT_ONESELF = {"new_session", "open_session"}
ABOUT_A_SESSION = {
    "select_session", "send", "send_example", "edit", "regenerate", "undo", "choose_option",
    "show_version", "stop", "ask_rename", "rename", "ask_delete", "delete",
}  # fmt: skip
FOR_ADMINS = {
    "open_admin", "close_admin", "pause", "act", "invite",
}  # fmt: skip
ACTS = ("limit", "disable", "enable", "reset", "revoke", "model_off", "model_on")
STRANGERS = ("nobody", "bob", "zoe", "root")
"""Without a login; logged in; logged in, then disabled; an admin."""
LOGGED_IN = ("bob", "root")


@dataclass
class House:
    """The app with everybody in it."""

    accounts: Accounts
    functions: dict
    routes: list
    tokens: dict
    values: dict
    runner: Runner
    storage: object
    service: object
    ann: int

    def request(self, name):
        cookie = f"{COOKIE}={self.tokens[name]}" if name in self.tokens else ""
        scope = {
            "type": "http", "method": "POST", "path": "/", "query_string": b"",
            "headers": [(b"cookie", cookie.encode())], "client": ("192.0.2.1", 1234),
        }  # fmt: skip
        return gr.Request(Request(scope), session_hash=f"tab of {name}")

    async def call(self, name, function):
        """All that an event answers, or the message it is refused with, as one text."""
        values = {**self.values, "request": self.request(name)}
        inputs = [values[parameter] for parameter in inspect.signature(function).parameters]
        try:
            if inspect.isasyncgenfunction(function):
                answers = [answer async for answer in function(*inputs)]
            else:
                answers = [await function(*inputs)]
        except gr.Error as error:
            return str(error.message)
        return repr(answers)

    def client(self, name):
        cookies = {COOKIE: self.tokens[name]} if name in self.tokens else {}
        transport = httpx.ASGITransport(Starlette(routes=self.routes), client=("192.0.2.1", 1))
        return httpx.AsyncClient(transport=transport, base_url="http://chat.test", cookies=cookies)

    async def closed_routes(self, client):
        """Each route that is not for everybody: name, fields that were sent, answer."""
        for (method, name), fields in ROUTES.items():
            if fields is not None:
                sent = {**fields, "session": self.values["conversation_id"]}
                if "message" in sent:
                    sent["message"] = self.values["shown"]
                path = name.replace("{id:uuid}", self.values["file"])
                told = {"x-session": sent["session"], "x-name": SECRET}
                answer = await client.request(method, f"{PREFIX}/{path}", json=sent, headers=told)
                yield name, fields, answer

    async def anns(self):
        """What of hers nobody else may change."""
        session = self.values["conversation_id"]
        thread = await self.service.open(self.ann, session, 100)

        def look():
            logins = [
                (row.id, row.expires_at) for row in Login.select().where(Login.user == self.ann)
            ]
            user = User.get_by_id(self.ann)
            files = [str(row.id) for row in Attachment.select().where(Attachment.user == self.ann)]
            return logins, files, user.password_hash, user.disabled_at, user.daily_tokens

        return thread, await self.storage.read(look)


@pytest.fixture
async def house(tmp_path):
    settings = Settings(
        ark_api_key=None,
        database_url=f"sqlite:///{tmp_path / 'chat.db'}",
        registration="open",
        bcrypt_cost=4,
    )
    app = create_app(settings, pace=0)
    app.runner.open()
    tokens = {
        name: await app.accounts.register(name, PASSWORD, "", "192.0.2.1")
        for name in ("ann", "bob", "zoe")
    }
    await app.accounts.add("root", PASSWORD, is_admin=True)
    tokens["root"] = await app.accounts.log_in("root", PASSWORD, "192.0.2.1")
    ann = (await app.accounts.person(tokens["ann"])).id
    zoe = (await app.accounts.person(tokens["zoe"])).id
    await app.accounts.set_disabled(zoe, True)
    session = await app.service.start_conversation(ann)
    await finished(await app.runner.start(ann, session, Send(f"echo: {SECRET}")))
    picture = Stored("image", "image/png", SECRET, 20, 20, 0, SECRET.encode())
    file = await app.service.attach(ann, session, picture)
    question, reply = (await app.service.open(ann, session, 10)).messages
    values = {
        "wanted": session, "conversation_id": session, "chosen": session, "window": 30,
        "search": SECRET, "many": 100, "title": "changed", "question": "changed",
        "shown": str(reply.id),
        "example": gr.SelectData(None, {"index": 0, "value": {"text": "changed"}}),
        "option": gr.SelectData(None, {"index": 0, "value": "model:x"}), "files": "",
        "begun_in": session, "question_id": str(question.id), "words": "changed",
        "message_id": str(question.id), "file": file.id, "step": "1",
        "on": False, "what": "limit", "row": ann, "tokens": 5, "uses": 1, "days": 1,
    }  # fmt: skip
    yield House(
        accounts=app.accounts,
        functions={entry.name: entry.fn for entry in app.demo.fns.values() if entry.fn},
        routes=[
            *routes(app.accounts, app.storage.look, login_days=7),
            export_route(app.accounts, app.service),
            source_route(app.accounts, app.service),
            hit_route(app.accounts, app.service),
            options_route(app.accounts, app.service),
            *files_routes(app.accounts, app.service),
            *account_routes(app.accounts, SelfService(app.storage, app.service, app.runner)),
        ],
        tokens=tokens, values=values, runner=app.runner, storage=app.storage, service=app.service,
        ann=ann,
    )  # fmt: skip
    await app._stop()
    app.close()


async def test_the_table_has_every_event(house):
    assert set(house.functions) == FOR_ANYONE | ABOUT_ONESELF | ABOUT_A_SESSION | FOR_ADMINS


async def test_ann_herself_reaches_her_session(house):
    """Otherwise the refusals below would prove nothing."""
    for name in ("view", "follow", "select_session", "ask_delete"):
        assert SECRET in await house.call("ann", house.functions[name]), name
    assert "changed" in await house.call("ann", house.functions["edit"])


async def test_events_about_a_session_are_for_its_user(house):
    before = await house.anns()
    for who, name in product(STRANGERS, ABOUT_A_SESSION):
        told = await house.call(who, house.functions[name])
        assert told == (NOT_THEIRS if who in LOGGED_IN else LOG_IN), (who, name)
        assert await house.anns() == before, (who, name)


async def test_events_about_oneself_need_a_login(house):
    for who, name in product(STRANGERS, ABOUT_ONESELF):
        told = await house.call(who, house.functions[name])
        assert SECRET not in told, (who, name)
        assert (told == LOG_IN) == (who not in LOGGED_IN), (who, name)


async def test_events_for_anyone_show_nothing_of_others(house):
    before = await house.anns()
    for who, name in product(STRANGERS, FOR_ANYONE):
        told = await house.call(who, house.functions[name])
        assert SECRET not in told, (who, name)
        assert house.values["conversation_id"] not in told, (who, name)
    assert await house.anns() == before


@pytest.mark.parametrize("event", ["view", "open_session"])
async def test_an_address_does_not_tell_whether_it_is_somebody_elses(house, event):
    wanted = [house.values["conversation_id"], str(uuid.uuid4()), "nonsense"]
    await house.call("bob", house.functions["new_session"])
    told = set()
    for house.values["wanted"] in wanted:
        answer = await house.call("bob", house.functions[event])
        told.add(re.sub(r"\d\d:\d\d", "now", answer))
    assert len(told) == 1, "a new session, or the one that was never used"


async def test_events_for_admins_are_for_admins(house):
    before = await house.anns()
    for who in ("nobody", "ann", "bob", "zoe"):
        refused = ADMINS_ONLY if who in ("ann", "bob") else LOG_IN
        for name in FOR_ADMINS:
            assert await house.call(who, house.functions[name]) == refused, (who, name)
        for house.values["what"] in ACTS:
            told = await house.call(who, house.functions["act"])
            assert told == refused, (who, house.values["what"])
        assert await house.anns() == before, who


async def test_an_admin_does_only_what_the_tables_offer(house):
    root = (await house.accounts.person(house.tokens["root"])).id
    for what, row in (
        ("promote", house.ann), ("", house.ann), ("disable", root), ("reset", root), ("limit", 999),
        ("model_off", 0), ("model_off", 9),
    ):  # fmt: skip
        house.values |= {"what": what, "row": row}
        assert await house.call("root", house.functions["act"]) == NOT_TAKEN, (what, row)
    assert await house.accounts.person(house.tokens["root"])


async def test_an_admin_sees_figures_and_no_words(house):
    for name in sorted(FOR_ADMINS):
        told = await house.call("root", house.functions[name])
        assert told not in (ADMINS_ONLY, LOG_IN), name
        assert SECRET not in told


# What is sent to each route; None for those that are open to everybody.
ROUTES = {
    ("POST", "register"): None,
    ("POST", "login"): None,
    ("POST", "logout"): None,
    ("GET", "me"): None,
    ("GET", "health"): None,
    ("POST", "password"): {"current": PASSWORD + "!", "new": "another horse"},
    ("GET", "logins"): {},
    ("POST", "logins/end"): {"id": 1},
    ("POST", "export-all"): {},
    ("POST", "delete-account"): {"password": PASSWORD + "!"},
    ("POST", "export"): {},
    ("POST", "source"): {"message": ""},
    ("POST", "hit"): {"search": SECRET},
    ("POST", "files"): {},
    ("GET", "files/{id:uuid}"): {},
    ("DELETE", "files/{id:uuid}"): {},
    ("POST", "options"): {"changes": {"instructions": "changed", "model": "ep-offline-chat"}},
}


async def test_the_table_has_every_route(house):
    known = {
        (method, route.path.removeprefix(f"{PREFIX}/"))
        for route in house.routes
        for method in route.methods - {"HEAD"}
    }
    assert known == set(ROUTES)


async def test_routes_need_a_login(house):
    before = await house.anns()
    for who in ("nobody", "zoe"):
        async with house.client(who) as client:
            assert (await client.get(f"{PREFIX}/me")).json() == {"user": None}
            async for name, _, answer in house.closed_routes(client):
                assert answer.status_code == 401, (who, name)
                assert answer.json()["error"]["message"] == LOG_IN
        assert await house.anns() == before, who


async def test_routes_answer_about_oneself_only(house):
    before = await house.anns()
    for who in LOGGED_IN:
        async with house.client(who) as client:
            async for name, fields, answer in house.closed_routes(client):
                assert SECRET not in answer.text, (who, name)
                if name in ("export", "source", "hit", "options", "files"):
                    assert answer.json()["error"]["message"] == NOT_THEIRS
                if answer.request.method == "GET" and name.startswith("files/"):
                    assert answer.json()["error"]["code"] == "attachment_not_found"
                if "password" in fields or "current" in fields:
                    assert answer.json()["error"]["message"] == WRONG_PASSWORD
            assert (await client.get(f"{PREFIX}/me")).json()["user"]["name"] == who
        assert await house.anns() == before, who


async def test_a_turn_that_another_tab_takes_back_at_once_ends_without_an_error(house, monkeypatch):
    service = house.service
    one = await service.start_conversation(house.ann)
    follow = service.follow

    async def follow_and_undo(user_id, conversation_id, reply_id, frame_seconds):
        async for snapshot in follow(user_id, conversation_id, reply_id, frame_seconds):
            yield snapshot
        await service.undo(user_id, conversation_id, reply_id)

    monkeypatch.setattr(service, "follow", follow_and_undo)
    house.values |= {"conversation_id": one, "question": "echo: taken back"}
    assert "sent" in await house.call("ann", house.functions["send"])
    assert (await service.open(house.ann, one, 9)).messages == []
