"""The local Ark's own time. Every ttl and expiry reads it, so a test can let hours pass."""

import time


class Clock:
    """Unix seconds of the machine, until a test moves them forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
