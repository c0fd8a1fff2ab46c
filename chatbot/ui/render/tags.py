"""The few HTML tags that are allowed, without attributes; all other tags are text.

`<br>` breaks a line. The others work only in pairs, so that every element is closed.
"""

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

TAG = re.compile(r"<(/?)(br|sub|sup|kbd|mark|u)(?: ?/)?>", re.IGNORECASE)
SUMMARY = re.compile(r"<summary>(.*)</summary>", re.IGNORECASE)
DETAILS, END = "<details>", "</details>"
FENCE = re.compile("`{3,}|~{3,}")
DEEPEST = 8
"""Deepest nesting of details; deeper ones are text."""


def use_tags(md: MarkdownIt) -> None:
    """Add these tags, and no others, to a parser."""
    md.disable(["html_block", "html_inline"])
    md.inline.ruler.before("escape", "tag", _tag)
    md.block.ruler.before(
        "fence", "details", _details, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def paired(tokens: list[Token]) -> list[Token]:
    """The tokens of a line, with tags without a partner turned into text."""
    if not any(token.type == "tag" for token in tokens):
        return tokens
    open_tags: list[Token | None] = []
    for token in tokens:
        if token.type == "tag" and token.tag != "br":
            if token.nesting == 1:
                open_tags.append(token)
                continue
            partner = _partner(open_tags, token.tag)
            if partner is None:
                token.type = "text"
                continue
            while (left := open_tags.pop()) is not partner:
                left.type = "text"  # type: ignore[union-attr]
        elif token.nesting == 1:
            open_tags.append(None)
        elif token.nesting == -1:
            while (left := open_tags.pop()) is not None:
                left.type = "text"
    for left in open_tags:
        if left is not None:
            left.type = "text"
    return tokens


def _partner(open_tags: list[Token | None], tag: str) -> Token | None:
    for token in reversed(open_tags):
        if token is None:
            return None
        if token.tag == tag:
            return token
    return None


def _tag(state: StateInline, silent: bool) -> bool:
    found = TAG.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        name = found[2].lower()
        # Do not use the level of `push`: emphasis may begin inside the tag and end after it.
        token = state.push("tag", name, 0)
        token.nesting = 0 if name == "br" else -1 if found[1] else 1
        token.content = found[0]
    state.pos = found.end()
    return True


def _details(state: StateBlock, begin: int, end: int, silent: bool) -> bool:
    if state.is_code_block(begin):
        return False
    first = _line(state, begin)
    if first[: len(DETAILS)].lower() != DETAILS:
        return False
    rest = first[len(DETAILS) :].strip()
    summary = SUMMARY.fullmatch(rest)
    if rest and not summary:
        return False
    close = _ends(state).get(begin)
    if close is None or close >= end or state.sCount[close] < state.blkIndent:
        return False
    if silent:
        return True
    body = begin + 1
    if not summary:
        while body < close and not _line(state, body):
            body += 1
        summary = SUMMARY.fullmatch(_line(state, body)) if body < close else None
        body += bool(summary)
    opening = state.push("details_open", "details", 1)
    opening.map = [begin, close + 1]
    if summary:
        state.push("summary_open", "summary", 1)
        told = state.push("inline", "", 0)
        told.content, told.map, told.children = summary[1].strip(), [begin, body], []
        state.push("summary_close", "summary", -1)
    parent, last = state.parentType, state.lineMax
    state.parentType, state.lineMax = "details", close
    state.md.block.tokenize(state, body, close)
    state.parentType, state.lineMax = parent, last
    state.push("details_close", "details", -1)
    state.line = close + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].strip()


def _ends(state: StateBlock) -> dict[int, int]:
    """The end line of each `<details>`, by its first line; computed once for the whole text."""
    env: dict[str, Any] = state.env  # type: ignore[assignment]
    if "details" not in env:
        ends: dict[int, int] = {}
        begun: list[int] = []
        fence = ""
        for number, line in enumerate(state.src.split("\n")):
            word = line.strip().lower()
            ticks = FENCE.match(word)
            if fence:
                # Ignore tags in code.
                fence = "" if ticks and ticks[0] == word and word.startswith(fence) else fence
            elif ticks:
                fence = ticks[0]
            elif word.startswith(DETAILS):
                begun.append(number)
            elif word == END and begun:
                begin = begun.pop()
                if len(begun) < DEEPEST:
                    ends[begin] = number
        env["details"] = ends
    found: dict[int, int] = env["details"]
    return found
