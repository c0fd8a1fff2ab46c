"""What an admin sees and does in the page, and that nobody else can."""

import re
import sqlite3

import pytest
from playwright.sync_api import expect

from tests.server import running_server


@pytest.fixture(scope="module")
def small_server(shared_ark, tmp_path_factory):
    # The table draws only the people that are in view, and the shared server has many.
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "REGISTRATION": "open"}
    with running_server(shared_ark, tmp_path_factory.mktemp("admin"), **settings) as running:
        yield running


@pytest.fixture
def server(small_server):
    return small_server


def promote(server, name):
    with sqlite3.connect(server.folder / "chat.db", timeout=20) as database:
        database.execute("update user set is_admin = 1 where name = ?", (name,))


def is_paused(server):
    with sqlite3.connect(server.folder / "chat.db", timeout=20) as database:
        row = database.execute('select "on" from switch').fetchone()
    return bool(row and row[0])


def test_an_admin_looks_invites_limits_and_pauses(someone, server):
    ann, bob = someone().join(), someone().join()
    expect(bob.page.locator("#admin-open")).to_be_hidden()
    bob.ask("count 20")
    bob.is_answered()

    promote(server, ann.name)
    ann.page.reload()
    ann.page.click("#admin-open")
    expect(ann.page.locator("#admin-summary")).to_contain_text(re.compile("Today: [1-9]"))
    charts = ann.page.locator("#admin-charts .chart")
    expect(charts.locator("figcaption")).to_have_text([
        "Tokens", "Cost, ¥", "Input from the cache, %", "People", "First word, ms",
        "Errors in 30 days",
    ])  # fmt: skip
    expect(charts.first.get_by_role("img")).to_have_accessible_name(
        re.compile(r"^Tokens\. \d\d-\d\d: \d+ in, \d+ in, cached, \d+ out$")
    )
    expect(charts.last).to_contain_text("No reply has failed")
    ann.page.get_by_role("tab", name="People").click()
    expect(ann.page.locator("#admin-people")).to_contain_text(bob.name)

    ann.page.get_by_role("tab", name="Invitations").click()
    expect(ann.page.locator("#admin-invitations")).to_have_text("There are no invitations yet.")
    ann.page.click("#admin-invite")
    link = ann.page.locator("#admin-invited code")
    expect(link).to_contain_text("/?invite=")
    copy = ann.page.locator("#admin-invited button")
    copy.click()
    expect(copy).to_have_attribute("data-copied", "")
    guest = someone(link.inner_text()).open()
    expect(guest.page.locator("#register-invite input")).to_have_value(
        link.inner_text().rpartition("=")[2]
    )

    # Where the prompt has no focus at first.
    phone = someone(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone.return_as(bob.name)
    ann.page.click("#admin-pause input")
    try:
        while not is_paused(server):
            ann.page.wait_for_timeout(50)
        phone.page.reload()
        expect(phone.page.locator("#paused-now")).to_be_visible()
        bob.page.reload()
        bob.is_in()
        paused = bob.page.locator("#paused-now")
        expect(paused).to_be_visible()
        expect(paused).to_contain_text("has paused this demo")
        bob.ask("echo: while paused")
        expect(bob.toast).to_contain_text("paused by its owner")
        expect(bob.prompt).to_have_value("echo: while paused")
    finally:
        ann.page.click("#admin-pause input")
    while is_paused(server):
        ann.page.wait_for_timeout(50)
    expect(paused).to_be_hidden()
    bob.prompt.press("Enter")
    expect(bob.replies.last).to_contain_text("while paused")

    ann.page.get_by_role("tab", name="People").click()
    row = ann.page.get_by_role("row").filter(has_text=bob.name)
    limit = row.get_by_role("spinbutton")
    limit.fill("1234567")
    limit.press("Enter")
    expect(limit).to_have_attribute("value", "1234567")
    expect(limit).to_have_value("1234567")
    limit.fill("")
    row.get_by_role("button", name="Set limit").click()
    expect(limit).to_have_attribute("value", "")
    off = row.get_by_role("button", name="Disable")
    off.click()
    expect(off).to_have_text("Sure?")
    # Whoever looks elsewhere meanwhile has not decided.
    limit.focus()
    expect(off).to_have_text("Disable")
    off.click()
    off.click()
    expect(row).to_contain_text("disabled")
    expect(row.get_by_role("button", name="Enable")).to_be_focused()
    bob.page.reload()
    bob.is_out()
    bob.log_in()
    expect(bob.error).to_contain_text("wrong")
    row.get_by_role("button", name="Enable").click()
    expect(row).not_to_contain_text("disabled")
    renew = row.get_by_role("button", name="New password")
    renew.click()
    renew.click()
    password = ann.page.locator("#admin-told code").inner_text()
    bob.log_in(bob.name, password)
    bob.is_in()
    # Nobody locks themselves out.
    mine = ann.page.get_by_role("row").filter(has_text=ann.name)
    expect(mine.get_by_role("button")).to_have_text(["Set limit"])

    ann.page.get_by_role("tab", name="Invitations").click()
    revoke = ann.page.get_by_role("button", name="Revoke: #1")
    revoke.click()
    revoke.click()
    expect(revoke).to_have_count(0)
    expect(ann.page.locator("#admin-invitations")).to_contain_text("revoked")
    ann.page.get_by_role("tab", name="Errors").click()
    expect(ann.page.locator("#admin-errors")).to_contain_text("No reply has failed")
    ann.page.click("#admin-close")
    ann.is_in()
