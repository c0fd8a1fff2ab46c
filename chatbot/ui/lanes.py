"""Handles the concurrent requests of one user one by one, so that they do not delay others."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from chatbot.ui.pace import Pace


class Lanes:
    """A queue per subject: one request at a time, in order of arrival, limited by `pace`."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lanes: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    @asynccontextmanager
    async def go(self, subject: Hashable) -> AsyncIterator[None]:
        """Wait for the earlier requests in this lane, and until the pace allows the next."""
        lane, users = self._lanes.get(subject) or (asyncio.Lock(), 0)
        self._lanes[subject] = lane, users + 1
        try:
            async with lane:
                if seconds := self._pace.wait(subject):
                    await asyncio.sleep(seconds)
                yield
        finally:
            lane, users = self._lanes.pop(subject)
            if users > 1:
                self._lanes[subject] = lane, users - 1
