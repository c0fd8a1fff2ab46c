"""Text as text: no character of it is taken for Markdown, HTML or a formula."""

import html
import re

INLINE_LEFT, INLINE_RIGHT = "\ufdd0", "\ufdd1"
DISPLAY_LEFT, DISPLAY_RIGHT = "\ufdd2", "\ufdd3"
"""What stands around a formula on its way to the page. Unicode promises that these are never
characters, so that no text contains them by chance; where one does, it is replaced."""

# Of the rest of HTML's marks and of what Gradio takes for its own: it puts formulas aside as
# `%%%LATEX_BLOCK_0%%%` and widens tabs at the beginning of a line. A line end in numbers keeps
# blank lines, at which an HTML block of Markdown ends.
MARKS = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "%": "&#37;",
    "\n": "&#10;", "\r": "&#13;", "\t": "&#9;",
}  # fmt: skip
DELIMITERS = (INLINE_LEFT, INLINE_RIGHT, DISPLAY_LEFT, DISPLAY_RIGHT)
IN_ANSWER = str.maketrans({**MARKS, **dict.fromkeys(DELIMITERS, "\ufffd")})
AS_TYPED = str.maketrans({**MARKS, **{mark: f"&#{ord(mark)};" for mark in DELIMITERS}})
# The marks that stand above, below and across a letter.
_MARKS = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
MOST_MARKS = 1_000
"""Of one letter: a browser draws 20,000 in a second, and twice as many in four."""
TOO_MANY_MARKS = re.compile(f"{_MARKS}{{{MOST_MARKS}}}(?={_MARKS})")
BASE = "\u25cc"
"""The circle that Unicode draws under a mark without a letter."""
TYPED = re.compile(r'<div class="typed(?: m\d+)?">(.*)</div>', re.DOTALL)


def escaped(text: str) -> str:
    """The text as HTML without an element and without a line end."""
    return based(text).translate(IN_ANSWER)


def based(text: str) -> str:
    """The text with a circle below each thousand marks that stand on one letter."""
    if len(text) <= MOST_MARKS:
        return text
    return TOO_MANY_MARKS.sub(lambda marks: marks[0] + BASE, text)


def typed(text: str, message_id: int | None = None) -> str:
    """What a person wrote, as HTML, with the message's id; `typed_text` gets it back."""
    mark = f" m{message_id}" if message_id is not None else ""
    return f'<div class="typed{mark}">{as_typed(text)}</div>'


def as_typed(text: str) -> str:
    """What stands inside of `typed`."""
    return text.translate(AS_TYPED)


def typed_text(value: str) -> str:
    """What a person wrote, from `typed` or as it is."""
    found = TYPED.fullmatch(value)
    return _unescaped(found[1]) if found else value


def _unescaped(text: str) -> str:
    # Python's own reading leaves out characters that are none.
    for mark in DELIMITERS:
        text = text.replace(f"&#{ord(mark)};", mark)
    return html.unescape(text.replace("&#13;", "\r"))
