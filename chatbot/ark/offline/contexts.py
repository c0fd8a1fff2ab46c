"""Session contexts: what a client may put in, how long they live, what they hold.

The Context API as documented [D 1528789, 1529329, 1396491]; where the pages are silent,
a comment says that the behaviour is our choice.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.messages import (
    Message,
    check_choice,
    check_last_role,
    check_messages,
    check_model,
)
from chatbot.ark.offline.refusals import (
    Refusal,
    busy,
    endpoint_needed,
    invalid,
    lost_context,
    missing,
    unknown_model,
)
from chatbot.ark.offline.usage import Usage, count_messages

ROLES = {"system", "user", "assistant"}
MODES = ("session", "common_prefix")
MIN_TTL, DEFAULT_TTL, MAX_TTL = 3_600, 86_400, 604_800
WINDOW = 32_768
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass
class Context:
    """`messages` starts with the `initial` ones, which are never dropped."""

    id: str
    model: str
    mode: str
    ttl: int
    expires_at: float
    truncation: dict[str, Any]
    messages: list[Message]
    initial: int
    busy: bool = field(default=False, init=False)


class Contexts:
    """The live contexts, and the rules for making and using them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.live: dict[str, Context] = {}
        self._now = now

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new context, and what Ark answers to it."""
        model = check_endpoint(body)
        messages = check_messages(body, roles=ROLES)
        check_last_role(messages)
        mode = check_choice(body, "mode", MODES) or "session"
        truncation = choose_truncation(body, mode)
        ttl = choose_ttl(body)
        self._drop_expired()
        context = Context(
            id=self._new_id(),
            model=model,
            mode=mode,
            ttl=ttl,
            expires_at=self._now() + ttl,
            truncation=truncation,
            messages=list(messages),
            initial=len(messages),
        )
        self.live[context.id] = context
        usage = Usage(prompt=count_messages(messages)).chat()
        usage.pop("completion_tokens_details")
        answer: dict[str, Any] = {"id": context.id, "model": model, "mode": mode, "ttl": ttl}
        if mode == "session":
            answer["truncation_strategy"] = truncation
        return {**answer, "usage": usage}

    def find(self, body: dict[str, Any]) -> Context:
        """The context a request names, its idle timer set back to zero."""
        ref = body.get("context_id")
        if ref is None or ref == "":
            raise missing("context_id")
        if not isinstance(ref, str):
            raise invalid("context_id", "it must be a string")
        context = self.live.get(ref)
        if context is None or (context.expires_at <= self._now() and not context.busy):
            self.live.pop(ref, None)
            raise self.lost(ref)
        # An endpoint other than the context's own: which code Ark uses is not documented.
        if context.model != body.get("model"):
            raise invalid("model", "it must be the endpoint that the context was created with")
        if context.busy:
            raise busy()
        context.expires_at = self._now() + context.ttl
        return context

    def lost(self, ref: str) -> Refusal:
        """How Ark says that a context has expired or was never there."""
        return lost_context(ref)

    def remember(self, context: Context, new: list[Message], answer: Answer) -> None:
        """Add a turn to its context. What Ark keeps of one that was cut off or stopped by
        moderation is not documented: here, what was said so far."""
        text = answer.text if answer.ended else answer.said
        context.messages.extend(new)
        if text or answer.whole:
            context.messages.append({"role": "assistant", "content": text})

    def _drop_expired(self) -> None:
        now = self._now()
        for ref, context in list(self.live.items()):
            if context.expires_at <= now and not context.busy:
                self.live.pop(ref, None)

    def _new_id(self) -> str:
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(self._now() + 8 * 3600))
        while True:
            ref = f"ctx-{stamp}-{''.join(secrets.choice(LETTERS) for _ in range(5))}"
            if ref not in self.live:
                return ref


def check_endpoint(body: dict[str, Any]) -> str:
    model = check_model(body)
    if not model.startswith("ep-"):
        raise endpoint_needed(model)
    if model == "ep-":
        raise unknown_model(model)
    return model


def choose_ttl(body: dict[str, Any]) -> int:
    ttl = body.get("ttl")
    if ttl is None:
        return DEFAULT_TTL
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        raise invalid("ttl", "it must be an integer")
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise invalid("ttl", f"it must be in [{MIN_TTL}, {MAX_TTL}]")
    return ttl


def choose_truncation(body: dict[str, Any], mode: str) -> dict[str, Any]:
    # A model takes exactly one type of truncation [D 1528789]; here each takes both.
    strategy = body.get("truncation_strategy")
    if strategy is None:
        return {"type": "rolling_tokens", "rolling_tokens": True}
    if mode != "session":
        raise invalid("truncation_strategy", "it is supported in session mode only")
    check_truncation(strategy)
    return dict(strategy)


def check_truncation(strategy: Any) -> None:
    name = "truncation_strategy"
    if not isinstance(strategy, dict):
        raise invalid(name, "it must be an object")
    if strategy.get("type") not in ("last_history_tokens", "rolling_tokens"):
        raise invalid(f"{name}.type", "it must be last_history_tokens or rolling_tokens")
    if strategy["type"] == "last_history_tokens":
        if not 0 < number(strategy, "last_history_tokens", 4096) < 32_768:
            raise invalid(f"{name}.last_history_tokens", "it must be in (0, 32768)")
        return
    window = number(strategy, "max_window_tokens", WINDOW)
    rolling = number(strategy, "rolling_window_tokens", min(4096, max(1, window // 8)))
    if not 0 < rolling < window <= WINDOW:
        raise invalid(f"{name}.max_window_tokens", "0 < rolling < max <= the model's window")


def number(strategy: dict[str, Any], name: str, default: int) -> int:
    value = strategy.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(f"truncation_strategy.{name}", "it must be an integer")
    return value


@dataclass(frozen=True)
class Prompt:
    """What the model reads in one turn, and how many tokens are left for its answer."""

    messages: list[Message]
    price: Usage
    room: int


def read_context(context: Context, new: list[Message]) -> Prompt:
    """The context's messages and the new ones, after dropping what no longer fits.

    History that stays where it was counts as cached. `rolling_tokens` recomputes what is
    left after a drop, so nothing is cached in that turn; `last_history_tokens` does not.
    """
    strategy = context.truncation
    recomputed = False
    window = WINDOW
    if strategy["type"] == "last_history_tokens":
        drop_to(context, strategy.get("last_history_tokens") or 4096)
    else:
        window = number(strategy, "max_window_tokens", WINDOW)
        step = number(strategy, "rolling_window_tokens", min(4096, max(1, window // 8)))
        too_long = count_messages(context.messages) + count_messages(new) > window
        if too_long and strategy.get("rolling_tokens") is not False:
            history = count_messages(context.messages[context.initial :])
            fixed = count_messages(context.messages[: context.initial]) + count_messages(new)
            recomputed = drop_to(context, max(0, min(history - step, window - fixed)))
    kept = count_messages(context.messages)
    total = kept + count_messages(new)
    price = Usage(prompt=total, cached=0 if recomputed else kept)
    return Prompt(context.messages + new, price, max(0, window - total))


def drop_to(context: Context, limit: int) -> bool:
    """Drop the oldest messages after the initial ones until the rest costs at most `limit`."""
    history = context.messages[context.initial :]
    cost = count_messages(history)
    dropped = 0
    while dropped < len(history) and cost > limit:
        cost -= count_messages([history[dropped]])
        dropped += 1
    del context.messages[context.initial : context.initial + dropped]
    return dropped > 0
