"""Converts proxy variables of other programs to what Python's HTTP clients accept.

The clients are strict: a blank or an address in brackets makes the import of Gradio fail.
"""

import re
from collections.abc import Iterable, MutableMapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

NAMES = ("http_proxy", "https_proxy", "all_proxy")
SCHEMES = ("http", "https", "socks5", "socks5h")
HERE = ("127.0.0.1", "localhost")
HOST = re.compile(r"\*|\*?\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?(:\d{1,5})?")
MOST_ADDRESSES = 16


def tidy(environment: MutableMapping[str, str]) -> list[str]:
    """Trim the proxy variables of an environment and exclude this machine from proxies; returns
    the problems of variables that no client can use."""
    problems = []
    for name in (*NAMES, *map(str.upper, NAMES)):
        if name not in environment:
            continue
        value = environment[name].strip().strip("\"'").strip()
        if not value:
            # Blank means no proxy, but clients would take it for an address.
            del environment[name]
        elif _is_proxy(value):
            environment[name] = value
        else:
            problems.append(f"{name}: must look like http://host:port or socks5://host:port")
    exempt = _exempt(environment.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    # Python reads the lower-case name, other programs the upper-case one.
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = exempt
    return problems


def _is_proxy(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    plain = value.isascii() and value.isprintable() and " " not in value
    return plain and parts.scheme in SCHEMES and bool(host) and parts.port != 0


def _exempt(lists: Iterable[str]) -> str:
    """All hosts of these lists, in the form that the clients understand."""
    found: dict[str, None] = {}
    for hosts in lists:
        for host in re.split(r"[,;\s]+", hosts.strip("\"' \t")):
            found.update(dict.fromkeys(_spelled(host)))
    return ",".join([*found, *(name for name in HERE if name not in found)])


def _spelled(host: str) -> list[str]:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        network = ip_network(bare, strict=False)
    except ValueError:
        return [host] if HOST.fullmatch(host) else []
    return _addresses(network)


def _addresses(network: IPv4Network | IPv6Network) -> list[str]:
    if network.num_addresses == 1:
        return [str(network.network_address)]
    # The clients do not support networks: write out small ones, leave out large ones.
    if network.num_addresses <= MOST_ADDRESSES:
        return [str(address) for address in network]
    return [str(network)] if network.version == 4 else []
