"""Checks where the app can listen, and finds its address for other people. The web server itself
reports a wrong host or port only with a traceback."""

import errno
import os
import socket
from contextlib import closing

from chatbot.errors import BadSettings

FIRST_PORT, PORTS = 7860, 100
EVERYWHERE = ("0.0.0.0", "[::]")
# An address for documentation (RFC 5737, RFC 3849): nothing is sent to it.
SOMEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def port_for(host: str, port: int | None) -> int:
    """The port to listen on: the given one, or the first free one.

    Raises `BadSettings` if this machine does not have the host, or the port is not available.
    """
    family, address = _resolved(host)
    for one in [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS):
        error = _refusal(family, address, one)
        if error is None:
            return one
        if error.errno == errno.EADDRNOTAVAIL:
            raise BadSettings([f"GRADIO_SERVER_NAME: {host} is no address of this machine"])
        if error.errno == errno.EAFNOSUPPORT:
            raise BadSettings([f"GRADIO_SERVER_NAME: this machine has no addresses like {host}"])
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise BadSettings([f"GRADIO_SERVER_NAME: {host}: {error.strerror}"])
        if port:
            why = "is in use" if error.errno == errno.EADDRINUSE else "is not allowed to you"
            raise BadSettings([f"GRADIO_SERVER_PORT: {port} {why}"])
    last = FIRST_PORT + PORTS - 1
    raise BadSettings([f"GRADIO_SERVER_PORT: all from {FIRST_PORT} to {last} are in use"])


def address_for_others(host: str, port: int) -> str:
    """The address for other people, who cannot open `0.0.0.0` or `localhost`."""
    if host in EVERYWHERE:
        found = _address_of_this_machine()
        host = f"[{found}]" if ":" in found else found
    return f"http://{host}:{port}/"


def _resolved(host: str) -> tuple[socket.AddressFamily, str]:
    bare = host.strip("[]")
    try:
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadSettings([f"GRADIO_SERVER_NAME: there is no host {host}"]) from None
    # IPv4 first, like the web server.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, str(address[0])


def _refusal(family: socket.AddressFamily, address: str, port: int) -> OSError | None:
    try:
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error
    return None


def _address_of_this_machine() -> str:
    for family, somewhere in SOMEWHERE.items():
        try:
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
                probe.connect((somewhere, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return socket.gethostname()
