"""How often somebody may try a password or register, by account and by address."""

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
    """How many failures are free within `WINDOW`; the wait then doubles from 2 s to `longest`."""

    free: int
    longest: int

    def wait(self, failures: int, last: datetime, at: datetime) -> float:
        """Seconds from `at` until the next attempt is let through; not positive: right away."""
        if failures < self.free:
            return 0
        delay = min(2 ** (failures - self.free + 1), self.longest)
        return delay - max(0, (at - last).total_seconds())


PER_ACCOUNT = Limit(free=5, longest=300)
# A school, or everybody behind one proxy, may share an address: more is free, and waits stay short.
PER_ADDRESS = Limit(free=20, longest=60)


def count_attempt(limits: Mapping[str, Limit]) -> list[int]:
    """Count an attempt for every subject before its outcome is known; raises `TooManyAttempts`.

    An attempt that succeeds is to be forgotten again by its id; one that is turned away here is not
    counted. In a transaction.
    """

    def check(failures: Failures, at: datetime) -> None:
        waits = (limits[name].wait(count, last, at) for name, (count, last) in failures.items())
        wait = max(waits, default=0)
        if wait > 0:
            raise TooManyAttempts(seconds=math.ceil(wait))

    return attempts.add(list(limits), WINDOW, check)
