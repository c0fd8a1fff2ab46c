"""The shortcut for stopping: the connections that open pages hold end first, then the server.

`demo.close` alone stops Gradio's queue first, and waits up to five seconds for the pages of which
it does not know that they are gone.
"""

import asyncio
from typing import Any

from chatbot.ui.shortcuts import DoesNotFit, take
from chatbot.ui.tabs import Tabs

CUT_SECONDS = 2
"""What is cut after this time is no error."""
SENT_SECONDS = 0.1
"""In this time an event's last answer reaches its page."""


class Stopping:
    """How the app is stopped; `attach` while it starts."""

    def __init__(self) -> None:
        self._stopped: asyncio.Event | None = None

    def attach(self, app: Any) -> None:
        """Use the shortcut, if it fits this Gradio app."""
        self._stopped = take("stopping", lambda: _stop_event(app))

    async def let_go(self, tabs: Tabs) -> None:
        """End the connections that open pages hold, in the app's event loop; without the shortcut,
        give them the time to show how their events have ended."""
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
            # Before Gradio's queue: a page with an event of a queue that was stopped shows
            # nothing of it any more.
            demo.server.close()
        demo.close(verbose=False)


def _stop_event(app: Any) -> asyncio.Event:
    """What each connection of Gradio's looks at."""
    from gradio.http_server import Server
    from uvicorn import Server as UvicornServer

    event = app.stop_event
    if not (isinstance(event, asyncio.Event) and issubclass(Server, UvicornServer)):
        raise DoesNotFit("the server is another one")
    if not callable(Server.close):
        raise DoesNotFit("the server cannot be closed")
    return event
