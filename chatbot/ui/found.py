"""HTML of what goes with a message besides its text: sources of an answer, files of a question."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from chatbot.ui.render import escaped
from chatbot.ui.render.links import allowed
from chatbot.ui.texts import Language, text
from chatbot.views import Attached, Source

DAY = re.compile(r"\d{4}\D\d{1,2}\D\d{1,2}日?")
FILES = "gradio_api/chatbot/files"
"""Relative to the page, which may be served below a prefix; see `scripts/files.js`."""
TALLEST = 240
"""Pixels of a picture in a message."""


def sources_html(sources: Sequence[Source], language: Language) -> str:
    """The list of an answer's sources: title, site and date. Nothing of them is loaded."""
    items = "".join(f"<li>{_link(one)}</li>" for one in sources if allowed(one.url))
    if not items:
        return ""
    title = escaped(text("sources", language))
    return f'<div class="sources"><p>{title}</p><ol>{items}</ol></div>'


def files_html(files: Sequence[Attached], language: Language) -> str:
    """The pictures and files of a question; a click shows the whole."""
    return f'<div class="files">{"".join(_file(one, language) for one in files)}</div>'


def _link(one: Source) -> str:
    site = one.site or (urlsplit(one.url).hostname or "")
    day = DAY.match(one.date)
    about = " · ".join(filter(None, (site, day[0] if day else one.date[:10])))
    return (
        f'<a href="{escaped(one.url)}" target="_blank" rel="noopener noreferrer nofollow">'
        f"{escaped(one.title or one.url)}</a> <small>{escaped(about)}</small>"
    )


def _file(one: Attached, language: Language) -> str:
    address, name = f"{FILES}/{one.id}", escaped(one.name)
    if one.kind == "image":
        # As large as the style sheet shows it, so that nothing moves when it comes.
        scale = min(1, TALLEST / one.height)
        size = f'width="{round(one.width * scale)}" height="{round(one.height * scale)}"'
        shown = f'<img src="{address}" alt="{name}" {size} loading="lazy">'
    else:
        pages = escaped(text("pdf_pages", language, pages=one.pages))
        shown = f'<span class="pdf">{name}<small>{pages}</small></span>'
    return f'<a class="file" href="{address}" target="_blank" rel="noopener">{shown}</a>'
