"""The page for people who do not see it, or see it large, or have only a keyboard."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PASSWORD, Person
from tests.server import Server, free_port

# How many characters are put, in all, where a screen reader reads aloud what comes.
LISTEN = """() => {
  const LIVE = { alert: "assertive", status: "polite", log: "polite" };
  const isRead = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const live = at.getAttribute("aria-live") ?? LIVE[at.getAttribute("role")];
      if (live) return live !== "off";
    }
    return false;
  };
  window.told = [];
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      const text = type === "characterData"
        ? target.data : [...addedNodes].map((node) => node.textContent).join("");
      if (text && isRead(type === "characterData" ? target.parentElement : target)) told.push(text);
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
LABELS = """() => [...document.querySelectorAll("body *")].flatMap((element) =>
  ["aria-label", "title", "alt", "placeholder"].map((name) => element.getAttribute(name) ?? ""))"""
MARKUP = re.compile(r"[<>`*#]|&\\w+;|__")


def arrived(browser: Browser, server: Server, **options: object) -> Person:
    settled = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options}
    page = browser.new_context(**settled).new_page()
    return Person(page, server.url, f"everyone-{free_port()}").open()


@pytest.fixture(scope="module")
def reader(browser: Browser, shared_server: Server) -> Iterator[Person]:
    """Somebody with two sessions, one with its newest turn first in view, who hears the page."""
    person = arrived(browser, shared_server).register(password=PASSWORD)
    person.is_in()
    yield person
    person.page.context.close()


def articles(person: Person) -> list[str]:
    found = person.page.get_by_role("article")
    return [found.nth(place).get_attribute("aria-label") or "" for place in range(found.count())]


def test_messages_are_articles_of_their_authors(reader, fast):
    page = reader.page
    reader.ask("echo: **bold** <b>words</b> `code`")
    reader.is_answered()
    reader.ask("think")
    reader.is_answered()
    assert articles(reader) == ["You", "Doubao"] * 2
    expect(page.get_by_role("article", name="Doubao").last).to_contain_text("A bat and a ball")
    expect(page.get_by_role("navigation", name="Sessions")).to_contain_text("New session")
    expect(page.get_by_role("heading", level=1)).to_have_text("Chat with Doubao")
    expect(page.get_by_role("textbox", name="Your question", exact=True)).to_be_editable()
    labels = page.evaluate(LABELS)
    assert "You" in labels
    assert [label for label in labels if MARKUP.search(label)] == []


def test_a_reply_is_announced_once_when_it_has_ended(reader):
    reader.page.click("#new-session")
    expect(reader.replies).to_have_count(0)
    reader.page.evaluate(LISTEN)
    reader.ask("count 80")
    reader.sees_growth()
    reader.is_answered()
    reply = " ".join(map(str, range(1, 81)))
    expect(reader.page.locator("#spoken")).to_contain_text(reply)
    told = reader.page.evaluate("told")
    assert [reply in text for text in told].count(True) == 1
    assert len("".join(told)) < len(reply) + 100
    # What was there before is not read out to who comes back to it.
    reader.page.evaluate("told.length = 0")
    reader.choose("echo")
    expect(reader.replies).to_have_count(2)
    assert articles(reader) == ["You", "Doubao"] * 2
    assert [text for text in reader.page.evaluate("told") if "bat" in text] == []
