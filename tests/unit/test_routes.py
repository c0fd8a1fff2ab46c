"""The login routes and the guard: a web app with nothing else in it, driven over HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

from chatbot.accounts import Accounts
from chatbot.clock import now
from chatbot.storage.database import Storage, open_storage
from chatbot.storage.tables import Attempt, Login, User
from chatbot.ui.cookies import login_cookie_name, token_of
from chatbot.ui.routes import routes
from tests.guarded import guarded

pytestmark = pytest.mark.anyio

API = "/gradio_api/chatbot"
ANN = {"name": "Ann", "password": "correct horse"}
WEEK = 7 * 24 * 3600
MEGABYTE = b"x" * 2**20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def app_on(storage: Storage, registration="open", **more) -> Starlette:
    accounts = Accounts(
        storage, registration=registration, login_days=7, login_max_days=30, bcrypt_cost=4
    )
    return guarded(accounts, routes(accounts, storage.look, login_days=7), **more)


def browser(app: Starlette, scheme="http", address="192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://chat.test")


@pytest.fixture
def app(storage: Storage) -> Starlette:
    return app_on(storage)


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as made:
        yield made


def code(response: httpx.Response) -> str:
    """The error's code, of an answer that has the shape every error has."""
    assert response.headers["content-type"] == "application/json"
    assert response.json().keys() == {"error"}
    assert response.json()["error"].keys() == {"code", "message"}
    assert response.json()["error"]["message"]
    return response.json()["error"]["code"]


async def who(client: httpx.AsyncClient) -> dict | None:
    return (await client.get(f"{API}/me")).json()["user"]


# Logging in and out


async def test_register_come_back_log_out_log_in(client):
    assert await who(client) is None
    answer = await client.post(f"{API}/register", json=ANN)
    assert answer.status_code == 200
    assert answer.json() == {"user": {"name": "Ann", "is_admin": False}}
    assert await who(client) == {"name": "Ann", "is_admin": False}

    answer = await client.post(f"{API}/logout")
    assert (answer.status_code, answer.json()) == (200, {"user": None})
    assert "chatbot_login" not in client.cookies
    assert await who(client) is None

    answer = await client.post(f"{API}/login", json=ANN)
    assert answer.json() == {"user": {"name": "Ann", "is_admin": False}}
    assert await who(client) == {"name": "Ann", "is_admin": False}


async def test_logging_out_ends_the_login_and_not_only_the_cookie(client, storage):
    await client.post(f"{API}/register", json=ANN)
    kept = client.cookies["chatbot_login"]
    await client.post(f"{API}/logout")
    assert storage.write_now(Login.select().count) == 0
    client.cookies.set("chatbot_login", kept)
    assert await who(client) is None


async def test_logging_out_twice_is_no_error(client):
    assert (await client.post(f"{API}/logout")).status_code == 200


async def test_two_people_are_told_apart(app, client):
    await client.post(f"{API}/register", json=ANN)
    async with browser(app) as other:
        await other.post(f"{API}/register", json=ANN | {"name": "Bob"})
        assert (await who(client))["name"] == "Ann"
        assert (await who(other))["name"] == "Bob"


async def test_an_admin_is_shown_as_one(client, storage):
    await client.post(f"{API}/register", json=ANN)
    storage.write_now(User.update(is_admin=True).execute)
    assert await who(client) == {"name": "Ann", "is_admin": True}


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("register", ANN, 409, "name_taken"),
        ("register", ANN | {"name": "x"}, 400, "bad_name"),
        ("register", ANN | {"name": "Bob", "password": "12345678"}, 400, "bad_password"),
        ("login", ANN | {"password": "wrong horse"}, 401, "login_refused"),
        ("login", ANN | {"name": "Nobody"}, 401, "login_refused"),
        ("password", {"current": "wrong horse", "new": "another horse"}, 401, "login_refused"),
        ("password", {"current": "correct horse", "new": "short"}, 400, "bad_password"),
    ],
)
async def test_a_refusal_says_why_and_sets_no_cookie(client, path, body, status, expected):
    await client.post(f"{API}/register", json=ANN)
    answer = await client.post(f"{API}/{path}", json=body)
    assert (answer.status_code, code(answer)) == (status, expected)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("registration", "invite", "expected"),
    [
        ("invite", {}, "invitation_refused"),
        ("invite", {"invite": None}, "invitation_refused"),
        ("invite", {"invite": ""}, "invitation_refused"),
        ("invite", {"invite": "unknown"}, "invitation_refused"),
        ("closed", {"invite": "unknown"}, "registration_closed"),
    ],
)
async def test_without_an_invitation_nobody_registers(storage, registration, invite, expected):
    async with browser(app_on(storage, registration)) as client:
        answer = await client.post(f"{API}/register", json=ANN | invite)
        assert (answer.status_code, code(answer)) == (403, expected)


async def test_an_invitation_can_be_used_once(storage):
    accounts = Accounts(
        storage, registration="invite", login_days=7, login_max_days=30, bcrypt_cost=4
    )
    invite = await accounts.invite(uses=1, days=1)
    async with browser(app_on(storage, "invite")) as client:
        answer = await client.post(f"{API}/register", json=ANN | {"invite": invite})
        assert answer.status_code == 200
        again = ANN | {"name": "Bob", "invite": invite}
        assert code(await client.post(f"{API}/register", json=again)) == "invitation_refused"


async def test_a_new_password_keeps_this_browser_and_ends_the_others(app, client):
    await client.post(f"{API}/register", json=ANN)
    async with browser(app) as other:
        await other.post(f"{API}/login", json=ANN)
        change = {"current": ANN["password"], "new": "another horse"}
        answer = await client.post(f"{API}/password", json=change)
        assert answer.json() == {"user": {"name": "Ann", "is_admin": False}}
        assert (await who(client))["name"] == "Ann"
        assert await who(other) is None
        assert code(await other.post(f"{API}/login", json=ANN)) == "login_refused"
        await other.post(f"{API}/login", json=ANN | {"password": "another horse"})
        assert (await who(other))["name"] == "Ann"


async def test_a_password_is_changed_by_who_is_logged_in(client):
    change = {"current": "correct horse", "new": "another horse"}
    answer = await client.post(f"{API}/password", json=change)
    assert (answer.status_code, code(answer)) == (401, "not_logged_in")


async def test_too_many_attempts_from_one_address_have_to_wait(app, client, storage):
    await client.post(f"{API}/register", json=ANN)
    rows = [{"subject": "address:192.0.2.1", "at": now()}] * 22
    storage.write_now(Attempt.insert_many(rows).execute)
    forged = {"x-forwarded-for": "203.0.113.9"}
    answer = await client.post(f"{API}/login", json=ANN, headers=forged)
    assert (answer.status_code, code(answer)) == (429, "too_many_attempts")
    assert answer.headers["retry-after"] in ("7", "8")
    async with browser(app, address="198.51.100.7") as elsewhere:
        assert (await elsewhere.post(f"{API}/login", json=ANN)).status_code == 200


# The cookie


PLAIN = "SameSite=Lax"
SECURE = "Secure; SameSite=None; Partitioned"


@pytest.mark.parametrize(
    ("scheme", "headers", "secure"),
    [
        ("http", {}, False),
        ("http", {"origin": "http://chat.test"}, False),
        ("http", {"x-forwarded-proto": "https"}, False),
        ("http", {"forwarded": "proto=https"}, False),
        ("http", {"origin": "https://chat.test"}, True),
        ("http", {"referer": "https://chat.test/"}, True),
        ("http", {"sec-fetch-site": "same-origin"}, True),
        ("https", {}, True),
    ],
)
async def test_the_cookie_suits_what_the_browser_sees(app, scheme, headers, secure):
    name, kind = ("__Host-chatbot_login", SECURE) if secure else ("chatbot_login", PLAIN)
    async with browser(app, scheme) as client:
        answer = await client.post(f"{API}/register", json=ANN, headers=headers)
        cookies = answer.headers.get_list("set-cookie")
        token = cookies[0].partition(";")[0].removeprefix(f"{name}=")
        assert len(token) == 43
        assert cookies == [f"{name}={token}; Path=/; HttpOnly; Max-Age={WEEK}; {kind}"]
        # A browser takes a cookie away only with the attributes that it was set with.
        answer = await client.post(f"{API}/logout", headers=headers)
        cookies = answer.headers.get_list("set-cookie")
        assert cookies == [f"{name}=; Path=/; HttpOnly; Max-Age=0; {kind}"]


@pytest.mark.parametrize("proto", ["https", "https, http"])
async def test_a_trusted_proxy_says_that_the_browser_sees_https(storage, proto):
    async with browser(app_on(storage, trusted="192.0.2.0/24")) as client:
        headers = {"x-forwarded-proto": proto}
        answer = await client.post(f"{API}/register", json=ANN, headers=headers)
        assert answer.headers["set-cookie"].startswith("__Host-chatbot_login=")


async def test_over_https_a_cookie_that_a_sibling_can_set_is_none(app):
    """`__Host-` cookies come from this host alone; all others may come from beside it."""
    async with browser(app) as client:
        await client.post(f"{API}/register", json=ANN)
        token = client.cookies["chatbot_login"]
    async with browser(app, "https") as client:
        for name, person in (("chatbot_login", None), ("__Host-chatbot_login", "Ann")):
            answer = await client.get(f"{API}/me", headers={"cookie": f"{name}={token}"})
            assert (answer.json()["user"] or {}).get("name") == person, name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://chat.test:7860", "http://chat.test:7861"),
        ("https://chat.test", "https://chat.test:8443"),
        ("http://localhost:7860", "http://localhost:7861"),
    ],
)
async def test_two_apps_on_one_host_do_not_log_each_other_out(storage, tmp_path, first, second):
    other = open_storage(f"sqlite:///{tmp_path}/other.db")
    apps = {first: storage, second: other}
    cookies = httpx.Cookies()
    for url, stored in apps.items():
        transport = httpx.ASGITransport(app_on(stored), client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url=url, cookies=cookies) as client:
            new = ANN | {"name": f"Ann of {url[-4:]}"}
            assert (await client.post(f"{API}/register", json=new)).is_success
            cookies = client.cookies
    for url, stored in apps.items():
        transport = httpx.ASGITransport(app_on(stored), client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url=url, cookies=cookies) as client:
            assert (await who(client))["name"] == f"Ann of {url[-4:]}"
    other.close()


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("", "chatbot_login_7860"),
        ("/chat", "chatbot_login_7860_chat"),
        ("/chat/two", "chatbot_login_7860_chat_two"),
        ("https://demo.test/chat", "chatbot_login_7860_chat"),
    ],
)
def test_the_name_of_the_cookie_holds_port_and_path(root, name):
    assert login_cookie_name(asking({}, root_path=root, host="chat.test:7860")) == name


async def test_a_visit_prolongs_the_cookie_of_who_is_logged_in(client):
    assert "set-cookie" not in (await client.get(f"{API}/me")).headers
    first = await client.post(f"{API}/register", json=ANN)
    visit = await client.get(f"{API}/me")
    assert visit.headers["set-cookie"] == first.headers["set-cookie"]


@pytest.mark.parametrize("token", ["unknown", "", "x" * 4000, "é"])
async def test_a_wrong_cookie_has_no_person(client, token):
    cookie = f"chatbot_login={token}".encode()
    answer = await client.get(f"{API}/me", headers={b"cookie": cookie})
    assert (answer.status_code, answer.json()) == (200, {"user": None})
    assert "set-cookie" not in answer.headers


async def test_an_expired_login_has_no_person(client, storage):
    await client.post(f"{API}/register", json=ANN)
    storage.write_now(Login.update(expires_at=now() - timedelta(seconds=1)).execute)
    assert await who(client) is None


def asking(cookies: dict[str, str], root_path="", host="chat.test") -> Request:
    told = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = [(b"host", host.encode()), (b"cookie", told.encode())]
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "query_string": b""}
    return Request({**scope, "headers": headers, "root_path": root_path})


def test_the_token_is_found_among_other_cookies():
    assert token_of(asking({"theme": "dark", "chatbot_login": "abc"})) == "abc"
    assert token_of(asking({"chatbot_login": ""})) is None
    assert token_of(asking({"theme": "dark"})) is None


# What is sent


@pytest.mark.parametrize("path", ["register", "login", "password"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"name"',
        b"{}",
        b'{"name": "Ann"}',
        b'{"name": "Ann", "password": null, "current": null, "new": null}',
        b'{"name": ["Ann"], "password": "correct horse", "current": "a", "new": {}}',
        b'{"name": 1, "password": "correct horse", "current": 1, "new": "another horse"}',
        b"name=Ann&password=correct+horse",
        b"\xff\xfe\xfd",
        b"[" * 16_000,
        b"1" * 5000,
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(client, path, body):
    await client.post(f"{API}/register", json=ANN | {"name": "Bob"})
    answer = await client.post(f"{API}/{path}", content=body)
    assert (answer.status_code, code(answer)) == (400, "bad_input")


@pytest.mark.parametrize("invite", [0, False, [], {}, 7])
async def test_an_invitation_is_a_text(client, invite):
    answer = await client.post(f"{API}/register", json=ANN | {"invite": invite})
    assert (answer.status_code, code(answer)) == (400, "bad_input")


async def test_half_a_character_is_no_crash(client):
    body = b'{"name": "Ann\\ud800", "password": "correct\\ud800horse"}'
    assert code(await client.post(f"{API}/register", content=body)) == "bad_name"
    assert code(await client.post(f"{API}/login", content=body)) == "login_refused"


class Upload:
    """A body of ten megabytes that counts how much of it is asked for."""

    def __init__(self) -> None:
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(10):
            self.sent += 1
            yield MEGABYTE


@pytest.mark.parametrize("path", ["register", "login", "password"])
@pytest.mark.parametrize(
    ("headers", "most"), [({"content-length": str(10 * 2**20)}, 0), ({}, 1)], ids=["told", "untold"]
)
async def test_a_large_body_is_not_read(client, path, headers, most):
    upload = Upload()
    answer = await client.post(f"{API}/{path}", content=upload, headers=headers)
    assert (answer.status_code, code(answer)) == (413, "body_too_large")
    assert upload.sent <= most


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "x", "²"])
async def test_a_strange_length_is_no_crash(client, length):
    answer = await client.post(
        f"{API}/login", content=b"{}", headers={b"content-length": length.encode()}
    )
    assert (answer.status_code, code(answer)) in ((400, "bad_input"), (413, "body_too_large"))


async def test_the_longest_password_fits(client):
    # Every character as two escapes, which is as long as JSON can make it.
    password = "".join(chr(0x1F600 + n % 64) for n in range(128))
    body = json.dumps(ANN | {"name": "😀" * 32, "password": password}, ensure_ascii=True)
    assert (await client.post(f"{API}/register", content=body)).status_code == 200


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[int]:
    """The port of a real server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked", b"Content-Length: 10485760"], ids=["chunked", "told"]
)
async def test_a_real_server_refuses_a_large_body_at_once(app, framing):
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /gradio_api/chatbot/login HTTP/1.1\r\nHost: chat.test\r\n")
        # Twenty thousand bytes and not the rest.
        writer.write(framing + b"\r\n\r\n4e20\r\n" + b"x" * 20_000 + b"\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"body_too_large"' in await asyncio.wait_for(reader.read(), 5)
        writer.close()


# Every answer


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (None, "Name or password is wrong."),
        ("en-GB,en;q=0.9,zh;q=0.8", "Name or password is wrong."),
        ("zh-CN,zh;q=0.9,en;q=0.8", "用户名或密码"),
    ],
)
async def test_an_error_speaks_the_language_of_the_browser(client, language, sentence):
    client.headers.pop("accept-language", None)
    headers = {"accept-language": language} if language else {}
    answer = await client.post(f"{API}/login", json=ANN, headers=headers)
    assert answer.json()["error"]["message"].startswith(sentence)


async def test_no_answer_of_a_login_route_is_cached(client):
    answers = [
        await client.post(f"{API}/register", json=ANN),
        await client.post(f"{API}/register", json=ANN),
        await client.post(f"{API}/login", content=b"{"),
        await client.post(f"{API}/login", content=Upload()),
        await client.get(f"{API}/me"),
        await client.get(f"{API}/health"),
        await client.post(f"{API}/logout"),
    ]
    assert [answer.status_code for answer in answers] == [200, 409, 400, 413, 200, 200, 200]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_health_is_good_while_the_database_answers(client):
    answer = await client.get(f"{API}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await client.head(f"{API}/health")).status_code == 200


async def test_health_is_bad_when_the_database_does_not_answer(client, storage, tmp_path):
    storage.database.close_all()
    storage.database.init(str(tmp_path / "gone" / "chat.db"))
    answer = await client.get(f"{API}/health")
    assert (answer.status_code, code(answer)) == (503, "storage_unavailable")


@pytest.mark.parametrize("path", ["register", "login", "logout", "password"])
async def test_nothing_changes_by_following_a_link(client, path):
    await client.post(f"{API}/register", json=ANN)
    assert (await client.get(f"{API}/{path}")).status_code == 404
    assert (await who(client))["name"] == "Ann"
