"""Which conversation each tab shows: a new view ends the one before it.

An old follower that continues after its tab has switched would draw one conversation over the
other. So a new view waits until the old one has ended.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LEAVE_SECONDS = 2
DRAWN_SECONDS = 0.1
Tab = tuple[int, str]
"""User id and Gradio's session hash. The browser chooses the hash, so the key has the user, too."""


class View:
    """The view of one follower in a tab."""

    def __init__(self) -> None:
        self.superseded = False
        self.left = asyncio.Event()


class Viewers:
    """The views of this process, by tab."""

    def __init__(self) -> None:
        self._views: dict[Tab, View] = {}

    @asynccontextmanager
    async def take(self, tab: Tab) -> AsyncIterator[View]:
        """Own the tab's view until the block ends or the view is `superseded`."""
        before = self._views.get(tab)
        view = self._views[tab] = View()
        try:
            if before is not None:
                before.superseded = True
                # A follower whose browser has left may never resume.
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await before.left.wait()
                        # The page may draw the frames of two events in any order.
                        await asyncio.sleep(DRAWN_SECONDS)
            yield view
        finally:
            view.left.set()
            if self._views.get(tab) is view:
                del self._views[tab]
