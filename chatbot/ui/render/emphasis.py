"""Emphasis in text without spaces between words.

In CommonMark `**注意：**请` is not bold, because the closing stars are between punctuation and a
letter, where in English a word begins. Here such stars also close next to Chinese characters.
"""

import unicodedata
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.emphasis import tokenize as emphasis
from markdown_it.rules_inline.strikethrough import tokenize as strikethrough

Rule = Callable[[StateInline, bool], bool]
OPENING, CLOSING = ("Ps", "Pi"), ("Pe", "Pf")


def use_emphasis(md: MarkdownIt) -> None:
    """Add these rules for emphasis and strike-through to a parser."""
    md.inline.ruler.at("emphasis", _widened(emphasis))
    md.inline.ruler.at("strikethrough", _widened(strikethrough))


def _widened(rule: Rule) -> Rule:
    def widened(state: StateInline, silent: bool) -> bool:
        start, known = state.pos, len(state.delimiters)
        if not rule(state, silent):
            return False
        found = state.delimiters[known:]
        if found and not (found[0].open and found[0].close):
            before = state.src[start - 1] if start else " "
            after = state.src[state.pos] if state.pos < len(state.src) else " "
            for delimiter in found:
                delimiter.open = delimiter.open or _begins(before, after)
                delimiter.close = delimiter.close or _begins(after, before, CLOSING, OPENING)
        return True

    return widened


def _begins(
    outer: str, inner: str, opening: tuple[str, ...] = OPENING, closing: tuple[str, ...] = CLOSING
) -> bool:
    """Whether stars between the characters `outer` and `inner` can begin emphasis."""
    if outer.isascii() and inner.isascii():
        return False
    kind = unicodedata.category(inner)
    marks = kind[0] in "PS" and kind not in closing
    return marks and unicodedata.category(outer)[0] in "LNM"
