"""What a person does with the app, from the first look to the next day."""

import re
import signal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, SECONDS
from tests.fake_ark import Fault
from tests.server import running_server


def test_register_ask_reload_log_out_and_come_back(someone, ark):
    ann = someone().open()
    ann.is_out()

    # Bad input is told in the page, and nothing is half done.
    ann.register("x")
    expect(ann.error).to_contain_text("2 to 32")
    ann.register(password="short")
    expect(ann.error).to_contain_text("8 to 128")
    ann.register("bad\u0007name")
    expect(ann.error).to_contain_text("2 to 32")
    ann.is_out()

    ann.register()
    ann.is_in()
    expect(ann.page.locator("#account-name")).to_have_text(ann.name)
    expect(ann.chat).to_contain_text("What can I do for you?")

    ann.ask("echo: Hello, **bold** world")
    expect(ann.replies.first).to_contain_text("Hello, bold world")
    expect(ann.replies.first.locator("strong")).to_have_text("bold")
    ann.is_answered()
    expect(ann.prompt).to_have_value("")
    expect(ann.page.locator("#usage-line")).to_contain_text(re.compile(r"\d+ tokens in"))
    expect(ann.session).to_have_value(re.compile(r"^echo: Hello, \*\*bold\*\* world"))

    ann.page.reload()
    ann.is_in()
    expect(ann.replies.first).to_contain_text("Hello, bold world")

    login = f"chatbot_login_{urlsplit(ann.url).port}"
    token = next(c for c in ann.page.context.cookies() if c["name"] == login)["value"]
    assert ann.page.evaluate("document.cookie").find(token) < 0
    assert ann.page.evaluate("Object.keys(localStorage).length") == 0
    ann.page.click("#logout")
    ann.is_out()
    expect(ann.page.get_by_text("Hello, bold world")).to_have_count(0)
    cookies = {login: token}
    me = httpx.get(f"{ann.url}gradio_api/chatbot/me", cookies=cookies).json()
    assert me == {"user": None}, "the old cookie is dead"

    ann.log_in(password="not the password")
    expect(ann.error).to_contain_text("Name or password is wrong")
    ann.register()
    expect(ann.error).to_contain_text("taken")
    ann.log_in()
    ann.is_in()
    expect(ann.replies.first).to_contain_text("Hello, bold world")
    # The model still knows.
    ann.ask("what did I say first?")
    expect(ann.replies.last).to_contain_text("echo: Hello")


def test_the_words_appear_as_they_come(ann, ark):
    ark.fail_next(Fault.silence(after=5))
    ann.ask("count 40")
    expect(ann.replies.last).to_contain_text("1 2 3")
    expect(ann.page.locator("#prompt .stop-button")).to_be_visible()
    expect(ann.page.locator("#prompt .submit-button")).to_be_hidden()
    labels = ("Edit", "Retry", "Undo")
    acts = [ann.page.locator(f"#chatbot button[aria-label={label}]") for label in labels]
    for act in acts:
        expect(act).to_have_count(1)
        expect(act).to_be_hidden()
    # What is typed while the reply runs stays.
    ann.prompt.fill("next question")
    ann.stop()
    ann.is_answered()
    expect(ann.replies.last).to_contain_text("Stopped")
    expect(ann.prompt).to_have_value("next question")
    for act in acts:
        expect(act).to_be_visible()


def test_markdown_code_formulas_and_tables_are_rendered(ann, fast):
    ann.ask("show me some code")
    ann.is_answered()
    code = ann.replies.last.locator("pre code")
    expect(code.first).to_be_visible()
    assert "\n    " in code.first.inner_text(), "indentation is kept"
    expect(ann.replies.last.locator(".copy_code_button").first).to_be_visible()
    ann.ask("a formula please")
    ann.is_answered()
    expect(ann.replies.last.locator(".katex")).to_have_count(3)
    expect(ann.replies.last.locator(".katex-display")).to_have_count(2)
    expect(ann.replies.last).to_contain_text("It costs $5 to print this")
    ann.ask("a table please")
    expect(ann.replies.last.locator("table")).to_be_visible()
    ann.is_answered()
    ann.ask("think")
    expect(ann.page.locator("#chatbot").get_by_text("Thought for")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_button_covers_a_caption(someone, locale):
    ann = someone(locale=locale).join()
    for number in (1, 2):
        ann.ask(f"echo: number {number}")
        ann.is_answered()
    captions = ann.page.locator("#chatbot small.caption")
    expect(captions).to_have_count(2)
    for caption in captions.all():
        # Fails if something else would take the click.
        caption.click(trial=True, position={"x": 3, "y": 6})


def test_a_copied_message_has_no_caption(ann):
    ann.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ann.ask("echo: only this")
    ann.is_answered()
    ann.page.locator("#chatbot button[aria-label='Copy message']").last.click()
    # The page asks the server for the stored text first.
    ann.page.wait_for_function(
        "async () => (await navigator.clipboard.readText()) === 'only this'", timeout=SECONDS
    )


def test_a_new_session_has_its_title_while_the_answer_is_written(ann):
    ann.ask("count 3000")
    expect(ann.session).to_have_value(re.compile("^● count 3000"))
    ann.stop()
    expect(ann.session).to_have_value(re.compile("^count 3000"))


def test_a_reload_in_mid_answer_sees_it_go_on(ann):
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3 4 5")
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("1 2 3 4 5")
    ann.sees_growth()
    ann.stop()
    ann.is_answered()
    expect(ann.replies.last).to_contain_text("Stopped")


def test_what_is_being_typed_survives_a_reload(ann, fast):
    ann.prompt.press_sequentially("half a thought")
    ann.page.reload()
    ann.is_in()
    expect(ann.prompt).to_have_value("half a thought")
    ann.prompt.press("Enter")
    ann.is_answered()
    ann.page.reload()
    ann.is_in()
    expect(ann.prompt).to_have_value("")


def test_a_server_that_dies_and_comes_back_loses_nothing(someone, ark, tmp_path):
    with running_server(ark, tmp_path) as server:
        ann = someone(server.url).join()
        ann.ask("my name is Annabel")
        ann.is_answered()
        ann.ask("count 3000")
        expect(ann.replies.last).to_contain_text("1 2 3")
        port = server.port
        server.end(signal.SIGKILL)
        # Gradio notices by the event that broke off, looks for the server and then reloads.
        expect(ann.toast).to_contain_text("lost")
        ann.prompt.press_sequentially("what is my name?")
        server.start(port)
        expect(ann.toast).to_have_count(0)
        expect(ann.prompt).to_have_value("what is my name?")
        ann.is_answered()
        ann.prompt.press("Enter")
        expect(ann.replies.last).to_contain_text("Annabel")
        ann.is_answered()


def test_a_page_goes_on_after_the_server_was_restarted(someone, ark, tmp_path):
    with running_server(ark, tmp_path) as server:
        ann = someone(server.url).join()
        port = server.port
        ann.ask("count 3000")
        expect(ann.replies.last).to_contain_text("1 2 3")
        assert server.end(signal.SIGTERM) == 0
        expect(ann.replies.last).to_contain_text("restarted")
        server.start(port)
        # An event that came just too late has told the page, which has loaded itself again.
        expect(ann.toast).to_have_count(0)
        ann.is_answered()
        for words in ("still here", "and again"):
            ann.ask(f"echo: {words}")
            expect(ann.replies.last).to_contain_text(words)
            ann.is_answered()
            assert server.end(signal.SIGTERM) == 0
            server.start(port)
            expect(ann.toast).to_have_count(0)
        ann.ask("echo: for good")
        expect(ann.replies.last).to_contain_text("for good")


def test_a_closed_tab_finds_the_answer_complete(someone):
    ann = someone().join()
    ann.ask("count 60")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.page.close()
    again = someone(beside=ann).open()
    expect(again.replies.last).to_contain_text("59 60")
    again.is_answered()


def test_two_tabs_show_the_same_growing_reply_and_either_stops_it(someone):
    one = someone().join()
    one.ask("count 3000")
    expect(one.replies.last).to_contain_text("1 2 3")
    two = someone(beside=one).open()
    expect(two.replies.last).to_contain_text("1 2 3")
    two.sees_growth()
    two.stop()
    two.is_answered()
    one.is_answered()
    assert one.replies.last.inner_text() == two.replies.last.inner_text()


def test_sessions_are_switched_without_mixing(ann):
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.page.click("#new-session")
    expect(ann.chat).to_contain_text("What can I do for you?")
    ann.ask("echo: the other one")
    expect(ann.replies.last).to_contain_text("the other one")
    ann.is_answered()
    expect(ann.chat).not_to_contain_text("1 2 3")
    ann.choose("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    expect(ann.chat).not_to_contain_text("the other one")
    ann.sees_growth()
    ann.choose("the other one")
    expect(ann.replies.last).to_contain_text("the other one")
    expect(ann.chat).not_to_contain_text("1 2 3")
    ann.page.reload()
    expect(ann.replies.last).to_contain_text("the other one")
    ann.choose("count 3000")
    ann.stop()
    ann.is_answered()


def test_an_unused_session_is_used_again(someone):
    ann = someone().join()
    for _ in range(3):
        ann.page.click("#new-session")
    ann.page.click("#session-list input")
    expect(ann.page.locator("#session-list [role=option]")).to_have_count(1)


def test_a_session_is_renamed_searched_and_deleted(ann):
    ann.ask("echo: about whales")
    ann.is_answered()
    ann.page.click("#rename-session")
    ann.fill("rename-title", "Big animals")
    ann.page.click("#rename-save")
    expect(ann.session).to_have_value(re.compile("^Big animals"))
    expect(ann.page.locator("#rename-row")).to_be_hidden()
    ann.page.click("#new-session")
    expect(ann.chat).to_contain_text("What can I do for you?")
    ann.ask("echo: about ants")
    ann.is_answered()

    ann.fill("search-sessions", "whales")
    ann.page.click("#session-list input")
    expect(
        ann.page.locator("#session-list [role=option]").filter(has_text="Big animals")
    ).to_be_visible()
    ann.page.keyboard.press("Escape")
    ann.fill("search-sessions", "")

    ann.choose("Big animals")
    expect(ann.replies.last).to_contain_text("whales")
    ann.page.click("#delete-session")
    expect(ann.page.locator("#delete-question")).to_contain_text("Big animals")
    ann.page.click("#delete-cancel")
    expect(ann.page.locator("#delete-row")).to_be_hidden()
    ann.page.click("#delete-session")
    ann.page.click("#delete-confirm")
    expect(ann.replies.last).to_contain_text("ants")
    expect(ann.page.get_by_text("whales")).to_have_count(0)


def test_the_end_of_a_reply_leaves_a_newer_search_alone(someone):
    ann = someone().join()
    for words in ("about whales", "about ants"):
        ann.ask(f"echo: {words}")
        ann.is_answered()
        ann.page.click("#new-session")
        expect(ann.chat).to_contain_text("What can I do for you?")
    ann.ask("count 3000")
    expect(ann.replies.last).to_contain_text("1 2 3")
    ann.page.locator("#search-sessions input").press_sequentially("whales")
    ann.page.click("#session-list input")
    expect(ann.page.locator("#session-list [role=option]")).to_have_count(2)
    ann.page.keyboard.press("Escape")
    ann.stop()
    ann.is_answered()
    ann.page.click("#session-list input")
    expect(ann.page.locator("#session-list [role=option]")).to_have_count(2)


def test_two_people_never_see_each_other(someone):
    ann, bob = someone().join(), someone().join()
    ann.ask("echo: Ann's secret")
    bob.ask("echo: Bob's secret")
    ann.is_answered()
    bob.is_answered()
    for person, own, other in ((ann, "Ann", "Bob"), (bob, "Bob", "Ann")):
        expect(person.replies.first).to_contain_text(f"{own}'s secret")
        person.page.reload()
        expect(person.replies.first).to_contain_text(f"{own}'s secret")
        expect(person.page.get_by_text(f"{other}'s secret")).to_have_count(0)


def test_a_session_deleted_in_another_tab_keeps_what_was_typed(someone):
    one = someone().join()
    one.ask("echo: first")
    one.is_answered()
    two = someone(beside=one).open()
    expect(two.replies.last).to_contain_text("first")
    two.page.click("#delete-session")
    two.page.click("#delete-confirm")
    expect(two.chat).to_contain_text("What can I do for you?")
    one.ask("my precious words")
    expect(one.toast).to_contain_text("does not exist any more")
    expect(one.prompt).to_have_value("my precious words")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.http(401, "AuthenticationError"), "ARK_API_KEY"),
        (Fault.http(404, "InvalidEndpointOrModel.NotFound"), "ARK_MODEL"),
        (Fault.http(403, "AccountOverdueError"), "overdue"),
        (Fault.http(400, "InputTextSensitiveContentDetected"), "content check"),
        (Fault.http(429, "QuotaExceeded"), "quota"),
        (Fault.http(404, "ModelNotOpen"), "ep-test is not opened"),
        (Fault.http(429, "SetLimitExceeded"), "安心体验模式"),
    ],
)
def test_a_refusal_of_ark_is_shown_and_the_text_comes_back(ann, ark, fault, told):
    ark.fail_next(fault.on("responses"))
    ann.ask("a question that took long to type")
    expect(ann.replies.last).to_contain_text(told)
    ann.is_answered()
    expect(ann.prompt).to_have_value("a question that took long to type")
    ann.prompt.press("Enter")
    expect(ann.replies.last).to_contain_text("offline")
    expect(
        ann.page.locator("#chatbot [data-testid=user]").filter(has_text="question")
    ).to_have_count(1)


def test_a_reply_cut_off_by_the_provider_keeps_its_text(ann, ark):
    ark.fail_next(Fault.drop(after=6))
    ann.ask("count 50")
    expect(ann.replies.last).to_contain_text("Interrupted")
    expect(ann.replies.first).to_contain_text("1 2 3")
    ark.fail_next(Fault.content_filter(after=6))
    ann.ask("count 60")
    expect(ann.replies.last).to_contain_text("content check")


def test_empty_and_enormous_messages(ann):
    ann.ask("   ")
    expect(ann.toast).to_contain_text("Type a message first")
    ann.ask("x" * 20_001)
    expect(ann.toast.last).to_contain_text("20001")
    assert len(ann.prompt.input_value()) == 20_001
    ann.prompt.fill("echo: 😀 مرحبا " + "宽" * 19_900)
    ann.prompt.press("Enter")
    expect(ann.replies.first).to_contain_text("😀 مرحبا 宽宽")
    assert ann.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_double_click_sends_once_and_complains_about_nothing(ann):
    ann.prompt.fill("echo: twice")
    ann.page.locator("#prompt .submit-button").dblclick()
    expect(ann.replies.first).to_contain_text("twice")
    ann.is_answered()
    assert ann.page.locator("#chatbot [data-testid=user]").filter(has_text="echo").count() == 1
    # Not with `expect`: it waits until the message has gone.
    assert ann.toast.count() == 0


def test_enter_of_an_input_method_does_not_send(ann):
    ann.prompt.fill("nihao")
    ann.prompt.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'Enter', code: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    expect(ann.prompt).to_have_value("nihao")
    ann.prompt.press("Enter")
    expect(ann.replies.first).to_be_visible()
    assert ann.page.locator("#chatbot [data-testid=user]").filter(has_text="nihao").count() == 1


def test_a_long_session_shows_its_end_first_and_the_rest_on_request(ann, fast):
    for number in range(17):
        ann.ask(f"echo: number {number:02}")
        expect(ann.replies.filter(has_text=f"number {number:02}")).to_be_visible()
        ann.is_answered()
    expect(ann.chat).not_to_contain_text("number 00")
    expect(ann.chat).to_contain_text("number 02")
    ann.page.click("#earlier-messages")
    expect(ann.chat).to_contain_text("number 00")
    expect(ann.page.locator("#earlier-messages")).to_be_hidden()


def test_a_restart_keeps_the_login_the_sessions_and_the_memory(someone, ark, tmp_path):
    with running_server(ark, tmp_path) as server:
        ann = someone(server.url).join()
        ann.ask("my name is Annabel")
        ann.is_answered()
        ann.ask("count 3000")
        expect(ann.replies.last).to_contain_text("1 2 3")
        port = server.port
        assert server.end(signal.SIGTERM) == 0
        server.start(port)
        ann.page.reload()
        ann.is_in()
        expect(ann.replies.last).to_contain_text("Interrupted: the server was restarted")
        ann.ask("what is my name?")
        expect(ann.replies.last).to_contain_text("Annabel")
        ann.is_answered()
        assert "Traceback" not in server.log
        assert "test-key" not in server.log


def test_without_a_key_the_page_says_so_and_answers(someone, tmp_path):
    with running_server(None, tmp_path, "--offline") as server:
        ann = someone(server.url, locale="zh-CN").open()
        expect(ann.page.locator("#auth-view")).to_contain_text("离线演示")
        ann.register("小明" + ann.name[-5:])
        ann.is_in()
        told = ann.page.locator("#conversation > .banner-offline")
        expect(told).to_contain_text("ARK_API_KEY")
        told.get_by_role("button").click()
        expect(told).to_be_hidden()
        expect(ann.prompt).to_be_focused()
        ann.page.reload()
        ann.is_in()
        expect(told).to_be_hidden()
        expect(ann.chat).to_contain_text("有什么可以帮你")
        ann.page.get_by_text("用表格比较从地球到土星的行星").click()
        expect(ann.replies.last.locator("table")).to_be_visible()
        ann.is_answered()
        ann.page.click("#logout")
        ann.is_out()
        ann.log_in("小明" + ann.name[-5:], PASSWORD + "!")
        expect(ann.error).to_contain_text("用户名或密码错误")


def test_the_page_fits_its_window(someone, fast):
    ann = someone().open()
    page = ann.page
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    windows = [(1280, 800), (768, 1024), (390, 844)]
    for width, height in windows:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(fits), width
    ann.register()
    ann.is_in()
    ann.ask("a table please")
    expect(ann.replies.last.locator("table")).to_be_visible()
    ann.is_answered()
    for width, height in windows:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(fits), width
            tall = "document.documentElement.scrollHeight <= window.innerHeight + 1"
            assert page.evaluate(tall), "the messages scroll, not the page"
            box = ann.prompt.bounding_box()
            assert box
            assert box["y"] + box["height"] <= height


def test_one_model_is_no_choice(ann):
    expect(ann.page.locator("#thinking-choice")).to_be_visible()
    expect(ann.page.locator("#model-choice")).to_be_hidden()
