"""Limits how often a user may send, by account and by address.

Counted in memory, so each process has its own count. That is enough: the budget limits the cost.
"""

import math
import time
from collections import deque

from chatbot.addresses import network_of
from chatbot.errors import SendingTooFast

MINUTE = 60.0
PEOPLE_PER_ADDRESS = 10
"""One address may send as often as this many users at full speed."""


class SendRateLimit:
    """Counts the sends of the last minute in this process. Belongs to one event loop."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._sent: dict[str, deque[float]] = {}

    def take(self, user_id: int, address: str) -> None:
        """Count one send. Raises `SendingTooFast`; then it is not counted."""
        if not self._per_minute:
            return
        moment = time.monotonic()
        self._forget_before(moment - MINUTE)
        limits = {
            f"user:{user_id}": self._per_minute,
            f"address:{network_of(address)}": self._per_minute * PEOPLE_PER_ADDRESS,
        }
        for subject, limit in limits.items():
            sent = self._sent.get(subject)
            if sent is not None and len(sent) >= limit:
                raise SendingTooFast(seconds=math.ceil(sent[0] + MINUTE - moment))
        for subject in limits:
            self._sent.setdefault(subject, deque()).append(moment)

    def _forget_before(self, moment: float) -> None:
        for subject, sent in list(self._sent.items()):
            while sent and sent[0] < moment:
                sent.popleft()
            if not sent:
                del self._sent[subject]
