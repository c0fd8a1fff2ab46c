"""The response object of the Responses API, as it is before and after there is any output.

Keys stand in the order seen on the wire, and one that has nothing to say is absent.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

from chatbot.ark.offline.answer import Answer, seal
from chatbot.ark.offline.chains import Earlier
from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.search import Search, Source

MAX_OUTPUT = 32_768


@dataclass(frozen=True)
class Step:
    """What is done before the answer: a thought, by its pieces, or a search."""

    id: str
    pieces: list[str] = field(default_factory=list)
    search: Search | None = None
    sealed: str = ""
    """The raw thought, if it was asked for and the model shows only a summary."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def item(self, status: str) -> dict[str, Any]:
        """Its item. One that is opened has neither its `summary` nor its `action` yet."""
        opened = status == "in_progress"
        if self.search is not None:
            if opened:
                return {"type": "web_search_call", "id": self.id, "status": status}
            action = {"type": "search", "query": self.search.query}
            return {"type": "web_search_call", "action": action, "status": status, "id": self.id}
        item: dict[str, Any] = {"id": self.id, "type": "reasoning"}
        if not opened:
            item["summary"] = [{"type": "summary_text", "text": self.text}]
        if self.sealed:
            item["encrypted_content"] = self.sealed
        return {**item, "status": status}


@dataclass
class Round:
    """One call being answered. `request_id` is the id without its prefix."""

    request_id: str
    created_at: int
    model: str
    expire_at: int
    body: dict[str, Any]
    new: list[Message]
    messages: list[Message]
    answer: Answer
    store: bool
    cached: bool
    prefix_only: bool
    thinking: str | None
    earlier: Earlier | None

    def __post_init__(self) -> None:
        self.id = f"resp_{self.request_id}"
        self.message_id = self._item_id("msg_")
        self.steps = [self._thought(self.answer.thoughts)] if self.answer.thoughts else []
        for search in self.answer.searches:
            self.steps.append(Step(self._item_id("ws_"), search=search))
            if search.thoughts:
                self.steps.append(self._thought(search.thoughts))

    def _thought(self, pieces: list[str]) -> Step:
        sealed = seal("".join(pieces)) if self.answer.sealed else ""
        return Step(self._item_id("rs_"), pieces, sealed=sealed)

    def _item_id(self, prefix: str) -> str:
        """Ids of items have the time of their response, and an end of their own."""
        end = secrets.token_hex(7)
        return f"{prefix}{self.request_id[:15]}{'0' * 20}ffff{end}"

    def summary(self) -> dict[str, Any]:
        """The response object before there is any output: no `output`, no `status`."""
        return self.object()

    def finished(self) -> dict[str, Any]:
        """The response object at the end."""
        said = {"output": self.output(), "usage": self.answer.usage.responses()}
        if self.answer.finish == "stop":
            return self.object(status="completed", **said)
        reason = {"reason": self.answer.finish}
        return self.object(status="incomplete", **said, incomplete_details=reason)

    def object(self, **more: Any) -> dict[str, Any]:
        """The response object with these fields more; one that is None is left out."""
        body = self.body
        asked = ("previous_response_id", "thinking", "temperature", "tools", "top_p", "text",
                 "instructions", "tool_choice", "max_tool_calls", "reasoning")  # fmt: skip
        values: dict[str, Any] = {
            "created_at": self.created_at,
            "id": self.id,
            "max_output_tokens": body.get("max_output_tokens") or MAX_OUTPUT,
            "model": self.model,
            "object": "response",
            "service_tier": "default",
            "caching": body.get("caching") or {"type": "disabled"},
            "store": self.store,
            "expire_at": self.expire_at,
            **{name: body.get(name) for name in asked},
            **more,
        }
        return {name: values[name] for name in ORDER if values.get(name) is not None}

    def output(self) -> list[dict[str, Any]]:
        steps = [step.item("completed") for step in self.steps]
        silent = self.prefix_only or self.answer.only_thought
        return steps if silent else [*steps, self.message(self.status)]

    def sources(self) -> list[Source]:
        """What the searches found, as annotations of the answer."""
        return [source for search in self.answer.searches for source in search.sources]

    def added_sources(self) -> list[Source]:
        """The annotations that have an event of their own."""
        return self.sources()

    def kept_sources(self) -> list[Source]:
        """The annotations that the finished text has."""
        return self.sources()

    def part(self) -> dict[str, Any]:
        """The finished text."""
        part: dict[str, Any] = {"type": "output_text", "text": self.answer.text}
        if sources := self.kept_sources():
            part["annotations"] = sources
        return part

    @property
    def status(self) -> str:
        return "completed" if self.answer.finish == "stop" else "incomplete"

    def message(self, status: str) -> dict[str, Any]:
        """The item of the answer; one that is opened has no `content` yet."""
        item: dict[str, Any] = {"type": "message", "role": "assistant"}
        if status != "in_progress":
            item["content"] = [self.part()]
        return {**item, "status": status, "id": self.message_id}


ORDER = (
    "created_at", "error", "id", "incomplete_details", "max_output_tokens", "model", "object",
    "output", "previous_response_id", "thinking", "service_tier", "status", "temperature",
    "tools", "top_p", "usage", "caching", "text", "instructions", "store", "expire_at",
    "tool_choice", "max_tool_calls", "reasoning",
)  # fmt: skip
