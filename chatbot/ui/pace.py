"""Rate limits: a token bucket per subject."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from chatbot.errors import TooManyRequests

MOST = 10_000
"""Most buckets; the least recently used is removed first."""


class Pace:
    """Allows `burst` requests at once, and `per_second` in the long run."""

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
        """Count one request of this subject; returns the seconds it has to wait."""
        return max(0.0, -self._count(subject, lowest=-math.inf) / self._per_second)

    def _count(self, subject: Hashable, lowest: float) -> float:
        """The tokens left after one more request; not counted if that is below `lowest`."""
        moment = self._clock()
        left, since = self._left.pop(subject, (self._burst, moment))
        left = min(self._burst, left + (moment - since) * self._per_second)
        self._left[subject] = (left - 1 if left - 1 >= lowest else left, moment)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        return left - 1
