"""Numbers of tokens as they are paid for. What a server told is in `ark/chunks.py`, how the one
becomes the other in `turns/bill.py`."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of one or more calls: `prompt` includes `cached`, `completion` includes `reasoning`;
    none is negative."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True)
class Numbers:
    """What a turn uses or sets aside: tokens, and millionths of a yuan."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    micro_yuan: int = 0
    saved_micro_yuan: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class PersonUsage(NamedTuple):
    """What one person has used since some moment."""

    tokens: int
    micro_yuan: int
    reserved: int
    """Tokens that are set aside for running turns."""
    limit: int | None
    """The tokens a day that were set for this person; None for the common limit."""


class AppUsage(NamedTuple):
    """What the whole app has used and set aside, in micro-yuan."""

    today: int
    this_month: int
