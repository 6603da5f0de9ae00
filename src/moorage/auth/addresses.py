"""Addresses that requests come from."""

import functools
import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_NETWORK_BITS = 64
"""Bits of an IPv6 network that count as one: a client that has one of its addresses has all of them."""

_REMEMBERED_LENGTH = 64
"""Longer texts are read anew each time: what is remembered must not grow with what strangers send."""

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
    return (_remembered_loopback if len(host) <= _REMEMBERED_LENGTH else _is_loopback)(host)


def _is_loopback(host: str) -> bool:
    found = _read(host)
    return host == "localhost" if found is None else found.is_loopback


_remembered_loopback = lru_cache(maxsize=1024)(_is_loopback)
"""Each connection of a client asks again, and what the standard library does for an answer costs as much as a parse."""


def is_any(host: str) -> bool:
    """Return whether it stands for every address of a machine, so that nobody can be told to call it."""
    found = _read(host)
    return found is not None and found.is_unspecified


def is_localhost(host: str) -> bool:
    """Return whether who listens at a host is reached from this machine as ``localhost``."""
    return host in {"localhost", "127.0.0.1", "::1"} or is_any(host)


def network_of(address: str) -> str:
    """Return the unit that is counted: an IPv4 address (either form), or an IPv6 network; other text stays as it is."""
    return (_remembered_network if len(address) <= _REMEMBERED_LENGTH else _network_of)(address)


def _network_of(address: str) -> str:
    found = _read(address)
    if found is None:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((int(found), _NETWORK_BITS), strict=False))


_remembered_network = lru_cache(maxsize=1024)(_network_of)


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


class Proxies:
    """Proxies that are believed about whose request they pass on: those on this machine, and those that are named."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """*networks*: addresses, or networks as ``10.0.0.0/8``."""
        self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in networks)

    def client_of(self, remote: str, forwarded: Sequence[str]) -> str:
        """Return the address that a request is from: *remote* is the other end, *forwarded* ``X-Forwarded-For``.

        It is read from its end: each proxy has added whom it heard, while the client may have sent any before.
        """
        if remote and not is_loopback(remote) and not self._is_named(remote):
            return remote
        hops = [_without_port(hop.strip()) for line in forwarded[-_LINES:] for hop in line[-_LINE_LIMIT:].split(",")]
        for hop in reversed(hops):
            if not self._is_named(hop):
                return hop[:_ADDRESS_LIMIT] or remote
        return hops[0][:_ADDRESS_LIMIT] or remote if hops else remote

    def _is_named(self, address: str) -> bool:
        found = _read(address) if self._networks else None
        return found is not None and any(found in network for network in self._networks)


_ADDRESS_LIMIT = 45
_LINES = 10
_LINE_LIMIT = 1000


def _without_port(hop: str) -> str:
    """An address without the port that some proxies add, or the brackets of IPv6."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop


@functools.lru_cache(maxsize=256)
def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; where IPv6 only wraps one of IPv4, as on a socket that listens for both, that one."""
    return _remembered(address) if len(address) <= _REMEMBERED_LENGTH else _parsed(address)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found


_remembered = lru_cache(maxsize=1024)(_parsed)
"""The same few ask again and again."""
