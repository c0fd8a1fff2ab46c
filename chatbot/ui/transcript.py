"""Turns stored messages into what Gradio's Chatbot takes on the wire.

Messages are sent as content blocks with `postprocess=False`: with plain strings Gradio dedents
every message and expands its tabs. What a text looks like is for `render` to say. The caption under
a message is a block of its own; its class names the message, so that the page can ask for the
stored text when somebody copies it.
"""

import asyncio
import html
from datetime import UTC, datetime, tzinfo
from typing import Any

from chatbot.service import Shown, Thread
from chatbot.turn import Snapshot
from chatbot.ui.render import Growing, Kept, escaped, typed, typed_by
from chatbot.ui.texts import Language, reason_text, text

Wire = dict[str, Any]
CONTINUE = "continue"
PREVIEW_CHARS = 24
WARN_AT = 0.8
CAPTION = '<p><small class="caption{mark}" title="{title}">{remarks}</small></p>'


async def thread_messages(
    thread: Thread, language: Language, zone: tzinfo, kept: Kept
) -> list[Wire]:
    """All messages of the shown part of a conversation, oldest first.

    Others get their turn between two messages that have to be rendered first.
    """
    running = thread.running_reply
    wires = []
    for message in thread.messages:
        if message is running:
            continue
        if message.role == "assistant" and message.content not in kept:
            kept.answer(message.content)
            await asyncio.sleep(0)
        wires += _message(message, language, zone, kept)
    if wires and running is None:
        wires[-1]["options"] = _options(thread, language)
    return wires


def question_of(thread: Thread, shown: object) -> int | None:
    """The id of the question that the page showed so, if it is one of this conversation."""
    asked = typed_by(shown)
    return next((m.id for m in thread.messages if m.id == asked and m.role == "user"), None)


class GrowingReply:
    """The reply that is being written, for one who follows it."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._text, self._thought = Growing(), Growing()

    def messages(self, snapshot: Snapshot) -> list[Wire]:
        """The reply as it stands."""
        language = self._language
        wires = []
        if snapshot.thought:
            thinking = not snapshot.text and not snapshot.done
            thought = self._thought.html(snapshot.thought)
            wires.append(_thought(thought, language, pending=thinking))
        notes = [text(f"note_{code}", language) for code in snapshot.notes]
        if snapshot.text:
            wires.append(_wire("assistant", self._text.html(snapshot.text), notes))
        elif not snapshot.thought:
            waiting = f"<p>{escaped(text('waiting', language))}</p>"
            wires.append(_wire("assistant", waiting, notes))
        return wires


def status_line(thread: Thread, language: Language) -> str:
    """The line below the prompt; the style sheet reads from it which buttons make sense now."""
    reply = f' data-reply="{thread.messages[-1].id}"' if thread.messages else ""
    running = ' data-running="true"' if thread.running_reply else ""
    earlier = ' data-earlier="true"' if thread.has_earlier else ""
    usage = html.escape(_usage(thread, language))
    memory = text("memory", language, kind=thread.entry.memory or "–")
    facts = f'{reply}{running}{earlier} title="{html.escape(memory)}"'
    return f'<div class="status"{facts}>{usage}</div>'


def _usage(thread: Thread, language: Language) -> str:
    """What the last reply, the conversation and the day took, as far as it is known."""
    last = thread.messages[-1] if thread.messages else None
    totals, today = thread.totals, thread.today
    parts = []
    if today.share >= WARN_AT:
        percent = min(int(today.share * 100), 100)
        limit = f"{today.limit:,}"
        parts.append(text("usage_warning", language, percent=percent, limit=limit))
    if last is not None and last.prompt_tokens:
        parts.append(text("usage_reply", language, took=_took(last, language)))
    if totals.prompt:
        parts.append(
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
        parts.append(day)
    return " · ".join(parts)


def _took(reply: Shown, language: Language) -> str:
    """Tokens, cost and first word of one reply."""
    first = "–" if reply.first_token_ms is None else f"{reply.first_token_ms / 1000:.1f}"
    return text(
        "usage_took",
        language,
        prompt=f"{reply.prompt_tokens or 0:,}",
        cached=f"{reply.cached_tokens or 0:,}",
        completion=f"{reply.completion_tokens or 0:,}",
        yuan=yuan(reply.micro_yuan or 0),
        first=first,
    )


def yuan(micro_yuan: int) -> str:
    """An amount with as many places as it takes to see it."""
    amount = micro_yuan / 1_000_000
    return f"{amount:.2f}" if amount >= 1 or not amount else f"{amount:.4f}"


def clock_time(moment: datetime, zone: tzinfo) -> str:
    """The time of day, with the date when that is not today."""
    local, today = moment.astimezone(zone), datetime.now(UTC).astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def _options(thread: Thread, language: Language) -> list[dict[str, str]]:
    """What can be chosen under the newest reply: to go on with it, and other versions."""
    last = thread.messages[-1]
    options = []
    if last.content and last.state in ("stopped", "interrupted", "length"):
        options.append({"value": CONTINUE, "label": text("continue", language)})
    words = {message.id: message.content for message in thread.messages if message.role == "user"}
    for place in thread.versions:
        preview = " ".join(words.get(place.message_id, "").split())
        if len(preview) > PREVIEW_CHARS:
            preview = preview[: PREVIEW_CHARS - 1] + "…"
        label = f"‹ {place.number}/{place.count} ›"
        options.append({"value": str(place.message_id), "label": f"{label} {preview}".strip()})
    return options


def _message(message: Shown, language: Language, zone: tzinfo, kept: Kept) -> list[Wire]:
    if message.role == "user":
        # A question has no caption: Gradio would offer it for editing with the words.
        return [_wire(message.role, typed(message.content, message.id), [])]
    wires = []
    if message.thought:
        wires.append(_thought(kept.answer(message.thought), language, pending=False))
    took = _took(message, language) if message.prompt_tokens else ""
    remarks = [clock_time(message.at, zone)]
    remarks += [text(f"note_{code}", language) for code in message.notes]
    if message.state != "complete":
        reason = reason_text(message.error or message.state, language, message.model).rstrip(".。")
        remarks.append(text(f"state_{message.state}", language, reason=reason))
    shown = kept.answer(message.content) if message.content else ""
    wires.append(_wire(message.role, shown, remarks, took, message.id))
    return wires


def _wire(
    role: str, shown: str, remarks: list[str], took: str = "", message_id: int | None = None
) -> Wire:
    blocks = [{"type": "text", "text": shown}] if shown else []
    if remarks:
        mark = f" m{message_id}" if message_id is not None else ""
        said = escaped(" · ".join(remarks))
        caption = CAPTION.format(mark=mark, remarks=said, title=escaped(took))
        blocks.append({"type": "text", "text": caption})
    return {"role": role, "metadata": None, "content": blocks, "options": None}


def _thought(shown: str, language: Language, *, pending: bool) -> Wire:
    title = text("thinking" if pending else "thought", language)
    return {
        "role": "assistant",
        "metadata": {"title": title, "status": "pending" if pending else "done"},
        "content": [{"type": "text", "text": shown}],
        "options": None,
    }
