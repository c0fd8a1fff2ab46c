"""The shortcut for stopping: end the connections of open pages first, then the server.

`demo.close` alone stops Gradio's queue first, and waits up to five seconds for pages that have been
closed unnoticed.
"""

import asyncio
from typing import Any

from chatbot.ui.shortcuts import DoesNotFit, take
from chatbot.ui.tabs import Tabs

CUT_SECONDS = 2
"""Connections still open after this time are cut, without an error."""
SENT_SECONDS = 0.1
"""Time for the last frame of an event to reach its page."""


class Stopping:
    """Stops the app. Call `attach` while it starts."""

    def __init__(self) -> None:
        self._stopped: asyncio.Event | None = None

    def attach(self, app: Any) -> None:
        """Use the shortcut, if it fits this Gradio app."""
        self._stopped = take("stopping", lambda: _stop_event(app))

    async def let_go(self, tabs: Tabs) -> None:
        """End the connections of open pages, in the app's event loop. Without the shortcut, wait
        until they have shown how their events ended."""
        if self._stopped is not None:
            self._stopped.set()
            return
        for _ in range(round(CUT_SECONDS / SENT_SECONDS)):
            await asyncio.sleep(SENT_SECONDS)
            if not tabs.busy:
                break

    def close(self, demo: Any) -> None:
        """End the server. Call it in another thread than the server's."""
        if self._stopped is not None:
            demo.server.config.timeout_graceful_shutdown = CUT_SECONDS
            # Before Gradio's queue: once that has stopped, a page shows nothing of its events.
            demo.server.close()
        demo.close(verbose=False)


def _stop_event(app: Any) -> asyncio.Event:
    """The event that each of Gradio's connections watches."""
    from gradio.http_server import Server
    from uvicorn import Server as UvicornServer

    event = app.stop_event
    if not (isinstance(event, asyncio.Event) and issubclass(Server, UvicornServer)):
        raise DoesNotFit("the server is another one")
    if not callable(Server.close):
        raise DoesNotFit("the server cannot be closed")
    return event
