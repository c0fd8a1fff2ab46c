"""Links to other web pages and to mail addresses only.

A link with another scheme, or to our own pages, stays text. An image becomes a link: loading it
would tell its host that this message was read.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

MOST = 300
"""Most links in one message; the rest is text."""
# No user name before the host: `https://a.bank@b.c` leads to b.c.
ALLOWED = re.compile(r"https?://[^\s/\\?#@]+(?![^/\\?#]*@)|mailto:[^\s/\\?#]", re.IGNORECASE)
SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])https?$", re.IGNORECASE)
# A bare address ends before white space, quotes, angle brackets and Chinese punctuation.
ENDS = r"\s<>\"`，。！？；：、（）《》〈〉【】「」『』〔〕“”‘’…—～·\u3000\uff5e\ufdd0-\ufdd3"
NAME = r"[A-Za-z0-9.-]*[A-Za-z0-9]"
HOST = rf"(?:{NAME}(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?|[^\x00-\x7f{ENDS}]+)"
PATH = rf"(?:[/?#][^{ENDS}]*)?"
TAIL = re.compile(HOST + PATH)
WWW = re.compile(rf"(?<![\w.@/:-])www\.[A-Za-z0-9-]+\.{NAME}{PATH}")
LONGEST = 2_000


def use_links(md: MarkdownIt) -> None:
    """Add these links to a parser."""
    md.validateLink = allowed  # type: ignore[assignment, method-assign]
    md.inline.ruler.before("escape", "bare_url", _bare_url)


def allowed(address: str) -> bool:
    """Whether a link to this address is allowed."""
    return bool(ALLOWED.match(address)) and len(address) <= LONGEST


def trimmed(address: str) -> str:
    """A bare address without the punctuation of the sentence around it."""
    while address:
        last = address[-1]
        unopened = last == ")" and address.count(")") > address.count("(")
        if last not in "?!.,:;*_~'|" and not unopened:
            break
        address = address[:-1]
    return address


def _bare_url(state: StateInline, silent: bool) -> bool:
    if state.linkLevel or not state.src.startswith("://", state.pos):
        return False
    scheme = SCHEME.search(state.src[max(0, state.pos - 8) : state.pos])
    tail = TAIL.match(state.src, state.pos + 3, min(state.posMax, state.pos + 3 + LONGEST))
    if scheme is None or tail is None:
        return False
    rest = trimmed(tail[0])
    address = state.md.normalizeLink(f"{scheme[0]}://{rest}")
    if not rest or not allowed(address):
        return False
    if not silent:
        if not state.pending.endswith(scheme[0]):
            return False
        state.pending = state.pending[: -len(scheme[0])]
        opening = state.push("link_open", "a", 1)
        opening.attrs = {"href": address}
        state.push("text", "", 0).content = f"{scheme[0]}://{rest}"
        state.push("link_close", "a", -1)
    state.pos += 3 + len(rest)
    return True
