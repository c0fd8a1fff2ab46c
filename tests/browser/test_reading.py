"""Reading and writing: whose the scroll is, what an edit belongs to, what a search heeds."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import paced

BOX = "document.querySelector('#chatbot .bubble-wrap')"
LEFT = f"{BOX}.scrollHeight - {BOX}.clientHeight - {BOX}.scrollTop"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def left(person) -> float:
    """Pixels of the messages below what is in view."""
    return person.page.evaluate(LEFT)


def grows_by(person, pixels: int) -> None:
    height = person.page.evaluate(f"{BOX}.scrollHeight")
    person.page.wait_for_function(f"{BOX}.scrollHeight >= {height + pixels}")


def swipe_down(person) -> None:
    """A finger draws the messages down, which shows what stands above."""
    inspector = person.page.context.new_cdp_session(person.page)
    at = {"x": 195, "y": 300}
    inspector.send("Input.synthesizeScrollGesture", {**at, "yDistance": 250, "speed": 2000})


def drag_scrollbar(person) -> None:
    box = person.page.locator("#chatbot .bubble-wrap").bounding_box()
    mouse, x = person.page.mouse, box["x"] + box["width"] - 5
    mouse.move(x, box["y"] + box["height"] - 12)
    mouse.down()
    mouse.move(x, box["y"] + box["height"] - 250, steps=4)
    mouse.up()


# Told at once: a moment later the paragraph may have been drawn anew, and nothing is marked.
MARKED = """getSelection().selectAllChildren(document.querySelector("#chatbot .bot-row p"));
document.dispatchEvent(new Event("selectionchange"));"""
# The jump's own event comes only after this.
MARKED_IN_A_JUMP = f"{BOX}.scrollTop -= 40; chatbot.scroll.toEnd(); {MARKED}"

WAYS_UP = {
    "wheel": lambda ann: ann.page.mouse.wheel(0, -60),
    "page up in the prompt": lambda ann: ann.prompt.press("PageUp"),
    "arrow": lambda ann: ann.page.locator("#chatbot .bubble-wrap").press("ArrowUp"),
    "marking": lambda ann: ann.page.evaluate(MARKED),
    "marking while the page jumps": lambda ann: ann.page.evaluate(MARKED_IN_A_JUMP),
    "by a script": lambda ann: ann.page.evaluate(f"{BOX}.scrollBy(0, -200)"),
}


def test_the_reader_owns_the_scroll(someone, ark):
    # Narrow, so that it grows fast.
    ann = someone(viewport={"width": 500, "height": 700}).join()
    with paced(ark, 0.005):
        ann.ask("count 20000")
        newest = ann.page.locator("#to-newest")
        ann.page.wait_for_function(f"{BOX}.scrollHeight > 1200")
        grows_by(ann, 60)
        assert left(ann) < 40, "the end is followed"
        expect(newest).to_be_hidden()
        for name, up in WAYS_UP.items():
            ann.page.mouse.move(250, 300)
            up(ann)
            # There to be clicked when the end is far enough below.
            expect(newest, name).to_be_visible()
            place = ann.page.evaluate(f"{BOX}.scrollTop")
            grows_by(ann, 60)
            assert ann.page.evaluate(f"{BOX}.scrollTop") == place, name
            ann.page.evaluate("getSelection().removeAllRanges()")
            newest.click()
            ann.page.wait_for_function(f"{LEFT} < 30")
            grows_by(ann, 60)
            assert left(ann) < 60, f"after {name}: the end is followed again"
            expect(newest).to_be_hidden()
        # Back at the end by hand is as good as the button.
        ann.page.mouse.wheel(0, -300)
        ann.page.wait_for_function(f"{LEFT} > 200")
        ann.page.mouse.wheel(0, 5000)
        ann.page.wait_for_function(f"{LEFT} < 30")
        grows_by(ann, 60)
        assert left(ann) < 60
        ann.stop()
        ann.is_answered()
        # A question of one's own is seen, wherever one was reading.
        ann.page.mouse.move(250, 300)
        ann.page.mouse.wheel(0, -1500)
        ann.page.wait_for_function(f"{LEFT} > 1000")
        ann.ask("echo: down here")
        expect(ann.replies.last.get_by_text("down here")).to_be_in_viewport()
        ann.is_answered()
        assert left(ann) < 40


def test_a_finger_owns_the_scroll_too(someone, ark):
    ann = someone(viewport=PHONE, has_touch=True, is_mobile=True).join()
    ann.prompt.fill("count 20000")
    with paced(ark, 0.005):
        ann.page.locator("#prompt .submit-button").tap()
        ann.page.wait_for_function(f"{BOX}.scrollHeight > 1200")
        grows_by(ann, 60)
        assert left(ann) < 60
        swipe_down(ann)
        ann.page.wait_for_function(f"{LEFT} > 100")
        place = ann.page.evaluate(f"{BOX}.scrollTop")
        grows_by(ann, 300)
        assert abs(ann.page.evaluate(f"{BOX}.scrollTop") - place) < 5
        ann.page.locator("#to-newest").tap()
        ann.page.wait_for_function(f"{LEFT} < 30")
        ann.stop()


def edit_box(person):
    return person.page.locator("#chatbot .edit-box textarea")


def begin_edit(person, number=0) -> None:
    # Its label is in the page's language.
    pencils = person.page.locator("#chatbot .user-row + .message-buttons button:last-child")
    pencils.nth(number).click()
    expect(edit_box(person)).to_be_focused()


def test_an_edit_belongs_to_its_session(ann, fast):
    for words in ("the first", "the second"):
        ann.page.click("#new-session")
        expect(ann.chat).to_contain_text("What can I do for you?")
        ann.ask(f"echo: {words}")
        ann.is_answered()
        ann.ask("echo: and more")
        ann.is_answered()
    begin_edit(ann)
    edit_box(ann).fill("echo: not for the other")
    ann.choose("the first")
    expect(edit_box(ann)).to_have_count(0)
    expect(ann.replies.first).to_contain_text("the first")
    # What was typed is found again, where it belongs.
    ann.choose("the second")
    expect(ann.replies.first).to_contain_text("the second")
    begin_edit(ann)
    expect(edit_box(ann)).to_have_value("echo: not for the other")
    # Whatever else changes the session closes the edit.
    ann.page.click("#chatbot button[aria-label=Undo]")
    expect(edit_box(ann)).to_have_count(0)
    begin_edit(ann)
    ann.page.click("#chatbot button[aria-label=Retry]")
    expect(edit_box(ann)).to_have_count(0)
    ann.is_answered()
    begin_edit(ann)
    ann.page.click("#new-session")
    expect(edit_box(ann)).to_have_count(0)


def test_an_edit_is_refused_where_another_tab_has_gone_on(someone):
    one = someone().join()
    one.ask("echo: first")
    one.is_answered()
    two = someone(beside=one).open()
    expect(two.replies.last).to_contain_text("first")
    two.is_answered()
    begin_edit(one)
    edit_box(one).fill("echo: instead")
    two.ask("echo: meanwhile")
    two.is_answered()
    edit_box(one).press("Enter")
    expect(one.toast).to_contain_text("changed in another tab")
    # The page shows what there is by now, and has the words for another try.
    expect(one.replies.last).to_contain_text("meanwhile")
    one.page.click(".toast-close")
    begin_edit(one)
    expect(edit_box(one)).to_have_value("echo: instead")


@pytest.mark.parametrize(
    ("viewport", "locale", "cancel", "send"),
    [(DESKTOP, "en-US", "Cancel", "Send"), (PHONE, "zh-CN", "取消", "发送")],
)
def test_the_box_of_an_edit(someone, viewport, locale, cancel, send):
    ann = someone(viewport=viewport, locale=locale).join()
    source = "echo: a *star*, <b>, $x$ and\n\n    four blanks"
    ann.ask(source)
    ann.is_answered()
    begin_edit(ann)
    box = edit_box(ann)
    expect(box).to_have_value(source)
    column = ann.page.locator("#chatbot .message-wrap").bounding_box()
    assert box.bounding_box()["width"] > column["width"] - 60
    low = box.bounding_box()["height"]
    box.fill("\n".join(["a line"] * 12))
    assert box.bounding_box()["height"] > low + 100
    form = ann.page.locator("#chatbot .edit-box")
    expect(form.get_by_role("button", name=cancel)).to_be_visible()
    expect(form.get_by_role("button", name=send)).to_be_enabled()
    box.fill(" \n")
    expect(form.get_by_role("button", name=send)).to_be_disabled()
    box.press("Enter")
    expect(box).to_be_visible()
    box.press("Escape")
    expect(box).to_have_count(0)
    expect(ann.prompt).to_be_focused()
    begin_edit(ann)
    expect(box).to_have_value(source)
    box.fill("echo: by Enter")
    box.press("Shift+Enter")
    expect(box).to_have_value("echo: by Enter\n")
    box.press("Enter")
    expect(ann.replies.last).to_contain_text("by Enter")
    expect(box).to_have_count(0)


def test_a_search_heeds_every_way_of_typing(someone):
    ann = someone(permissions=["clipboard-read", "clipboard-write"]).join()
    for words in ("鲸鱼 whales", "蚂蚁 ants"):
        ann.page.click("#new-session")
        expect(ann.chat).to_contain_text("What can I do for you?")
        ann.ask(f"echo: {words}")
        ann.is_answered()
    search = ann.page.locator("#search-sessions input")

    def finds(count: int) -> None:
        # The open session is listed in any case.
        ann.page.click("#session-list input")
        expect(ann.page.locator("#session-list [role=option]")).to_have_count(count)
        ann.page.keyboard.press("Escape")

    inspector = ann.page.context.new_cdp_session(ann.page)
    search.focus()
    composing = {"text": "jing yu", "selectionStart": 7, "selectionEnd": 7}
    inspector.send("Input.imeSetComposition", composing)
    inspector.send("Input.insertText", {"text": "鲸鱼"})
    expect(search).to_have_value("鲸鱼")
    finds(2)
    search.focus()
    search.press("End")
    search.press("Backspace")
    search.press("Backspace")
    search.press_sequentially("no such words")
    finds(1)
    ann.page.evaluate("navigator.clipboard.writeText('whales')")
    search.press("Control+a")
    search.press("Control+v")
    expect(search).to_have_value("whales")
    finds(2)
    search.press("Control+a")
    search.press("Control+v")
    search.press_sequentially("x")
    finds(1)
    search.press("Home")
    search.press("Control+Delete")
    expect(search).to_have_value("")
    finds(2)
