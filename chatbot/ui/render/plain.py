"""Escapes text, so that nothing in it is read as Markdown, HTML or a formula."""

import html
import re

INLINE_LEFT, INLINE_RIGHT = "\ufdd0", "\ufdd1"
DISPLAY_LEFT, DISPLAY_RIGHT = "\ufdd2", "\ufdd3"
"""Delimiters of a formula on its way to the page. Unicode guarantees that these are never
characters; if a text contains one, it is replaced."""

# Special characters of HTML and of Gradio, which replaces formulas by `%%%LATEX_BLOCK_0%%%` and
# expands tabs at the beginning of a line. Line breaks are escaped, because a blank line would end
# an HTML block in Markdown.
MARKS = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "%": "&#37;",
    "\n": "&#10;", "\r": "&#13;", "\t": "&#9;",
}  # fmt: skip
DELIMITERS = (INLINE_LEFT, INLINE_RIGHT, DISPLAY_LEFT, DISPLAY_RIGHT)
IN_ANSWER = str.maketrans({**MARKS, **dict.fromkeys(DELIMITERS, "\ufffd")})
AS_TYPED = str.maketrans({**MARKS, **{mark: f"&#{ord(mark)};" for mark in DELIMITERS}})
# Combining marks above, below and across a letter.
_MARKS = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
MOST_MARKS = 1_000
"""Most combining marks on one letter: a browser needs a second for 20,000, four for 40,000."""
TOO_MANY_MARKS = re.compile(f"{_MARKS}{{{MOST_MARKS}}}(?={_MARKS})")
BASE = "\u25cc"
"""The circle that Unicode draws under a mark without a letter."""
TYPED = re.compile(r'<div class="typed(?: m\d+)?">(.*)</div>', re.DOTALL)


def escaped(text: str) -> str:
    """The text as HTML without elements and line breaks."""
    return based(text).translate(IN_ANSWER)


def based(text: str) -> str:
    """The text with a circle inserted after every 1,000 marks on one letter."""
    if len(text) <= MOST_MARKS:
        return text
    return TOO_MANY_MARKS.sub(lambda marks: marks[0] + BASE, text)


def typed(text: str, message_id: int | None = None) -> str:
    """A user's text as HTML with the message's id; `typed_text` reverses this."""
    mark = f" m{message_id}" if message_id is not None else ""
    return f'<div class="typed{mark}">{as_typed(text)}</div>'


def as_typed(text: str) -> str:
    """The HTML inside of `typed`."""
    return text.translate(AS_TYPED)


def typed_text(value: str) -> str:
    """A user's text, from the HTML of `typed` or from plain text."""
    found = TYPED.fullmatch(value)
    return _unescaped(found[1]) if found else value


def _unescaped(text: str) -> str:
    # Python's `html.unescape` drops noncharacters.
    for mark in DELIMITERS:
        text = text.replace(f"&#{ord(mark)};", mark)
    return html.unescape(text.replace("&#13;", "\r"))
