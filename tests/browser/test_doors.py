"""That the guard is in nobody's way: all that the page asks for is there."""

import re

from playwright.sync_api import Response, expect

from tests.browser.test_admin import promote


def refused(page):
    """What this page asked for and did not get, while it goes on."""
    told: list[str] = []

    def look(answer: Response) -> None:
        if answer.status >= 400:
            told.append(f"{answer.status} {answer.url}")

    page.on("response", look)
    return told


def test_the_page_gets_all_that_it_asks_for(someone, fast, server):
    ann = someone(fresh=True)
    missing = refused(ann.page)
    ann.open().is_out()
    ann.register().is_in()
    ann.ask("showcase")
    ann.is_answered()
    ann.ask("echo: $$x^2$$ and\n\n```mermaid\ngraph TD; A-->B\n```\n\n```python\nprint(1)\n```")
    ann.is_answered()
    expect(ann.chat.locator(".katex").first).to_be_visible()
    expect(ann.chat.locator("svg[id^=mermaid], .mermaid svg").first).to_be_visible()
    ann.page.click("#account-open")
    ann.page.click("#account-close")
    promote(server, ann.name)
    ann.page.reload()
    ann.page.click("#admin-open")
    expect(ann.page.locator("#admin-summary")).to_contain_text(re.compile("Today: [1-9]"))
    for tab in ("People", "Invitations", "Errors"):
        ann.page.get_by_role("tab", name=tab).click()
    ann.page.click("#admin-close")
    ann.page.click("#logout")
    ann.is_out()
    assert missing == []


def test_a_page_whose_login_ended_elsewhere_starts_anew(someone):
    ann = someone().join()
    ann.ask("echo: what nobody else may see")
    ann.is_answered()
    other = someone().return_as(ann.name)
    other.page.click("#account-open")
    other.page.click("#end-others")
    # Whatever is done in the page next.
    ann.page.click("#new-session")
    ann.is_out()
    expect(ann.page.get_by_text("what nobody else may see")).to_have_count(0)
    ann.log_in().is_in()
    expect(ann.chat).to_contain_text("what nobody else may see")


def test_a_reply_that_is_watched_ends_with_its_login(someone):
    ann = someone().join()
    other = someone().return_as(ann.name)
    ann.ask("count 3000")
    ann.sees_growth()
    other.page.click("#account-open")
    other.page.click("#end-others")
    # Nothing is done in the page; it starts anew by itself.
    ann.is_out()
    expect(ann.chat).to_be_hidden()


def test_two_tabs_of_one_browser_follow_its_login(someone):
    ann = someone().join()
    second = ann.page.context.new_page()
    second.goto(ann.url)
    expect(second.locator("#chat-view")).to_be_visible()
    second.click("#logout")
    expect(second.locator("#auth-view")).to_be_visible()
    ann.is_out()


def test_behind_a_proxy_that_changes_the_host_a_hint_says_what_to_set(someone):
    ann = someone(locale="zh-CN")
    outside = "http://lan.test/"

    def proxied(route):
        route.fulfill(response=route.fetch(url=route.request.url.replace(outside, ann.url)))

    ann.page.route(f"{outside}**", proxied)
    ann.page.goto(outside)
    hint = ann.page.locator("#proxy-hint")
    expect(hint).to_be_visible()
    expect(hint).to_contain_text("proxy_set_header Host")
    expect(hint).to_contain_text("反向代理")
    # By its own name there is none.
    ann.open().is_out()
    expect(hint).to_have_count(0)
