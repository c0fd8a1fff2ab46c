"""The admin's charts: what they say without being seen, and where there is nothing to draw."""

import re
from datetime import date, timedelta

from chatbot.ui.charts import day_chart, name_chart

FIRST = date(2026, 2, 27)
DAYS = [FIRST + timedelta(days=number) for number in range(8)]


def test_a_bar_is_on_its_day_and_described_in_words():
    bars = [(day, (0.0, 0.0)) for day in DAYS[:-1]] + [(DAYS[-1], (30.0, 10.0))]
    chart = day_chart("Tokens", bars, "nothing", ["in", "out"])
    assert re.findall("<small>(.*?)</small>", chart) == ["02-27", "03-06"]
    assert 'role="img" aria-label="Tokens. 03-06: 30 in, 10 out"' in chart
    assert re.findall(r"height:([\d.]+)%", chart)[-2:] == ["75.0", "25.0"]
    assert "nothing" not in chart


def test_parts_that_hold_those_before_them_reach_from_the_ground():
    chart = day_chart("Wait", [(FIRST, (10.0, 40.0))], "nothing", ["half", "most"], within=True)
    assert re.findall(r"height:([\d.]+)%", chart) == ["25.0", "75.0"]
    assert "02-27: 10 half, 40 most" in chart


def test_the_full_height_may_be_given():
    chart = day_chart("%", [(FIRST, (50.0,))], "nothing", most=100)
    assert re.findall(r"height:([\d.]+)%", chart) == ["50.0"]


def test_where_there_is_nothing_a_sentence_says_so():
    assert "<p>No &lt;use&gt;.</p>" in day_chart("Cost", [(FIRST, (0.0,))], "No <use>.")
    assert "<p>No errors.</p>" in name_chart("Errors", {}, "No errors.")


def test_errors_are_lines_with_their_number():
    chart = name_chart("Errors", {"<key>": 1200, "busy": 3}, "none")
    assert re.findall(r"<li><span>(.*?)</span>.*?</b>(.*?)</li>", chart) == [
        ("&lt;key&gt;", "1,200"), ("busy", "3")
    ]  # fmt: skip
