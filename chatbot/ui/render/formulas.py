r"""Finds formulas, and decides which of them the page can draw safely.

Formulas are between `$$`, `\[ \]`, `\( \)`, in a bare environment such as `\begin{align}`, or
between single dollar signs by Pandoc's rule (its manual, `tex_math_dollars`); the dollar signs of
prices, shells and templates stay text. KaTeX draws them in the browser without a depth limit: 150
levels crash the tab. A formula that is too deep, too long or defines macros is shown as code.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from chatbot.ui.render.plain import (
    DISPLAY_LEFT,
    DISPLAY_RIGHT,
    INLINE_LEFT,
    INLINE_RIGHT,
    escaped,
)

LONGEST = 3_000
DEEPEST = 24
MOST = 300
MOST_CHARS = 20_000
"""Most characters of all formulas of a message."""
ENVIRONMENTS = (
    "align|alignat|aligned|alignedat|array|bmatrix|Bmatrix|cases|dcases|CD|equation|gather|gathered|matrix|"
    "pmatrix|rcases|smallmatrix|split|vmatrix|Vmatrix"
)
BEGIN = re.compile(rf"\\begin\{{((?:{ENVIRONMENTS})\*?)\}}")
# Commands that define macros, refer to web addresses, or are internal to KaTeX.
REFUSED = re.compile(
    r"\\(?:[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|global|long|href|url|"
    r"includegraphics|html\w*|@\w+)(?![A-Za-z])"
)
# Lengths of 100 or more, in any unit.
HUGE = re.compile(r"\d{3}[\d.]*\s*(?:em|ex|mu|pt|px|pc|mm|cm|in|bp|dd|cc|nd|nc|sp)(?![A-Za-z])")
# Black rectangles of 10 or more large units.
BLACK = re.compile(r"\\rule(?![A-Za-z])[^\\]*?\d{2}[\d.]*\s*(?:em|ex|pc|cm|in|cc|nc)(?![A-Za-z])")
PIECE = re.compile(r"\\([A-Za-z]+)|\\.|[^\\\s]", re.DOTALL)
LONGEST_RUN = 40
"""Most commands in a row; covers KaTeX functions that are not listed here."""
ONE = """
    hat widehat bar overline underline vec tilde widetilde dot ddot dddot ddddot acute grave
    check breve mathring overbrace underbrace overrightarrow overleftarrow
    overleftrightarrow underrightarrow underleftarrow boxed fbox cancel bcancel xcancel sout
    phantom hphantom vphantom text textbf textit textrm textsf texttt textup textmd
    textnormal mathrm mathbf mathbb mathcal mathfrak mathscr mathsf mathtt mathit mathnormal
    operatorname pmb boldsymbol bm not substack mathop mathbin mathrel mathord mathopen
    mathclose mathpunct mathinner overgroup undergroup utilde tag emph angl phase mbox hbox
    vcenter llap rlap clap mathllap mathrlap mathclap
"""
OPTIONAL = """
    sqrt smash xrightarrow xleftarrow xleftrightarrow xRightarrow xLeftarrow xLeftrightarrow
    xmapsto xhookrightarrow xhookleftarrow xlongequal xtofrom xtwoheadrightarrow
    xtwoheadleftarrow
"""
TWO = """
    frac dfrac tfrac cfrac binom dbinom tbinom overset underset stackrel textcolor colorbox
    raisebox rule
"""
SCOPED = """
    displaystyle textstyle scriptstyle scriptscriptstyle tiny scriptsize footnotesize small
    normalsize large Large LARGE huge Huge rm sf tt bf it cal frak color over choose atop
    above brace brack
"""
# Number of arguments per command. An argument may be a command, so they nest without braces.
ARGUMENTS = {
    **dict.fromkeys(ONE.split() + OPTIONAL.split(), 1), **dict.fromkeys(TWO.split(), 2),
    "genfrac": 6, "fcolorbox": 3, "^": 1, "_": 1,
}  # fmt: skip
# Commands with an optional argument in square brackets, which are text elsewhere.
WITH_OPTION = frozenset(OPTIONAL.split())
# Commands that apply to the rest of their group.
SCOPES = frozenset(SCOPED.split())
SCOPE, BRACKET, BRACE, FENCE, BEGUN = -1, -2, -3, -4, -5
OPENS = {"{": BRACE, "left": FENCE, "begin": BEGUN}
CLOSES = {"}": BRACE, "right": FENCE, "end": BEGUN}
UNFIT = 1_000


def use_formulas(md: MarkdownIt) -> None:
    """Add formulas to a parser: tokens `formula`, with `info` "display" or "inline"."""
    md.inline.ruler.before("escape", "formula", _inline)
    md.block.ruler.before(
        "fence", "formula", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def drawn(formula: str, *, display: bool) -> str:
    """The HTML of a formula for KaTeX."""
    inside = formula.translate(TO_KATEX)
    if display:
        return f"{DISPLAY_LEFT}{inside}{DISPLAY_RIGHT}"
    return f"{INLINE_LEFT}{inside}{INLINE_RIGHT}"


# Unlike in `escaped`, line breaks stay: they end TeX comments.
TO_KATEX = {ord(mark): escaped(mark) for mark in "&<>\"'\t"}


def bearable(formula: str) -> bool:
    """Whether the page may draw it."""
    if len(formula) > LONGEST or not formula.strip():
        return False
    if any(bad.search(formula) for bad in (REFUSED, HUGE, BLACK)):
        return False
    return not any("\ufdd0" <= mark <= "\ufdef" for mark in formula) and _depth(formula) <= DEEPEST


def _depth(formula: str) -> int:
    """The nesting depth; `UNFIT` if its braces do not match."""
    # Open items: a group by its kind, a scope, or a command by its number of missing arguments.
    levels: list[int] = []
    run = deepest = 0
    before = ""
    for piece in PIECE.finditer(formula):
        name = piece[1] or piece[0]
        run = run + 1 if piece[1] else 0
        if run > LONGEST_RUN:
            return UNFIT
        if name in OPENS:
            levels.append(OPENS[name])
        elif name == "[" and before in WITH_OPTION:
            levels.append(BRACKET)
        elif name == "]" and next(filter(_is_group, reversed(levels)), 0) == BRACKET:
            _left(levels)
        elif name in CLOSES:
            if _left(levels) != CLOSES[name]:
                return UNFIT
            _taken(levels)
        elif name in ("&", "\\\\"):
            while levels and not _is_group(levels[-1]):
                levels.pop()
        elif name in SCOPES:
            levels.append(SCOPE)
        elif name in ARGUMENTS:
            levels.append(ARGUMENTS[name])
        else:
            _taken(levels)
        deepest = max(deepest, len(levels))
        before = name
    return deepest if not any(map(_is_group, levels)) else UNFIT


def _is_group(level: int) -> bool:
    return level < SCOPE


def _left(levels: list[int]) -> int:
    """Remove and return the group that ends here, with all that is open in it."""
    while levels:
        level = levels.pop()
        if _is_group(level):
            return level
    return 0


def _taken(levels: list[int]) -> None:
    """Record that an argument is complete; its command may complete another one."""
    while levels and levels[-1] > 0:
        levels[-1] -= 1
        if levels[-1]:
            return
        levels.pop()


def _inline(state: StateInline, silent: bool) -> bool:
    src, pos = state.src, state.pos
    found: tuple[int, int, int] | None = None
    display = False
    if src[pos] == "$":
        display = src.startswith("$$", pos)
        found = _displayed(state) if display else _dollars(state)
    elif src[pos] == "\\" and src[pos + 1 : pos + 2] in ("(", "["):
        display = src[pos + 1] == "["
        found = _bracketed(state, "\\]" if display else "\\)")
    if found is None:
        return False
    begin, end, after = found
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.markup = src[begin:end], src[pos:after]
        token.info = "display" if display else "inline"
    state.pos = after
    return True


def _displayed(state: StateInline) -> tuple[int, int, int] | None:
    src, begin = state.src, state.pos + 2
    end = src.find("$$", begin, min(state.posMax, begin + LONGEST))
    if end <= begin or not src[begin:end].strip() or _is_word(src[end + 2 : end + 3]):
        return None
    return begin, end, end + 2


def _bracketed(state: StateInline, closing: str) -> tuple[int, int, int] | None:
    src, begin = state.src, state.pos + 2
    opening = src[state.pos : begin]
    limit = min(state.posMax, begin + LONGEST)
    end = src.find(closing, begin, limit)
    if end < 0 or not src[begin:end].strip() or src.find(opening, begin, end) >= 0:
        return None
    return begin, end, end + 2


def _dollars(state: StateInline) -> tuple[int, int, int] | None:
    src, begin = state.src, state.pos + 1
    if _is_word(src[state.pos - 1 : state.pos]) or src[begin : begin + 1].isspace():
        return None
    limit = min(state.posMax, begin + LONGEST)
    at = begin
    while at < limit and src[at] not in "$\n":
        at += 2 if src[at] == "\\" else 1
    if at >= limit or src[at] != "$" or at == begin or src[at - 1].isspace():
        return None
    after = src[at + 1 : at + 2]
    called = after == "(" and src[begin] == "("
    if _is_word(after) or after in ("{", "$") or called:
        return None
    return begin, at, at + 1


def _is_word(mark: str) -> bool:
    return mark.isascii() and (mark.isalnum() or mark == "_")


def _block(state: StateBlock, begin: int, end: int, silent: bool) -> bool:
    if state.is_code_block(begin):
        return False
    start = state.bMarks[begin] + state.tShift[begin]
    head = state.src[start : start + 24]
    environment = None
    if head.startswith("$$"):
        opening = closing = "$$"
    elif head.startswith("\\["):
        opening, closing = "\\[", "\\]"
    elif environment := BEGIN.match(head):
        opening, closing = "", f"\\end{{{environment[1]}}}"
    else:
        return False
    last = _closed(state, begin, end, start + len(opening), closing)
    if last is None:
        return False
    if silent:
        return True
    whole = state.getLines(begin, last + 1, state.blkIndent, False).strip()
    token = state.push("formula", "", 0)
    token.block, token.map, token.markup, token.info = True, [begin, last + 1], whole, "display"
    token.content = whole if environment else whole[2:-2]
    state.line = last + 1
    return True


def _closed(state: StateBlock, begin: int, end: int, start: int, closing: str) -> int | None:
    """The line that ends with the closing mark; None if text follows it or there is no mark."""
    length = 0
    for line in range(begin, end):
        if line > begin:
            start = state.bMarks[line] + state.tShift[line]
            outside = state.sCount[line] < state.blkIndent and start < state.eMarks[line]
            if outside:
                return None
        length += state.eMarks[line] - start
        if length > LONGEST:
            return None
        at = state.src.find(closing, start, state.eMarks[line])
        if at >= 0:
            rest = state.src[at + len(closing) : state.eMarks[line]]
            return None if rest.strip() else line
    return None
