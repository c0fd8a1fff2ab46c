"""A session that ends the page does not keep anybody from the page."""

import json
import os
import re
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Playwright, expect

from chatbot.ui.parts import LIST
from tests.browser.conftest import ARGUMENTS, CHROMIUM, SECONDS, Person
from tests.server import free_port

DEADLY = "these words are deadly"
WELCOME = "What can I do for you?"
NOT_OPENED = "The last session did not open, so this is a new one."
# What a hostile message might find one day: the page stands still while it is drawn. Only once: a
# script of this kind outlives the page that it was made for.
FREEZE = """
  addEventListener("DOMContentLoaded", () => new MutationObserver((_, watch) => {
    if (!document.querySelector("#chatbot .bot-row")?.textContent.includes("deadly")) return;
    watch.disconnect();
    if (sessionStorage.getItem("has frozen")) return;
    sessionStorage.setItem("has frozen", "yes");
    console.log("frozen");
    const until = performance.now() + %s;
    while (performance.now() < until);
  }).observe(document, { childList: true, subtree: true }));
"""
FOR_EVER, A_WHILE = "Infinity", "4000"
IS_OPENING = "sessionStorage.getItem('chatbot_opening')"
NO_STORAGE = """
  const get = () => { throw new DOMException("no", "SecurityError"); };
  for (const name of ["sessionStorage", "localStorage"])
    Object.defineProperty(window, name, { get });
"""


def test_the_page_asks_for_nothing_that_was_not_named_at_once(someone):
    """Otherwise parts come one after the other; and each sheet alone would be a request more."""
    ann, asked = someone(fresh=True), []
    ann.page.on("request", lambda request: asked.append(request.url))
    ann.open().register()
    ann.is_in()
    ann.ask("echo: **hello**")
    ann.is_answered()
    parts = [urlsplit(url).path.removeprefix("/assets/") for url in asked if "/assets/" in url]
    named = LIST.read_text(encoding="utf-8").split()
    scripts = [name for name in named if name.endswith(".js")]
    [_, sheet] = [name for name in parts if name.endswith(".css")]
    assert sheet == "parts.css", "after Gradio's first"
    assert {name for name in parts if name.endswith(".js")} == {*scripts, parts[0]}
    # And what is in the sheet is in force.
    width = ann.page.locator("#session-list .icon-wrap").evaluate("e => getComputedStyle(e).width")
    assert width != "auto"


def with_a_session(person: Person) -> Person:
    person.join()
    person.ask(f"echo: {DEADLY}")
    person.is_answered()
    return person


@pytest.fixture
def ann(someone) -> Person:
    return with_a_session(someone(fresh=True))


def is_calm(person: Person) -> None:
    """By the page's own word its session was opened."""
    person.page.wait_for_function(f"!{IS_OPENING}", timeout=SECONDS, polling=100)


def shows_the_session(person: Person) -> None:
    expect(person.replies.last).to_contain_text(DEADLY)
    expect(person.page.locator("#notice")).to_have_count(0)


def shows_a_new_session(person: Person) -> None:
    expect(person.chat).to_contain_text(WELCOME)
    expect(person.page.locator("#notice")).to_contain_text(NOT_OPENED)
    expect(person.replies).to_have_count(0)


class Tab:
    """The only tab of a Chromium of its own, which can die and be loaded again."""

    def __init__(self, playwright: Playwright, port: int) -> None:
        self._playwright, self._port = playwright, port
        self._look()

    def _look(self) -> None:
        url = f"http://127.0.0.1:{self._port}"
        browser: Browser = self._playwright.chromium.connect_over_cdp(url)
        self._devtools = browser.new_browser_cdp_session()
        # Pages that died are none for Playwright any more.
        context = browser.contexts[0]
        self.page = context.pages[-1] if context.pages else context.new_page()

    def crash(self) -> None:
        """As it does by a fault of the browser, or when its person gives a hanging page up."""
        processes = self._devtools.send("SystemInfo.getProcessInfo")["processInfo"]
        with self.page.expect_event("crash"):
            for process in processes:
                if process["type"] == "renderer":
                    os.kill(process["id"], signal.SIGKILL)

    def reload(self) -> None:
        targets = self._devtools.send("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        session = self._devtools.send("Target.attachToTarget", {"targetId": target})["sessionId"]
        message = json.dumps({"id": 1, "method": "Page.reload"})
        self._devtools.send(
            "Target.sendMessageToTarget", {"sessionId": session, "message": message}
        )
        self._look()


@pytest.fixture
def tab(playwright) -> Iterator[Tab]:
    port = free_port()
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*ARGUMENTS, f"--remote-debugging-port={port}"]
    )
    yield Tab(playwright, port)
    browser.close()


def freezes(person: Person, how_long: str) -> None:
    """The page is loaded again and stands still when it shows its session."""
    person.page.add_init_script(FREEZE % how_long)
    with person.page.expect_console_message(lambda message: message.text == "frozen"):
        person.page.reload(wait_until="commit")


def test_a_tab_that_froze_or_crashed_opens_without_its_session(tab, server, request):
    ann = with_a_session(Person(tab.page, server.url, f"{request.node.name[:20]}-{free_port()}"))
    freezes(ann, FOR_EVER)
    tab.crash()
    tab.reload()
    ann.page = tab.page
    shows_a_new_session(ann)
    # The session can still be chosen, and is judged again.
    ann.choose(DEADLY)
    expect(ann.replies.last).to_contain_text(DEADLY)
    tab.crash()
    tab.reload()
    ann.page = tab.page
    shows_a_new_session(ann)
    # If it opens after all, it is the one to come back to.
    ann.choose(DEADLY)
    expect(ann.replies.last).to_contain_text(DEADLY)
    is_calm(ann)
    ann.page.reload()
    shows_the_session(ann)


def test_a_frozen_page_opens_without_its_session_after_a_reload(ann):
    freezes(ann, A_WHILE)
    ann.page.reload()
    shows_a_new_session(ann)


def test_impatience_and_other_tabs_are_no_death(ann, someone):
    for _ in range(3):
        ann.page.reload(wait_until="commit")
        ann.page.wait_for_function(IS_OPENING)
    other = someone(beside=ann).open()
    shows_the_session(other)
    shows_the_session(ann)
    ann.page.goto("about:blank")
    ann.page.go_back()
    shows_the_session(ann)


def test_logging_in_at_once_is_no_death(ann, someone):
    again = someone()
    again.name = ann.name
    again.open().log_in()
    again.is_in()
    shows_the_session(again)


def test_an_address_that_opens_a_new_session_with_and_without_storage(ann, someone):
    ann.page.goto(f"{ann.url}?new")
    expect(ann.chat).to_contain_text(WELCOME)
    expect(ann.page).to_have_url(re.compile(r"/\?session=[0-9a-f-]{36}$"))
    expect(ann.page.locator("#notice")).to_have_count(0)
    ann.ask("echo: a fresh start")
    ann.is_answered()
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("a fresh start")
    # A browser that keeps nothing opens what is newest, or what is asked for.
    forgetful = someone(beside=ann)
    forgetful.page.add_init_script(NO_STORAGE)
    forgetful.open()
    expect(forgetful.replies.last).to_contain_text("a fresh start")
    forgetful.page.goto(f"{ann.url}?new")
    expect(forgetful.chat).to_contain_text(WELCOME)
