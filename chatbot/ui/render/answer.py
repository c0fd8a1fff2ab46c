"""Renders an answer as HTML: CommonMark with tables, strike-through, formulas and a few tags.

The HTML has no line breaks, so that Gradio's Markdown leaves each block unchanged and redraws only
changed blocks. All text of the answer is escaped.
"""

import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chatbot.ui.render import code, formulas, links, tags
from chatbot.ui.render.emphasis import use_emphasis
from chatbot.ui.render.plain import based, escaped, typed

LONGEST = 100_000
"""Most characters of an answer that is parsed; a longer one is plain text."""
LONGEST_BLOCK = 20_000
"""Most characters of a paragraph, list or table; a longer one is plain text."""
MOST_TOKENS = 10_000
"""Most parser tokens of a block: a list item has five, a table cell has three."""
DEEPEST = 24
"""Deepest nesting of lists and quotes, which count two levels each."""
MOST_TAGS = 10_000
TASK = re.compile(r"(?<![^\s])\[([ xX])\] ")
SHORT_CELL = 16
"""A cell with up to this many Latin characters, or half as many Chinese, stays on one line."""
LONG_CELL = ' class="long"'
BOXES = {" ": "☐", "x": "☑"}
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]")

markdown = MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])
markdown.core.ruler.disable("inline")
use_emphasis(markdown)
links.use_links(markdown)
tags.use_tags(markdown)
formulas.use_formulas(markdown)


@dataclass
class Bounds:
    """Counts what has been rendered of one message so far."""

    formulas: int = 0
    formula_chars: int = 0
    code_chars: int = 0
    diagrams: int = 0
    links: int = 0

    def add(self, more: "Bounds", times: int = 1) -> None:
        for name, count in vars(more).items():
            setattr(self, name, getattr(self, name) + count * times)

    def since(self, before: "Bounds") -> "Bounds":
        return Bounds(
            *(
                now - then
                for now, then in zip(vars(self).values(), vars(before).values(), strict=True)
            )
        )


@dataclass
class Block:
    """A top-level block of an answer."""

    begin: int
    """Its first line."""
    html: str
    bounds: Bounds
    """The counts before this block."""
    opening: Token
    is_plain: bool
    """Whether it exceeds a limit and is therefore plain text."""


class Writer:
    """Writes tokens as HTML."""

    def __init__(self, *, right_to_left: bool = False) -> None:
        self.env: dict[str, Any] = {}
        self.bounds = Bounds()
        self.lines: dict[str, tuple[str, Bounds]] = {}
        """A cache of rendered lines."""
        self._direction = ' dir="auto"' if right_to_left else ""
        self._source: list[str] = []
        self._in_link = False

    def blocks(self, text: str) -> list[Block]:
        """The top-level blocks of a text."""
        self.env = {}
        self._source = []
        tokens = markdown.parse(text, self.env)
        self._text = text
        if TASK.search(text):
            _mark_tasks(tokens)
        found = []
        begin = 0
        for place, token in enumerate(tokens):
            if token.level or token.nesting > 0:
                continue
            whole = tokens[begin : place + 1]
            before = copy(self.bounds)
            html = self._block(whole)
            first, last = whole[0].map or (0, 0)
            is_plain = html is None or html.count("<") > MOST_TAGS
            if html is None or is_plain:
                html = typed(based("\n".join(self._lines[first:last])))
            found.append(Block(first, html, before, whole[0], is_plain))
            begin = place + 1
        return found

    @property
    def _lines(self) -> list[str]:
        self._source = self._source or self._text.split("\n")
        return self._source

    def _block(self, tokens: list[Token]) -> str | None:
        """The HTML of one block; None if it exceeds a limit."""
        if tokens[0].type not in ("fence", "code_block", "formula"):
            size = sum([len(token.content) for token in tokens])
            if (
                size > LONGEST_BLOCK
                or len(tokens) > MOST_TOKENS
                or max([token.level for token in tokens]) > DEEPEST
            ):
                return None
        if tokens[0].type == "table_open":
            _mark_long_cells(tokens)
        return "".join([WRITE[token.type](self, token) for token in tokens])

    def inline(self, token: Token) -> str:
        """The HTML of inline content."""
        text = token.content
        known = self.lines.get(text)
        if known and self._counts(known[1]):
            return known[0]
        before = copy(self.bounds)
        children: list[Token] = []
        markdown.inline.parse(text, markdown, self.env, children)
        html = "".join([WRITE[child.type](self, child) for child in tags.paired(children)])
        self.lines[text] = html, self.bounds.since(before)
        return html

    def _counts(self, more: Bounds) -> bool:
        """Count the content of a cached line; whether the limits allow it."""
        self.bounds.add(more)
        full = (
            self.bounds.formulas > formulas.MOST
            or self.bounds.formula_chars > formulas.MOST_CHARS
            or self.bounds.links > links.MOST
        )
        if full:
            self.bounds.add(more, -1)
        return not full

    def formula(self, token: Token) -> str:
        display = token.info == "display"
        self.bounds.formulas += 1
        self.bounds.formula_chars += len(token.content)
        few = (
            self.bounds.formulas <= formulas.MOST
            and self.bounds.formula_chars <= formulas.MOST_CHARS
        )
        if few and formulas.bearable(token.content):
            html = formulas.drawn(token.content, display=display)
            return f"<p>{html}</p>" if token.block else html
        return (
            code.plain_block(token.markup, "latex")
            if token.block
            else self.code(token, token.markup)
        )

    def code(self, token: Token, text: str | None = None) -> str:
        return f"<code>{escaped(token.content if text is None else text)}</code>"

    def block_of_code(self, token: Token) -> str:
        text = token.content.removesuffix("\n")
        self.bounds.code_chars += len(text)
        if self.bounds.code_chars > code.MOST_CHARS or not code.highlighted(text):
            return code.plain_block(text, token.info)
        shown = code.fenced(text, token.info)
        if self._is_diagram(token, text):
            self.bounds.diagrams += 1
            return f"\n\n{code.diagram(text)}{shown}"
        return shown

    def _is_diagram(self, token: Token, text: str) -> bool:
        # A diagram that is still growing is shown as code.
        return (
            self.bounds.diagrams < code.DIAGRAMS
            and code.is_diagram(token.info, text)
            and token.map is not None
            and closes(token, "\n".join(self._lines[token.map[0] : token.map[1]]))
        )

    def link(self, token: Token) -> str:
        self.bounds.links += 1
        self._in_link = True
        if self.bounds.links > links.MOST:
            return "<span>"
        href = escaped(str(token.attrs["href"]))
        return f'<a href="{href}" target="_blank" rel="noopener noreferrer">'

    def image(self, token: Token) -> str:
        label = token.content or str(token.attrs["src"])
        if self._in_link:
            return escaped(label)
        token.attrs["href"] = token.attrs["src"]
        return f"{self.link(token)}{escaped(label)}{self.link_end(token)}"

    def link_end(self, token: Token) -> str:
        self._in_link = False
        return "</a>" if self.bounds.links <= links.MOST else "</span>"

    def paragraph(self, token: Token) -> str:
        # An item of a tight list. It must not begin with a word: after a code block that would be
        # read as Markdown.
        return f"<div>{token.info}" if token.hidden else f"<p>{token.info}"

    def paragraph_end(self, token: Token) -> str:
        return "</div>" if token.hidden else "</p>"

    def numbered(self, token: Token) -> str:
        start = int(token.attrs.get("start", 1))
        wide = f' class="digits-{len(str(start + 9))}"' if start > 90 else ""
        number = f' start="{start}"' if start != 1 else ""
        return f"<ol{self._direction}{wide}{number}>"

    def bulleted(self, token: Token) -> str:
        return f"<ul{self._direction}>"

    def cell(self, token: Token) -> str:
        align = str(token.attrs.get("style", "")).removeprefix("text-align:")
        aligned = f' align="{align}"' if align in ("left", "right", "center") else ""
        return f"<{token.tag}{aligned}{LONG_CELL if token.meta.get('long') else ''}>"

    def text(self, token: Token) -> str:
        if "www." in token.content and not self._in_link:
            return self._text_with_addresses(token.content)
        return escaped(token.content)

    def _text_with_addresses(self, text: str) -> str:
        parts = []
        end = 0
        for found in links.WWW.finditer(text):
            address = links.trimmed(found[0])
            href = markdown.normalizeLink(f"https://{address}")
            parts.append(escaped(text[end : found.start()]))
            link = Token("link_open", "a", 1, attrs={"href": href})
            parts.append(f"{self.link(link)}{escaped(address)}{self.link_end(link)}")
            end = found.start() + len(address)
        return "".join([*parts, escaped(text[end:])])

    def item(self, token: Token) -> str:
        return '<li class="task">' if token.meta else "<li>"


Write = Callable[[Writer, Token], str]


def _always(html: str) -> Write:
    return lambda writer, token: html


def _tag(writer: Writer, token: Token) -> str:
    return f"</{token.tag}>" if token.nesting < 0 else f"<{token.tag}>"


WRITE: dict[str, Write] = {
    "inline": Writer.inline,
    "text": Writer.text,
    "text_special": Writer.text,
    "softbreak": _always("<br>"),
    "hardbreak": _always("<br>"),
    "hr": _always("<hr>"),
    "tag": _tag,
    "formula": Writer.formula,
    "code_inline": Writer.code,
    "fence": Writer.block_of_code,
    "code_block": Writer.block_of_code,
    "link_open": Writer.link,
    "link_close": Writer.link_end,
    "image": Writer.image,
    "paragraph_open": Writer.paragraph,
    "paragraph_close": Writer.paragraph_end,
    "ordered_list_open": Writer.numbered,
    "bullet_list_open": Writer.bulleted,
    "list_item_open": Writer.item,
    "th_open": Writer.cell,
    "td_open": Writer.cell,
    "table_open": _always('<div class="table"><table>'),
    "table_close": _always("</table></div>"),
}
for _plain in (
    "blockquote", "bullet_list", "details", "em", "heading", "list_item", "ordered_list", "s",
    "strong", "summary", "tbody", "td", "th", "thead", "tr",
):  # fmt: skip
    WRITE.setdefault(f"{_plain}_open", _tag)
    WRITE.setdefault(f"{_plain}_close", _tag)


def answer(text: str) -> str:
    """The content for the Chatbot of a finished answer."""
    if len(text) > LONGEST:
        return typed(based(text))
    blocks = Writer(right_to_left=bool(RIGHT_TO_LEFT.search(text))).blocks(text)
    if not blocks:
        # Only link definitions, which render as nothing: show the text.
        return typed(based(text))
    return joined([block.html for block in blocks]).strip("\n")


def _mark_long_cells(tokens: list[Token]) -> None:
    """Mark cells wider than a few words, so that the page breaks their lines."""
    for cell, line in pairwise(tokens):
        if cell.tag in ("td", "th") and cell.nesting == 1:
            wide = len(line.content) + sum(mark > "\u2e7f" for mark in line.content)
            cell.meta["long"] = wide > SHORT_CELL


def _mark_tasks(tokens: list[Token]) -> None:
    """Turn `[x]` at the beginning of a list item into a checkbox."""
    for item, paragraph, line in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type == "list_item_open" and paragraph.type == "paragraph_open":
            box = TASK.match(line.content)
            if box:
                item.meta["box"] = True
                paragraph.info = f'<span class="box">{BOXES[box[1].lower()]}</span> '
                line.content = line.content[box.end() :]


def joined(blocks: list[str]) -> str:
    """Join blocks so that each is a separate block for Gradio's Markdown."""
    return "\n\n".join(blocks)


def closes(fence: Token, text: str) -> bool:
    """Whether the last line of a code block's source closes it."""
    lines = text.rstrip("\n").rsplit("\n", 1)
    last = lines[-1].strip(" >\t")
    return len(lines) > 1 and last.startswith(fence.markup) and not last.strip(fence.markup[0])
