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
        moment = self._clock()
        left, since = self._left.pop(subject, (self._burst, moment))
        left = min(self._burst, left + (moment - since) * self._per_second)
        taken = left >= 1
        self._left[subject] = (left - 1 if taken else left, moment)
        if len(self._left) > MOST:
            self._left.popitem(last=False)
        if not taken:
            raise TooManyRequests(seconds=math.ceil((1 - left) / self._per_second))
