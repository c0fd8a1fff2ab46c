"""Every view through axe-core, light and dark, and what axe-core cannot see of them."""

import json
import re
import sqlite3
import urllib.request
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect

from tests.browser.conftest import PASSWORD, Person, paced
from tests.server import Server, free_port

AXE = Axe()
# The violations that matter, by rule and place. Of all else axe would hand out long lists.
VIOLATIONS = """(options) => axe.run(options).then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} ${target}`)))"""
TELLS_THE_ACTIVE = """() => {
  const told = document.querySelector("#session-list input").getAttribute("aria-activedescendant");
  return told && told === document.querySelector("#session-list .item.active")?.id;
}"""
MIXED = """\
Read me at 400 %.

```python
def area(width: float, height: float) -> float:  # a comment that is too long for a small window
    return width * 2.5 or len("text")
```

| a name that is long | a number that is long | **something** |
|---|--:|---|
| 1 | 2 | `3` |

A formula: $\\frac{a}{b}$, a [link](https://example.com), a mark: <mark>this</mark>.
"""
STILL = """(dark) => document.body.classList.contains("dark") === dark
  && document.getAnimations().every((one) =>
    one.playState !== "running" || one.effect.getTiming().iterations === Infinity)"""
# Of an element: what its border, shadow or text stands out with from the page behind it.
CONTRAST = """(one, name) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((n) => n / 255)
      .map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(one);
  const [dark, bright] = [light(style[name]), light(style.backgroundColor)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""
# How much of an element can be seen and touched: of a grid of points, those where it is on top.
ON_TOP = """(one) => {
  const { left, top, width, height } = one.getBoundingClientRect();
  const steps = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];
  const points = steps.flatMap((x) => steps.map((y) => [left + x * width, top + y * height]));
  const seen = points.filter(([x, y]) => one.contains(document.elementFromPoint(x, y)));
  return seen.length / points.length;
}"""


@pytest.fixture(scope="module")
def boss(browser: Browser, shared_server: Server) -> Iterator[Person]:
    """The owner, who is not logged in yet."""
    name = f"boss-{free_port()}"
    account = json.dumps({"name": name, "password": PASSWORD}).encode()
    headers = {"content-type": "application/json", "x-forwarded-for": "10.1.0.1"}
    url = f"{shared_server.url}gradio_api/chatbot/register"
    urllib.request.urlopen(urllib.request.Request(url, account, headers)).close()
    with sqlite3.connect(shared_server.folder / "chat.db", timeout=20) as database:
        database.execute("update user set is_admin = 1 where name = ?", (name,))
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-US", reduced_motion="reduce"
    )
    yield Person(context.new_page(), shared_server.url, name).open()
    context.close()


@pytest.fixture
def inside(boss: Person) -> Person:
    if boss.page.locator("#auth-view").is_visible():
        boss.log_in()
    boss.is_in()
    return boss


def findings(person: Person) -> list[str]:
    """What is wrong with the page as it is, in light and in dark."""
    found = []
    if person.page.evaluate("!window.axe"):
        person.page.evaluate(AXE.axe_script)
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        person.page.wait_for_function(STILL, arg=scheme == "dark")
        # Only colours are different in the dark.
        only = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
        told = person.page.evaluate(VIOLATIONS, {"resultTypes": ["violations"], **only})
        found += [f"{scheme}: {one}" for one in told]
    person.page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return found


def wrong(person: Person) -> list[str]:
    """The fields that say that they are wrong, each by the words of the error."""
    fields = person.page.locator("#auth-view [aria-invalid='true']")
    error = person.error.inner_text().strip()
    for field in fields.all():
        expect(field).to_have_accessible_description(error)
    return fields.evaluate_all("(all) => all.map((one) => one.closest('.block').id)")


def test_an_error_belongs_to_its_field(boss):
    assert findings(boss) == []
    name, password = (boss.page.locator(f"#login-{what} input") for what in ("name", "password"))
    boss.log_in(password="not the password")
    expect(boss.error).to_contain_text("wrong")
    assert wrong(boss) == ["login-name", "login-password"]
    expect(password).to_be_focused()
    assert findings(boss) == []
    password.fill("x")
    expect(password).not_to_have_attribute("aria-invalid", re.compile(""))
    expect(name).to_have_attribute("aria-invalid", "true")

    boss.register(password="short")
    expect(boss.error).to_contain_text("8 to 128")
    assert wrong(boss) == ["register-password"]
    assert findings(boss) == []
    boss.register(password=PASSWORD)
    expect(boss.error).to_contain_text("taken")
    assert wrong(boss) == ["register-name"]
    expect(boss.page.locator("#register-name input")).to_be_focused()


def test_a_session_and_what_opens_in_it(inside, ark):
    page, boss = inside.page, inside
    expect(boss.chat).to_contain_text("What can I do for you?")
    assert findings(boss) == []
    with paced(ark, 0):
        for question in (f"echo: {MIXED}", "think"):
            boss.ask(question)
            boss.is_answered()
    page.locator("#chatbot .thought-group .title").click()
    boss.ask("long")
    boss.sees_growth()
    boss.stop()
    boss.is_answered()
    assert findings(boss) == []

    page.locator("#chatbot button[aria-label=Edit]").last.click()
    expect(page.locator("#chatbot .edit-box textarea")).to_be_focused()
    assert findings(boss) == []
    page.keyboard.press("Escape")
    page.click("#rename-session")
    expect(page.locator("#rename-title input")).to_be_focused()
    assert findings(boss) == []
    page.keyboard.press("Escape")
    page.click("#delete-session")
    expect(page.locator("#delete-cancel")).to_be_focused()
    assert findings(boss) == []
    page.keyboard.press("Escape")


def test_the_dropdown_is_one_stop_and_shows_its_active_option(inside):
    page, boss = inside.page, inside
    boss.start()
    boss.ask("echo: a second session")
    boss.is_answered()
    options = page.locator("#session-list [role=option]")
    page.locator("#search-sessions input").focus()
    page.keyboard.press("Tab")
    expect(boss.session).to_be_focused()
    expect(options).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.locator("#rename-session")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    active = page.locator("#session-list .item.active")
    expect(active).to_have_count(1)
    page.wait_for_function(TELLS_THE_ACTIVE)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function(STILL, arg=scheme == "dark")
        assert active.evaluate(CONTRAST, "boxShadow") >= 3, scheme
        others = page.locator("#session-list .item:not(.active)")
        assert {
            one.evaluate("(one) => getComputedStyle(one).boxShadow") for one in others.all()
        } <= {"none"}
    assert findings(boss) == []
    page.keyboard.press("Escape")


def test_the_pages_of_account_and_admin(inside):
    page, boss = inside.page, inside
    page.click("#account-open")
    expect(page.locator("#account-logins .login").first).to_be_visible()
    assert findings(boss) == []
    page.click("#account-close")
    page.click("#admin-open")
    expect(page.locator("#admin-summary")).to_contain_text("Today")
    tabs = page.locator("#admin-view").get_by_role("tab")
    for tab in tabs.all():
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        assert findings(boss) == []
    page.click("#admin-close")
    boss.is_in()
    # The page's own buttons, which only scripts click, stay unseen.
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(0)


def test_a_phone_and_a_page_of_400_percent(inside):
    page, boss = inside.page, inside
    boss.choose("Read me")
    expect(boss.replies.first).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    boss.open_drawer()
    assert findings(boss) == []
    page.click("#drawer-close")
    # At once, for who wants nothing to move.
    assert page.locator("#sidebar").is_hidden()
    # What the chip tells lies over the conversation and the prompt.
    page.locator("#usage-line .chip").focus()
    more = page.locator("#usage-line .more")
    expect(more).to_be_visible()
    assert more.evaluate(ON_TOP) == 1

    # A window of 1280 by 1024 pixels.
    page.set_viewport_size({"width": 320, "height": 256})
    wide: list[Locator] = [
        page.locator("#chatbot .md pre").first,
        page.locator("#chatbot .table").first,
    ]
    for box in wide:
        scrolls = box.evaluate("(one) => one.scrollWidth > one.clientWidth")
        expect(box).to_have_js_property("tabIndex", 0 if scrolls else -1)
    assert findings(boss) == []
    text = page.locator("#chatbot .bubble-wrap")
    assert text.bounding_box()["height"] >= 150
    words = boss.replies.first.get_by_text("Read me at 400 %.")
    words.evaluate("(one) => one.scrollIntoView({ block: 'start' })")
    assert words.evaluate(ON_TOP) == 1
    for box in ("document.documentElement", "document.querySelector('#chatbot .bubble-wrap')"):
        assert page.evaluate(f"{box}.scrollWidth - {box}.clientWidth") <= 0, box
    # The prompt can still be reached.
    boss.prompt.focus()
    boss.prompt.scroll_into_view_if_needed()
    assert boss.prompt.evaluate(ON_TOP) == 1
    page.set_viewport_size({"width": 1280, "height": 800})
