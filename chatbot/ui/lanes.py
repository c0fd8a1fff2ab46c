"""One after the other: what one person sends at once does not come between what others send."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from chatbot.ui.pace import Pace


class Lanes:
    """A lane for each subject, in which one request goes at a time, in the order they came, and
    beyond a burst only as fast as `pace` lets them."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lanes: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    @asynccontextmanager
    async def go(self, subject: Hashable) -> AsyncIterator[None]:
        """Wait until whoever came before in this lane has left it, and the pace allows the next."""
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
