"""While an answer is written, the page shows what it would show of the text so far."""

# ruff: noqa: E501
# Tables read best with a case a line.

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.ui.render import Growing, answer
from chatbot.ui.render.answer import Writer
from chatbot.ui.render.code import TAB_KEEPER

PIECES = [
    "word", " ", "\n", "\n\n", "# ", "- ", "1. ", "2) ", "  ", "    ", "> ", "*", "**", "_", "__", "~~", "~", "`",
    "```", "```py\n", "~~~", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\begin{align}", "\\end{align}", "x^2",
    "|", "| a | b |\n|---|---|\n", "| 1 | 2 |\n", "[x]", "(http://a.b)", "[x]: http://a.b\n", "!", "<br>",
    "<sub>", "</sub>", "<details>\n", "</details>\n", "<summary>s</summary>\n", "&lt;", "&", ";", "\\", "---\n",
    "===\n", "中文", "：", "，", "“", "”", "（", "）", "https://a.b/c", "www.a.b", ".", ",", "\t", "[ ] ", "[x] ",
    "mermaid\n", "graph TD\n", "%%%LATEX_BLOCK_0%%%", "\ufdd0", "\ufdd1", "مرحبا", "<", ">", '"', "'", "10", "a" * 30,
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
END_TAGS = re.compile(r"(?:</(?:p|div|h[1-6]|li|ul|ol|blockquote|details)>)+\Z")
NOT_SEEN = f" \t\n{TAB_KEEPER}"
END_OF_CODE = re.compile(r"\n*\n`{3,}\Z")


def fits(shown: str, whole: str) -> bool:
    """Whether one is the other without what browsers add, or what would end its last code block."""
    without = END_TAGS.sub("", whole), END_OF_CODE.sub("", whole)
    return shown.rstrip(NOT_SEEN) in [html.rstrip(NOT_SEEN) for html in without]


@settings(max_examples=200, deadline=None)
@given(texts, st.data())
def test_a_growing_answer_looks_like_the_whole_at_every_moment(text, data):
    growing = Growing()
    place = 0
    while place < len(text):
        place = min(len(text), place + data.draw(st.integers(1, 12)))
        so_far = text[:place]
        if so_far.strip():
            assert fits(growing.html(so_far), answer(so_far)), repr(so_far)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | texts)
def test_growing_letter_by_letter(text):
    growing = Growing()
    for place in range(1, len(text) + 1):
        shown = growing.html(text[:place])
    if text.strip():
        assert fits(shown, answer(text)), repr(text)


@pytest.mark.parametrize("step", [700, 999, 1_000, 1_001, 9_000])
def test_marks_on_one_letter_are_bounded_at_every_moment(step):
    """A browser needs seconds for tens of thousands of them."""
    text, growing = "a" + "\u0301" * 45_000, Growing()
    for place in range(1, len(text), step):
        shown = growing.html(text[:place])
        assert not re.search("\u0301{1001}", shown), place
        assert fits(shown, answer(text[:place])), place


def test_code_may_become_part_of_a_formula():
    growing = Growing()
    for so_far in ("$$\n```\n", "$$\n```\n$", "$$\n```\n$$"):
        assert fits(growing.html(so_far), answer(so_far))


def test_code_whose_first_line_ends_in_blanks_grows():
    growing = Growing()
    for so_far in ("a\n\n``` \n", "a\n\n``` \nw"):
        assert fits(growing.html(so_far), answer(so_far))


def test_code_after_a_reference_grows_inside_its_block():
    growing = Growing()
    for so_far in ("[x]: http:", "[x]: http://a.b\n```py\n", "[x]: http://a.b\n```py\nw"):
        shown = growing.html(so_far)
    assert fits(shown, answer(so_far))


@pytest.mark.parametrize(
    "piece", ["* a\n", "a|b\n-|-\n", "- [ ] x\n  - y\n", "[x]: http://a.b\nx\n\n"]
)
def test_little_is_read_again(monkeypatch, piece):
    read = 0
    blocks = Writer.blocks

    def counted(writer, text):
        nonlocal read
        read += len(text)
        return blocks(writer, text)

    monkeypatch.setattr(Writer, "blocks", counted)
    text = (piece * 10_000)[:10_000]
    growing = Growing()
    for place in range(100, len(text) + 1, 100):
        growing.html(text[:place])
    assert read < 30 * len(text)


def test_a_list_too_long_to_be_drawn_grows_as_text():
    text = "* a\n" * 10_000
    growing = Growing()
    growing.html(text)
    shown = growing.html(text + "* <b>\n\n* c")
    assert fits(shown, answer(text + "* <b>\n\n* c"))
