"""The tables of the admin page: what they hold is text, what can be done stands in its row."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from chatbot.accounts import Person
from chatbot.ui.admin_tables import errors_table, invitations_table, people_table
from chatbot.ui.visit import Visit
from chatbot.views import ErrorRow, InvitationRow, PersonRow

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOSTILE = "\"><img src=x onerror=alert(1)>'${1}{{1}}"
ANN, BOB = 1, 2


class Seen(HTMLParser):
    """What a browser finds in some HTML."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.attributes, self.texts = set(), set(), []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def visit():
    return Visit(Person(ANN, "Ann", True), "en", UTC, "tab", "192.0.2.1")


def person(number, **more):
    made = PersonRow(number, f"person {number}", False, False, NOW, None, 1_000, 2_000_000, None)
    return replace(made, **more)


def invitation(state, number=7):
    return InvitationRow(number, NOW, NOW, 5, None, state)


def acts(table):
    return re.findall(r'data-act="(\w+)" data-row="(\d+)"( data-asks)?', table)


def test_buttons_are_in_the_row_they_act_on(visit):
    table = people_table([person(ANN), person(BOB), person(3, disabled=True)], visit)
    assert acts(table) == [
        ("limit", "1", ""),
        ("limit", "2", ""), ("disable", "2", " data-asks"), ("reset", "2", " data-asks"),
        ("limit", "3", ""), ("enable", "3", ""), ("reset", "3", " data-asks"),
    ]  # fmt: skip
    rows = [invitation("open", 8), invitation("revoked"), invitation("used"), invitation("expired")]
    assert acts(invitations_table(rows, visit)) == [("revoke", "8", " data-asks")]


def test_a_limit_of_none_and_no_limit_differ(visit):
    rows = [person(BOB, daily_tokens=tokens) for tokens in (None, 0, 5000)]
    assert re.findall(r'<input [^>]*value="(\w*)"', people_table(rows, visit)) == ["", "0", "5000"]


def test_names_are_text_wherever_they_stand(visit):
    error = ErrorRow(NOW, HOSTILE, HOSTILE, HOSTILE)
    for table in (people_table([person(BOB, name=HOSTILE)], visit), errors_table([error], visit)):
        seen = Seen(table)
        assert "img" not in seen.tags
        assert "onerror" not in seen.attributes
        assert HOSTILE in seen.texts


def test_each_cell_names_its_column(visit):
    table = people_table([person(BOB)], visit)
    heads = re.findall(r"columnheader\">([^<]*)<", table)
    assert re.findall(r'data-name="([^"]*)"', table) == heads[1:]


def test_where_there_is_nothing_a_sentence_says_so(visit):
    assert invitations_table([], visit) == "<p>There are no invitations yet.</p>"
    assert errors_table([], visit) == "<p>No reply has failed in the last 30 days.</p>"
