"""One question on its way to Ark: how it is asked now, and how it is asked after a refusal.

No word of the answer has come yet. Pure: nothing here calls Ark; `Memories` does.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chatbot.ark.chunks import PromptMessage, RemoteContext
from chatbot.ark.dialect import Dialect
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import ArkError, BusyFor, ContextLost, FieldRefused, PromptTooLong

RETRIES = 2
LONGEST_WAIT = 20
"""Seconds that a person is kept waiting when Ark asks for a pause."""
MOST_REWORDINGS = 4
OF_CHAINS = ("thinking", "caching", "instructions", "text", "tools")
"""Fields that a response may have to agree in with the one it goes on from."""


@dataclass
class Attempt:
    """How the question is asked at the moment, and what has been tried before."""

    ground: RemoteContext
    dialect: Dialect
    history_tokens: int
    step: int
    """Which kind of memory is used, counted from the best."""
    last_step: int
    proven: bool = True
    """Whether every kind that was stepped down from was refused by Ark itself."""
    rebuilt: bool = False
    shortened: bool = False
    rewordings: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)

    def rebuild(self, error: ArkError) -> bool:
        """Ask on a memory built anew, when the one that was named is of no use any more."""
        lost = isinstance(error, ContextLost)
        # A chain may have begun with other settings than are asked for now.
        unfit = isinstance(error, FieldRefused) and error.field in OF_CHAINS and not error.by_model
        if not (lost or unfit) or self.ground.ref is None or self.rebuilt:
            return False
        self.ground, self.rebuilt = RemoteContext(), True
        return True

    def reword(self, error: ArkError) -> bool:
        """Ask without the field that the model does not take, or with a smaller number."""
        if not isinstance(error, FieldRefused) or self.rewordings == MOST_REWORDINGS:
            return False
        dialect = self.dialect.after(error)
        if dialect is None:
            return False
        self.dialect = dialect
        self.rewordings += 1
        return True

    def shorten(
        self,
        error: ArkError,
        fixed: Iterable[PromptMessage],
        history: Sequence[PromptMessage],
        max_tokens: int,
    ) -> bool:
        """Ask with less of the history, once. `fixed` is what cannot be left out."""
        if not isinstance(error, PromptTooLong) or self.shortened:
            return False
        sent = min(estimate_lines(history), self.history_tokens)
        room = sent // 4
        if error.window:
            reply = min(max_tokens, error.window // 4)
            room = min(error.window - reply - estimate_lines(fixed), sent * 3 // 4)
            if error.counts_reply:
                self.dialect = replace(self.dialect, most_output=reply)
        elif not history:
            return False
        self.history_tokens = max(room, 0)
        self.ground, self.shortened = RemoteContext(), True
        return True

    def step_down(self, error: ArkError) -> bool:
        """Ask by the next kind of memory, when that one may be served."""
        # A context that is made anew cannot have been lost.
        unserved = isinstance(error, ContextLost) and self.ground.ref is None and not self.rebuilt
        if not (error.curable or unserved) or self.step == self.last_step:
            return False
        self.step += 1
        self.proven = self.proven and error.from_ark
        self.ground = RemoteContext()
        return True

    def retry_after(self, error: ArkError, usual: float) -> float | None:
        """Seconds to wait before the same is asked again, None when it is not worth it.

        `usual` seconds is the first pause; each is random, and twice as long as the one before.
        Raises `BusyFor` when Ark asks for a longer wait than a person is kept waiting.
        """
        if not error.retryable:
            return None
        asked_for = error.retry_after or 0.0
        if self.retries == RETRIES or asked_for > LONGEST_WAIT:
            if asked_for:
                raise BusyFor(error) from error
            return None
        self.retries += 1
        if error.applied:
            # It may hold the question already.
            self.ground = RemoteContext()
        pause = usual * error.patience * 2**self.retries * random.uniform(0.5, 1)
        return max(pause, asked_for)


def estimate_lines(lines: Iterable[PromptMessage]) -> int:
    """The most prompt tokens that these messages can count."""
    return sum(estimate_tokens(line.content) for line in lines)
