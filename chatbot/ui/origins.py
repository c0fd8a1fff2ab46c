"""Which names this app goes by, and whose pages may ask it.

A browser sends the login cookie along with what any site asks it to send; what tells the sites
apart are the headers that pages cannot set: Host, Origin and Sec-Fetch-*.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.types import Scope

from chatbot.errors import CrossSite, UnknownHost
from chatbot.ui.doors import API, Door
from chatbot.ui.proxies import header, host_of, is_loopback

PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"(?:[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
OUR_OWN = ("same-origin", "none")
"""`none`: the person typed the address."""
OWN_SCRIPT = (None, "empty")
DESTINATIONS = {Door.STORED: (*OWN_SCRIPT, "image", "document")}
"""What a request to the API may be for. Otherwise only for the page's own script, and not for a
picture, a frame or a link in a message."""


class Origins:
    """`allowed_hosts`: as in ALLOWED_HOSTS. `on_loopback`: listens for this machine only.
    `own_name`: the address it listens on. `outer_names`: see `Proxies`."""

    def __init__(
        self,
        allowed_hosts: str,
        *,
        on_loopback: bool,
        own_name: str,
        outer_names: Callable[[], Mapping[str, str]],
    ) -> None:
        names = (name.strip().lower() for name in allowed_hosts.split(","))
        self._allowed = {name for name in names if name}
        self._on_loopback = on_loopback
        self._own_name = own_name.lower()
        self._outer_names = outer_names

    def check(self, scope: Scope, door: Door) -> None:
        """Raises `UnknownHost` or `CrossSite`; the scope has gone through `Proxies.settle`."""
        self._check_host(scope)
        if door is Door.FILE:
            return
        site = header(scope, b"sec-fetch-site")
        if door is Door.PAGE:
            is_link = header(scope, b"sec-fetch-mode") in (None, "navigate")
            if site is not None and site not in OUR_OWN and not is_link:
                raise CrossSite()
        elif site is not None and site not in OUR_OWN:
            raise CrossSite()
        if site is None and not self._is_own(header(scope, b"origin"), scope):
            raise CrossSite()
        in_api = str(scope["path"]).find(f"{API}/") >= 0
        wanted = header(scope, b"sec-fetch-dest")
        if in_api and wanted not in DESTINATIONS.get(door, OWN_SCRIPT):
            raise CrossSite()

    def _check_host(self, scope: Scope) -> None:
        host = host_of(scope)
        if not HOST.fullmatch(host):
            raise UnknownHost()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        known = (
            is_loopback(host)
            or host in self._outer_names()
            or host in self._allowed
            or name in self._allowed
        )
        if known:
            return
        if self._allowed:
            # Gradio asks itself by the name it listens on.
            if name != self._own_name:
                raise UnknownHost()
        elif self._on_loopback and not scope["chatbot.proxied"]:
            # A name that somebody else has pointed at this machine, or none at all.
            raise UnknownHost()

    def _is_own(self, origin: str | None, scope: Scope) -> bool:
        """Whether our own page, or no page at all (a program), sent this."""
        if origin is None:
            return True
        sender = _parts(origin)
        if sender is None:
            return False
        own = [f"{scope['scheme']}://{host_of(scope)}"]
        own += [f"{scheme}://{name}" for name, scheme in self._outer_names().items()]
        return sender in map(_parts, own)


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, or None if it is no origin of a web page."""
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]
