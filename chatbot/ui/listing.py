"""The list of sessions as the page shows it: the choices of the dropdown, and the newest ones as a
plain list of links. The list also carries the other data of the choices, for `scripts/recent.js`.
"""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby

from chatbot.ui.texts import Language, text
from chatbot.views import Entry

MAX_LISTED = 10_000
"""Most choices that a page can load."""
PLAIN = 15
"""Links in the plain list, which is redrawn whenever a session changes."""
FOUND = 50
"""Links in the list of search hits."""
RUNNING = "● "
KEY = re.compile(r"[\w.-]+", re.ASCII)
"""A title of this form may equal a key of Gradio's texts, or of ours."""
MARKED = "__i18n__"
"""Gradio's prefix of such a key."""
WORD_JOINER = "\u2060"
"""A character of zero width without a line break."""


@dataclass(frozen=True)
class Listing:
    """Both lists of the same sessions; `plain` is HTML."""

    choices: list[tuple[str, str]]
    plain: str


def listing(
    entries: Sequence[Entry],
    language: Language,
    zone: tzinfo,
    *,
    kept: Entry | None = None,
    more: bool = False,
    found: bool = False,
) -> Listing:
    """The list of these sessions, newest first.

    `kept`: the open session if it is not among them; it can be chosen but is no link. `more`: there
    are more sessions. `found`: these are search hits.
    """
    today = datetime.now(UTC).astimezone(zone)
    shown = [kept, *entries] if kept else list(entries)
    times = [_time(entry.updated_at.astimezone(zone), today, language) for entry in shown]
    groups = [text(_group(entry.updated_at.astimezone(zone), today), language) for entry in entries]
    if kept:
        groups = [text("group_open", language), *groups]
    first = [place for place, name in enumerate(groups) if place == 0 or groups[place - 1] != name]
    facts = {"times": times, "groups": {place: groups[place] for place in first}}
    links = list(zip(shown, times, groups, strict=True))[len(shown) - len(entries) :]
    plain = ""
    for name, of_group in groupby(links[: FOUND if found else PLAIN], key=lambda link: link[2]):
        lines = "".join(_link(entry, time, language) for entry, time, _ in of_group)
        plain += f"<h2>{html.escape(name)}</h2><ul>{lines}</ul>"
    told = html.escape(json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
    all_of_them = text("all_sessions", language)
    if len(links) > (FOUND if found else PLAIN):
        plain += f'<button type="button" class="all">{html.escape(all_of_them)}</button>'
    marks = f"{' data-more' if more else ''}{' data-found' if found else ''}"
    name = html.escape(text("recent", language))
    facts_and_marks = f'aria-label="{name}" data-facts="{told}"{marks}'
    return Listing(
        [(title_of(entry, language), entry.id) for entry in shown],
        f'<div class="listing" role="group" {facts_and_marks}>{plain}</div>',
    )


def title_of(entry: Entry, language: Language) -> str:
    """The title of a session in the dropdown.

    Gradio translates the choices of a dropdown, so a session titled "back" or "common.submit" would
    get another title. Titles that look like a key of a text are protected; others stay unchanged.
    """
    title = (entry.title or text("untitled", language)).replace(
        MARKED, f"_{WORD_JOINER}{MARKED[1:]}"
    )
    if KEY.fullmatch(title):
        title += WORD_JOINER
    return f"{RUNNING if entry.running else ''}{title}"


def _link(entry: Entry, time: str, language: Language) -> str:
    title = html.escape(entry.title or text("untitled", language))
    running = f'<i title="{text("running", language)}"></i>' if entry.running else ""
    return (
        f'<li><a href="?session={entry.id}" data-session="{entry.id}">'
        f"{running}<bdi>{title}</bdi><time>{time}</time></a></li>"
    )


def _group(moment: datetime, today: datetime) -> str:
    """The key of the group (today, yesterday, …) of a time; weeks begin on Monday."""
    days = (today.date() - moment.date()).days
    if days <= 0:
        return "group_today"
    if days == 1:
        return "group_yesterday"
    monday = today.date() - timedelta(days=today.weekday())
    return "group_week" if moment.date() >= monday else "group_older"


def _time(moment: datetime, today: datetime, language: Language) -> str:
    """The time, as short as its group allows."""
    group = _group(moment, today)
    if group in ("group_today", "group_yesterday"):
        return f"{moment:%H:%M}"
    if group == "group_week":
        return text("weekdays", language).split()[moment.weekday()]
    return f"{moment:%m-%d}" if moment.year == today.year else f"{moment:%Y-%m-%d}"
