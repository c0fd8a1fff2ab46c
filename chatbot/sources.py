"""The web pages that an answer names: checked, without doubles, and as text to store."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from chatbot.characters import plain
from chatbot.views import Source

MOST = 50
LONGEST_URL = 2_000
LONGEST_TEXT = 300


def source(told: Any) -> Source | None:
    """The source in an annotation of Ark (`url_citation`); None if its address cannot be used."""
    url = told.get("url") if isinstance(told, dict) else None
    if not isinstance(url, str) or not _is_link(url):
        return None
    return Source(
        url,
        _line(told.get("title")),
        _line(told.get("site_name")),
        _line(told.get("publish_time"))[:40],
    )


def merged(sources: Iterable[Source]) -> tuple[Source, ...]:
    """The sources in order, each address once with the most complete text, at most `MOST`."""
    by_url: dict[str, Source] = {}
    for one in sources:
        known = by_url.get(one.url)
        if known is None and len(by_url) == MOST:
            continue
        by_url[one.url] = one if known is None else Source(*map(_first, known, one))
    return tuple(by_url.values())


def stored(sources: Iterable[Source]) -> str:
    """The text to store; empty without sources."""
    listed = [list(one) for one in sources]
    return json.dumps(listed, ensure_ascii=False) if listed else ""


def read(text: str) -> tuple[Source, ...]:
    """The sources of a stored text."""
    return tuple(Source(*one) for one in json.loads(text)) if text else ()


def _first(known: str, other: str) -> str:
    return known or other


def _is_link(url: str) -> bool:
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _line(told: Any) -> str:
    return " ".join(plain(told).split())[:LONGEST_TEXT] if isinstance(told, str) else ""
