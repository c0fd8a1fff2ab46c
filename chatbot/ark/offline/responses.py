"""The Responses API: what may be asked, what is stored, and the response object.

As documented [D 1569618, 1783703, 1599499]; where the pages are silent, a comment says
that the behaviour is our choice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.answer import Answer, answer_to
from chatbot.ark.offline.chains import check_caching, check_length, check_prefix, check_tier
from chatbot.ark.offline.fields import check_fields
from chatbot.ark.offline.files import Files
from chatbot.ark.offline.looking import look_at
from chatbot.ark.offline.messages import (
    Message,
    check_choice,
    check_content,
    check_count,
    check_flag,
    check_model,
    check_range,
    check_type,
)
from chatbot.ark.offline.models import Model, check_abilities
from chatbot.ark.offline.refusals import Refusal, invalid, lost_response, missing, unknown_role
from chatbot.ark.offline.remembered import PromptCache
from chatbot.ark.offline.response_object import MAX_OUTPUT, Round
from chatbot.ark.offline.search import read_search_tool
from chatbot.ark.offline.usage import Usage, count_messages

ROLES = {"user", "system", "developer", "assistant"}
THINKING = ("enabled", "disabled", "auto")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
NO_EFFORT = ("none", "minimal")
SEALED = "reasoning.encrypted_content"
# The items of an earlier answer that must say that they are completed when they are sent back.
DONE_ITEMS = ("reasoning", "web_search_call")
STORED_FOR = 259_200
STORED_AT_MOST = 604_800
# The real name reported for an endpoint.
ENDPOINT_MODEL = "doubao-seed-1-6-251015"


@dataclass
class StoredResponse:
    """A finished round: the object Ark returns, its input, and all the next round inherits."""

    id: str
    model: str
    body: dict[str, Any]
    input_items: list[dict[str, Any]]
    messages: list[Message]
    expire_at: int
    cached: bool
    previous: str | None
    items: int
    """Of the whole chain: what was asked and what was answered."""
    instructed: bool
    """Whether a round of the chain had instructions."""
    thinking: str | None
    moderated: bool
    """Whether moderation stopped it, so that nothing can continue it."""


class Responses:
    """The stored responses, and the rules for making new ones."""

    def __init__(self, now: Callable[[], float], files: Files, cache: PromptCache) -> None:
        self.stored: dict[str, StoredResponse] = {}
        self._files = files
        self._cache = cache
        self._now = now

    def ask(self, body: dict[str, Any], request_id: str, about: Model) -> Round:
        check_fields(body)
        model = check_model(body)
        items = check_input(body)
        now = int(self._now())
        expire_at = check_expiry(body, now)
        store = check_flag(body, "store", default=True)
        search = read_search_tool(body)
        thinking, effort = check_thinking(body)
        previous = self._previous(body)
        check_length(previous, len(items))
        check_tier(body, store)
        cached = check_caching(body, store, previous, thinking)
        check_range(body, "temperature", 0, 2)
        check_range(body, "top_p", 0, 1)
        sealed = check_include(body) and about.summarizes
        new = [to_message(item) for item in items if "role" in item]
        history = previous.messages if previous else []
        said_once = body.get("instructions")
        if said_once is not None and not isinstance(said_once, str):
            raise invalid("instructions", "it must be a string")
        first = [{"role": "system", "content": said_once}] if said_once else []
        check_abilities(about, history + new, thinking)
        new = look_at(new, self._files)
        read = first + history + new
        hit = self._cache.read(model, read)
        if cached:
            hit = count_messages(history) if previous is not None and previous.cached else 0
        price = Usage(prompt=count_messages(read), cached=hit if self._cache.on else 0)
        prefix_only = cached and check_prefix(body, previous, price.prompt)
        limit = check_count(body, "max_output_tokens") or MAX_OUTPUT
        answer = Answer([], [], "stop", price)
        if not prefix_only:
            answer = answer_to(
                read,
                price,
                thinking=thinking,
                effort=effort,
                mode=about.thinking,
                max_total=limit,
                search=search,
            )
            answer.sealed = sealed
        return Round(
            request_id=request_id,
            created_at=now,
            model=ENDPOINT_MODEL if model.startswith("ep-") else model,
            expire_at=expire_at,
            body=body,
            new=items,
            messages=history + new,
            answer=answer,
            store=store,
            cached=cached,
            prefix_only=prefix_only,
            thinking=thinking,
            earlier=previous,
        )

    def keep(self, done: Round) -> None:
        """Store a round that came to its end; one that was cut off is not stored (our choice)."""
        if not done.store:
            return
        self._drop_expired()
        earlier = done.earlier
        reply = {"role": "assistant", "content": done.answer.text}
        self.stored[done.id] = StoredResponse(
            id=done.id,
            model=done.model,
            body=done.finished(),
            input_items=[stored_item(item, n, done.id) for n, item in enumerate(done.new)],
            messages=done.messages if done.prefix_only else [*done.messages, reply],
            expire_at=done.expire_at,
            cached=done.cached,
            previous=done.body.get("previous_response_id") or None,
            items=(earlier.items if earlier else 0) + len(done.new) + len(done.output()),
            instructed=bool(done.body.get("instructions") or (earlier and earlier.instructed)),
            thinking=done.thinking,
            moderated=done.answer.finish == "content_filter",
        )

    def find(self, ref: str) -> StoredResponse:
        """For GET and DELETE. The code of an unknown id is the generic one [D 1299023]."""
        stored = self._live(ref)
        if stored is None:
            message = f"The specified response {ref} is not found."
            raise Refusal(404, "NotFound.response_id", message, param="response_id")
        return stored

    def read(self, ref: str) -> dict[str, Any]:
        """The stored object, without its chain of thought [D 1783709]."""
        body = dict(self.find(ref).body)
        body["output"] = [item for item in body["output"] if item["type"] != "reasoning"]
        return body

    def delete(self, ref: str) -> dict[str, Any]:
        self.find(ref)
        self.stored.pop(ref, None)
        return {"id": ref, "object": "response", "deleted": True}

    def input_items(self, ref: str, query: dict[str, str]) -> dict[str, Any]:
        items = self.find(ref).input_items
        if query.get("order", "desc") == "desc":
            items = items[::-1]
        ids = [item["id"] for item in items]
        if (after := query.get("after")) in ids:
            items = items[ids.index(after) + 1 :]
        elif (before := query.get("before")) in ids:
            items = items[: ids.index(before)]
        try:
            limit = int(query.get("limit", 20))
        except ValueError:
            limit = 0
        if not 1 <= limit <= 100:
            raise invalid("limit", "it must be in [1, 100]")
        page = items[:limit]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > limit,
        }

    def _previous(self, body: dict[str, Any]) -> StoredResponse | None:
        ref = body.get("previous_response_id")
        if ref is None or ref == "":
            return None
        stored = self._live(ref) if isinstance(ref, str) else None
        if stored is None or stored.moderated:
            raise lost_response(str(ref))
        return stored

    def _live(self, ref: str) -> StoredResponse | None:
        stored = self.stored.get(ref)
        if stored is not None and stored.expire_at <= self._now():
            self.stored.pop(ref, None)
            return None
        return stored

    def _drop_expired(self) -> None:
        now = self._now()
        for ref, stored in list(self.stored.items()):
            if stored.expire_at <= now:
                self.stored.pop(ref, None)


def check_input(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise invalid("input", "it must be a string or a list of items")
    for item in given:
        if not isinstance(item, dict):
            raise invalid("input", "every item must be an object")
        if item.get("type") in DONE_ITEMS and not item.get("status"):
            raise missing("input.status")
        # Items of other types, such as a function's output, carry no role.
        if item.get("type", "message") == "message":
            if item.get("role") not in ROLES:
                raise unknown_role(item.get("role"))
            check_content(item, "input.content")
    return given


def check_expiry(body: dict[str, Any], now: int) -> int:
    expire_at = check_count(body, "expire_at")
    if expire_at is None:
        return now + STORED_FOR
    if not now < expire_at <= now + STORED_AT_MOST:
        raise invalid("expire_at", "it must be in (created_at, created_at+604800]")
    return expire_at


def check_thinking(body: dict[str, Any]) -> tuple[str | None, str | None]:
    """What is asked of the thinking, and the effort."""
    effort = check_choice(body.get("reasoning") or {}, "effort", EFFORTS)
    return settle_thinking(check_type(body, "thinking", THINKING), effort, "reasoning")


def settle_thinking(
    thinking: str | None, effort: str | None, param: str
) -> tuple[str | None, str | None]:
    """The two switches as one. Thinking that is off goes with no effort: how Ark says so is not
    documented, here `param` is named."""
    if effort is None:
        return thinking, None
    if effort in NO_EFFORT:
        return "disabled", None
    if thinking == "disabled":
        raise invalid(param, "it is not supported when thinking is disabled")
    return thinking or "enabled", effort


def check_include(body: dict[str, Any]) -> bool:
    """Whether the raw thoughts are asked for; there is nothing else to ask for."""
    include = body.get("include")
    if include is None:
        return False
    if not isinstance(include, list) or any(name != SEALED for name in include):
        raise invalid("include", f"it must be a list of {SEALED}")
    return bool(include)


def to_message(item: dict[str, Any]) -> Message:
    return {"role": item["role"], "content": item.get("content")}


def stored_item(item: dict[str, Any], number: int, ref: str) -> dict[str, Any]:
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    kept = {"type": "message", "status": "completed", **item}
    kept.setdefault("id", f"msg_{ref[5:]}_{number}")
    return {**kept, "content": content} if "role" in item else kept
