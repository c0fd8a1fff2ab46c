"""An answer ready to be sent, and what is to be remembered of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatbot.ark.offline.answer import Answer
from chatbot.ark.offline.wire import Stream


@dataclass
class Job:
    """`stream` and `whole` are the two forms of the answer; `settle` stores what is to be
    remembered, and is called once."""

    stream: Stream
    whole: Callable[[], dict[str, Any]]
    settle: Callable[[], None]
    settled: bool = False

    @property
    def answer(self) -> Answer:
        return self.stream.answer

    def settle_once(self) -> None:
        if not self.settled:
            self.settled = True
            self.settle()

    def settle_if_ended(self) -> None:
        # Before the last bytes leave: a client that has them may ask again at once, and
        # must not find its context still in use.
        if self.answer.ended:
            self.settle_once()
