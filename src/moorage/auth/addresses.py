"""Addresses that requests come from."""

import ipaddress

_NETWORK_BITS = 64
"""Who has one address of IPv6 has all of its network."""


def is_loopback(host: str) -> bool:
    """Whether a host, by its address or as ``localhost``, is this machine, so that nothing in between can be read."""
    found = _read(host)
    return host == "localhost" if found is None else found.is_loopback


def network_of(address: str) -> str:
    """Who is counted as one: an address of IPv4 in either form, or a network of IPv6; what is no address, as it is."""
    found = _read(address)
    if found is None:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((int(found), _NETWORK_BITS), strict=False))


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; where IPv6 only wraps one of IPv4, as on a socket that listens for both, that one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found
