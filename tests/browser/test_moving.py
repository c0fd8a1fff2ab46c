"""Moving about: versions, earlier messages, drafts, and where the keyboard is."""

import re
import sqlite3
from contextlib import closing

import pytest
from playwright.sync_api import expect

from tests.browser.test_reading import BOX, DESKTOP, LEFT, PHONE, begin_edit

NEW = "What can I do for you?"


def lengthen(server, session: str, turns: int) -> None:
    """Give a session of one turn so many: copies with numbers of their own."""
    with closing(sqlite3.connect(server.folder / "chat.db", timeout=20)) as database, database:
        table = "message where conversation_id = ? order by id"
        rows = database.execute(f"select * from {table}", [session.replace("-", "")])
        names = [column[0] for column in rows.description]
        question, reply = (dict(zip(names, row, strict=True)) for row in rows)
        parent = reply["id"]
        for number in range(1, turns):
            for message in (question, reply):
                copy = {**message, "parent_id": parent}
                copy["content"] = message["content"].replace("000", f"{number:03}")
                del copy["id"]
                places = ", ".join("?" * len(copy))
                added = database.execute(
                    f"insert into message ({', '.join(copy)}) values ({places})", [*copy.values()]
                )
                parent = added.lastrowid
        database.execute(
            "update conversation set head_id = ? where id = ?", [parent, session.replace("-", "")]
        )


def captions(person):
    return person.page.locator("#chatbot small.caption")


def test_each_message_has_the_pager_of_its_versions(ann, fast):
    for number in range(4):
        ann.ask(f"echo: turn {number}")
        ann.is_answered()
        ann.page.click("#chatbot button[aria-label=Retry]")
        expect(captions(ann).last).to_contain_text("2/2")
        ann.is_answered()
    expect(captions(ann)).to_contain_text(["‹ 2/2 ›"] * 4)
    for number in range(4):
        row = ann.replies.nth(number)
        expect(row).to_contain_text(f"turn {number}")
        expect(row.locator("small.caption")).to_contain_text("2/2")
    # By keys, there and back: the later turns are there again.
    first = captions(ann).first
    first.get_by_role("link", name="‹").focus()
    ann.page.keyboard.press("Enter")
    expect(captions(ann)).to_have_count(1)
    expect(first).to_contain_text("1/2")
    expect(first.get_by_role("link", name="›")).to_be_focused()
    expect(first.get_by_role("link")).to_have_count(1)
    ann.page.keyboard.press("Enter")
    expect(captions(ann)).to_contain_text(["‹ 2/2 ›"] * 4)
    # An edited question has its own, under the question.
    begin_edit(ann, 1)
    ann.page.locator("#chatbot .edit-box textarea").fill("echo: edited")
    ann.page.keyboard.press("Enter")
    expect(ann.replies.last).to_contain_text("edited")
    ann.is_answered()
    question = ann.page.locator("#chatbot .user-row").nth(1)
    expect(question.locator("small.caption")).to_contain_text("2/2")
    question.get_by_role("link", name="‹").click()
    expect(ann.replies.last).to_contain_text("turn 3")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_earlier_messages_come_above_what_is_in_view(ann, fast, viewport, server):
    ann.page.set_viewport_size(viewport)
    ann.ask("echo: number 000")
    ann.is_answered()
    lengthen(server, ann.page.evaluate("chatbot.status().session"), 100)
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("number 099")
    seen = ann.chat.get_by_text("echo: number 090", exact=True)
    seen.scroll_into_view_if_needed()
    ann.page.wait_for_function(f"{LEFT} > 100")
    before = seen.bounding_box()
    ann.page.click("#earlier-messages")
    expect(ann.chat.get_by_text("echo: number 060", exact=True)).to_have_count(1)
    ann.page.wait_for_function("!chatbot.scroll.holding()")
    assert abs(seen.bounding_box()["y"] - before["y"]) < 3
    # And by scrolling up to them.
    ann.page.mouse.move(viewport["width"] - 190, 300)
    ann.page.evaluate(f"{BOX}.scrollTop = 400")
    ann.page.mouse.wheel(0, -300)
    expect(ann.chat.get_by_text("echo: number 000", exact=True)).to_have_count(1)
    ann.page.wait_for_function("!chatbot.scroll.holding()")
    expect(ann.page.locator("#earlier-messages")).to_be_hidden()
    expect(ann.chat.get_by_text("echo: number 057", exact=True)).to_be_in_viewport()


def test_a_draft_belongs_to_its_session(someone, fast):
    ann = someone().join()
    ann.ask("echo: the first")
    ann.is_answered()
    ann.prompt.fill("for the first")
    ann.page.click("#new-session")
    expect(ann.prompt).to_have_value("")
    ann.ask("echo: the second")
    ann.is_answered()
    expect(ann.prompt).to_have_value("")
    ann.prompt.fill("for the second")
    ann.choose("the first")
    expect(ann.prompt).to_have_value("for the first")
    ann.page.reload()
    expect(ann.prompt).to_have_value("for the first")
    ann.choose("the second")
    expect(ann.prompt).to_have_value("for the second")
    ann.prompt.press("Enter")
    ann.is_answered()
    ann.choose("the first")
    expect(ann.prompt).to_have_value("for the first")
    ann.choose("the second")
    expect(ann.prompt).to_have_value("")
    ann.choose("the first")
    ann.page.click("#logout")
    ann.is_out()
    assert ann.page.evaluate("Object.keys(sessionStorage).filter(k => k.includes('draft'))") == []


def test_the_keyboard_is_where_one_types_next(someone, fast):
    ann = someone().join()
    expect(ann.chat).to_contain_text(NEW)
    ann.page.get_by_text("Compare the planets").click()
    expect(ann.prompt).to_be_focused()
    ann.is_answered()
    ann.page.click("#new-session")
    expect(ann.chat).to_contain_text(NEW)
    expect(ann.prompt).to_be_focused()
    ann.choose("Compare the planets")
    expect(ann.replies.first).to_be_visible()
    expect(ann.prompt).to_be_focused()

    ann.page.click("#rename-session")
    title = ann.page.locator("#rename-title input")
    expect(title).to_be_focused()
    title.press("Escape")
    expect(ann.page.locator("#rename-row")).to_be_hidden()
    ann.page.click("#rename-session")
    expect(title).to_be_focused()
    ann.page.keyboard.type("Drinks")
    title.press("Enter")
    expect(ann.session).to_have_value(re.compile("^Drinks"))
    expect(ann.prompt).to_be_focused()

    ann.page.click("#delete-session")
    expect(ann.page.locator("#delete-cancel")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(ann.page.locator("#delete-row")).to_be_hidden()
    ann.page.click("#delete-session")
    ann.page.click("#delete-confirm")
    expect(ann.chat).to_contain_text(NEW)
    expect(ann.prompt).to_be_focused()


def test_the_list_opens_by_click_and_key_alone(someone):
    ann = someone().join()
    options = ann.page.locator("#session-list [role=option]")
    ann.page.click("#session-list input")
    expect(options).to_have_count(1)
    ann.page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    ann.page.click("#session-list input")
    expect(options).to_have_count(1)
    ann.page.keyboard.press("Escape")
    ann.page.locator("#search-sessions input").focus()
    ann.page.keyboard.press("Tab")
    expect(ann.session).to_be_focused()
    expect(options).to_have_count(0)
    ann.page.keyboard.press("Tab")
    expect(ann.page.locator("#rename-session")).to_be_focused()
    expect(options).to_have_count(0)
    ann.page.keyboard.press("Shift+Tab")
    ann.page.keyboard.press("ArrowDown")
    expect(options).to_have_count(1)


def test_on_a_phone_enter_makes_a_line(someone, fast):
    ann = someone(viewport=PHONE, has_touch=True, is_mobile=True).join()
    ann.prompt.tap()
    ann.page.keyboard.type("echo: one")
    ann.page.keyboard.press("Enter")
    ann.page.keyboard.type("two")
    expect(ann.prompt).to_have_value("echo: one\ntwo")
    ann.page.locator("#prompt .submit-button").tap()
    expect(ann.replies.last).to_contain_text("two")


def test_a_slow_network_shows_the_question_at_once(ann, ark):
    held = []
    ann.page.route("**/queue/join*", lambda route: held.append(route))
    ann.prompt.fill("echo: a *star* and\n$x$")
    ann.prompt.press("Enter")
    question = ann.page.locator("#chatbot .user-row")
    expect(question).to_contain_text("echo: a *star* and")
    expect(question).to_contain_text("$x$")
    expect(ann.prompt).to_have_value("")
    ann.prompt.press_sequentially("typed meanwhile")
    # Refused, it is as it was, with all that was typed.
    held.pop().fulfill(status=503, json={"detail": "no"})
    expect(question).to_have_count(0)
    expect(ann.prompt).to_have_value("echo: a *star* and\n$x$\ntyped meanwhile")
    ann.page.unroute("**/queue/join*")
    ann.prompt.fill("echo: and now")
    ann.prompt.press("Enter")
    expect(ann.replies.last).to_contain_text("and now")
    ann.is_answered()
    expect(ann.page.locator("#chatbot .user-row")).to_have_count(1)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_the_prompt_never_jumps(someone, fast, viewport, locale):
    ann = someone(viewport=viewport, locale=locale).join()
    place = ann.prompt.bounding_box()
    ann.ask("echo: short")
    ann.is_answered()
    chip = ann.page.locator("#usage-line .chip")
    expect(chip).to_contain_text(re.compile(r"\d+ tokens · ¥"))
    assert ann.prompt.bounding_box() == place
    expect(ann.page.locator("#disclaimer")).to_be_visible()
    foot = ann.page.locator("#disclaimer").bounding_box()
    assert foot["x"] + foot["width"] <= viewport["width"]
    more = ann.page.locator("#usage-line .more")
    expect(more).to_be_hidden()
    chip.click()
    expect(more).to_be_visible()
    box = more.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
