"""A real Chromium, the real app as its own process, and a local Ark that the tests steer."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.fake_ark import FakeArk
from tests.server import Server, free_port, running_server

WHOLE_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# The one without windows takes a quarter less of the processor.
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE_CHROMIUM
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--no-first-run", "--mute-audio",
    # No GPU draws here; a process for it would only cost time.
    "--in-process-gpu",
]  # fmt: skip
PASSWORD = "correct horse battery"
WINDOW: ViewportSize = {"width": 1280, "height": 800}
SECONDS = 20_000
expect.set_options(timeout=SECONDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None and not os.environ.get("CI"):
        missing = pytest.mark.skip(reason="no Chromium here: apt-get install chromium")
        for item in items:
            if "tests/browser" in item.path.as_posix():
                item.add_marker(missing)


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    assert CHROMIUM, "the browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield running
    running.close()


class Tabs:
    """Tabs that one person after another uses, because the app opens faster in a used tab."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._free: list[Page] = []

    def take(self, url: str) -> Page:
        """A tab without anything of who used it before, somewhere at this server."""
        if self._free:
            page = self._free.pop()
        else:
            page = self.browser.new_context(viewport=WINDOW, locale="en-US").new_page()
        page.context.set_extra_http_headers(an_address())
        page.goto(urljoin(url, "/gradio_api/chatbot/health"))
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
        return page

    def give_back(self, page: Page) -> None:
        """Log out and reset what tests change, but init scripts and listeners, which stay."""
        context = page.context
        for other in context.pages:
            if other is not page:
                other.close()
        if page.is_closed():
            context.close()
            return
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")
        page.emulate_media(color_scheme="null", reduced_motion="null")
        context.clear_permissions()
        context.clear_cookies()
        self._free.append(page)


def an_address() -> dict[str, str]:
    """The headers of an address of its own, so that so many newcomers are no flood."""
    return {"X-Forwarded-For": f"10.0.{random.randrange(256)}.{random.randrange(256)}"}


@pytest.fixture(scope="package")
def tabs(browser: Browser) -> Tabs:
    return Tabs(browser)


@pytest.fixture(scope="package")
def shared_ark() -> Iterator[FakeArk]:
    with FakeArk(pace=0.03) as running:
        yield running


@pytest.fixture(scope="package")
def shared_server(
    shared_ark: FakeArk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    settings = {
        # So that each of many newcomers can have an address of their own.
        "TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open",
        # Who is here for many tests asks for much.
        "SENDS_PER_MINUTE": "0", "USER_DAILY_TOKENS": "100000000", "DAILY_YUAN": "0",
        "MONTHLY_YUAN": "0",
        # A reply that a slow machine does not outlast.
        "MAX_OUTPUT_TOKENS": "30000",
    }  # fmt: skip
    with running_server(shared_ark, tmp_path_factory.mktemp("server"), **settings) as server:
        yield server


@pytest.fixture
def ark(shared_ark: FakeArk) -> FakeArk:
    return shared_ark


@contextmanager
def paced(ark: FakeArk, seconds: float) -> Iterator[None]:
    """Replies come with these seconds between two words."""
    pace, ark.pace = ark.pace, seconds
    try:
        yield
    finally:
        ark.pace = pace


@pytest.fixture
def fast(ark: FakeArk) -> Iterator[None]:
    """Replies come at once."""
    with paced(ark, 0):
        yield


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@dataclass
class Person:
    """Somebody at a browser; the verbs are what people do, not what the page is made of."""

    page: Page
    url: str
    name: str
    asked_after: str = ""

    def open(self) -> "Person":
        # The last that the page asks for when it opens.
        with self.page.expect_response(lambda answer: answer.url.endswith("/chatbot/me")):
            self.page.goto(self.url)
        expect(self.page.locator("#auth-view, #chat-view").filter(visible=True)).to_be_visible()
        return self

    def register(self, name: str | None = None, password: str = PASSWORD) -> "Person":
        self.page.locator("#auth-view button[role=tab]").nth(1).click()
        self.fill("register-name", name or self.name)
        self.fill("register-password", password)
        self.page.click("#register-submit")
        return self

    def join(self) -> "Person":
        """Register without the form, and open the page."""
        return self._enter("register", self.name)

    def return_as(self, name: str) -> "Person":
        """Log in without the form, and open the page."""
        return self._enter("login", name)

    def _enter(self, route: str, name: str) -> "Person":
        told = {"name": name, "password": PASSWORD}
        answer = self.page.request.post(f"{self.url}gradio_api/chatbot/{route}", data=told)
        expect(answer).to_be_ok()
        self.open().is_in()
        return self

    def log_in(self, name: str | None = None, password: str = PASSWORD) -> "Person":
        self.page.locator("#auth-view button[role=tab]").nth(0).click()
        self.fill("login-name", name or self.name)
        self.fill("login-password", password)
        self.page.click("#login-submit")
        return self

    def fill(self, element: str, text: str) -> None:
        self.page.locator(f"#{element} textarea, #{element} input").first.fill(text)

    def ask(self, text: str) -> "Person":
        self.asked_after = self.last_reply()
        self.prompt.fill(text)
        self.prompt.press("Enter")
        return self

    def last_reply(self) -> str:
        """The page's own word for the newest reply it shows."""
        return self.page.evaluate(
            "document.querySelector('#usage-line .status[data-reply]')?.dataset.reply ?? ''"
        )

    def stop(self) -> None:
        self.page.click("#prompt .stop-button")

    def choose(self, title: str) -> None:
        self.page.click("#session-list input")
        self.page.locator("#session-list [role=option]").filter(has_text=title).first.click()

    def start(self) -> None:
        """A new session, which is empty."""
        buttons = self.page.locator("#new-session, #new-session-on-phone")
        buttons.filter(visible=True).click()
        expect(self.chat).to_contain_text("What can I do for you?")

    def open_drawer(self) -> None:
        """On a phone the sidebar is a drawer."""
        opener = self.page.locator("#drawer-open")
        if opener.is_visible():
            opener.click()
            expect(self.page.locator("#drawer-close")).to_be_focused()

    @property
    def prompt(self):
        return self.page.locator("#prompt textarea")

    @property
    def chat(self):
        return self.page.locator("#chatbot")

    @property
    def replies(self):
        return self.page.locator("#chatbot .bot-row")

    @property
    def error(self):
        return self.page.locator("#auth-error")

    @property
    def toast(self):
        return self.page.locator(".toast-body")

    @property
    def session(self):
        return self.page.locator("#session-list input")

    def is_in(self) -> None:
        expect(self.page.locator("#chat-view")).to_be_visible()
        expect(self.page.locator("#auth-view")).to_be_hidden()

    def is_out(self) -> None:
        expect(self.page.locator("#auth-view")).to_be_visible()
        expect(self.page.locator("#chat-view")).to_be_hidden()

    def is_answered(self) -> None:
        """The reply to the last question has ended, however it ended."""
        expect(
            self.page.locator(
                f"#usage-line .status[data-reply]:not([data-reply='{self.asked_after}'])"
            )
        ).to_have_count(1)
        expect(self.page.locator("#prompt .submit-button")).to_be_visible()
        expect(self.page.locator("#prompt .stop-button")).to_be_hidden()

    def sees_growth(self) -> None:
        """More text appears without anything being done."""
        before = len(self.chat.inner_text())
        self.page.wait_for_function(
            f"document.querySelector('#chatbot').innerText.length > {before}", timeout=SECONDS
        )


@pytest.fixture(scope="module")
def resident(tabs: Tabs, shared_server: Server, request: pytest.FixtureRequest) -> Iterator[Person]:
    with arriving(tabs, shared_server, request) as arrive:
        yield arrive().join()


@pytest.fixture
def ann(resident: Person) -> Iterator[Person]:
    """Somebody with an empty session, and with those of the tests of the same file before."""
    resident.start()
    for close in resident.page.locator(".toast-close").all():
        close.click()
    yield resident
    resident.page.set_viewport_size(WINDOW)
    # It may end by itself at this moment.
    resident.page.evaluate("document.querySelector('#prompt .stop-button')?.click()")


@pytest.fixture
def someone(
    tabs: Tabs, server: Server, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Person]]:
    """Opens the app as a new person, in a tab without cookies and storage.

    The tab is used again after the test, unless `fresh` or `options` ask for a context of its own.
    """
    with arriving(tabs, server, request) as arrive:
        yield arrive


@contextmanager
def arriving(
    tabs: Tabs, server: Server, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Person]]:
    contexts: list[BrowserContext] = []
    taken: list[Page] = []
    names = iter(range(1000))

    def arrive(
        url: str = "",
        *,
        beside: Person | None = None,
        viewport: ViewportSize = WINDOW,
        fresh: bool = False,
        **options: object,
    ) -> Person:
        url = url or server.url
        if beside is not None:
            return Person(beside.page.context.new_page(), url, beside.name)
        if fresh or options:
            options = {"locale": "en-US", "extra_http_headers": an_address(), **options}
            contexts.append(tabs.browser.new_context(viewport=viewport, **options))  # type: ignore[arg-type]
            page = contexts[-1].new_page()
        else:
            page = tabs.take(url)
            page.set_viewport_size(viewport)
            taken.append(page)
        return Person(page, url, f"{request.node.name[:20]}-{next(names)}-{free_port()}")

    try:
        yield arrive
    finally:
        for context in contexts:
            context.close()
        for page in taken:
            tabs.give_back(page)
