"""The line below the prompt: what it says of use, and what it does not count as used."""

import html
import re
from datetime import UTC, datetime

import pytest

from chatbot.ui.transcript import status_line
from chatbot.views import Chosen, Entry, Shown, Thread, Today, Totals

AT = datetime(2026, 1, 2, tzinfo=UTC)
NOTHING = Today(tokens=0, micro_yuan=0, reserved=0, limit=0)

CHOSEN = Chosen(
    model="m", thinking="off", search=False, temperature=None, top_p=None, max_tokens=100,
    instructions="", choices=(), most_tokens=100, max_temperature=2, max_instructions=0,
    default_thinking="off",
)  # fmt: skip


def said(today=NOTHING, language="en", **facts):
    """What can be read, a line each: the chip, then all that is known."""
    told = {"prompt_tokens": 1200, "cached_tokens": 0, "micro_yuan": 5900, "first_token_ms": 400}
    reply = Shown(
        id=2, parent_id=1, role="assistant", content="", thought="", state="stopped", error="",
        notes=(), at=AT, model="ep-test", **{"completion_tokens": 30} | told | facts,
    )  # fmt: skip
    entry = Entry("a", "title", AT, running=False, memory="context")
    thread = Thread(entry, [reply], False, Totals(1200, 0, 30, 5900, 0), today, CHOSEN, [])
    line = status_line(thread, language)
    return [html.unescape(one) for one in re.findall(r">([^<>]+)<", line)]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "Last reply: 1,200 tokens in (0 cached), 30 out, ¥0.0059, first word 0.4 s"),
        (
            {"completion_tokens": 0, "first_token_ms": None},
            "Last reply: 1,200 tokens in (0 cached), ¥0.0059",
        ),
        (
            {"completion_tokens": None},
            "Last reply: 1,200 tokens in (0 cached), ¥0.0059, first word 0.4 s",
        ),
        (
            {"completion_tokens": 0, "language": "zh"},
            "上一条回复：输入 1,200 tokens（缓存 0），¥0.0059，首字 0.4 秒",
        ),
    ],
)  # fmt: skip
def test_a_reply_that_was_stopped_before_its_first_word_has_no_output(facts, words):
    assert words in said(**facts)


def test_reserved_tokens_are_not_shown_as_used():
    lines = said(Today(tokens=300, micro_yuan=2000, reserved=700, limit=1000))
    assert lines[0] == "1,230 tokens · ¥0.0059"
    assert "Today: 300 tokens, ¥0.0020" in lines
    used = Today(tokens=850, micro_yuan=2000, reserved=0, limit=1000)
    assert said(used)[0] == "85% of today's limit · 1,230 tokens · ¥0.0059"
