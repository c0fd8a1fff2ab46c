"""Decides which network addresses count as one."""

import ipaddress


def network_of(address: str) -> str:
    """The network that counts as one address: for IPv6 the /64 of one customer."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
