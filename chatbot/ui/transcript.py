"""Turns stored messages into what Gradio's Chatbot takes on the wire.

Messages are content blocks with `postprocess=False`, because Gradio dedents plain strings and
expands their tabs. `render` turns texts into HTML. The caption under a message is a separate block;
its class has the message's id, so that the page can request the stored text to copy it.
"""

import asyncio
import html
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from chatbot.catalog import Models
from chatbot.ui.answer_options import answer_options
from chatbot.ui.found import files_html, sources_html
from chatbot.ui.model_names import model_label
from chatbot.ui.render import Growing, Kept, escaped, typed
from chatbot.ui.texts import Language, reason_text, text
from chatbot.views import Chosen, Shown, Snapshot, Thread, Versions

Wire = dict[str, Any]
WARN_AT = 0.8
REPEAT_SECONDS = 1.5
"""An unchanged frame is repeated after this time: only then does Gradio notice a closed tab."""
CAPTION = '<p><small class="caption{mark}" title="{title}">{remarks}</small></p>'
ARROW = '<a href="#version-{id}-{way}" title="{title}">{sign}</a>'


async def thread_messages(
    thread: Thread, language: Language, zone: tzinfo, kept: Kept, models: Models
) -> list[Wire]:
    """All messages of the shown part of a conversation, oldest first.

    Other tasks can run between two messages that must be rendered.
    """
    running = thread.running_reply
    wires = []
    versions = {place.message_id: place for place in thread.versions}
    for message in thread.messages:
        if message is running:
            continue
        if message.role == "assistant" and message.content not in kept:
            kept.answer(message.content)
            await asyncio.sleep(0)
        wires += _message(message, versions.get(message.id), language, zone, kept, models)
    if wires and running is None:
        wires[-1]["options"] = answer_options(thread, language, models)
    return wires


class GrowingReply:
    """The running reply, for one follower."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._text, self._thought = Growing(), Growing()
        self._last: list[Wire] = []
        self._told_at = 0.0

    def messages(self, snapshot: Snapshot) -> list[Wire] | None:
        """The reply so far; None if the page got the same a moment ago."""
        wires = self._messages(snapshot)
        if wires == self._last and time.monotonic() - self._told_at < REPEAT_SECONDS:
            return None
        self._last, self._told_at = wires, time.monotonic()
        return wires

    def _messages(self, snapshot: Snapshot) -> list[Wire]:
        language = self._language
        wires = []
        if snapshot.thought:
            thinking = not snapshot.text and not snapshot.done
            thought = self._thought.html(snapshot.thought)
            wires.append(_thought(thought, language, pending=thinking))
        notes = [text(f"note_{code}", language) for code in snapshot.notes]
        if snapshot.search is not None:
            notes.append(_searching(snapshot.search, language))
        if snapshot.text:
            wires.append(_wire("assistant", self._text.html(snapshot.text), notes))
        elif notes or not snapshot.thought:
            waiting = f"<p>{escaped(text('waiting', language))}</p>"
            wires.append(_wire("assistant", waiting, notes))
        return wires


def status_line(thread: Thread, language: Language) -> str:
    """The line below the prompt. Its data attributes tell the style sheet (which buttons apply) and
    `scripts/` the session, its title, the ids of its questions from the top, and the id of the
    newest reply."""
    reply = f' data-reply="{thread.messages[-1].id}"' if thread.messages else ""
    running = ' data-running="true"' if thread.running_reply else ""
    earlier = ' data-earlier="true"' if thread.has_earlier else ""
    questions = " ".join(str(message.id) for message in thread.messages if message.role == "user")
    title = html.escape(thread.entry.title)
    place = f' data-session="{thread.entry.id}" data-title="{title}" data-questions="{questions}"'
    facts = f"{place}{reply}{running}{earlier}{_chosen(thread.chosen, language)}"
    return f'<div class="status"{facts}>{_usage(thread, language)}</div>'


def _usage(thread: Thread, language: Language) -> str:
    """A short text on the usage of the last reply; hover or tap shows the details."""
    last = thread.messages[-1] if thread.messages else None
    totals, today = thread.totals, thread.today
    short, more = [], []
    if today.share >= WARN_AT:
        percent = min(int(today.share * 100), 100)
        limit = f"{today.limit:,}"
        more.append(text("usage_warning", language, percent=percent, limit=limit))
        short.append(text("usage_short_warning", language, percent=percent))
    if last is not None and last.prompt_tokens:
        more.append(text("usage_reply", language, took=_took(last, language)))
        tokens = last.prompt_tokens + (last.completion_tokens or 0)
        cost = yuan(last.micro_yuan or 0)
        short.append(text("usage_short", language, tokens=f"{tokens:,}", yuan=cost))
    if totals.prompt:
        more.append(
            text(
                "usage_total",
                language,
                prompt=f"{totals.prompt:,}",
                completion=f"{totals.completion:,}",
                yuan=yuan(totals.micro_yuan),
                saved=yuan(totals.saved_micro_yuan),
            )
        )
    if today.tokens:
        day = text("usage_today", language, tokens=f"{today.tokens:,}", yuan=yuan(today.micro_yuan))
        more.append(day)
    if not more:
        return ""
    more.append(text("memory", language, kind=thread.entry.memory or "–"))
    lines = "".join(f"<span>{escaped(line)}</span>" for line in more)
    chip = escaped(" · ".join(short) or text("usage_chip", language))
    return (
        f'<button type="button" class="chip" aria-describedby="usage-more">{chip}</button>'
        f'<span class="more" id="usage-more" role="tooltip">{lines}</span>'
    )


def _took(reply: Shown, language: Language) -> str:
    """Tokens, cost and time to the first word of one reply, as far as known."""
    prompt, cached = f"{reply.prompt_tokens or 0:,}", f"{reply.cached_tokens or 0:,}"
    parts = [text("took_in", language, prompt=prompt, cached=cached)]
    if reply.completion_tokens:
        parts.append(text("took_out", language, completion=f"{reply.completion_tokens:,}"))
    if reply.searches:
        parts.append(text("took_searches", language, searches=reply.searches))
    parts.append(f"¥{yuan(reply.micro_yuan or 0)}")
    if reply.first_token_ms is not None:
        parts.append(text("took_first", language, first=f"{reply.first_token_ms / 1000:.1f}"))
    return text("comma", language).join(parts)


def yuan(micro_yuan: int) -> str:
    """An amount in yuan, with four decimals if it is below one."""
    amount = micro_yuan / 1_000_000
    return f"{amount:.2f}" if amount >= 1 or not amount else f"{amount:.4f}"


def clock_time(moment: datetime, zone: tzinfo) -> str:
    """The time of day, with the date if that is not today."""
    local, today = moment.astimezone(zone), datetime.now(UTC).astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


@lru_cache(1000)
def _chosen(chosen: Chosen, language: Language) -> str:
    """The data attribute with what is chosen and can be chosen, for `scripts/options.js`."""
    return f' data-options="{html.escape(json.dumps(chosen_values(chosen, language)))}"'


def chosen_values(chosen: Chosen, language: Language) -> dict[str, Any]:
    """What is chosen and can be chosen, as plain values for the page."""
    values = asdict(chosen)
    for choice in values["choices"]:
        label_zh = choice.pop("label_zh")
        label = label_zh if language == "zh" else choice["label"]
        choice["label"] = label or text("unnamed_model", language)
    return values


def _searching(query: str, language: Language) -> str:
    if not query:
        return text("searching_web", language)
    return text("searching_web_for", language, query=query)


def _message(
    message: Shown,
    versions: Versions | None,
    language: Language,
    zone: tzinfo,
    kept: Kept,
    models: Models,
) -> list[Wire]:
    pager = _pager(versions, language) if versions else ""
    if message.role == "user":
        asked = typed(message.content, message.id)
        if message.files:
            asked = files_html(message.files, language) + asked
        return [_wire(message.role, asked, [], pager=pager)]
    wires = []
    if message.thought:
        seconds = (message.thought_ms or 0) / 1000
        thought = kept.answer(message.thought)
        wires.append(_thought(thought, language, pending=False, seconds=seconds))
    took = _took(message, language) if message.prompt_tokens else ""
    remarks = [clock_time(message.at, zone)]
    if message.model and len(models.all) > 1:
        remarks.append(model_label(models.known(message.model), language))
    remarks += [text(f"note_{code}", language) for code in message.notes]
    if message.state != "complete":
        reason = reason_text(message.error or message.state, language, message.model).rstrip(".。")
        remarks.append(text(f"state_{message.state}", language, reason=reason))
    shown = kept.answer(message.content) if message.content else ""
    if message.sources:
        shown += sources_html(message.sources, language)
    wires.append(_wire(message.role, shown, remarks, took, message.id, pager))
    return wires


def _pager(place: Versions, language: Language) -> str:
    """The number of a version among all versions of its message, with an arrow to each side."""

    def arrow(way: str, sign: str, *, leads: bool) -> str:
        title = text(f"version_{way}", language)
        return ARROW.format(id=place.message_id, way=way, title=title, sign=sign) if leads else sign

    back = arrow("back", "‹", leads=place.number > 1)
    on = arrow("on", "›", leads=place.number < place.count)
    return f"{back} {place.number}/{place.count} {on}"


def _wire(
    role: str,
    shown: str,
    remarks: list[str],
    took: str = "",
    message_id: int | None = None,
    pager: str = "",
) -> Wire:
    blocks = [{"type": "text", "text": shown}] if shown else []
    if remarks or pager:
        mark = f" m{message_id}" if message_id is not None else ""
        said = " · ".join(filter(None, [pager, escaped(" · ".join(remarks))]))
        caption = CAPTION.format(mark=mark, remarks=said, title=escaped(took))
        blocks.append({"type": "text", "text": caption})
    return {"role": role, "metadata": None, "content": blocks, "options": None}


def _thought(shown: str, language: Language, *, pending: bool, seconds: float = 0) -> Wire:
    title = text("thinking" if pending else "thought", language)
    if seconds:
        title = text("thought_for", language, seconds=f"{seconds:.0f}" if seconds >= 1 else "<1")
    return {
        "role": "assistant",
        "metadata": {"title": title, "status": "pending" if pending else "done"},
        "content": [{"type": "text", "text": shown}],
        "options": None,
    }
