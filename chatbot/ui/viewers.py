"""Which conversation each tab looks at: a new view ends the one before it.

A follower that goes on writing after its tab has moved to another conversation would paint one
conversation over the other. So whoever takes over waits until the one before has left.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LEAVE_SECONDS = 2
DRAWN_SECONDS = 0.1
Tab = tuple[int, str]
"""User and Gradio's session hash. The hash is the browser's choice, hence the user with it."""


class View:
    """One follower's hold on a tab."""

    def __init__(self) -> None:
        self.superseded = False
        self.left = asyncio.Event()


class Viewers:
    """The views of this process, by tab."""

    def __init__(self) -> None:
        self._views: dict[Tab, View] = {}

    @asynccontextmanager
    async def take(self, tab: Tab) -> AsyncIterator[View]:
        """Hold the tab until the end or until `superseded`."""
        before = self._views.get(tab)
        view = self._views[tab] = View()
        try:
            if before is not None:
                before.superseded = True
                # A follower whose browser is gone may never be resumed.
                with suppress(TimeoutError):
                    async with asyncio.timeout(LEAVE_SECONDS):
                        await before.left.wait()
                        # The page draws the frames of two events in no certain order.
                        await asyncio.sleep(DRAWN_SECONDS)
            yield view
        finally:
            view.left.set()
            if self._views.get(tab) is view:
                del self._views[tab]
