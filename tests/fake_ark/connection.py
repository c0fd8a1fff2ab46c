"""Ends a connection from the server's side."""

import asyncio
import socket
import struct
from contextlib import suppress

from chatbot.ark.offline.exchange import ClientLeft, Exchange
from chatbot.ark.offline.listener import Listener


async def hang_up(exchange: Exchange, listener: Listener, *, reset: bool = False) -> None:
    """Drop the connection; a reset also throws away what was not yet delivered."""
    transport = transport_of(exchange, listener)
    if transport is not None and reset:
        linger = struct.pack("ii", 1, 0)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    elif transport is not None:
        transport.close()
    with suppress(ClientLeft):
        await exchange.pause(None)


def transport_of(exchange: Exchange, listener: Listener) -> asyncio.Transport | None:
    """The connection of this request, None if the client has closed it."""
    client = exchange.request.scope["client"]
    for protocol in listener.server_state.connections:
        if getattr(protocol, "client", None) == client:
            return protocol.transport
    return None
