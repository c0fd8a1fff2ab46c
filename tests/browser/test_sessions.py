"""The sessions of a person: their addresses, their list, the search in them, and the drawer."""

import re
import sqlite3
import time
import uuid
from contextlib import closing

import pytest
from playwright.sync_api import expect

from tests.browser.test_moving import NEW, lengthen
from tests.browser.test_reading import DESKTOP, PHONE, begin_edit

TABLET = {"width": 768, "height": 1024}
GONE = "The session of this address is not here, so this is a new one."
HOUR = 3_600_000
GROUND = """(mark) => getComputedStyle(
  document.querySelector("#chatbot .message-row .md > *"), `::highlight(${mark})`
).backgroundColor"""
# Whether the newest reply is in view whenever the page is drawn in the next half second.
LOOKED = """async () => {
  const until = performance.now() + 500;
  while (performance.now() < until) {
    await new Promise(requestAnimationFrame);
    const { bottom } = document.querySelector("#chatbot strong").getBoundingClientRect();
    if (bottom > innerHeight) return false;
  }
  return true;
}"""
TITLES = ["a title that is much longer than a line of the list, and then some", "مرحبا بالعالم"]


def address(person) -> str:
    return person.page.evaluate("new URL(location.href).searchParams.get('session')")


def notice(person):
    return person.page.locator("#notice")


def links(person):
    return person.page.locator("#recent-sessions a")


def options(person):
    return person.page.locator("#session-list [role=option]")


def add_sessions(server, name: str, count: int) -> None:
    """So many more sessions without a message, one each five hours into the past."""
    with closing(sqlite3.connect(server.folder / "chat.db", timeout=20)) as database, database:
        [user] = database.execute("select id from user where name = ?", [name]).fetchone()
        rows = database.execute("select * from conversation where user_id = ?", [user])
        names = [column[0] for column in rows.description]
        sample = dict(zip(names, rows.fetchone(), strict=True))
        for number in range(count):
            at = int(time.time() * 1000) - (number + 1) * 5 * HOUR
            title = TITLES[number] if number < len(TITLES) else f"number {number:03}"
            copy = {**sample, "title": title, "created_at": at, "updated_at": at, "head_id": None}
            copy["id"] = uuid.uuid4().hex
            places = ", ".join("?" * len(copy))
            database.execute(
                f"insert into conversation ({', '.join(copy)}) values ({places})", [*copy.values()]
            )


def with_two_sessions(someone, **how):
    ann = someone(**how).join()
    for words in ("first", "second"):
        if words == "second":
            ann.start()
        ann.ask(f"echo: the {words}")
        ann.is_answered()
    return ann


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_each_session_has_an_address(someone, fast, viewport):
    ann = with_two_sessions(someone, viewport=viewport)
    expect(ann.page).to_have_title("echo: the second · Doubao Chat")
    second = address(ann)
    ann.prompt.fill("a draft for the second")

    ann.page.go_back()
    expect(ann.replies.last).to_contain_text("the first")
    expect(ann.page).to_have_title("echo: the first · Doubao Chat")
    expect(ann.prompt).to_have_value("")
    first = address(ann)
    assert first != second
    expect(ann.session).to_have_value("echo: the first")
    # What is asked here is asked here, and no edit goes along.
    ann.ask("echo: and more of the first")
    expect(ann.replies.last).to_contain_text("and more of the first")
    ann.is_answered()
    begin_edit(ann)
    ann.page.go_forward()
    expect(ann.replies.last).to_contain_text("the second")
    expect(ann.page.locator("#chatbot .edit-box")).to_have_count(0)
    expect(ann.prompt).to_have_value("a draft for the second")
    assert address(ann) == second

    # Quickly there and back: what is shown in the end is what the address says.
    for _ in range(3):
        ann.page.evaluate("history.back()")
        ann.page.evaluate("history.forward()")
    ann.page.evaluate("history.back()")
    expect(ann.page).to_have_title("echo: the first · Doubao Chat")
    expect(ann.replies.last).to_contain_text("and more of the first")
    assert address(ann) == first
    expect(notice(ann)).to_have_count(0)

    # A bookmark, in a tab of its own, and a reload.
    other = someone(f"{ann.url}?session={second}", beside=ann).open()
    expect(other.replies.last).to_contain_text("the second")
    other.page.reload()
    expect(other.replies.last).to_contain_text("the second")
    assert address(other) == second


def test_an_address_is_its_users_alone(someone, fast):
    ann = with_two_sessions(someone)
    anns = address(ann)
    bob = someone(f"{ann.url}?session={anns}").open().register()
    expect(bob.chat).to_contain_text(NEW)
    expect(notice(bob)).to_have_text(GONE)
    assert address(bob) != anns
    expect(links(bob)).to_have_count(1)
    for nobodys in (str(uuid.uuid4()), "nonsense" * 40):
        bob.page.goto(f"{ann.url}?session={nobodys}")
        expect(notice(bob)).to_have_text(GONE)
        expect(bob.chat).to_contain_text(NEW)

    # Who logs out leaves no address behind; who was logged out finds it again.
    ann.page.evaluate("fetch('gradio_api/chatbot/logout', {method: 'POST'})")
    ann.page.reload()
    ann.is_out()
    ann.log_in()
    expect(ann.replies.last).to_contain_text("the second")
    assert address(ann) == anns
    ann.page.click("#delete-session")
    ann.page.click("#delete-confirm")
    expect(ann.replies.last).to_contain_text("the first")
    ann.page.go_back()
    expect(ann.replies.last).to_contain_text("the first")
    ann.page.goto(f"{ann.url}?session={anns}")
    expect(notice(ann)).to_have_text(GONE)
    expect(ann.chat).to_contain_text(NEW)
    assert address(ann) != anns
    ann.page.click("#logout")
    ann.is_out()
    assert address(ann) is None


def test_going_back_leaves_a_running_reply_to_its_session(someone):
    ann = with_two_sessions(someone)
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.page.go_back()
    expect(ann.replies.last).to_contain_text("the first")
    expect(ann.chat).not_to_contain_text("1 2 3")
    expect(ann.page).to_have_title("echo: the first · Doubao Chat")
    running = links(ann).filter(has_text="the second")
    expect(running.locator("i")).to_have_count(1)
    ann.page.go_forward()
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.sees_growth()
    ann.stop()
    ann.is_answered()
    expect(running.locator("i")).to_have_count(0)


def test_a_search_while_a_reply_runs_keeps_no_mark_of_it(someone):
    ann = with_two_sessions(someone)
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.fill("search-sessions", "count")
    running = links(ann).filter(has_text="the second")
    expect(running.locator("i")).to_have_count(1)
    ann.stop()
    ann.is_answered()
    expect(running.locator("i")).to_have_count(0)


def test_all_sessions_can_be_reached(someone, fast, server):
    ann = someone(timezone_id="Asia/Shanghai").join()
    ann.ask("echo: today")
    ann.is_answered()
    add_sessions(server, ann.name, 150)
    for viewport in (DESKTOP, TABLET, PHONE):
        ann.page.set_viewport_size(viewport)
        ann.page.reload()
        expect(ann.replies.last).to_contain_text("today")
        reaches_all_sessions(ann)


def reaches_all_sessions(ann):
    ann.open_drawer()

    # The newest as a plain list, in lines of one height with the time at the right.
    expect(links(ann)).to_have_count(15)
    heights = {link.bounding_box()["height"] for link in links(ann).all()}
    assert len(heights) == 1
    expect(links(ann).first).to_have_attribute("aria-current", "page")
    expect(links(ann).first.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d$"))
    headings = ann.page.locator("#recent-sessions h2")
    expect(headings.first).to_have_text("Today")
    expect(headings).to_contain_text(["Today", "Yesterday"])

    # And all of them in the dropdown.
    ann.page.click("#session-list input")
    expect(options(ann)).to_have_count(100)
    expect(options(ann).first).to_have_attribute("data-group", "Today")
    groups = ann.page.locator("#session-list .item[data-group]")
    told = groups.evaluate_all("all => all.map((one) => one.dataset.group)")
    assert told in (["Today", "Yesterday", "This week", "Older"], ["Today", "Yesterday", "Older"])
    plain = "#session-list .item:not([data-group])"
    heights = ann.page.locator(plain).evaluate_all("all => all.map((one) => one.offsetHeight)")
    assert max(heights) == min(heights) < 50
    # The name of a group chooses nothing.
    groups.nth(1).click(position={"x": 20, "y": 8})
    expect(options(ann)).to_have_count(100)
    ann.page.keyboard.press("End")
    expect(options(ann)).to_have_count(151)
    last = options(ann).filter(has_text="number 149")
    expect(last).to_have_attribute("data-time", re.compile(r"^(\d{4}-)?\d\d-\d\d$"))
    last.click()
    expect(ann.page).to_have_title("number 149 · Doubao Chat")
    expect(ann.chat).to_contain_text(NEW)
    ann.page.reload()
    expect(ann.page).to_have_title("number 149 · Doubao Chat")
    # It is listed in any case, and the plain list leads there and back.
    ann.open_drawer()
    ann.page.locator("#recent-sessions .all").click()
    expect(options(ann).first).to_have_text(re.compile("number 149"))
    ann.page.keyboard.press("Escape")
    links(ann).filter(has_text="echo: today").click()
    expect(ann.replies.last).to_contain_text("today")


def test_a_hit_below_what_is_drawn_late_stays_in_view(someone, fast):
    """Formulas grow after the page has gone to the hit."""
    ann = someone(viewport=TABLET).join()
    for question in ("code", "table", "formula", "formula", "formula", "echo: **needle**"):
        ann.ask(question)
        ann.is_answered()
    ann.start()
    ann.fill("search-sessions", "needle")
    expect(ann.page.locator("#search-told")).to_have_text("1 session found")
    links(ann).first.click()
    expect(ann.page.locator("#hits")).to_be_visible()
    expect(ann.page.locator("#chatbot .katex-display").last).to_be_attached()
    expect(ann.replies.last.locator("strong")).to_be_in_viewport()
    assert ann.page.evaluate(LOOKED) is True, "and it stays there"


def test_a_title_is_not_taken_for_the_name_of_a_text(someone, fast):
    """Gradio translates what it lists, and has a text of its own for each of the first three."""
    ann = someone(locale="zh-CN").join()
    for number, title in enumerate(
        ("back", "common.submit", '__i18n__{"key":"log_out"}', "a.b"), 1
    ):
        ann.page.click("#new-session")
        expect(ann.replies).to_have_count(0)
        ann.ask(title)
        ann.is_answered()
        expect(links(ann).first).to_contain_text(title)
        ann.page.click("#session-list input")
        expect(options(ann)).to_have_count(number)
        listed = options(ann).first.inner_text(), ann.session.input_value()
        assert {text.replace("\u2060", "") for text in listed} == {title}
        ann.page.keyboard.press("Escape")
        ann.ask(f"echo: `{title}`")
        ann.is_answered()
        expect(ann.replies.last.locator(".md").first).to_have_text(title)


def test_a_search_counts_what_it_finds_and_opens_it_at_the_hit(someone, fast, server):
    ann = someone().join()
    ann.ask("echo: number 000")
    ann.is_answered()
    long = address(ann)
    lengthen(server, long, 60)
    ann.start()
    ann.ask("echo: another one, of Number 007 too")
    ann.is_answered()
    another = ann.page.url
    for viewport in (DESKTOP, PHONE):
        ann.page.set_viewport_size(viewport)
        ann.page.goto(another)
        expect(ann.replies.last).to_contain_text("another one")
        finds_and_opens(ann, long)


def finds_and_opens(ann, long):
    ann.open_drawer()
    told = ann.page.locator("#search-told")
    ann.fill("search-sessions", "no such words")
    expect(told).to_have_text("Nothing found")
    expect(links(ann)).to_have_count(0)
    ann.fill("search-sessions", "number 007")
    expect(told).to_have_text("2 sessions found")
    expect(links(ann)).to_have_count(2)
    ann.fill("search-sessions", "NUMBER ０１０")
    expect(told).to_have_text("1 session found")
    expect(links(ann)).to_have_count(1)

    def is_at_the_hit() -> None:
        hit = ann.chat.get_by_text("number 010", exact=True)
        expect(hit).to_be_in_viewport()
        marked = "[...CSS.highlights.get('hit-now')].map((range) => range.toString()).join()"
        assert ann.page.evaluate(marked) in ("number", "010")
        assert ann.page.evaluate(GROUND, "hit-now") == "rgb(255, 180, 84)"
        expect(ann.page.locator("#hits")).to_have_text(re.compile(r"^\d+ of \d+"))

    links(ann).first.click()
    expect(ann.session).to_have_value(re.compile("number 000"))
    is_at_the_hit()
    assert address(ann) == long
    count = ann.page.locator("#hits span")
    before = count.inner_text()
    ann.page.get_by_role("button", name="Next hit").click()
    expect(count).not_to_have_text(before)
    ann.page.get_by_role("button", name="Hide the hits").click()
    expect(ann.page.locator("#hits")).to_have_count(0)
    assert not ann.page.evaluate("CSS.highlights.has('hit')")
    # A rule for marks keeps the page busy while a reply grows, so it has gone with them.
    assert ann.page.evaluate(GROUND, "hit-now") == "rgba(0, 0, 0, 0)"

    # By the dropdown as well, and by the newer session's words after it.
    ann.open_drawer()
    ann.fill("search-sessions", "another")
    expect(told).to_have_text("1 session found")
    links(ann).first.click()
    expect(ann.replies.last).to_contain_text("another one")
    expect(ann.page.locator("#hits")).to_have_text(re.compile("of 2"))
    ann.open_drawer()
    ann.fill("search-sessions", "number 010")
    expect(links(ann).first).to_contain_text("number 000")
    ann.page.click("#session-list input")
    options(ann).filter(has_text="number 000").click()
    is_at_the_hit()
    ann.open_drawer()
    ann.fill("search-sessions", "")
    expect(ann.page.locator("#hits")).to_have_count(0)
    expect(links(ann)).to_have_count(2)


def test_on_a_phone_the_sidebar_is_a_drawer(someone, fast):
    ann = someone(viewport=PHONE, has_touch=True, is_mobile=True).join()
    sidebar = ann.page.locator("#sidebar")
    expect(sidebar).to_be_hidden()
    expect(ann.page.locator("#logout")).to_be_hidden()
    ann.prompt.fill("echo: from a phone")
    ann.page.tap("#prompt .submit-button")
    expect(ann.replies.last).to_contain_text("from a phone")
    ann.is_answered()
    title = ann.page.locator("#topbar-title")
    expect(title).to_have_text("echo: from a phone")
    ann.page.tap("#new-session-on-phone")
    expect(ann.chat).to_contain_text(NEW)
    expect(title).to_have_text("New session")

    opener = ann.page.locator("#drawer-open")
    for closing_it in ("#drawer-close", "Escape", "beside"):
        opener.tap()
        expect(sidebar).to_be_in_viewport(ratio=0.99)
        expect(ann.page.locator("#drawer-close")).to_be_focused()
        assert ann.prompt.evaluate("box => box.closest('[inert]') !== null")
        if closing_it == "beside":
            ann.page.touchscreen.tap(PHONE["width"] - 12, 300)
        elif closing_it == "Escape":
            ann.page.keyboard.press("Escape")
        else:
            ann.page.tap(closing_it)
        expect(sidebar).to_be_hidden()
        expect(opener).to_be_focused()
    opener.tap()
    links(ann).filter(has_text="from a phone").tap()
    expect(sidebar).to_be_hidden()
    expect(ann.replies.last).to_contain_text("from a phone")
    small = """[...document.querySelectorAll('#topbar button, #sidebar button, #sidebar a')]
      .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect())
      .filter(({ width, height }) => Math.min(width, height) < 40).length"""
    opener.tap()
    assert ann.page.evaluate(small) == 0

    # What is done in the drawer is seen below it.
    ann.page.tap("#rename-session")
    ann.fill("rename-title", "called anew")
    ann.page.tap("#rename-save")
    expect(sidebar).to_be_hidden()
    expect(title).to_have_text("called anew")
    opener.tap()
    ann.page.tap("#delete-session")
    ann.page.tap("#delete-confirm")
    expect(sidebar).to_be_hidden()
    expect(ann.chat).to_contain_text(NEW)
    opener.tap()
    ann.page.tap("#account-open")
    expect(sidebar).to_be_hidden()
    ann.page.tap("#account-logout")
    ann.is_out()


def test_the_tablet_has_the_sidebar(someone):
    ann = someone(viewport=TABLET).join()
    expect(ann.page.locator("#sidebar")).to_be_in_viewport(ratio=0.99)
    expect(ann.page.locator("#topbar")).to_be_hidden()
    expect(links(ann)).to_have_count(1)
    expect(ann.page.locator("#logout")).to_be_visible()
    assert ann.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_nothing_of_the_conversation_lies_over_the_account_page(ann, fast):
    ann.page.set_viewport_size(TABLET)
    for question in ("long", "long"):
        ann.ask(question)
        ann.is_answered()
    ann.page.evaluate("document.querySelector('#chatbot .bubble-wrap').scrollBy(0, -900)")
    newest = ann.page.locator("#to-newest")
    expect(newest).to_be_visible()
    ann.page.click("#account-open")
    expect(ann.page.locator("#account-view")).to_be_visible()
    expect(newest).to_be_hidden()
    ann.page.click("#account-close")
    expect(newest).to_be_visible()


def test_an_example_is_shown_at_once_and_the_welcome_only_where_it_belongs(someone, fast):
    ann = someone(fresh=True).join()
    held = []
    ann.page.route("**/queue/join*", lambda route: held.append(route))
    ann.prompt.fill("a draft")
    example = ann.page.locator("#chatbot .example").first
    expect(example).not_to_be_empty()
    words = example.inner_text()
    example.click()
    question = ann.page.locator("#chatbot .user-row")
    expect(question).to_have_text(words)
    expect(ann.prompt).to_have_value("a draft")
    # Refused, it can be asked again, and nothing that was typed is lost.
    held[-1].fulfill(status=503, json={"detail": "no"})
    ann.page.unroute("**/queue/join*")
    expect(question).to_have_count(0)
    expect(ann.prompt).to_have_value(f"{words}\na draft")
    ann.prompt.fill("a draft")
    example.click()
    expect(ann.replies.last).to_contain_text("fibonacci")
    ann.is_answered()
    expect(question).to_have_count(1)
    expect(ann.prompt).to_have_value("a draft")

    # Frame by frame: no greeting before the messages of a session.
    ann.page.add_init_script(
        """(() => {
          window.greeted = 0;
          const look = () => {
            const greeting = document.querySelector("#chatbot .placeholder-content");
            if (greeting?.checkVisibility({ visibilityProperty: true })) window.greeted += 1;
            requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        })()"""
    )
    ann.page.route("**/queue/join*", lambda route: (time.sleep(0.3), route.continue_()))
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("fibonacci")
    assert ann.page.evaluate("window.greeted") == 0
    ann.page.click("#new-session")
    expect(ann.chat.get_by_text(NEW)).to_be_visible()
    ann.page.wait_for_function("window.greeted > 0")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_each_session_is_empty_or_greeted_by_a_name(ann, viewport):
    ann.page.set_viewport_size(viewport)
    expect(ann.chat).to_contain_text(NEW)
    expect(ann.chat).not_to_contain_text("ep-")
    expect(ann.page.locator("#chatbot .placeholder p")).to_have_text("Doubao")
