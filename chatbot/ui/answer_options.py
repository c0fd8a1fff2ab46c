"""The buttons under the newest reply: continue it, or answer again in a way that may work."""

from typing import Any

from chatbot.catalog import Input, Models
from chatbot.ui.model_names import model_label
from chatbot.ui.texts import Language, text
from chatbot.views import Thread

CONTINUE = "continue"
WITHOUT_THINKING = "thinking:off"
LONGER = "max_tokens:"
MODEL = "model:"
CLOSED = (
    "model_not_open", "model_not_found", "endpoint_needed", "endpoint_closed", "access_refused",
    "quota_used_up", "free_quota_used_up", "limit_reached", "pictures_not_read",
)  # fmt: skip
"""Errors of one model, which another one may not have."""


def answer_options(thread: Thread, language: Language, models: Models) -> list[dict[str, str]]:
    """The buttons, as Gradio's Chatbot takes them."""
    last, chosen = thread.messages[-1], thread.chosen
    if last.content and last.state in ("stopped", "interrupted", "length"):
        return [_button(CONTINUE, text("continue", language))]
    code, _, _ = last.error.partition(":")
    buttons = []
    if code == "only_thought":
        [choice] = [one for one in chosen.choices if one.name == chosen.model]
        if chosen.thinking != "off" and "off" in choice.thinking:
            buttons.append(_button(WITHOUT_THINKING, text("without_thinking", language)))
        if chosen.most_tokens > chosen.max_tokens:
            longer = min(2 * chosen.max_tokens, chosen.most_tokens)
            label = text("longer_reply", language, tokens=f"{longer:,}")
            buttons.append(_button(f"{LONGER}{longer}", label))
    reads: Input | None = "image" if code == "pictures_not_read" else None
    if code in CLOSED and (other := models.after(last.model, reads)) is not None:
        name = text("ask_model", language, model=model_label(other, language))
        buttons.append(_button(MODEL + other.name, name))
    return buttons


def _button(value: str, label: str) -> dict[str, str]:
    return {"value": value, "label": label}


def changes_of(option: str) -> dict[str, Any] | None:
    """What a button changes of the session's options; None for the one that continues."""
    name, _, value = option.partition(":")
    match name:
        case "thinking" | "model":
            return {name: value}
        case "max_tokens" if value.isascii() and value.isdecimal() and len(value) < 10:
            return {name: int(value)}
    return None
