"""Renders a growing answer: only the last block is parsed again.

A frame is what `answer` makes of the text so far, without its last end tags, which browsers add.
So most frames only append to the one before, and only that part is sent. Plain words and code are
appended without parsing.
"""

import re
from copy import copy

from chatbot.ui.render import formulas
from chatbot.ui.render.answer import (
    LONGEST,
    LONGEST_BLOCK,
    RIGHT_TO_LEFT,
    Block,
    Writer,
    answer,
    closes,
    joined,
)
from chatbot.ui.render.code import TAB_KEEPER
from chatbot.ui.render.plain import as_typed, based

ENDS = re.compile(r"(?:</(?:p|div|h[1-6]|li|ul|ol|blockquote|details)>)+\Z")
ENDS_CHARS = 1_000
"""More characters than the end tags of the deepest block have."""
# Text without a meaning in Markdown or HTML, which cannot change the text before it.
INERT = re.compile(r"(?:[^\W_]|[ ,，。；？、（）“”])*\Z")
# Code that ends no fence and is sent unchanged.
INERT_CODE = re.compile("[^`~\t%\r\ufdd0-\ufdd3]*\\Z")
WORD = re.compile(r"[^\W_]\Z")
# Blocks that may be closed after other blocks: details and formulas.
OPENER = re.compile(r"^ {0,3}(?:(<details>)|\$\$|\\\[|\\begin\{)", re.MULTILINE | re.IGNORECASE)
CLOSED = ("fence", "code_block", "formula", "details_open")
BLANK = " \t\n"
TABS = re.compile(r"(?<=\n)(?= *\t)")
MADE_BY_LAST_LINE = ("formula", "table_open", "details_open")
LONG, MANY_LINES = 8_000, 200
"""A last block with more characters or lines is not parsed again for each word."""
REREAD = 40_000
"""A long block of n lines is parsed again when it has grown by n / 40,000 of its length."""
REREAD_PLAIN = 0.5
"""The same fraction for a block that is so long that it is plain text."""
REREAD_CODE = 500
"""Code is parsed again after this many characters: it may be too long for highlighting."""


class Growing:
    """The rendering of one growing text; each follower has its own."""

    _seen: str
    _right_to_left: bool
    _read_html: str

    def __init__(self) -> None:
        self._begin("")

    def html(self, text: str) -> str:
        """The content for the Chatbot of the text so far."""
        if len(text) > LONGEST:
            return _unended(answer(text))
        seen, self._seen = self._seen, text
        added = text[len(seen) :]
        if not text.startswith(seen) or (not self._right_to_left and RIGHT_TO_LEFT.search(added)):
            self._begin(text)
        elif self._adds(added) or self._waits():
            return self._read_html + self._more()
        self._read_all()
        return self._read_html + self._more()

    def _begin(self, text: str) -> None:
        self._seen = text
        self._read = 0
        """How many characters have been parsed, and their HTML."""
        self._read_html = ""
        self._sealed = ""
        """The HTML of the blocks that can no longer change, and their number of characters."""
        self._sealed_chars = 0
        self._right_to_left = bool(RIGHT_TO_LEFT.search(text))
        self._writer = Writer(right_to_left=self._right_to_left)
        self._open = ""
        """What the text ends in: a `line` of text, `code`, or a block of `plain` text."""
        self._has_references = False

    def _adds(self, added: str) -> bool:
        """Whether the added text can be appended to the open block without parsing."""
        if self._open == "line":
            short = len(self._seen) - self._sealed_chars <= LONGEST_BLOCK
            return short and bool(INERT.match(added))
        if self._open == "code":
            few = len(self._seen) - self._read < REREAD_CODE
            return few and bool(INERT_CODE.match(added))
        return False

    def _more(self) -> str:
        """The HTML of the text after the parsed part, inside the open block."""
        more = self._seen[self._read :]
        if self._open == "line":
            return more.rstrip(" ")
        if self._open == "plain":
            block = self._seen[self._sealed_chars :]
            parsed = len(block) - len(more)
            # A letter may have begun to collect its marks in the part that was parsed.
            return as_typed(based(block)[len(based(block[:parsed])) :].rstrip(BLANK))
        return TABS.sub(TAB_KEEPER, more.rstrip(BLANK)) if self._open == "code" else ""

    def _waits(self) -> bool:
        """Whether to delay parsing, because the last block is long."""
        grown, last = len(self._seen) - self._read, len(self._seen) - self._sealed_chars
        if self._open == "plain":
            return grown < last * REREAD_PLAIN
        lines = self._seen.count("\n", self._sealed_chars)
        if self._open or (last <= LONG and lines <= MANY_LINES):
            return False
        # With references, the whole answer is parsed again.
        times = 40 if self._has_references else 1
        return grown < last * min(max(lines, 100) * times / REREAD, REREAD_PLAIN)

    def _read_all(self) -> None:
        text = self._seen
        self._read, self._open = len(text), ""
        if not self._has_references:
            self._read_last()
            self._has_references = bool(self._writer.env.get("references"))
        if self._has_references:
            # A link may come before its definition.
            self._read, self._open = len(text), ""
            self._read_html = _unended(answer(text))

    def _read_last(self) -> None:
        last = self._seen[self._sealed_chars :]
        writer = self._writer
        begun = copy(writer.bounds)
        blocks = writer.blocks(last)
        writer.bounds = begun
        lines = last.count("\n")
        done = len(blocks) - 1 if blocks and _is_settled(blocks[-1], lines) else 0
        if OPENER.search(last):
            done = _before_opener(blocks, done, last)
        if done > 0:
            first = blocks[done].begin
            self._sealed = joined([self._sealed, *[block.html for block in blocks[:done]]])
            self._sealed_chars += _line_start(last, first)
            writer.bounds = blocks[done].bounds
            writer.lines.clear()
            blocks = blocks[done:]
            for block in blocks:
                block.begin -= first
            last = self._seen[self._sealed_chars :]
        html = joined([self._sealed, *[block.html for block in blocks]]).strip("\n")
        if blocks and blocks[-1].opening.type == "fence":
            begin = _line_start(last, blocks[-1].begin)
            source = last[begin:]
            is_open = "\n" in source and not closes(blocks[-1].opening, source)
            before = len(blocks) - 1
            # The text before may still become a formula that ends inside the code.
            if is_open and _before_opener(blocks, before, last) == before:
                self._end_in_code(html, self._sealed_chars + begin + source.index("\n"))
                return
        self._read_html = _unended(html)
        if blocks and blocks[-1].is_plain:
            # The next parse finds out whether it has ended.
            self._read, self._open = len(self._seen.rstrip(BLANK)), "plain"
        elif WORD.search(last) and WORD.search(self._read_html) and html.endswith(">"):
            self._open = "line"

    def _end_in_code(self, html: str, begin: int) -> None:
        fence = html[html.rfind("\n") + 1 :]
        if not fence.startswith("```") or fence.strip("`"):
            # Too long for highlighting, so it is HTML.
            self._read_html = html
            return
        # Trailing blanks and empty lines are part of the code only if something follows.
        self._read_html = html[: -len(fence)].rstrip(BLANK + TAB_KEEPER)
        self._read = max(len(self._seen.rstrip(BLANK)), begin)
        self._open = "code"


def _unended(html: str) -> str:
    return html[:-ENDS_CHARS] + ENDS.sub("", html[-ENDS_CHARS:])


def _is_settled(block: Block, lines: int) -> bool:
    """Whether the last block stays a separate block, given the number of complete lines.

    While its first line grows, it may become an underline of the text before, or another list item.
    Its last line decides whether it is a table, a formula or part of a paragraph.
    """
    last = (block.opening.map or [0, 0])[1] - 1
    return (last if block.opening.type in MADE_BY_LAST_LINE else block.begin) < lines


def _before_opener(blocks: list[Block], done: int, text: str) -> int:
    """The number of blocks before a line that more text may turn into the start of a block."""
    lines = text.split("\n")
    for number, block in enumerate(blocks[:done]):
        if block.opening.type in CLOSED:
            continue
        for line in range(block.begin, blocks[number + 1].begin):
            found = OPENER.match(lines[line])
            ends = found and (found[1] or len(text) - _line_start(text, line) <= formulas.LONGEST)
            if ends:
                return number
    return done


def _line_start(text: str, line: int) -> int:
    start = 0
    for _ in range(line):
        start = text.index("\n", start) + 1
    return start
