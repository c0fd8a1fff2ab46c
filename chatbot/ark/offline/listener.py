"""The HTTP listener: uvicorn in a thread of its own."""

import asyncio
import socket
import threading

import uvicorn
from starlette.applications import Starlette


class Listener(uvicorn.Server):
    """uvicorn without its ticks and its patience: it starts and ends in milliseconds."""

    def __init__(self, app: Starlette) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            loop="asyncio",
            access_log=False,
            log_config=None,
            log_level=None,
            server_header=False,
            proxy_headers=False,
            # Longer than clients keep idle connections, so that none is closed under a request.
            timeout_keep_alive=75,
        )
        super().__init__(config)
        self.ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()

    def serve_on(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.serve(sockets=[listener]))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self._closing.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if tasks := list(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=0.5)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        # Closed connections report so in the next round of the loop.
        await asyncio.sleep(0)
