# ruff: noqa: E501
"""Nothing that a message says does anything, in Chromium and in Firefox: neither while it comes nor
when it is shown again. And no message keeps the page busy for long, or from being opened."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from chatbot.ark.offline import script, showcase
from tests.browser import payloads
from tests.browser.conftest import Person
from tests.browser.firefox import FIREFOX, running_firefox
from tests.discretion import PASSWORD
from tests.fake_ark import FakeArk
from tests.server import Server, running_server

NAME = "payload-person"
BLOCKED_MS = 1_000
"""The longest that one task may keep the main thread, in time of the processor."""
TRIES = 3
"""The processor may be slow for a moment."""
DRAWN = """() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 300)))"""

WATCH = """
  window.ran = [];
  window.hit = (...about) => { window.ran.push("hit"); };
  for (const name of ["alert", "confirm", "prompt", "print"]) {
    window[name] = () => { window.ran.push(name); return null; };
  }
"""
# Everything that is wrong with the page, as sentences.
LOOK = r"""(() => {
  const wrong = (window.ran || []).map((what) => `a script ran: ${what}`);
  for (const id of ["usage-line", "chat-view", "chatbot", "prompt"])
    if (document.querySelectorAll(`#${id}`).length !== 1) wrong.push(`not one #${id}`);
  if (document.querySelector("#evil, #auth-view")) wrong.push("an id from a message");
  const tags = new Set(`P DIV SPAN UL OL LI BLOCKQUOTE H1 H2 H3 H4 H5 H6 TABLE THEAD TBODY TR TH TD DETAILS
    SUMMARY EM STRONG S CODE PRE SUB SUP KBD MARK U A BUTTON BR HR SMALL`.split(/\s+/));
  const attributes = new Set("class href target rel align start dir title open aria-label aria-pressed data-copied data-processed data-wrap tabindex".split(" "));
  const classes = /^(md|prose|chatbot|typed|m\d+|table|long|task|box|caption|digits-\d+|code_head|code_wrap|wrap_code_button|copy_code_button|copy-text|check|language-.+|mermaid|katex.*|token|svelte-.*)$/;
  for (const one of document.querySelectorAll("#chatbot .md *")) {
    for (const { name } of one.attributes) if (/^on/i.test(name)) wrong.push(`${one.tagName} ${name}`);
    if (getComputedStyle(one).position === "fixed") wrong.push(`${one.tagName} is fixed`);
    if (one.closest(".katex, .katex-error, svg, .mermaid > *")) continue;
    if (!tags.has(one.tagName)) wrong.push(`<${one.tagName}>`);
    for (const { name } of one.attributes) if (!attributes.has(name)) wrong.push(`${one.tagName} ${name}`);
    if (!one.classList.contains("token"))
      for (const name of one.classList) if (!classes.test(name)) wrong.push(`class ${name}`);
    if (one.tagName === "A" && !/^(https?|mailto):$/.test(one.protocol)) wrong.push(`link to ${one.href}`);
  }
  for (const box of document.querySelectorAll("#chatbot .md")) {
    const { left, right } = box.getBoundingClientRect();
    const row = box.closest(".message-row").getBoundingClientRect();
    if (left < row.left - 1 || right > row.right + 1) wrong.push("a message is wider than its row");
    const style = getComputedStyle(box);
    if (!style.contain.includes("layout") || style.overflowX !== "clip") wrong.push("a message is not contained");
  }
  for (const control of ["#new-session", "#logout", "#session-list input", "#prompt textarea", "#rename-session"]) {
    const there = document.querySelector(control);
    const { left, top, width, height } = there.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    if (!there.contains(found)) wrong.push(`${control} is covered by ${found?.outerHTML.slice(0, 80)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is too wide");
  return [...new Set(wrong)];
})()"""
TYPE = """(() => {
  const box = document.querySelector("#prompt textarea");
  box.value = %s;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  setTimeout(() => document.querySelector("#prompt .submit-button").click(), 100);
})()"""
QUESTIONS = "[...document.querySelectorAll('#chatbot .typed')].map((one) => one.textContent)"
ANSWERS = "[...document.querySelectorAll('#chatbot .bot-row')].map((one) => one.textContent)"


def batches(texts: list[str], size: int) -> list[str]:
    return ["\n\n".join(texts[at : at + size]) for at in range(0, len(texts), size)]


TAGS = batches(payloads.TAGS, 50)
ALL = [*TAGS, *batches(payloads.LINKS, 40), *batches(payloads.MARKUP, 20)]


SHARES = [ALL[: len(ALL) // 2], ALL[len(ALL) // 2 :]]
"""What is said in each session: as many messages as a page shows at once."""


@pytest.fixture(scope="module")
def sessions() -> list[str]:
    """The sessions that were filled in Chromium."""
    return []


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    settings = {
        "REGISTRATION": "open", "MAX_INPUT_CHARS": "100000", "SENDS_PER_MINUTE": "0",
        "USER_DAILY_TOKENS": "0", "DAILY_YUAN": "0", "MONTHLY_YUAN": "0", "MAX_OUTPUT_TOKENS": "32000",
    }  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("payloads")
    with FakeArk(pace=0) as ark, running_server(ark, folder, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def context(browser, house):
    opened = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    opened.add_init_script(WATCH)
    yield opened
    opened.close()


def arrive(context: BrowserContext, house: Server) -> tuple[Person, list[str]]:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (asked.append(f"dialog {dialog.message}"), dialog.dismiss()))
    person = Person(page, house.url, NAME)
    return person.open(), asked


def elsewhere(asked: list[str], url: str) -> list[str]:
    """What the page asked for and does not need: other hosts, files, dialogs."""
    own = re.compile(
        re.escape(url) + r"(?:$|[?#]|assets/|static/|theme\.css|icon\.svg|manifest\.json|"
        r"gradio_api/(?:heartbeat|queue/(?:data|join)|chatbot/))"
    )
    harmless = ("data:", "blob:", "about:")
    return [one for one in asked if not own.match(one) and not one.startswith(harmless)]


def words_of(text: str) -> str:
    return "".join(text.split())


def check_texts(questions: list[str], answers: list[str], sent: list[str]) -> None:
    assert questions == [f"echo: {text}".strip() for text in sent]
    for text, answer in zip(sent, answers, strict=True):
        if text in TAGS:
            for payload in text.split("\n\n"):
                assert words_of(payload) in words_of(answer), payload


def test_four_hundred_payloads_do_nothing_in_chromium(context, house, sessions):
    person, asked = arrive(context, house)
    person.register()
    person.is_in()
    for number, sent in enumerate(SHARES):
        for text in sent:
            person.ask(f"echo: {text}")
            person.is_answered()
            # Here what tells which message it was; the whole page below.
            assert person.page.evaluate("ran") == [], text
        assert person.page.evaluate(LOOK) == []
        check_texts(person.page.evaluate(QUESTIONS), person.page.evaluate(ANSWERS), sent)
        sessions.append(person.page.evaluate("chatbot.remembered()"))
        person.page.reload()
        expect(person.page.locator("#chatbot .typed")).to_have_count(len(sent))
        expect(person.replies).to_have_count(len(sent))
        assert person.page.evaluate(LOOK) == []
        check_texts(person.page.evaluate(QUESTIONS), person.page.evaluate(ANSWERS), sent)
        if number + 1 < len(SHARES):
            person.page.click("#new-session")
            expect(person.chat).to_contain_text("What can I do for you?")
            person.page.wait_for_function("!document.querySelector('#usage-line [data-reply]')")
    assert elsewhere(asked, house.url) == []
    # Clicks on what is there lead nowhere either.
    person.page.evaluate(
        "document.querySelectorAll('#chatbot .md *:not(a, button, button *)').forEach((one) =>"
        " one.dispatchEvent(new MouseEvent('click', { bubbles: true })))"
    )
    assert person.page.evaluate(LOOK) == []
    assert elsewhere(asked, house.url) == []


@pytest.mark.skipif(
    FIREFOX is None and not os.environ.get("CI"),
    reason="no Firefox here: apt-get install firefox-esr",
)
def test_four_hundred_payloads_do_nothing_in_firefox(house, sessions):
    """What the test before has left is shown again, and some of it comes live."""
    with running_firefox() as firefox:
        firefox.before_each_page(WATCH)
        firefox.open(house.url)
        firefox.wait_for("document.querySelector('#login-submit')")
        login = {"name": NAME, "password": PASSWORD}
        firefox.run(f"chatbot.enter('login', {login})")
        firefox.open(house.url)
        for number, session in enumerate(sessions):
            firefox.open(f"{house.url}?session={session}")
            count = "document.querySelectorAll('#chatbot .typed').length"
            firefox.wait_for(f"{count} === {len(SHARES[number])} && {ANSWERS}.length === {count}")
            check_texts(firefox.run(QUESTIONS), firefox.run(ANSWERS), SHARES[number])
            assert firefox.run(LOOK) == []
        assert len(sessions) == len(SHARES)
        firefox.run("document.querySelector('#new-session').click()")
        firefox.wait_for(f"{count} === 0")
        for number, text in enumerate(ALL[::3], 1):
            firefox.run(TYPE % json.dumps(f"echo: {text}"))
            ended = "!document.querySelector('#usage-line [data-running]')"
            firefox.wait_for(f"{count} === {number} && {ended}")
            assert firefox.run("ran") == [], text
        assert firefox.run(LOOK) == []
        assert firefox.dialogs == []
        assert elsewhere(firefox.requests, house.url) == []


HEAVY = {
    "a formula 150 deep": "$" + "x^{" * 150 + "}" * 150 + "$",
    "formulas as deep as may be": " ".join(["$" + "x^{" * 11 + "y" + "}" * 11 + "$"] * 100),
    "fractions in fractions": "\n\n".join(["$$" + r"\frac{1}{" * 11 + "y" + "}" * 11 + "$$"] * 60),
    "many formulas": " ".join(f"$\\frac{{a_{{{n}}}}}{{b}}$" for n in range(400)),
    "beginnings of formulas": "\\(" * 4_000,
    "code in one line": "```py\n" + "a" * 60_000 + "\n```",
    "comments without end": "```c\n" + ("/*" * 490 + "\n") * 19 + "```",
    "tags without end": "```html\n" + ("<?" * 490 + "\n") * 18 + "```",
    "pictures": "".join(f"![a](/gradio_api/file=x{n})" for n in range(400)),
    "headings": "# a\n" * 6_000,
    "items": "- a\n" * 4_900,
    "cells": "|a|b|\n|-|-|\n" + "|1|2|\n" * 2_400,
    "lists in lists": "\n".join("  " * depth + "- a" for depth in range(150)),
    "quotes in quotes": "> " * 5_000 + "a",
    "diagrams": "```mermaid\ngraph TD\nA-->B\n```\n\n" * 20,
    "a crowded diagram": "```mermaid\ngraph TD\n"
    + "\n".join(f"A{n % 20}-->A{(n * 7 + 3) % 20}" for n in range(50))
    + "\n```",
    "one letter and its accents": "a" + "\u0301" * 19_000,
    "more accents than a block may have": "a" + "\u0301" * 60_000,
}


# A whole page load costs two seconds, and a message is drawn the same way when it is opened again.
RELOADED = ("a formula 150 deep", "beginnings of formulas", "code in one line")


def begin(person: Person) -> None:
    """A new session, which is empty."""
    person.page.click("#new-session")
    expect(person.replies).to_have_count(0)
    person.asked_after = ""


def shows_one(person: Person) -> None:
    """One reply, which has ended and is drawn to its end."""
    person.is_answered()
    expect(person.replies).to_have_count(1)
    expect(person.page.locator("#chatbot .caption").last).to_be_visible()
    person.page.evaluate(DRAWN)


@contextmanager
def longest_task(page: Page, took: list[float]) -> Iterator[None]:
    """Add how long the longest task of the block kept a page's main thread, in milliseconds.

    Not by the clock, which goes on while the processor does something else.
    """
    browser = page.context.browser
    browser.start_tracing(page=page, categories=["toplevel"])
    try:
        yield
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = [one for one in events if one["name"] == "thread_name"]
    main = {one["tid"] for one in threads if one["args"]["name"] == "CrRendererMain"}
    tasks = [one for one in events if one["name"] == "ThreadControllerImpl::RunTask"]
    took.append(max(one["tdur"] for one in tasks if one["tid"] in main and "tdur" in one) / 1000)


def test_no_message_keeps_the_page_busy(context, house, monkeypatch):
    for number, text in enumerate(HEAVY.values()):
        monkeypatch.setitem(script.TOPICS, f"heavy{number}", f"heavy{number}")
        monkeypatch.setitem(showcase.TEXTS, f"heavy{number}", {"en": text, "zh": text})
    person, asked = arrive(context, house)
    page = person.page
    person.is_in()
    for number, name in enumerate(HEAVY):
        took = []
        while not took or (took[-1] > BLOCKED_MS and len(took) < TRIES):
            # Each in a session of its own: a page of them all is slow by their number.
            begin(person)
            with longest_task(page, took):
                person.ask(f"heavy{number}")
                shows_one(person)
                # And opened again.
                if name in RELOADED:
                    page.reload()
                else:
                    begin(person)
                    page.go_back()
                shows_one(person)
        assert took[-1] <= BLOCKED_MS, name
        assert page.evaluate(LOOK) == [], name
    assert elsewhere(asked, house.url) == []
