"""Changes of history in the page: regenerate, edit, undo, continue, and what stays reachable."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.fake_ark import Fault


def options(person):
    return person.page.locator("#chatbot button.option")


def pagers(person):
    """The captions of the messages that have other versions."""
    return person.page.locator("#chatbot small.caption").filter(has_text=re.compile(r"\d/\d"))


def turn_back(person, number=0) -> None:
    pagers(person).nth(number).get_by_role("link", name="‹").click()


def test_a_reply_is_regenerated_and_both_versions_can_be_seen(ann, ark):
    ark.fail_next(Fault.length(after=4))
    ann.ask("count 30")
    expect(ann.replies.last).to_contain_text("Cut off")
    ann.is_answered()
    first = ann.replies.last.inner_text().splitlines()[0]
    ann.page.locator("#chatbot button[aria-label=Retry]").dblclick()
    expect(ann.replies.last).to_contain_text("29 30")
    expect(pagers(ann)).to_contain_text(["‹ 2/2 ›"])
    # Not with `expect`: it waits until the message has gone.
    assert ann.toast.count() == 0
    turn_back(ann)
    expect(ann.replies.last).to_contain_text("Cut off")
    assert ann.replies.last.inner_text().splitlines()[0] == first
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("Cut off")
    expect(options(ann)).to_have_text(["Continue"])
    expect(pagers(ann)).to_contain_text(["‹ 1/2 ›"])


def test_an_edited_question_keeps_the_old_branch(ann):
    ann.ask("echo: the first way")
    ann.is_answered()
    ann.ask("echo: and further")
    ann.is_answered()
    ann.page.locator("#chatbot button[aria-label=Edit]").first.click()
    box = ann.page.locator("#chatbot textarea")
    expect(box).to_have_value("echo: the first way")
    box.fill("echo: another way")
    ann.page.locator("#chatbot .edit-box").get_by_role("button", name="Send").click()
    expect(ann.replies.last).to_contain_text("another way")
    expect(ann.chat).not_to_contain_text("and further")
    expect(pagers(ann)).to_contain_text(["‹ 2/2 ›"])
    turn_back(ann)
    expect(ann.replies.last).to_contain_text("and further")
    # The model knows the branch that is seen, and no other.
    ann.ask("what did I say first?")
    expect(ann.replies.last).to_contain_text("the first way")


def test_undo_gives_the_question_back(ann):
    ann.ask("echo: keep me")
    ann.is_answered()
    ann.ask("echo: take me back")
    ann.is_answered()
    ann.page.click("#chatbot button[aria-label=Undo]")
    expect(ann.chat).not_to_contain_text("take me back")
    expect(ann.prompt).to_have_value("echo: take me back")
    ann.prompt.fill("what did I say last?")
    ann.prompt.press("Enter")
    expect(ann.replies.last).to_contain_text("keep me")


def test_a_stopped_reply_is_continued(ann):
    ann.ask("count 120")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.stop()
    expect(ann.replies.last).to_contain_text("Stopped")
    options(ann).filter(has_text="Continue").click()
    expect(ann.page.locator("#prompt .stop-button")).to_be_visible()
    expect(ann.replies.last).to_contain_text("119 120")
    expect(ann.replies.last).not_to_contain_text("Stopped")
    words = ann.replies.last.inner_text().split()
    assert words[:120] == [str(number) for number in range(1, 121)]


def test_a_change_in_another_tab_is_shown_not_overwritten(someone):
    one = someone().join()
    one.ask("echo: first")
    one.is_answered()
    two = someone(beside=one).open()
    expect(two.replies.last).to_contain_text("first")
    two.ask("echo: second")
    two.is_answered()
    one.page.click("#chatbot button[aria-label=Undo]")
    expect(one.toast).to_contain_text("changed in another tab")
    two.page.reload()
    expect(two.replies.last).to_contain_text("second")


def test_a_session_is_exported_as_a_file(ann):
    ann.ask("echo: worth keeping")
    ann.is_answered()
    with ann.page.expect_download() as download:
        ann.page.click("#export-session")
    assert download.value.suggested_filename == "echo worth keeping.md"
    text = Path(download.value.path()).read_text()
    assert "## You" in text
    assert text.count("worth keeping") == 3
