"""What people do with their own account: logins, export, leaving, and what must stay."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from chatbot.accounts import Accounts, Person
from chatbot.clock import now
from chatbot.errors import LoginRefused, TooManyAttempts
from chatbot.self_service import SelfService, browser_name
from chatbot.storage.tables import Attempt, Conversation, Login, Message, Turn, User
from chatbot.ui.account_routes import account_routes
from chatbot.ui.routes import routes
from tests.conftest import finished, grown

pytestmark = pytest.mark.anyio

API = "/gradio_api/chatbot"
PASSWORD = "correct horse"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
async def accounts(chat) -> AsyncIterator[Accounts]:
    made = Accounts(
        chat.storage, registration="open", login_days=7, login_max_days=30, bcrypt_cost=4
    )
    yield made
    await made.close()


@pytest.fixture
def self_service(chat) -> SelfService:
    return SelfService(chat.storage, chat.service, chat.runner)


@pytest.fixture
def browser(chat, accounts, self_service):
    """Opens a browser, which says so of itself, at an app with nothing but the routes."""
    app = Starlette(
        routes=[
            *routes(accounts, chat.storage.look, login_days=7),
            *account_routes(accounts, self_service),
        ]
    )

    def opened(agent: str = FIREFOX) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=("192.0.2.1", 1234))
        headers = {"user-agent": agent}
        return httpx.AsyncClient(transport=transport, base_url="http://chat.test", headers=headers)

    return opened


async def entered(client: httpx.AsyncClient, what="register", name="Bob") -> httpx.AsyncClient:
    answer = await client.post(f"{API}/{what}", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200
    return client


async def person_of(accounts: Accounts, client: httpx.AsyncClient) -> Person:
    person = await accounts.person(client.cookies["chatbot_login"])
    assert person
    return person


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox · Windows"),
        (PHONE, "Safari · iPhone"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like "
            "Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0",
            "Edge · macOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; V2301A) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.60",
            "WeChat · Android",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "HeadlessChrome/137.0.0.0 Safari/537.36",
            "Chrome · Linux",
        ),
        ("python-httpx/0.28.1", "python-httpx"),
        ("x" * 200, "x" * 40),
        ("", ""),
    ],
)
async def test_a_browser_is_known_by_a_short_name(agent, name):
    assert browser_name(agent) == name


# Logins


async def test_people_see_their_own_logins_and_no_others(browser):
    await entered(browser(), name="Carl")
    here = await entered(browser())
    there = await entered(browser(PHONE), "login")
    rows = (await here.get(f"{API}/logins")).json()["logins"]
    assert [(row["browser"], row["this"]) for row in rows] == [
        ("Firefox · Windows", True), ("Safari · iPhone", False),
    ]  # fmt: skip
    rows = (await there.get(f"{API}/logins")).json()["logins"]
    assert [row["this"] for row in rows] == [True, False]
    assert rows[0]["browser"] == "Safari · iPhone"


async def test_an_endless_browser_name_is_cut(browser, chat):
    await entered(browser("x" * 5000))
    assert len((await chat.storage.read(Login.get)).agent) == 200


async def test_an_ended_login_is_out_at_once(browser):
    here = await entered(browser())
    there, elsewhere = await entered(browser(), "login"), await entered(browser(), "login")
    rows = (await here.get(f"{API}/logins")).json()["logins"]
    left = await here.post(f"{API}/logins/end", json={"id": rows[1]["id"]})
    assert [row["id"] for row in left.json()["logins"]] == [rows[0]["id"], rows[2]["id"]]
    assert code(await elsewhere.get(f"{API}/logins")) == (401, "not_logged_in")

    left = await here.post(f"{API}/logins/end", json={"others": True})
    assert [row["this"] for row in left.json()["logins"]] == [True]
    assert code(await there.get(f"{API}/logins")) == (401, "not_logged_in")


async def test_nobody_ends_somebody_elses_login(browser):
    carl = await entered(browser(), name="Carl")
    bob = await entered(browser())
    row = (await carl.get(f"{API}/logins")).json()["logins"][0]
    answer = await bob.post(f"{API}/logins/end", json={"id": row["id"]})
    assert answer.status_code == 200
    await bob.post(f"{API}/logins/end", json={"others": True})
    assert (await carl.get(f"{API}/logins")).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [{}, {"others": False}, {"others": "yes"}, {"id": "1"}, {"id": True}, {"id": 2**63}, []],
)
async def test_what_names_no_login_ends_none(browser, fields):
    here = await entered(browser())
    await entered(browser(), "login")
    assert code(await here.post(f"{API}/logins/end", json=fields)) == (400, "bad_input")
    assert len((await here.get(f"{API}/logins")).json()["logins"]) == 2


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "logins"),
        ("POST", "logins/end"),
        ("POST", "export-all"),
        ("POST", "delete-account"),
    ],
)
async def test_who_is_not_logged_in_gets_nothing(browser, method, route):
    fields = {"id": 1, "password": PASSWORD}
    answer = await browser().request(method, f"{API}/{route}", json=fields)
    assert code(answer) == (401, "not_logged_in")


# Export


async def test_an_export_holds_every_version_and_no_key(browser, chat, accounts):
    bob = await entered(browser())
    chat.user_id = (await person_of(accounts, bob)).id
    conversation = await chat.started()
    reply = await chat.ask(conversation, "echo: the first way")
    await finished(await chat.regenerate(conversation, reply.id))
    question = (await chat.messages(conversation))[0]
    words = "echo: another way"
    await finished(await chat.edit(conversation, question.id, words))
    ann = await chat.user("somebody else")
    await chat.service.start_conversation(ann)

    answer = await bob.post(f"{API}/export-all")
    data = answer.json()
    assert data["account"]["name"] == "Bob"
    assert [login["agent"] for login in data["logins"]] == [FIREFOX]
    (session,) = data["sessions"]
    said = [(message["role"], message["content"]) for message in session["messages"]]
    assert said == [
        ("user", "echo: the first way"),
        ("assistant", "the first way"),
        ("assistant", "the first way"),
        ("user", "echo: another way"),
        ("assistant", "another way"),
    ]
    assert session["newest_message"] == session["messages"][-1]["id"]
    assert len(data["usage"]) == 3
    assert all(used["session"] == session["id"] for used in data["usage"])

    def secrets() -> list[str]:
        user = User.get_by_id(chat.user_id)
        memory = Conversation.get_by_id(session["id"]).memory_ref
        return [user.password_hash, *(row.token_hash for row in user.logins), memory]

    for secret in [*await chat.storage.read(secrets), bob.cookies["chatbot_login"]]:
        assert secret
        assert secret not in answer.text
    assert "hash" not in answer.text


# Leaving


async def test_nothing_of_a_deleted_person_is_left_but_numbers(browser, chat, accounts, tmp_path):
    bob = await entered(browser(), name="Bob the Unforgotten")
    there = await entered(browser(), "login", name="Bob the Unforgotten")
    chat.user_id = (await person_of(accounts, bob)).id
    conversation = await chat.started()
    await chat.ask(conversation, "echo: an unforgotten secret")
    await chat.service.rename(chat.user_id, conversation, "unforgotten title")
    wrong = await bob.post(f"{API}/delete-account", json={"password": "wrong password"})
    assert code(wrong) == (401, "login_refused")
    assert (await bob.get(f"{API}/logins")).status_code == 200, "and nothing is gone"

    answer = await bob.post(f"{API}/delete-account", json={"password": PASSWORD})
    assert answer.json() == {"user": None}
    assert "chatbot_login" not in bob.cookies
    assert code(await there.get(f"{API}/logins")) == (401, "not_logged_in")
    for path in tmp_path.iterdir():
        content = path.read_bytes().lower()
        assert b"unforgotten" not in content, path.name
        assert conversation.encode() not in content, path.name
        assert conversation.replace("-", "").encode() not in content, path.name

    (row,) = await chat.storage.read(lambda: list(Turn.select()))
    assert row.user_id is None
    assert row.conversation_id is None
    assert row.prompt_tokens > 0
    assert row.micro_yuan > 0
    assert await chat.storage.read(Message.select().count) == 0
    assert (
        await chat.storage.read(Attempt.select().where(Attempt.subject ** "account:%").count) == 0
    )
    await entered(browser(), name="bob the unforgotten")


async def test_others_keep_everything_when_somebody_leaves(chat, self_service):
    conversation = await chat.started()
    await chat.ask(conversation, "echo: Ann stays")
    bob = await chat.user("bob")
    await chat.service.start_conversation(bob)
    await self_service.delete_account(Person(bob, "bob", False))
    assert [message.content for message in await chat.messages(conversation)][1] == "Ann stays"
    assert (await chat.storage.read(Turn.get)).user_id == chat.user_id
    assert await chat.storage.read(User.select().count) == 1


async def test_a_running_reply_ends_and_is_settled_before_its_account_goes(chat, self_service, ark):
    ark.pace = 0.02
    turn = await chat.send(await chat.started(), "count 400")
    await grown(turn, 10)
    await self_service.delete_account(Person(chat.user_id, "ann", False))
    assert turn.done
    (row,) = await chat.storage.read(lambda: list(Turn.select()))
    assert row.state != "streaming"
    assert row.user_id is None


async def test_a_reply_of_a_dead_process_does_not_keep_an_account_alive(
    chat, self_service, monkeypatch
):
    monkeypatch.setattr("chatbot.self_service.STOP_SECONDS", 0.1)
    conversation = await chat.started()
    until = now() + timedelta(days=365)
    held = {"user": chat.user_id, "conversation": conversation, "lease_until": until}
    await chat.storage.write(Turn.create, worker="dead", **held)
    await self_service.delete_account(Person(chat.user_id, "ann", False))
    assert await chat.storage.read(Conversation.select().count) == 0


async def test_stored_responses_are_deleted_at_ark(open_chat, ark):
    async with open_chat(memory="responses") as chat:
        conversation = await chat.started()
        await chat.ask(conversation, "echo: one")
        await chat.ask(conversation, "echo: two")
        self_service = SelfService(chat.storage, chat.service, chat.runner)
        await self_service.delete_account(Person(chat.user_id, "ann", False))
        async with asyncio.timeout(10):
            while len([call for call in ark.requests if call.method == "DELETE"]) < 2:
                await asyncio.sleep(0.02)


async def test_a_very_long_conversation_is_deleted_whole(chat, self_service):
    conversation = await chat.started()

    def talk() -> None:
        parent = None
        for _ in range(1100):
            parent = Message.create(conversation=conversation, parent=parent, role="user")

    await chat.storage.write(talk)
    await self_service.delete_account(Person(chat.user_id, "ann", False))
    assert await chat.storage.read(Message.select().count) == 0


async def test_the_password_for_leaving_cannot_be_tried_out(browser, accounts):
    bob = await person_of(accounts, await entered(browser()))
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await accounts.confirm(bob, "wrong password")
    with pytest.raises(TooManyAttempts):
        await accounts.confirm(bob, PASSWORD)


async def test_an_export_is_plain_json(chat, self_service):
    await chat.ask(await chat.started(), "echo: 你好")
    data = await self_service.export(chat.user_id)
    assert "你好" in json.dumps(data, ensure_ascii=False)
