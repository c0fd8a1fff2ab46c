"""Forwarded headers: trusted from named proxies only, and always removed.

Gradio builds the page's addresses from them, even if an untrusted client sent them. So the values
of a trusted proxy are written into the request itself (client, scheme, Host).
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Scope

FORWARDED = (
    b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-original-host", b"x-original-url",
    b"x-rewrite-url", b"x-gradio-server", b"x-scheme",
)  # fmt: skip
"""In addition to all headers that begin with `x-forwarded-`."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """`trusted`: as in TRUSTED_PROXIES. `outer_names`: returns known public hosts, such as that of
    a share link, with their schemes; called for every request, because a share link comes late."""

    def __init__(self, trusted: str, outer_names: Callable[[], Mapping[str, str]]) -> None:
        self._trusted: list[Network] = [
            ipaddress.ip_network(name.strip(), strict=False)
            for name in trusted.split(",")
            if name.strip()
        ]
        self._outer_names = outer_names

    def settle(self, scope: Scope) -> None:
        """Restore the request as the browser sent it, and record whether a proxy forwarded it."""
        told: dict[bytes, str] = {}
        kept: list[tuple[bytes, bytes]] = []
        for name, value in scope["headers"]:
            if name.startswith(b"x-forwarded-") or name in FORWARDED:
                text = value.decode("latin-1")
                told[name] = f"{told[name]},{text}" if name in told else text
            else:
                kept.append((name, value))
        if told:
            scope["headers"] = kept
        peer = scope["client"][0] if scope.get("client") else ""
        scope["chatbot.proxied"] = self._is_trusted(peer)
        if scope["chatbot.proxied"]:
            self._believe(scope, told)
        else:
            self._recognize(scope, told)
        if scope["scheme"] != "https" and _browser_says_https(scope):
            # Only the browser sets these headers; no page of another site can change them.
            scope["scheme"] = "https"

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self._trusted)

    def _believe(self, scope: Scope, told: dict[bytes, str]) -> None:
        addresses = [_host(part) for part in told.get(b"x-forwarded-for", "").split(",")]
        addresses = [address for address in addresses if address]
        if addresses:
            # Every proxy appends its peer. The last address that is not a trusted proxy is the
            # client.
            strangers = [address for address in addresses if not self._is_trusted(address)]
            scope["client"] = ((strangers or addresses[:1])[-1], 0)
        scheme = _first(told.get(b"x-forwarded-proto", "")).lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        host = _first(told.get(b"x-forwarded-host", ""))
        if host:
            _set_host(scope, host)

    def _recognize(self, scope: Scope, told: dict[bytes, str]) -> None:
        """Recognize the proxies that need no setting: a share link, a Space."""
        names = self._outer_names()
        for host in (host_of(scope), _first(told.get(b"x-forwarded-host", "")).lower()):
            if host and host in names:
                _set_host(scope, host)
                scope["scheme"] = names[host]
                return


def host_of(scope: Scope) -> str:
    """The Host header in lower case; empty if there is none or more than one."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    return hosts[0].decode("latin-1").strip().lower() if len(hosts) == 1 else ""


def header(scope: Scope, wanted: bytes) -> str | None:
    found: Any = next((value for name, value in scope["headers"] if name == wanted), None)
    return None if found is None else str(found.decode("latin-1"))


def is_loopback(host: str) -> bool:
    """Whether browsers treat this host (with or without a port) as the local machine."""
    name = _host(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _browser_says_https(scope: Scope) -> bool:
    host = host_of(scope)
    for name in (b"origin", b"referer"):
        page = (header(scope, name) or "").lower()
        if page == f"https://{host}" or page.startswith(f"https://{host}/"):
            return True
    # Browsers send it over https, and to the local machine.
    return header(scope, b"sec-fetch-site") is not None and not is_loopback(host)


def _set_host(scope: Scope, host: str) -> None:
    scope["headers"] = [
        *((name, value) for name, value in scope["headers"] if name != b"host"),
        (b"host", host.encode("latin-1")),
    ]


def _first(value: str) -> str:
    return value.partition(",")[0].strip()


def _host(value: str) -> str:
    """A name or address without port and brackets."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0] if value.count(":") == 1 else value
