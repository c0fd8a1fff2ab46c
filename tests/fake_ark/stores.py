"""Alternative ways to store contexts and responses, where Ark's way is not documented."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.contexts import Context, Contexts
from chatbot.ark.offline.files import Files
from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.models import Model
from chatbot.ark.offline.refusals import Refusal, lost_response
from chatbot.ark.offline.remembered import PromptCache
from chatbot.ark.offline.response_object import Round
from chatbot.ark.offline.responses import Responses, StoredResponse
from chatbot.ark.offline.search import Source
from tests.fake_ark.shapes import Annotations, LostShape, lost


class FakeContexts(Contexts):
    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self.lost_shape: LostShape = "not_found"
        self.keeps_partial = True

    def lost(self, ref: str) -> Refusal:
        return lost(ref, self.lost_shape)

    def remember(self, context: Context, new: list[Message], answer: Answer) -> None:
        if answer.whole or self.keeps_partial:
            super().remember(context, new, answer)


class FakeResponses(Responses):
    def __init__(self, now: Callable[[], float], files: Files, cache: PromptCache) -> None:
        super().__init__(now, files, cache)
        self.shows_cut_thoughts = True
        self.annotations: Annotations = "both"
        self.deletion_breaks_chains = False
        self._deleted: set[str] = set()

    def ask(self, body: dict[str, Any], request_id: str, about: Model) -> Round:
        round = super().ask(body, request_id, about)
        given = {field.name: getattr(round, field.name) for field in fields(round)}
        return FakeRound(
            **given, shows_cut_thoughts=self.shows_cut_thoughts, annotations=self.annotations
        )

    def delete(self, ref: str) -> dict[str, Any]:
        told = super().delete(ref)
        self._deleted.add(ref)
        return told

    def _previous(self, body: dict[str, Any]) -> StoredResponse | None:
        previous = link = super()._previous(body)
        while self.deletion_breaks_chains and link is not None and link.previous is not None:
            if link.previous in self._deleted:
                raise lost_response(str(body["previous_response_id"]))
            link = self.stored.get(link.previous)
        return previous


@dataclass
class FakeRound(Round):
    """A reply that was cut in its thoughts may have none in its output; both were seen. The
    sources of a search may come by events, in the finished text, both or neither."""

    shows_cut_thoughts: bool
    annotations: Annotations

    def output(self) -> list[dict[str, Any]]:
        hidden = self.answer.only_thought and not self.shows_cut_thoughts
        return [] if hidden else super().output()

    def added_sources(self) -> list[Source]:
        return super().added_sources() if self.annotations in ("both", "deltas") else []

    def kept_sources(self) -> list[Source]:
        return super().kept_sources() if self.annotations in ("both", "final") else []
