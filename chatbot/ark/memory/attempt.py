"""One question to Ark: how it is sent now, and how it changes after an error.

This ends with the first word of the answer. Pure: `Memories` makes the calls.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chatbot.ark.chunks import PromptMessage, RemoteContext
from chatbot.ark.dialect import Dialect
from chatbot.ark.tokens import estimate_tokens
from chatbot.errors import (
    ArkError,
    BusyFor,
    ContextLost,
    FieldRefused,
    PromptTooLong,
    ToolNotOpen,
)

RETRIES = 2
LONGEST_WAIT = 20
"""Most seconds that a user waits when Ark asks for a pause."""
MOST_REWORDINGS = 4
OF_CHAINS = ("thinking", "caching", "instructions", "text", "tools")
"""Fields that may have to be the same in a response and the one it continues."""


@dataclass
class Attempt:
    """How the question is sent now, and what has been tried before."""

    ground: RemoteContext
    dialect: Dialect
    history_tokens: int
    step: int
    """The index of the kind of memory in use; 0 is the best."""
    last_step: int
    proven: bool = True
    """Whether Ark itself refused every better kind, not a proxy."""
    rebuilt: bool = False
    shortened: bool = False
    without_search: bool = field(default=False, init=False)
    """Whether the account has not opened the search."""
    rewordings: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)

    def rebuild(self, error: ArkError) -> bool:
        """Build the memory again if the present one is lost or does not fit; whether it does."""
        lost = isinstance(error, ContextLost)
        # The chain may have begun with other settings than now.
        unfit = isinstance(error, FieldRefused) and error.field in OF_CHAINS and not error.by_model
        if not (lost or unfit) or self.ground.ref is None or self.rebuilt:
            return False
        self.ground, self.rebuilt = RemoteContext(), True
        return True

    def reword(self, error: ArkError) -> bool:
        """Leave out the refused field, or lower its number; whether that helps."""
        if not isinstance(error, FieldRefused) or self.rewordings == MOST_REWORDINGS:
            return False
        dialect = self.dialect.after(error)
        if dialect is None:
            return False
        self.dialect = dialect
        self.rewordings += 1
        return True

    def do_without_search(self, error: ArkError) -> bool:
        """Ask without web search if the account has not opened it; whether that helps."""
        if not isinstance(error, ToolNotOpen) or self.without_search:
            return False
        self.without_search = True
        return True

    def shorten(
        self,
        error: ArkError,
        fixed: Iterable[PromptMessage],
        history: Sequence[PromptMessage],
        max_tokens: int,
    ) -> bool:
        """Send less history, once; whether that is possible. `fixed` is never left out."""
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
        """Use the next kind of memory if it may work; whether it may."""
        # A new context cannot be lost: so the model lacks contexts.
        unserved = isinstance(error, ContextLost) and self.ground.ref is None and not self.rebuilt
        if not (error.curable or unserved) or self.step == self.last_step:
            return False
        self.step += 1
        self.proven = self.proven and error.from_ark
        self.ground = RemoteContext()
        return True

    def retry_after(self, error: ArkError, usual: float) -> float | None:
        """Seconds to wait before the same request is repeated; None if a retry is useless.

        `usual` is the first pause in seconds; each pause is random and about twice as long as the
        one before. Raises `BusyFor` if Ark asks for more than `LONGEST_WAIT`.
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
            # The memory may already contain the question.
            self.ground = RemoteContext()
        pause = usual * error.patience * 2**self.retries * random.uniform(0.5, 1)
        return max(pause, asked_for)


def estimate_lines(lines: Iterable[PromptMessage]) -> int:
    """The most prompt tokens that these messages can take."""
    return sum(map(estimate_line, lines))


def estimate_line(line: PromptMessage) -> int:
    """The most prompt tokens that one message can take, with its files."""
    if not line.files:
        return estimate_tokens(line.content)
    return estimate_tokens(line.content) + sum(file.tokens for file in line.files)
