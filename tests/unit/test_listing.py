"""The list of sessions: groups, times, bounds, and that a title is text."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from chatbot.ui import listing as listing_module
from chatbot.ui.listing import FOUND, PLAIN, listing
from chatbot.views import Entry

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)  # A Thursday.


class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


@pytest.fixture(autouse=True)
def thursday(monkeypatch):
    monkeypatch.setattr(listing_module, "datetime", Clock)


def entry(number=0, title="a title", running=False, **ago):
    return Entry(f"id-{number}", title, NOW - timedelta(**ago), running, "")


def facts(listed):
    return json.loads(unescape(re.search(r'data-facts="([^"]*)"', listed.plain)[1]))


@pytest.mark.parametrize(
    ("ago", "language", "group", "time"),
    [
        ({"minutes": 1}, "en", "Today", "11:59"),
        ({"hours": 13}, "en", "Yesterday", "23:00"),
        ({"days": 2}, "en", "This week", "Tue"),
        ({"days": 3}, "zh", "本周", "周一"),
        ({"days": 4}, "en", "Older", "11-22"),
        ({"days": 400}, "zh", "更早", "2025-10-22"),
        # A clock that was set back makes no session of tomorrow.
        ({"days": -1}, "en", "Today", "12:00"),
    ],
)
def test_each_session_has_its_group_and_time(ago, language, group, time):
    told = facts(listing([entry(**ago)], language, UTC))
    assert told == {"times": [time], "groups": {"0": group}}


def test_groups_begin_where_the_days_change():
    entries = [entry(n, hours=hours) for n, hours in enumerate((1, 2, 20, 21, 50, 200, 300))]
    assert facts(listing(entries, "en", UTC))["groups"] == {
        "0": "Today", "2": "Yesterday", "4": "This week", "5": "Older",
    }  # fmt: skip


def test_the_plain_list_is_bounded_and_leads_to_all():
    for found, most in ((False, PLAIN), (True, FOUND)):
        listed = listing([entry(n) for n in range(most + 1)], "en", UTC, found=found)
        assert listed.plain.count("<a ") == most
        assert "All sessions" in listed.plain
        assert len(listed.choices) == most + 1
        listed = listing([entry(n) for n in range(most)], "en", UTC, found=found)
        assert "All sessions" not in listed.plain


def test_the_open_session_can_be_chosen_but_is_no_link_of_a_search():
    listed = listing([entry(1)], "en", UTC, kept=entry(2, title="the open one"), found=True)
    assert listed.choices == [("the open one", "id-2"), ("a title", "id-1")]
    assert facts(listed)["groups"] == {"0": "Open now", "1": "Today"}
    assert re.findall(r'data-session="([^"]*)"', listed.plain) == ["id-1"]


def test_a_title_is_text_and_a_running_reply_is_marked():
    listed = listing([entry(title='<b onload="x">&', running=True)], "en", UTC)
    assert listed.choices == [('● <b onload="x">&', "id-0")]
    assert "<b " not in listed.plain
    assert "&lt;b onload=&quot;x&quot;&gt;&amp;" in listed.plain
    assert listed.plain.count("<i ") == 1
    assert listing([entry(title="")], "zh", UTC).choices == [("新会话", "id-0")]
