"""Numbers of tokens as they are billed. `ark/chunks.py` has the numbers that a server reports;
`turns/bill.py` converts them."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens and web searches of one or more calls, never negative. `prompt` includes `cached`,
    `completion` includes `reasoning`."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    searches: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.completion + other.completion,
            self.reasoning + other.reasoning,
            self.searches + other.searches,
        )


@dataclass(frozen=True)
class Numbers:
    """What a turn uses or reserves: tokens, web searches, and millionths of a yuan."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    micro_yuan: int = 0
    saved_micro_yuan: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class PersonUsage(NamedTuple):
    """What one user has used since a given time."""

    tokens: int
    micro_yuan: int
    reserved: int
    """Tokens reserved for running turns."""
    limit: int | None
    """The user's own limit of tokens per day; None for the common limit."""


class AppUsage(NamedTuple):
    """What the whole app has used and reserved, in micro-yuan."""

    today: int
    this_month: int
