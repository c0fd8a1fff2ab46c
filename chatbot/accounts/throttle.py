"""Limits how often a password or a registration may be tried, by account and by address."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.errors import TooManyAttempts
from chatbot.storage import attempts
from chatbot.storage.attempts import Failures

WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class Limit:
    """`free` failures within `WINDOW` cost no wait; then the wait doubles from 2 s to `longest`
    seconds."""

    free: int
    longest: int

    def wait(self, failures: int, last: datetime, at: datetime) -> float:
        """Seconds from `at` until the next attempt is allowed; zero or less means now."""
        if failures < self.free:
            return 0
        delay = min(2 ** (failures - self.free + 1), self.longest)
        return delay - max(0, (at - last).total_seconds())


PER_ACCOUNT = Limit(free=5, longest=300)
# A school, or all users of a proxy, may share an address: more attempts are free, waits are short.
PER_ADDRESS = Limit(free=20, longest=60)


def count_attempt(limits: Mapping[str, Limit]) -> list[int]:
    """Count an attempt for every subject before its outcome is known; returns the ids.

    The caller deletes a successful attempt with `attempts.forget`. Raises `TooManyAttempts`; then
    nothing is counted. Runs in a transaction.
    """

    def check(failures: Failures, at: datetime) -> None:
        waits = (limits[name].wait(count, last, at) for name, (count, last) in failures.items())
        wait = max(waits, default=0)
        if wait > 0:
            raise TooManyAttempts(seconds=math.ceil(wait))

    return attempts.add(list(limits), WINDOW, check)
