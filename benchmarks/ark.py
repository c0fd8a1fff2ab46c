"""The local Ark as a process with two dials for the benchmarks: its pace can be set, and it tells
when it was asked and when each piece of text left. `python -m benchmarks.ark PORT`.

All times are seconds of the machine's clock, so that they compare across processes.
"""

import signal
import sys
import threading
import time
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.ark.offline import OfflineArk


class TimedArk(OfflineArk):
    """`GET /pace/0.02` sets the seconds per token, `GET /sent` tells and forgets the replies."""

    def __init__(self, port: int) -> None:
        super().__init__(port=port, pace=0)
        self.sent: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        app = super().app()
        app.add_middleware(Clock, ark=self)
        return app


class Clock:
    """Notes the time of every write of a reply."""

    def __init__(self, app: ASGIApp, ark: TimedArk) -> None:
        self._app = app
        self._ark = ark

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/sent":
            sent, self._ark.sent = self._ark.sent, []
            await JSONResponse(sent)(scope, receive, send)
        elif path.startswith("/pace/"):
            self._ark.pace = float(path.removeprefix("/pace/"))
            await JSONResponse({})(scope, receive, send)
        elif path.endswith(("/completions", "/responses")):
            writes: list[float] = []
            self._ark.sent.append({"asked": time.time(), "writes": writes})

            async def noted(message: Message) -> None:
                if message.get("body"):
                    writes.append(time.time())
                await send(message)

            await self._app(scope, receive, noted)
        else:
            await self._app(scope, receive, send)


def main() -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with TimedArk(int(sys.argv[1])):
        stopped.wait()


if __name__ == "__main__":
    main()
