"""Alternative ways to store contexts and responses, where Ark's way is not documented."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.contexts import Context, Contexts
from chatbot.ark.offline.messages import Message
from chatbot.ark.offline.models import Model
from chatbot.ark.offline.refusals import Refusal
from chatbot.ark.offline.response_object import Round
from chatbot.ark.offline.responses import Responses
from tests.fake_ark.shapes import LostShape, lost


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
    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self.shows_cut_thoughts = True

    def ask(self, body: dict[str, Any], request_id: str, about: Model) -> Round:
        round = super().ask(body, request_id, about)
        if self.shows_cut_thoughts:
            return round
        given = {field.name: getattr(round, field.name) for field in fields(round)}
        return RoundWithoutCutThoughts(**given)


class RoundWithoutCutThoughts(Round):
    """A reply that was cut in its thoughts has none in its output; both were seen."""

    def output(self) -> list[dict[str, Any]]:
        return [] if self.answer.only_thought else super().output()
