"""Addresses that requests come from."""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

_NETWORK_BITS = 64
"""Bits of an IPv6 network that count as one: a client that has one of its addresses has all of them."""

_OWN = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "fc00::/7", "::1/128"),
    )
)
"""Of these nobody is given a network: their neighbours are colleagues, and not one stranger."""


class Network(NamedTuple):
    """Addresses that one stranger may have all of."""

    text: str
    weight: int
    """Factor for limits that are set for one address: the network may have other clients in it."""


def is_loopback(host: str) -> bool:
    """Return whether a host, an address or ``localhost``, is this machine, so that nothing in between can be read."""
    found = _read(host)
    return host == "localhost" if found is None else found.is_loopback


def network_of(address: str) -> str:
    """Return the unit that is counted: an IPv4 address (either form), or an IPv6 network; other text stays as it is."""
    found = _read(address)
    if found is None:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((int(found), _NETWORK_BITS), strict=False))


def networks_of(address: str) -> Sequence[Network]:
    """All that an address is counted in, the narrowest first: that of :func:`network_of`, and those around it.

    Providers give /56 and /48 of IPv6 to one customer, and /24 of IPv4 can be rented by the hour.
    """
    found, narrow = _read(address), Network(network_of(address), 1)
    if found is None or any(found in own for own in _OWN):
        return (narrow,)
    wider = ((24, 4),) if isinstance(found, ipaddress.IPv4Address) else ((56, 2), (48, 4))
    whole = type(found)(int(found))
    return (narrow, *[Network(str(ipaddress.ip_network(f"{whole}/{bits}", strict=False)), n) for bits, n in wider])


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; where IPv6 only wraps one of IPv4, as on a socket that listens for both, that one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found
