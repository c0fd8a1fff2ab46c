"""What a work is, and how much of it there is to do."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.sheet import Sheet
from benchmarks.stage import Stage


@dataclass(frozen=True)
class Scale:
    """The full sizes. `SHORT` goes through every part with little of each: it shows that they
    work, and its times mean nothing."""

    repeat: int = 3
    firsts: int = 20
    """Brief replies, for their first token alone."""
    steady: int = 200
    """Tokens at a reader's pace."""
    fast: int = 2000
    """Tokens as fast as possible."""
    crowds: tuple[int, ...] = (50, 100)
    crowd_tokens: int = 100
    crowd_repeat: int = 2
    held_users: int = 30
    held_repeat: int = 5
    lengths: tuple[int, ...] = (200, 1000)
    plain_lengths: tuple[int, ...] = (200,)
    list_sizes: tuple[int, ...] = (20, 5000)
    search_sizes: tuple[int, ...] = (1000, 100_000)
    opened: int = 1000
    idle_seconds: float = 5
    logins: int = 10
    bcrypt_cost: int = 12
    browser_lengths: tuple[int, ...] = (0, 100, 1000)
    loaded: int = 30
    """Messages of the session that is opened on a slow network."""


SHORT = Scale(
    repeat=1, firsts=1, steady=10, fast=50, crowds=(4,), crowd_tokens=10, crowd_repeat=1,
    held_users=5, held_repeat=1, lengths=(20,), plain_lengths=(), list_sizes=(2, 20),
    search_sizes=(20, 200), opened=40, idle_seconds=0.3, logins=2, bcrypt_cost=4,
    browser_lengths=(0,), loaded=2,
)  # fmt: skip

Work = Callable[[Stage, Sheet, Scale], None]
BARE, PLAIN, APP = "bare SDK", "plain ChatInterface", "this app"
