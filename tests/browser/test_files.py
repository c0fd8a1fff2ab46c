"""Pictures and PDF files in the page: chosen, pasted, dropped, removed, sent and seen."""

import base64
import re

import pytest
from playwright.sync_api import expect

from tests import uploads
from tests.browser.conftest import arriving
from tests.browser.test_axe import findings
from tests.fake_ark import FakeArk
from tests.server import running_server

READS, READS_NOT = "doubao-seed-2-1-pro-260915", "glm-5-2-260617"
PHONE = {"width": 390, "height": 844}
GIVE = """([name, type, text, extra]) => {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type }));
    for (const [kind, words] of Object.entries(extra)) data.setData(kind, words);
    return data;
}"""


@pytest.fixture(scope="module")
def pictures_ark():
    with FakeArk(pace=0) as ark:
        yield ark


@pytest.fixture(scope="module")
def pictures_server(pictures_ark, tmp_path_factory):
    settings = {
        "TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open", "SENDS_PER_MINUTE": "0",
        "ARK_MODEL": f"{READS}, {READS_NOT}", "MAX_FILE_MB": "2", "USER_DAILY_TOKENS": "0",
        "DAILY_YUAN": "0", "MONTHLY_YUAN": "0",
    }  # fmt: skip
    with running_server(pictures_ark, tmp_path_factory.mktemp("files"), **settings) as server:
        yield server


@pytest.fixture
def come(tabs, pictures_server, request):
    with arriving(tabs, pictures_server, request) as arrive:

        def opened(**options):
            person = arrive(**options).join()
            expect(person.page.locator("#file-add")).to_be_visible()
            return person

        yield opened


@pytest.fixture
def ann(come):
    return come()


def choose(person, *files):
    given = [{"name": name, "mimeType": type, "buffer": data} for name, type, data in files]
    with person.page.expect_file_chooser() as chooser:
        person.page.click("#file-add")
    chooser.value.set_files(given)


def given(person, name, type, data, **extra):
    text = base64.b64encode(data).decode()
    return person.page.evaluate_handle(GIVE, [name, type, text, extra])


def paste(person, *file, **extra):
    """Returns whether the page took it, instead of the browser."""
    data = given(person, *file, **extra)
    return not person.page.evaluate(
        """(data) => document.querySelector("#prompt textarea").dispatchEvent(
            new ClipboardEvent("paste", {
                clipboardData: data, bubbles: true, cancelable: true,
            }))""",
        data,
    )


def drag(person, kind, data, onto="#chatbot"):
    person.page.dispatch_event(onto, kind, {"dataTransfer": data})


def chips(person):
    return person.page.locator("#file-chips li")


def added(person, many=1):
    expect(chips(person)).to_have_count(many)
    expect(person.page.locator("#file-chips [aria-busy]")).to_have_count(0)


def notice(person):
    return person.page.locator("#notice")


def loaded(picture):
    expect(picture).to_be_visible()
    picture.evaluate("(one) => one.decode()")
    return picture.evaluate("(one) => one.naturalWidth")


PHOTO = ("sea.jpg", "image/jpeg", uploads.photo())
PAPER = ("plan.pdf", "application/pdf", uploads.pdf(3))


def newest_request(ark):
    return [one for one in ark.requests if one.path.endswith("/responses")][-1].body


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, PHONE], ids=["wide", "phone"])
def test_a_picture_is_chosen_sent_and_seen(come, pictures_ark, viewport):
    ann = come(viewport=viewport)
    choose(ann, PHOTO, PAPER)
    added(ann, 2)
    expect(chips(ann).nth(0)).to_contain_text("sea.jpg")
    expect(chips(ann).nth(1)).to_contain_text("3 pages")
    assert loaded(chips(ann).nth(0).locator("img")) == 400
    ann.ask("What is on it?")
    ann.is_answered()
    expect(chips(ann)).to_have_count(0)
    shown = ann.chat.locator(".user-row .files img")
    assert loaded(shown) == 400
    box = shown.bounding_box()
    assert box["height"] <= 240
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    expect(ann.chat.locator(".user-row .pdf")).to_contain_text("plan.pdf")
    width = ann.page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    sent = str(newest_request(pictures_ark))
    assert "data:image/jpeg;base64," in sent
    assert "data:application/pdf;base64," in sent
    with ann.page.context.expect_page() as tab:
        shown.click()
    tab.value.wait_for_load_state()
    assert tab.value.url.count("/gradio_api/chatbot/files/") == 1
    assert tab.value.evaluate("document.querySelector('img').naturalWidth") == 400
    tab.value.close()
    ann.page.reload()
    assert loaded(ann.chat.locator(".user-row .files img")) == 400


def test_a_picture_alone_is_a_question(ann):
    choose(ann, PHOTO)
    added(ann)
    expect(ann.prompt).to_be_focused()
    ann.asked_after = ann.last_reply()
    ann.prompt.press("Enter")
    ann.is_answered()
    expect(ann.chat.locator(".user-row .files img")).to_have_count(1)
    expect(chips(ann)).to_have_count(0)


def test_a_pasted_picture_is_added_and_pasted_text_stays_text(ann):
    assert paste(ann, *PHOTO)
    added(ann)
    assert paste(ann, *PHOTO, **{"text/html": "<img src='x'>"}), "copied from a page"
    added(ann, 2)
    assert paste(ann, *PHOTO, **{"text/plain": "/home/ann/sea.jpg"}), "copied from a folder"
    added(ann, 3)
    assert not paste(ann, *PHOTO, **{"text/plain": "A1\tB1"}), "cells of a table"
    added(ann, 3)


def test_a_picture_is_dropped_where_the_page_says_so(ann):
    data = given(ann, *PHOTO)
    place = ann.page.locator("#conversation")
    drag(ann, "dragover", data)
    expect(place).to_have_attribute("data-drop", "Drop pictures or PDF files here")
    drag(ann, "drop", data)
    added(ann)
    expect(place).not_to_have_attribute("data-drop", re.compile(""))
    drag(ann, "drop", given(ann, *PHOTO), "#sidebar")
    added(ann)
    drag(ann, "dragover", data)
    expect(place).not_to_have_attribute("data-drop", re.compile(""))


def test_a_file_is_removed_again(ann, pictures_server):
    choose(ann, PHOTO, PAPER)
    added(ann, 2)
    with ann.page.expect_response(lambda one: one.request.method == "DELETE") as removed:
        ann.page.get_by_role("button", name="Remove sea.jpg").click()
    assert removed.value.ok
    added(ann, 1)
    expect(chips(ann)).to_contain_text("plan.pdf")
    ann.ask("Read this")
    ann.is_answered()
    expect(ann.chat.locator(".files img")).to_have_count(0)
    expect(ann.chat.locator(".files .pdf")).to_have_count(1)


def test_a_bad_file_is_told_and_the_text_stays(ann):
    ann.prompt.fill("What is this?")
    choose(ann, ("logo.png", "image/png", uploads.SVG))
    expect(notice(ann)).to_have_text("logo.png: This file cannot be read as a picture or a PDF.")
    expect(chips(ann)).to_have_count(0)
    expect(ann.prompt).to_have_value("What is this?")
    choose(ann, ("large.pdf", "application/pdf", b"%PDF-" + b"\0" * (2 * 1024 * 1024)))
    expect(notice(ann)).to_have_text("large.pdf is too large.")
    expect(ann.prompt).to_have_value("What is this?")


def test_too_many_files_are_told(ann):
    choose(ann, *[PHOTO] * 5)
    expect(notice(ann)).to_have_text("A message can have 4 pictures or files at most.")
    added(ann, 4)


def test_a_large_photo_is_made_smaller_before_it_is_sent(ann, pictures_ark):
    photo = uploads.large_photo(4000, 3000)
    assert len(photo) > 2 * 1024 * 1024, "more than the server takes"
    choose(ann, ("big.jpg", "image/jpeg", photo))
    added(ann)
    assert loaded(chips(ann).locator("img")) == 1600
    ann.ask("What is on it?")
    ann.is_answered()
    assert loaded(ann.chat.locator(".files img")) == 1600


def test_a_question_waits_for_its_files(ann):
    held = []
    ann.page.route("**/chatbot/files", lambda route: held.append(route))
    choose(ann, PHOTO)
    expect(chips(ann)).to_have_attribute("aria-busy", "true")
    expect(chips(ann)).to_contain_text("Adding sea.jpg…")
    ann.prompt.fill("What is this?")
    ann.prompt.press("Enter")
    expect(notice(ann)).to_have_text("Wait until all files are added.")
    expect(ann.prompt).to_have_value("What is this?")
    expect(ann.replies).to_have_count(0)
    held[0].continue_()
    added(ann)
    ann.ask("What is this?")
    ann.is_answered()
    expect(ann.chat.locator(".files img")).to_have_count(1)


def test_a_model_without_pictures_gets_none(ann):
    choose(ann, PHOTO)
    added(ann)
    ann.page.select_option("#model-choice", READS_NOT)
    expect(ann.page.locator("#file-add")).to_be_hidden()
    ann.prompt.fill("What is this?")
    ann.prompt.press("Enter")
    told = "This model cannot read this kind of file. Choose another model."
    expect(notice(ann)).to_have_text(told)
    added(ann)
    expect(ann.prompt).to_have_value("What is this?")
    expect(ann.replies).to_have_count(0)
    ann.page.select_option("#model-choice", READS)
    ann.ask("What is this?")
    ann.is_answered()
    expect(ann.chat.locator(".files img")).to_have_count(1)


def test_a_refused_question_keeps_its_files(ann):
    choose(ann, PHOTO)
    added(ann)
    ann.prompt.fill("x" * 20_001)
    ann.prompt.press("Enter")
    expect(ann.toast).to_be_visible()
    added(ann)
    ann.ask("What is this?")
    ann.is_answered()
    expect(ann.chat.locator(".files img")).to_have_count(1)


def test_files_stay_with_their_session(ann):
    ann.ask("echo: first")
    ann.is_answered()
    choose(ann, PHOTO)
    added(ann)
    ann.start()
    expect(chips(ann)).to_have_count(0)
    ann.choose("echo: first")
    added(ann)


def test_an_edited_and_a_repeated_question_keep_their_files(ann, pictures_ark):
    choose(ann, PHOTO)
    added(ann)
    ann.ask("What is this?")
    ann.is_answered()
    ann.asked_after = ann.last_reply()
    ann.page.locator("#chatbot .user-row + .message-buttons button").last.click()
    ann.page.locator(".edit-box textarea").fill("And what is that?")
    ann.page.locator(".edit-box textarea").press("Enter")
    ann.is_answered()
    expect(ann.chat.locator(".user-row")).to_contain_text("And what is that?")
    assert loaded(ann.chat.locator(".files img")) == 400
    assert "data:image/jpeg" in str(newest_request(pictures_ark))


def test_a_picture_comes_also_below_a_path_without_a_slash(ann):
    choose(ann, PHOTO)
    added(ann)
    ann.ask("What is this?")
    ann.is_answered()
    shown = ann.chat.locator(".files img")
    loaded(shown)
    shown.evaluate("(one) => { one.src = `nowhere/${one.getAttribute('src')}`; }")
    expect(shown).to_have_attribute("src", re.compile(r"^/gradio_api/chatbot/files/[0-9a-f-]{36}$"))
    assert loaded(shown) == 400


def test_files_can_be_reached_by_everybody(come):
    """With axe-core: names, roles and contrast of what waits and of what was sent."""
    ann = come(reduced_motion="reduce")
    choose(ann, PHOTO, PAPER)
    added(ann, 2)
    for name in ("sea.jpg", "plan.pdf"):
        expect(ann.page.get_by_role("button", name=f"Remove {name}")).to_be_visible()
    expect(ann.page.get_by_role("list", name="Files of your question")).to_be_visible()
    assert findings(ann) == []
    ann.ask("What is on these?")
    ann.is_answered()
    expect(ann.page.get_by_role("img", name="sea.jpg")).to_be_visible()
    assert findings(ann) == []
