"""The app inside another site's page, as on a hub of hosted demos, over TLS as there.

Every name under `.test` is this machine. What a browser does with cookies is set as a person would
set it, in the profile, and every story first proves with cookies of its own that this is so.
"""

import contextlib
import datetime
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import BrowserContext, Page, Playwright, Response, expect

from chatbot.bootstrap import create_app
from chatbot.config import Settings
from tests.browser.conftest import ARGUMENTS, PASSWORD, WHOLE_CHROMIUM, Person
from tests.server import free_port

ROUTES = "gradio_api/chatbot"
ALLOWED = {"cookie_controls_mode": 0}
NO_THIRD_PARTY = {"cookie_controls_mode": 1}
NONE_IN_THE_FRAME = {
    "content_settings": {"exceptions": {"cookies": {"[*.]app.test,[*.]hub.test": {"setting": 2}}}}
}
# What a hub lets the pages do that it shows.
SANDBOX = (
    "allow-downloads allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox "
    "allow-same-origin allow-scripts"
)

GET = "url => fetch(url, {credentials: 'include'}).then(answer => answer.json())"
CAN_READ = "url => fetch(url, {credentials: 'include'}).then(() => true, () => false)"
POST = """([url, type, body]) => fetch(url, {
    method: 'POST', credentials: 'include', headers: {'content-type': type}, body,
}).then(answer => answer.status, () => 0)"""
SUBMIT = """url => {
    const form = document.body.appendChild(document.createElement('form'));
    Object.assign(form, {method: 'POST', action: url}).submit();
}"""


class Pages(BaseHTTPRequestHandler):
    """Any other site: a page that only holds the app in a frame, and a probe of cookies."""

    timeout = 10
    app = ""

    def do_GET(self) -> None:
        body = f'<iframe src="{self.app}" sandbox="{SANDBOX}" width="1200" height="760"></iframe>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if self.path == "/probe":
            # Tells which of its two cookies came, and sets both, so that they can come next time.
            came = self.headers["Cookie"] or ""
            body = json.dumps([name for name in ("parted", "plain") if f"{name}=1" in came])
            self.send_header("Set-Cookie", "plain=1; Secure; SameSite=None")
            self.send_header("Set-Cookie", "parted=1; Secure; SameSite=None; Partitioned")
            self.send_header("Access-Control-Allow-Origin", self.headers["Origin"])
            self.send_header("Access-Control-Allow-Credentials", "true")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Web:
    """The sites of these stories, by their addresses."""

    app: str
    hub: str
    evil: str
    probe: str

    @property
    def login_cookie(self) -> str:
        return f"__Host-chatbot_login_{urlsplit(self.app).port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files with a key and a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "*.test")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, secret))
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


@pytest.fixture(scope="module")
def web(certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """The app, which lets only the hub frame it, and the server of all other sites."""
    key, signed = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(signed, key)
    port = free_port()
    pages = type("PagesAroundTheApp", (Pages,), {"app": f"https://app.test:{port}/"})
    with contextlib.ExitStack() as ending:
        others = ending.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), pages))
        # The handshake belongs to the thread of the connection, where it has a time limit.
        others.socket = tls.wrap_socket(
            others.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=others.serve_forever, daemon=True).start()
        ending.callback(others.shutdown)
        site = f"https://{{}}.test:{others.server_port}".format
        settings = Settings(
            ark_api_key=None,
            database_url=f"sqlite:///{tmp_path_factory.mktemp('app') / 'chat.db'}",
            registration="open",
            bcrypt_cost=4,
            frame_ancestors=site("hub"),
            gradio_server_name="127.0.0.1",
            gradio_server_port=port,
            gradio_share=False,
            allowed_hosts="app.test",
        )
        app = create_app(settings, pace=0)
        ending.callback(app.close)
        app.launch(ssl_keyfile=str(key), ssl_certfile=str(signed), ssl_verify=False)
        # Cookies know no ports, so the probe is answered in the app's own name.
        yield Web(pages.app, site("hub"), site("evil"), f"{site('app')}/probe")


@pytest.fixture
def start(playwright: Playwright, web: Web, tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Starts a browser whose profile has these settings."""
    if WHOLE_CHROMIUM is None:
        pytest.skip("the one without windows has no settings: apt-get install chromium")
    running: list[BrowserContext] = []

    def started(profile: dict[str, object]) -> BrowserContext:
        folder = tmp_path / f"browser{len(running)}"
        (folder / "Default").mkdir(parents=True)
        (folder / "Default" / "Preferences").write_text(json.dumps({"profile": profile}))
        running.append(
            playwright.chromium.launch_persistent_context(
                folder,
                executable_path=WHOLE_CHROMIUM,
                args=[
                    *ARGUMENTS, "--ignore-certificate-errors", "--no-proxy-server",
                    "--host-resolver-rules=MAP *.test 127.0.0.1",
                ],
                viewport={"width": 1280, "height": 800},
                locale="en-US",
            )
        )  # fmt: skip
        return running[-1]

    yield started
    for context in running:
        context.close()


def opened(browser: BrowserContext, url: str) -> Page:
    page = browser.new_page()
    page.goto(url)
    return page


def cookies_kept(page: Page, web: Web) -> list[str]:
    """Which of the probe's two cookies come back to the app's host from inside this page."""
    page.evaluate(GET, web.probe)
    return page.evaluate(GET, web.probe)


def in_frame(page: Page, web: Web, name: str) -> Person:
    """Somebody at the app inside this page: a frame has the verbs of a page that a person needs."""
    frame = page.wait_for_selector("iframe").content_frame()
    expect(frame.locator("#auth-view, #chat-view").filter(visible=True)).to_be_visible()
    return Person(frame, web.app, name)


def test_with_third_party_cookies_blocked_a_login_inside_the_hub_lasts_and_is_its_own(start, web):
    browser = start(NO_THIRD_PARTY)
    hub = opened(browser, web.hub)
    assert cookies_kept(hub, web) == ["parted"], "the browser is not set as this story needs it"

    ann = in_frame(hub, web, "framed")
    ann.is_out()
    ann.register()
    ann.is_in()
    ann.ask("echo: framed")
    expect(ann.replies.last).to_contain_text("framed")
    ann.is_answered()
    hub.reload()
    ann = in_frame(hub, web, "framed")
    ann.is_in()
    expect(ann.replies.last).to_contain_text("framed")
    cookies = {cookie["name"]: cookie for cookie in browser.cookies()}
    login = web.login_cookie
    for kind in (login, "chatbot_zone"):
        assert cookies[kind].get("partitionKey") == "https://hub.test", kind
        assert cookies[kind]["secure"], kind
    assert cookies[login]["httpOnly"]

    # The app's own tab knows nothing of it, until one logs in there, too: to the same account.
    own = Person(browser.new_page(), web.app, "framed").open()
    own.is_out()
    own.log_in()
    own.is_in()
    expect(own.replies.last).to_contain_text("framed")
    own.page.click("#logout")
    own.is_out()
    assert ann.page.evaluate(GET, f"{web.app}{ROUTES}/me")["user"]["name"] == "framed"


def test_another_site_can_neither_show_the_app_nor_act_in_it(start, web):
    browser = start(ALLOWED)
    # The victim is logged in wherever one can be.
    hub = opened(browser, web.hub)
    assert cookies_kept(hub, web) == ["parted", "plain"], "cookies must not be what stops a site"
    in_frame(hub, web, "victim").register().is_in()
    ann = Person(browser.new_page(), web.app, "victim").open().log_in()
    ann.is_in()

    evil = browser.new_page()
    with evil.expect_console_message(lambda m: f"Framing '{web.app}'" in m.text) as refusal:
        evil.goto(web.evil)
    assert f"frame-ancestors {web.hub}" in refusal.value.text
    assert web.app not in [frame.url for frame in evil.frames]

    me = f"{web.app}{ROUTES}/me"
    assert ann.page.evaluate(GET, me)["user"]["name"] == "victim"
    assert "plain" in evil.evaluate(GET, web.probe)
    assert evil.evaluate(CAN_READ, me) is False

    # What the app's own page may send, the other site may not, announced as JSON or not.
    posts = {
        f"{web.app}{ROUTES}/login": {"name": "victim", "password": PASSWORD},
        f"{web.app}gradio_api/queue/join": {
            "data": [None, None],
            "fn_index": 0,
            "session_hash": "tab",
        },
    }
    for url, fields in posts.items():
        body = json.dumps(fields)
        for kind in ("application/json", "text/plain"):
            assert evil.evaluate(POST, [url, kind, body]) == 0, (url, kind)
        assert ann.page.evaluate(POST, [url, "application/json", body]) == 200
    # What cannot be read has not been done either.
    assert evil.evaluate(POST, [f"{web.app}{ROUTES}/logout", "text/plain", ""]) == 0
    assert ann.page.evaluate(GET, me)["user"]["name"] == "victim"

    # Sent as a form, it takes the whole tab to the app, and there the cookie does come along.
    with evil.expect_response(lambda r: is_post(r, f"{web.app}{ROUTES}/logout")) as answer:
        evil.evaluate(SUBMIT, f"{web.app}{ROUTES}/logout")
    assert f"{web.login_cookie}=" in answer.value.request.all_headers()["cookie"]
    assert answer.value.status == 403
    ann.page.reload()
    ann.is_in()


def is_post(response: Response, url: str) -> bool:
    return response.request.method == "POST" and response.url == url


def test_a_browser_that_keeps_no_login_in_the_frame_is_offered_its_own_tab(start, web):
    browser = start(NONE_IN_THE_FRAME)
    hub = opened(browser, web.hub)
    assert cookies_kept(hub, web) == [], "the browser is not set as this story needs it"

    ann = in_frame(hub, web, "kept-out")
    ann.register()
    expect(ann.error).to_contain_text("does not keep the login inside a frame")
    ann.is_out()
    with browser.expect_page() as tab:
        ann.error.get_by_role("link", name="Open in a new tab").click()
    own = Person(tab.value, web.app, "kept-out")
    expect(own.page).to_have_url(web.app)
    own.log_in()
    own.is_in()
    own.page.reload()
    own.is_in()


def test_a_browser_without_cookies_gets_a_message(start, web):
    browser = start({"default_content_setting_values": {"cookies": 2}})
    ann = Person(browser.new_page(), web.app, "no-cookies").open().register()
    expect(ann.error).to_contain_text("keeps no cookies of this site")
    expect(ann.error.get_by_role("link")).to_have_count(0)
