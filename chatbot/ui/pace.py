"""How fast somebody may ask: a bucket of tokens for each, which fills again with time."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from chatbot.errors import TooManyRequests

MOST = 10_000
"""Buckets kept; the one that was not asked for longest goes first."""


class Pace:
    """At most `burst` at once, and `per_second` in the long run."""

    def __init__(
        self, *, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, subject: Hashable) -> None:
        """Count one request of this subject. Raises `TooManyRequests`; then it is not counted."""
        left = self._count(subject, lowest=0)
        if left < 0:
            raise TooManyRequests(seconds=math.ceil(-left / self._per_second))

    def wait(self, subject: Hashable) -> float:
        """Count one request of this subject; the seconds after which it is its turn."""
        return max(0.0, -self._count(subject, lowest=-math.inf) / self._per_second)

    def _count(self, subject: Hashable, lowest: float) -> float:
        """What is left after one request more; not counted where that is too little."""
        moment = self._clock()
        left, since = self._left.pop(subject, (self._burst, moment))
        left = min(self._burst, left + (moment - since) * self._per_second)
        self._left[subject] = (left - 1 if left - 1 >= lowest else left, moment)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        return left - 1
