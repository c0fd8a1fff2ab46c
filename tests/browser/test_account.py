"""The account page: password, logins, taking one's data, leaving."""

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD


def account(person):
    person.open_drawer()
    person.page.click("#account-open")
    expect(person.page.locator("#account-view")).to_be_visible()
    expect(logins(person).first).to_be_visible()


def logins(person):
    return person.page.locator("#account-logins .login")


def told(person, section):
    return person.page.locator(f"#{section}-told")


def test_a_changed_password_ends_the_other_logins(someone):
    here = someone().join()
    there = someone().return_as(here.name)

    account(here)
    expect(here.page.locator("#account-title h1")).to_have_attribute("data-name", here.name)
    here.fill("current-password", "not the password")
    here.fill("next-password", "a better battery")
    here.page.click("#change-password")
    expect(told(here, "password")).to_have_text("The password is wrong.")
    here.fill("current-password", PASSWORD)
    here.fill("next-password", "short")
    here.page.click("#change-password")
    expect(told(here, "password")).to_contain_text("8 to 128")
    here.fill("next-password", "a better battery")
    here.page.locator("#next-password input").press("Enter")
    expect(told(here, "password")).to_contain_text("is changed")
    expect(here.page.locator("#current-password input")).to_have_value("")
    expect(here.page.locator("#next-password input")).to_have_value("")
    expect(logins(here)).to_have_count(1)

    there.page.reload()
    there.is_out()
    there.log_in(here.name)
    expect(there.error).to_contain_text("Name or password is wrong")
    there.log_in(here.name, "a better battery")
    there.is_in()
    here.page.reload()
    here.is_in()
    assert here.page.evaluate("Object.keys(localStorage).length") == 0


def test_logins_are_seen_and_ended(someone):
    agent = "<img src=x onerror=alert(1)>"
    here = someone().join()
    phone = someone(user_agent=agent).return_as(here.name)
    other = someone().return_as(here.name)
    account(here)
    expect(logins(here)).to_have_count(3)
    expect(logins(here).first).to_contain_text("This browser")
    expect(logins(here).first.locator("button")).to_have_count(0)
    logins(here).filter(has_text="<img").locator("button").click()
    expect(logins(here)).to_have_count(2)
    phone.page.reload()
    phone.is_out()
    here.page.click("#end-others")
    expect(logins(here)).to_have_count(1)
    expect(here.page.locator("#end-others")).to_be_hidden()
    other.page.locator("#account-name").click()
    expect(other.page.locator("#account-logins")).to_have_text("Please log in first.")
    other.page.reload()
    other.is_out()

    # Back in the chat, by key or by button; what was typed is gone.
    here.fill("current-password", PASSWORD)
    here.page.keyboard.press("Escape")
    expect(here.page.locator("#account-view")).to_be_hidden()
    expect(here.prompt).to_be_visible()
    expect(here.page.locator("#account-open")).to_be_focused()
    account(here)
    here.page.click("#new-session")
    expect(here.page.locator("#account-view")).to_be_hidden()
    expect(here.prompt).to_be_focused()
    account(here)
    expect(here.page.locator("#current-password input")).to_have_value("")
    here.page.click("#account-close")
    expect(here.prompt).to_be_visible()

    # Whoever comes next does not see what was open.
    account(here)
    here.page.click("#logout")
    here.is_out()
    here.register(f"{here.name[-20:]} two")
    here.is_in()
    expect(here.page.locator("#account-view")).to_be_hidden()
    expect(logins(here)).to_have_count(0)


def test_everything_is_exported_in_one_file(someone):
    ann = someone().join()
    ann.ask("echo: worth keeping")
    ann.is_answered()
    ann.page.click("#chatbot button[aria-label=Retry]")
    expect(ann.page.locator("#chatbot small.caption")).to_contain_text(["2/2"])
    account(ann)
    with ann.page.expect_download() as download:
        ann.page.click("#export-all")
    assert download.value.suggested_filename.endswith(".json")
    data = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert data["account"]["name"] == ann.name
    messages = data["sessions"][0]["messages"]
    assert [m["content"] for m in messages if m["role"] == "assistant"] == ["worth keeping"] * 2


def test_a_deleted_account_leaves_nothing_but_numbers(someone, server):
    ann = someone().join()
    ann.ask(f"echo: the secret of {ann.name}")
    ann.is_answered()
    account(ann)
    ann.fill("delete-password", "not the password")
    ann.page.click("#delete-account")
    expect(told(ann, "delete")).to_have_text("The password is wrong.")
    ann.fill("delete-password", PASSWORD)
    ann.page.click("#delete-account")
    ann.is_out()
    expect(ann.page.get_by_text("the secret of")).to_have_count(0)
    for path in server.folder.glob("chat.db*"):
        assert ann.name.encode() not in path.read_bytes(), path.name

    ann.log_in()
    expect(ann.error).to_contain_text("Name or password is wrong")
    ann.register()
    ann.is_in()
    expect(ann.chat).to_contain_text("What can I do for you?")


def test_the_account_page_fits_its_window(someone):
    ann = someone(locale="zh-CN").join()
    account(ann)
    expect(ann.page.locator("#account-title")).to_have_text("账号")
    for width, height in ((1280, 800), (390, 844)):
        ann.page.set_viewport_size({"width": width, "height": height})
        for fits in ("document.documentElement", "document.querySelector('#account-view')"):
            assert ann.page.evaluate(f"{fits}.scrollWidth <= {fits}.clientWidth"), fits
        assert ann.page.evaluate("document.documentElement.scrollHeight <= window.innerHeight + 1")
        delete = ann.page.locator("#delete-account")
        expect(delete).to_be_visible()
        delete.scroll_into_view_if_needed()
        box = delete.bounding_box()
        assert box
        assert box["y"] + box["height"] <= height


FIELDS = """(id) => [...document.getElementById(id).elements]
  .filter((one) => one.tagName === "INPUT").map((one) => `${one.name}: ${one.autocomplete}`)"""


def test_password_managers_find_forms_that_do_what_their_buttons_do(someone):
    ann = someone()
    page, sent = ann.page, []
    page.on("request", lambda request: sent.append((request.url, request.post_data or "")))

    def asked(route):
        return [url for url, _ in sent if url.endswith(f"/chatbot/{route}")]

    ann.open()
    page.evaluate("window.same = true")
    page.locator("#auth-view button[role=tab]").nth(1).click()
    expect(page.locator("#register-password input")).to_have_attribute("form", "register-form")
    assert page.evaluate(FIELDS, "register-form") == [
        "register-name: username", "register-password: new-password", "register-invite: off"
    ]  # fmt: skip
    ann.fill("register-name", ann.name)
    ann.fill("register-password", "short")
    page.locator("#register-password input").press("Enter")
    expect(ann.error).to_contain_text("8 to 128")
    ann.fill("register-password", PASSWORD)
    # As a password manager does it.
    page.evaluate("document.getElementById('register-form').requestSubmit()")
    ann.is_in()
    assert len(asked("register")) == 2

    account(ann)
    expect(page.locator("#current-password input")).to_have_attribute("form", "password-form")
    assert page.evaluate(FIELDS, "password-form") == [
        "username: username", "current-password: current-password", "next-password: new-password"
    ]  # fmt: skip
    assert page.evaluate("document.getElementById('password-form').username.value") == ann.name
    last = page.locator("#delete-password input")
    expect(last).to_have_attribute("autocomplete", "current-password")

    assert page.evaluate("window.same"), "the page is the one that was opened"
    page.click("#logout")
    ann.is_out()
    page.evaluate("window.same = true")
    expect(page.locator("#login-password input")).to_have_attribute("form", "login-form")
    assert page.evaluate(FIELDS, "login-form") == [
        "login-name: username", "login-password: current-password"
    ]  # fmt: skip
    ann.fill("login-name", ann.name)
    ann.fill("login-password", PASSWORD)
    page.locator("#login-password input").press("Enter")
    ann.is_in()
    assert len(asked("login")) == 1
    assert page.evaluate("window.same")
    assert not [url for url, body in sent if "/queue/" in url and PASSWORD in body]
