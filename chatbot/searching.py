"""One search at a time per user; of the waiting searches only the newest will run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatbot.errors import SearchReplaced


class Searches:
    """The searches of this process. Lives in one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[None] | None] = {}
        """By user with a running search: the waiting search, if any."""

    @asynccontextmanager
    async def turn(self, user_id: int) -> AsyncIterator[None]:
        """Wait until this user's running search has ended. Raises `SearchReplaced` if a newer one
        comes meanwhile."""
        if user_id in self._waiting:
            await self._wait(user_id)
        else:
            self._waiting[user_id] = None
        try:
            yield
        finally:
            self._end(user_id)

    def _end(self, user_id: int) -> None:
        """Let the search start that waits for the end of this one, if any."""
        waiting = self._waiting[user_id]
        if waiting is None:
            del self._waiting[user_id]
        else:
            # Keep the user's entry, so that no other search starts in between.
            self._waiting[user_id] = None
            waiting.set_result(None)

    async def _wait(self, user_id: int) -> None:
        replaced = self._waiting[user_id]
        if replaced is not None:
            replaced.set_exception(SearchReplaced())
        mine = self._waiting[user_id] = asyncio.get_running_loop().create_future()
        try:
            await mine
        except asyncio.CancelledError:
            if self._waiting.get(user_id) is mine:
                self._waiting[user_id] = None
            elif mine.done() and not mine.cancelled() and mine.exception() is None:
                # Cancelled just after its turn had come.
                self._end(user_id)
            raise
