"""The guard: which requests pass, from where, and what every answer carries."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from chatbot.accounts import Accounts
from chatbot.storage.database import Storage
from chatbot.storage.tables import Login
from chatbot.ui import guard
from chatbot.ui.guard import Guard
from chatbot.ui.lanes import Lanes
from chatbot.ui.pace import Pace
from chatbot.ui.routes import routes
from tests.guarded import guarded, rules

pytestmark = pytest.mark.anyio

API = "/gradio_api/chatbot"
ANN = {"name": "Ann", "password": "correct horse"}
JOIN, DATA, HEARTBEAT = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat"


@pytest.fixture
def accounts(storage: Storage) -> Accounts:
    return Accounts(storage, registration="open", login_days=7, login_max_days=30, bcrypt_cost=4)


async def page(request: Request) -> JSONResponse:
    """What reaches Gradio, told as it came."""
    told = {
        "url": str(request.url),
        "client": request.client.host if request.client else "",
        "headers": sorted(request.headers),
    }
    return JSONResponse(told, headers={"Access-Control-Allow-Origin": "*"})


async def event(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(iter(["one ", "two"]))


async def anything(request: Request) -> PlainTextResponse:
    return PlainTextResponse("what Gradio serves besides")


EVERYTHING = [
    Route("/", page),
    Route(JOIN, event, methods=["POST"]),
    Route(DATA, stream),
    Route(f"{HEARTBEAT}/{{hash}}", stream),
    Route("/{path:path}", anything, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]),
]


def app_of(accounts: Accounts, storage: Storage, **more) -> Starlette:
    return guarded(accounts, routes(accounts, storage.look, login_days=7), EVERYTHING, **more)


@pytest.fixture
def app(accounts: Accounts, storage: Storage) -> Starlette:
    return app_of(accounts, storage)


def browser(app: Starlette, url="http://chat.test", address="192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url=url)


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as made:
        yield made


def code(response: httpx.Response) -> str:
    told = response.json()
    assert told.keys() - {"detail"} == {"error"}
    assert told["error"].keys() == {"code", "message"}
    assert told["error"]["message"]
    assert told.get("detail", told["error"]["message"]) == told["error"]["message"]
    return told["error"]["code"]


# The list


PASSING = [
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("GET", "/theme.css", 200),
    ("GET", "/assets/index-DphvyggB.js", 200),
    ("GET", "/static/fonts/Source-Sans/a_b.woff2", 200),
    ("GET", "/gradio_api/app_id", 200),
    ("GET", f"{HEARTBEAT}/abc123", 200),
    ("GET", DATA, 200),
    ("POST", JOIN, 400),
    ("GET", f"{API}/me", 200),
    ("HEAD", f"{API}/health", 200),
    ("POST", f"{API}/login", 400),
]
REFUSED = [
    *[
        ("GET", f"/gradio_api/file={name}")
        for name in ("http://192.0.2.1/", "/etc/passwd", "a.png")
    ],
    ("GET", "/gradio_api/file/a.png"),
    ("GET", "/gradio_api/proxy=http://192.0.2.1/"),
    ("POST", "/gradio_api/upload"),
    ("GET", "/gradio_api/upload_progress"),
    ("POST", "/gradio_api/process_recording"),
    ("GET", "/gradio_api/deep_link"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/api/predict"),
    ("POST", "/gradio_api/call/send"),
    ("GET", "/gradio_api/call/send/abc"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/stream/abc"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/runs"),
    ("GET", "/gradio_api/user"),
    ("GET", "/gradio_api/token"),
    ("GET", "/gradio_api/theme.css"),
    ("GET", "/gradio_api/custom_component/a/client/b/c.js"),
    ("GET", "/gradio_api/a-route-of-a-later-gradio"),
    ("GET", "/config"),
    ("GET", "/config/"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/logout"),
    ("GET", "/monitoring/summary"),
    ("GET", "/manifest.json"),
    ("GET", "/robots.txt"),
    ("GET", "/svelte/a.js"),
    ("GET", "/docs"),
    ("GET", "//assets/a.js"),
    ("GET", "/index.html"),
    ("POST", "/"),
    ("PUT", "/"),
    ("OPTIONS", "/"),
    ("OPTIONS", JOIN),
    ("POST", DATA),
    ("GET", JOIN),
    ("PATCH", f"{API}/login"),
    ("GET", f"{API}/login"),
    ("GET", f"{API}/nothing"),
    ("GET", f"{API}/me/"),
    ("GET", f"{HEARTBEAT}/"),
    ("GET", f"{HEARTBEAT}/{'a' * 65}"),
    ("GET", f"{HEARTBEAT}/a/b"),
    ("GET", f"{HEARTBEAT}/a%2e%2e"),
    ("GET", "/assets"),
    ("GET", "/assets/"),
    ("GET", "/assets/%2e%2e/config"),
    ("GET", "/assets/a/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ("GET", "/assets/%2e/a.js"),
    ("GET", "/assets//etc/passwd"),
    ("GET", "/assets/..%5c..%5cwindows"),
    ("GET", "/assets/a%00.js"),
    ("GET", "/assets/a%0a.js"),
    ("GET", f"/assets/{'a' * 5000}"),
    ("GET", "/ASSETS/a.js"),
    ("GET", "/%61ssets2/a.js"),
]


@pytest.mark.parametrize(("method", "path", "status"), PASSING)
async def test_what_the_page_needs_is_served(client, method, path, status):
    assert (await client.request(method, path)).status_code == status


@pytest.mark.parametrize(("method", "path"), REFUSED)
async def test_everything_else_is_not_there(client, method, path):
    answer = await client.request(method, path)
    assert (answer.status_code, code(answer)) == (404, "no_such_address")


async def test_only_while_it_starts_gradio_may_ask_itself(accounts):
    made = rules(accounts)
    async with browser(Starlette(routes=EVERYTHING)) as open_house:
        assert (await open_house.get("/gradio_api/startup-events")).is_success
    async with browser(Guard(Starlette(routes=EVERYTHING), made)) as client:
        assert (await client.get("/gradio_api/startup-events")).is_success
        made.doors.starting = False
        assert (await client.get("/gradio_api/startup-events")).status_code == 404


async def test_nothing_of_the_query_reaches_the_page(client):
    """Such as `deep_link`, which brings back what somebody's tab has stored."""
    told = (await client.get("/?deep_link=abc&page=x")).json()
    assert told["url"] == "http://chat.test/"


@pytest.mark.parametrize(("path", "passes"), [("/chat/assets/a.js", True), ("/chat/config", False)])
async def test_below_a_path_the_same_list_holds(accounts, path, passes):
    app = Guard(Starlette(routes=EVERYTHING), rules(accounts))

    async def mounted(scope, receive, send):
        await app({**scope, "root_path": "/chat"}, receive, send)

    async with browser(mounted) as client:
        assert (await client.get(path)).is_success == passes


async def test_a_web_socket_is_closed(accounts):
    sent = []

    async def send(message):
        sent.append(message["type"])

    await Guard(Starlette(routes=EVERYTHING), rules(accounts))({"type": "websocket"}, None, send)
    assert sent == ["websocket.close"]


async def test_the_start_and_the_end_of_the_app_pass():
    seen = []

    async def inner(scope, receive, send):
        seen.append(scope["type"])

    await Guard(inner, rules(None))({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]


# Names and origins


@pytest.mark.parametrize("path", [JOIN, f"{API}/login"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://proxy.test"}, True),
        ({"origin": "http://chat.test"}, True),
        ({"origin": "http://chat.test:80"}, True),
        ({"origin": "https://CHAT.test"}, True),
        ({"origin": "http://share.test"}, False),
        ({"origin": "https://share.test"}, True),
        ({"origin": "https://demo.test", "x-forwarded-host": "demo.test"}, False),
        ({"origin": "https://demo.test", "forwarded": "host=demo.test"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://chat.test"}, False),
        ({"sec-fetch-site": ""}, False),
        ({"origin": "ftp://chat.test"}, False),
        ({"origin": "chrome-extension://chat.test"}, False),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "http://chat.test.evil.test"}, False),
        ({"origin": "http://chat.test@evil.test"}, False),
        ({"origin": "http://chat.test:8080"}, False),
        ({"origin": "https://chat.test:8443"}, False),
        ({"origin": "http://evil.test", "x-forwarded-host": "evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://["}, False),
        ({"origin": "http://chat.test:x"}, False),
    ],
)
async def test_another_site_changes_nothing(accounts, storage, path, headers, passes):
    app = app_of(accounts, storage, outer={"share.test": "https"})
    async with browser(app) as client:
        answer = await client.post(path, content=b"{", headers=headers)
        told = (400, "bad_input") if passes else (403, "cross_site")
        assert (answer.status_code, code(answer)) == told


@pytest.mark.parametrize("path", [f"{API}/me", f"{API}/health", DATA, f"{HEARTBEAT}/abc"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.test"},
        {"sec-fetch-site": "same-origin", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-origin", "sec-fetch-dest": "iframe"},
        {"sec-fetch-site": "none", "sec-fetch-dest": "document"},
    ],
)
async def test_nothing_is_read_from_elsewhere(client, path, headers):
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, code(answer)) == (403, "cross_site")


@pytest.mark.parametrize("path", ["register", "login", "logout", "password"])
async def test_another_site_neither_logs_in_nor_out(client, storage, path):
    await client.post(f"{API}/register", json=ANN)
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}
    body = ANN | {"current": ANN["password"], "new": "another horse"}
    answer = await client.post(f"{API}/{path}", json=body, headers=evil)
    assert (answer.status_code, code(answer)) == (403, "cross_site")
    assert "set-cookie" not in answer.headers
    assert storage.write_now(Login.select().count) == 1
    assert (await client.post(f"{API}/login", json=ANN)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, True),
        ({"referer": "https://hub.test/"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
        ({"origin": "http://evil.test"}, False),
    ],
)
async def test_a_link_from_another_site_leads_to_the_page_and_a_script_does_not(
    client, headers, passes
):
    assert (await client.get("/", headers=headers)).status_code == (200 if passes else 403)


@pytest.mark.parametrize(
    ("settings", "host", "passes"),
    [
        # Listening on this machine, nothing set.
        ({"on_loopback": True}, "localhost", True),
        ({"on_loopback": True}, "localhost:7860", True),
        ({"on_loopback": True}, "LOCALHOST:7860", True),
        ({"on_loopback": True}, "127.0.0.1:7860", True),
        ({"on_loopback": True}, "127.1.2.3", True),
        ({"on_loopback": True}, "[::1]:7860", True),
        ({"on_loopback": True}, "rebound.test:7860", False),
        ({"on_loopback": True}, "localhost.evil.test", False),
        ({"on_loopback": True}, "127.0.0.1.evil.test", False),
        ({"on_loopback": True}, "192.168.1.5", False),
        ({"on_loopback": True}, "0.0.0.0", False),
        ({"on_loopback": True, "outer": {"x.share.test": "https"}}, "x.share.test", True),
        ({"on_loopback": True, "outer": {"x.share.test": "https"}}, "y.share.test", False),
        ({"on_loopback": True, "allowed_hosts": "chat.test"}, "chat.test:7860", True),
        ({"on_loopback": True, "trusted": "192.0.2.1"}, "demo.test", True),
        ({"on_loopback": True, "trusted": "192.0.2.9"}, "demo.test", False),
        # Listening for everybody.
        ({}, "anything.test", True),
        ({"allowed_hosts": "chat.test"}, "chat.test", True),
        ({"allowed_hosts": "chat.test"}, "chat.test:8080", True),
        ({"allowed_hosts": "chat.test:8443"}, "chat.test:8443", True),
        ({"allowed_hosts": "chat.test:8443"}, "chat.test:8444", False),
        ({"allowed_hosts": "one.test, chat.test"}, "CHAT.test", True),
        ({"allowed_hosts": "chat.test"}, "other.test", False),
        ({"allowed_hosts": "chat.test"}, "sub.chat.test", False),
        ({"allowed_hosts": "chat.test"}, "127.0.0.1:7860", True),
        ({"allowed_hosts": "chat.test", "trusted": "192.0.2.1"}, "demo.test", False),
        # No name at all.
        ({}, "", False),
        ({}, "a b", False),
        ({}, "user@chat.test", False),
        ({}, "chat.test/path", False),
        ({}, "chat.test:port", False),
    ],
)
async def test_the_app_answers_to_its_own_names_only(accounts, storage, settings, host, passes):
    async with browser(app_of(accounts, storage, **settings)) as client:
        answer = await client.get(f"{API}/me", headers={"host": host})
        if passes:
            assert answer.json() == {"user": None}
        else:
            assert (answer.status_code, code(answer)) == (403, "unknown_host")


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "does not know the name"), ("zh-CN,zh;q=0.9", "不认识这个域名")],
)
async def test_who_opens_the_page_by_an_unknown_name_reads_what_to_set(
    accounts, storage, language, title
):
    async with browser(app_of(accounts, storage, allowed_hosts="chat.test")) as client:
        answer = await client.get("/", headers={"host": "x.test", "accept-language": language})
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        assert title in answer.text
        assert "ALLOWED_HOSTS" in answer.text
        assert "TRUSTED_PROXIES" in answer.text
        assert "x.test" not in answer.text


async def test_two_names_at_once_are_none(app):
    async with browser(app) as client:
        answer = await client.get(f"{API}/me", headers=[("host", "a.test"), ("host", "b.test")])
        assert code(answer) == "unknown_host"


FORWARDED = {
    "x-forwarded-for": "203.0.113.7, 192.0.2.1",
    "x-forwarded-host": "demo.test",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "1",
    "x-forwarded-server": "demo.test",
    "forwarded": "for=203.0.113.7;host=demo.test;proto=https",
    "x-real-ip": "203.0.113.7",
    "x-gradio-server": "https://demo.test",
}


@pytest.mark.parametrize(
    ("trusted", "outer", "url", "client"),
    [
        ("", {}, "http://chat.test/", "192.0.2.1"),
        ("198.51.100.0/24", {}, "http://chat.test/", "192.0.2.1"),
        ("192.0.2.0/24", {}, "https://demo.test/", "203.0.113.7"),
        # A share link or a Space is known by its name, and nothing more is believed of it.
        ("", {"demo.test": "https"}, "https://demo.test/", "192.0.2.1"),
        ("", {"other.test": "https"}, "http://chat.test/", "192.0.2.1"),
    ],
)
async def test_forwarded_headers_are_believed_from_named_proxies_only(
    accounts, storage, trusted, outer, url, client
):
    app = app_of(accounts, storage, trusted=trusted, outer=outer)
    async with browser(app) as asking:
        told = (await asking.get("/", headers=FORWARDED)).json()
    assert (told["url"], told["client"]) == (url, client)
    assert not set(told["headers"]) & set(FORWARDED), "Gradio sees none of them"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 192.0.2.5, 192.0.2.6", "203.0.113.7"),
        ("192.0.2.5, 192.0.2.6", "192.0.2.5"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("", "192.0.2.1"),
        (" , ", "192.0.2.1"),
    ],
)
async def test_the_client_is_the_last_that_is_no_proxy_of_ours(
    accounts, storage, forwarded, client
):
    app = app_of(accounts, storage, trusted="192.0.2.0/24")
    async with browser(app) as asking:
        told = (await asking.get("/", headers={"x-forwarded-for": forwarded})).json()
    assert told["client"] == client


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({}, "http"),
        ({"sec-fetch-site": "none"}, "https"),
        ({"sec-fetch-site": "none", "host": "localhost:7860"}, "http"),
        ({"referer": "https://chat.test/?invite=abc"}, "https"),
        ({"referer": "https://elsewhere.test/"}, "http"),
        ({"referer": "https://chat.test.evil.test/"}, "http"),
    ],
)
async def test_a_browser_tells_of_https_where_no_proxy_is_named(client, headers, scheme):
    """Otherwise the page would ask for its parts over http, which browsers refuse."""
    told = (await client.get("/", headers=headers)).json()
    assert told["url"].startswith(f"{scheme}://")


# Every answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/assets/a.js", 200),
        ("GET", "/unknown", 404),
        ("GET", f"{API}/me", 200),
        ("POST", f"{API}/login", 403),
        ("OPTIONS", JOIN, 404),
    ],
)
async def test_every_answer_carries_the_headers_and_none_for_other_sites(
    client, method, path, status
):
    evil = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    headers = evil if method in ("POST", "OPTIONS") else {}
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["frame-ancestors"] == "'self' https://hub.test"
    assert policy["img-src"] == policy["connect-src"] == "'self' data: blob:"
    assert policy["default-src"] == "'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
    assert (policy["form-action"], policy["base-uri"]) == ("'self'", "'self'")
    assert policy["object-src"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "microphone=()" in answer.headers["permissions-policy"]


# Events


def view(session_hash: str, **more: object) -> dict[str, object]:
    return {"fn_index": 0, "data": [None, None], "session_hash": session_hash, **more}


async def test_an_event_reaches_gradio_as_it_was_checked(client):
    sent = view("tab", event_id="mine", oauth_token="x", simple_format=True, batched=True, more=[1])
    answer = await client.post(JOIN, json=sent)
    assert answer.json() == view("tab", event_data=None, trigger_id=None)


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_is_read_no_further_than_allowed(client, declared):
    read = []

    async def pieces():
        for _ in range(100):
            read.append(1)
            yield b"x" * 1024

    headers = {"content-length": str(100 * 1024)} if declared else {}
    answer = await client.post(JOIN, content=pieces(), headers=headers)
    assert (answer.status_code, code(answer)) == (413, "body_too_large")
    assert len(read) <= 6


async def test_whoever_is_logged_in_may_send_more(client):
    long = {"fn_index": 2, "data": [None, None, "", "x" * 5000, ""], "session_hash": "tab"}
    assert (await client.post(JOIN, json=long)).status_code == 413
    await client.post(f"{API}/register", json=ANN)
    assert (await client.post(JOIN, json=long)).status_code == 200


async def test_without_a_login_only_the_login_page_works(client):
    for number, passes in ((0, True), (1, True), (2, False), (4, False)):
        opened = [None, None]
        data = {0: opened, 1: opened, 2: [*opened, "", "hi", ""], 4: ["limit", 1, 2]}[number]
        sent = {"fn_index": number, "data": data, "session_hash": "tab"}
        answer = await client.post(JOIN, json=sent)
        assert answer.is_success == passes
        if not passes:
            assert (answer.status_code, code(answer)) == (401, "not_logged_in")


async def test_too_many_events_are_refused_with_the_time_to_wait(accounts, storage, monkeypatch):
    monkeypatch.setattr(guard, "REFUSED_SECONDS", 0)
    app = app_of(accounts, storage, burst=10)
    async with browser(app) as attacker, browser(app, address="192.0.2.2") as honest:
        answers = [await attacker.post(JOIN, json=view("tab")) for _ in range(15)]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert code(answers[-1]) == "too_many_requests"
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await honest.post(JOIN, json=view("mine"))).is_success
        # A login is not held up by those who have none.
        await attacker.post(f"{API}/register", json=ANN)
        assert (await attacker.post(JOIN, json=view("tab"))).is_success


async def test_who_is_refused_waits_for_the_answer(accounts, storage, monkeypatch):
    monkeypatch.setattr(guard, "REFUSED_SECONDS", 3600)
    async with browser(app_of(accounts, storage, burst=1)) as attacker:
        assert (await attacker.post(JOIN, json=view("tab"))).is_success
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await attacker.post(JOIN, json=view("tab"))


async def test_events_of_one_caller_go_one_after_the_other():
    lanes, gone, first = Lanes(Pace(burst=10, per_second=1)), [], asyncio.Event()

    async def go(subject, name):
        async with lanes.go(subject):
            gone.append(name)
            await first.wait()

    async with asyncio.TaskGroup() as all_of_them:
        for subject, name in ((1, "a"), (1, "b"), (2, "c"), (1, "d")):
            all_of_them.create_task(go(subject, name))
        await asyncio.sleep(0)
        assert gone == ["a", "c"]
        first.set()
    assert gone == ["a", "c", "b", "d"]
    assert not len(lanes)


async def test_many_events_of_one_caller_are_spread_over_time():
    moment = 0.0
    lanes = Lanes(Pace(burst=2, per_second=4, clock=lambda: moment))
    gone = []

    async def go(subject):
        async with lanes.go(subject):
            gone.append((subject, moment))

    async with asyncio.TaskGroup() as all_of_them:
        for subject in (1, 1, 1, 2, 1):
            all_of_them.create_task(go(subject))
        # The clock goes on while the third one waits, and so does the other caller.
        await asyncio.sleep(0.1)
        assert gone == [(1, 0), (1, 0), (2, 0)]
        moment = 100.0
    assert gone[3:] == [(1, 100), (1, 100)]


async def test_a_stream_of_a_tab_that_is_not_known_is_over_at_once(client):
    answer = await client.get(f"{DATA}?session_hash=unknown")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert json.loads(answer.text.removeprefix("data: "))["session_not_found"] is True


async def test_the_name_of_a_tab_is_plain(client):
    for odd in ("", "a" * 65, "a b", "../x", "ä", None, 1, ["x"]):
        answer = await client.post(JOIN, json=view(odd))
        assert (answer.status_code, code(answer)) == (400, "bad_input"), odd


async def test_a_caller_who_leaves_while_sending_is_no_error(accounts, storage):
    async def receive():
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": JOIN, "scheme": "http", "query_string": b"",
        "headers": [(b"host", b"chat.test")], "client": ("192.0.2.1", 1), "root_path": "",
    }  # fmt: skip
    await asyncio.wait_for(app_of(accounts, storage)(scope, receive, send), 5)
    assert sent == []
