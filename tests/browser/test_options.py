"""The controls below the prompt: which model answers, thinking, web search, the answer settings."""

import sqlite3

import pytest
from playwright.sync_api import expect

from tests import uploads
from tests.server import running_server

LITE, PRO = "doubao-seed-2-1-lite-260915", "doubao-seed-2-1-pro-260915"
OLD = "ep-old=doubao-1-5-pro-32k-250115"
NEWS = "What is the news today?"
PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def offering(shared_ark, tmp_path_factory):
    """A server that offers several models."""
    settings = {
        "ARK_MODEL": f"{LITE}, {PRO}, {OLD}", "TRUSTED_PROXIES": "127.0.0.1",
        "REGISTRATION": "open",
    }  # fmt: skip
    with running_server(shared_ark, tmp_path_factory.mktemp("options"), **settings) as running:
        yield running


@pytest.fixture
def server(offering):
    return offering


@pytest.fixture
def bob(someone, ark):
    ark.states.clear()
    person = someone().join()
    expect(model(person)).to_have_value(LITE)
    yield person
    ark.states.clear()


def model(person):
    return person.page.locator("#model-choice")


def thinking(person):
    return person.page.locator("#thinking-choice")


def search(person):
    return person.page.locator("#search-choice")


@pytest.mark.parametrize("viewport", [None, PHONE])
def test_what_is_chosen_holds_for_the_next_question(bob, ark, viewport):
    if viewport:
        bob.page.set_viewport_size(viewport)
    model(bob).select_option(PRO)
    thinking(bob).select_option("high")
    search(bob).click()
    # At once: the question must not overtake the choice.
    bob.ask(NEWS)
    # Open while it thinks, closed after, with seconds. Looked at in each frame: it passes quickly.
    said = "document.querySelector('#chatbot').innerText"
    bob.page.wait_for_function(f"{said}.includes('Thinking') && {said}.includes('I will search')")
    bob.page.wait_for_function(f"{said}.includes('Searching the web: What is the news')")
    bob.is_answered()
    expect(bob.chat).to_contain_text("Thought for")
    sources = bob.chat.locator(".sources a")
    expect(sources).to_have_count(3)
    for link in sources.all():
        assert link.get_attribute("href").startswith("https://")
        assert "noopener" in link.get_attribute("rel")
    expect(bob.replies.last).to_contain_text("Doubao Seed 2.1 Pro")
    body = [request.body for request in ark.requests if request.method == "POST"][-1]
    assert (body["model"], body["reasoning"]) == (PRO, {"effort": "high"})
    # It is kept, here and for new sessions.
    bob.page.reload()
    expect(model(bob)).to_have_value(PRO)
    expect(thinking(bob)).to_have_value("high")
    expect(search(bob)).to_have_attribute("aria-pressed", "true")
    expect(bob.chat.locator(".sources a")).to_have_count(3)
    bob.start()
    expect(model(bob)).to_have_value(PRO)
    # Each session has its own.
    model(bob).select_option(OLD)
    expect(thinking(bob)).to_be_hidden()
    expect(search(bob)).to_be_hidden()
    bob.ask("echo: from the old one").is_answered()
    if not viewport:
        bob.choose(NEWS)
        expect(model(bob)).to_have_value(PRO)
        expect(thinking(bob)).to_be_visible()


def test_sessions_with_the_same_choices_keep_their_own(bob):
    bob.ask("echo: one").is_answered()
    bob.start()
    bob.ask("echo: two").is_answered()
    model(bob).select_option(PRO)
    bob.choose("echo: one")
    expect(model(bob)).to_have_value(LITE)
    bob.choose("echo: two")
    expect(model(bob)).to_have_value(PRO)


def test_another_model_in_mid_session_is_told_in_a_quiet_line(bob):
    bob.ask("my name is Ada").is_answered()
    model(bob).select_option(PRO)
    bob.ask("what is my name?").is_answered()
    expect(bob.replies.last).to_contain_text("Ada")
    expect(bob.replies.last.locator(".caption")).to_contain_text("Another model has answered")


def test_a_model_that_is_not_opened_offers_the_next_one(bob, ark):
    ark.states[LITE] = "not_opened"
    bob.ask("echo: hello there")
    expect(bob.replies.last).to_contain_text("Model activation")
    bob.is_answered()
    expect(bob.prompt).to_have_value("echo: hello there")
    bob.asked_after = bob.last_reply()
    bob.chat.get_by_role("button", name="Ask Doubao Seed 2.1 Pro instead").dblclick()
    bob.is_answered()
    assert bob.toast.count() == 0
    expect(bob.replies.last).to_contain_text("hello there")
    expect(model(bob)).to_have_value(PRO)


def test_a_reply_that_only_thought_offers_what_helps(bob):
    thinking(bob).select_option("high")
    settings(bob, max_tokens="5")
    bob.ask("echo: an answer at last").is_answered()
    expect(bob.replies.last).to_contain_text("went into its thoughts")
    expect(bob.chat.get_by_role("button", name="Allow 10 tokens")).to_be_visible()
    settings(bob, max_tokens="")
    bob.asked_after = bob.last_reply()
    bob.chat.get_by_role("button", name="Answer without thinking").click()
    bob.is_answered()
    expect(bob.replies.last).to_contain_text("an answer at last")
    expect(thinking(bob)).to_have_value("off")


def settings(person, **values):
    person.page.click("#parameters-open")
    form = person.page.locator("#parameters-form")
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


def test_the_answer_settings_are_saved_and_reset(bob, ark):
    settings(bob, temperature="0.3", instructions="Answer in <b>rhymes</b>.")
    bob.ask("recall").is_answered()
    expect(bob.replies.last).to_contain_text('语言回答。\\n\\nAnswer in <b>rhymes</b>."]')
    assert ark.requests[-1].body["temperature"] == 0.3
    bob.page.reload()
    bob.page.click("#parameters-open")
    form = bob.page.locator("#parameters-form")
    expect(form.locator("[name=temperature]")).to_have_value("0.3")
    expect(form.locator("[name=instructions]")).to_have_value("Answer in <b>rhymes</b>.")
    form.get_by_role("button", name="Reset to default").click()
    bob.page.click("#parameters-open")
    expect(form.locator("[name=temperature]")).to_have_value("")
    # Too high: the browser says so, and nothing is sent.
    form.locator("[name=temperature]").fill("9")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_visible()
    bob.page.keyboard.press("Escape")
    expect(form).to_be_hidden()
    bob.ask("recall").is_answered()
    assert ark.requests[-1].body.get("temperature") is None
    system = '[["system", "你是豆包，一个乐于助人的 AI 助手。请用用户使用的语言回答。"]'
    expect(bob.replies.last).to_contain_text(system)


def test_choices_that_cannot_be_saved_are_told_and_taken_back(bob):
    bob.page.route("**/chatbot/options", lambda route: route.abort())
    model(bob).select_option(PRO)
    search(bob).click()
    expect(bob.page.locator("#notice")).to_contain_text("cannot be reached")
    expect(model(bob)).to_have_value(LITE)
    expect(search(bob)).to_have_attribute("aria-pressed", "false")


def test_the_picker_shows_who_answered_after_a_button(bob, ark):
    model(bob).select_option(PRO)
    ark.states[PRO] = "not_opened"
    bob.ask("echo: hello there").is_answered()
    bob.asked_after = bob.last_reply()
    bob.chat.get_by_role("button", name="Ask Doubao Seed 2.1 Lite instead").click()
    bob.is_answered()
    expect(model(bob)).to_have_value(LITE)


def test_settings_that_are_open_close_with_their_session(bob):
    bob.ask("echo: one").is_answered()
    bob.start()
    bob.ask("echo: two").is_answered()
    bob.page.click("#parameters-open")
    form = bob.page.locator("#parameters-form")
    form.locator("[name=instructions]").fill("for the second one")
    bob.page.go_back()
    expect(form).to_be_hidden()


def test_all_controls_fit_into_a_phone(bob):
    thinking(bob).select_option("medium")
    bar = bob.page.locator("#options .options")
    controls = ("file-add", "model-choice", "thinking-choice", "search-choice", "parameters-open")
    for width in (390, 360, 320):
        bob.page.set_viewport_size({"width": width, "height": 700})
        for name in controls:
            expect(bob.page.locator(f"#{name}")).to_be_in_viewport(ratio=1)
        assert bar.evaluate("(one) => one.scrollWidth <= one.clientWidth"), width


def test_a_question_that_fails_comes_back_with_its_picture(bob, ark, tmp_path):
    ark.states[LITE] = "not_opened"
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(uploads.photo())
    bob.page.set_input_files("#file-input", photo)
    chips = bob.page.locator("#file-chips li:not([aria-busy])")
    expect(chips).to_have_count(1)
    bob.ask("What is this?").is_answered()
    expect(bob.prompt).to_have_value("What is this?")
    expect(chips).to_have_count(1)
    ark.states.clear()
    bob.asked_after = bob.last_reply()
    bob.prompt.press("Enter")
    bob.is_answered()
    expect(bob.replies.last).to_contain_text("JPEG")
    expect(chips).to_have_count(0)
    # Taken back: the words and the picture.
    bob.chat.get_by_role("button", name="Undo").click()
    expect(bob.prompt).to_have_value("What is this?")
    expect(chips).to_have_count(1)


def test_an_admin_switches_a_model_off_for_all(bob, someone, server):
    model(bob).select_option(PRO)
    bob.ask("echo: by the strong one").is_answered()
    root = someone().join()
    with sqlite3.connect(server.folder / "chat.db", timeout=20) as database:
        database.execute("update user set is_admin = 1 where name = ?", (root.name,))
    root.page.reload()
    root.page.click("#admin-open")
    root.page.get_by_role("tab", name="Models").click()
    row = root.page.locator("#admin-models tr").filter(has_text="Doubao Seed 2.1 Pro")
    expect(row).to_contain_text("30")
    row.get_by_role("button").click()
    row.get_by_role("button", name="Switch off").click()
    expect(row).to_contain_text("off for all")
    bob.page.reload()
    expect(model(bob)).to_have_value(LITE)
    expect(model(bob).locator("option")).to_have_count(2)
    # What it has said is still told as its own.
    expect(bob.replies.first).to_contain_text("Doubao Seed 2.1 Pro")
    row.get_by_role("button", name="Switch on").click()
    expect(row).not_to_contain_text("off for all")
    bob.page.reload()
    expect(model(bob)).to_have_value(PRO)
