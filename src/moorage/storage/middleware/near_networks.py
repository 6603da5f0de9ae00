"""Networks of a cloud, as its provider lists them: clients in them read the bucket directly, past the delivery network.

A list is read in the background, once at the start and again from time to time; before the first has come, and for an
address that is none, nobody is near. What was read last counts until there is better.
"""

import asyncio
import bisect
import ipaddress
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from moorage.errors import StorageUnavailable
from moorage.json_nesting import parse_json
from moorage.telemetry import get_log
from moorage.work.loop import Growth, Loop, LoopPace

LIST_LIMIT_BYTES = 32 << 20
"""Amazon's is 2 MB."""

_DEADLINE = timedelta(seconds=60)
_FAILING = Growth(timedelta(seconds=30), timedelta(hours=1), factor=2.0)
_PIECE_BYTES = 64 << 10
_REDIRECTS = 3
_log = get_log("storage")

Prefixes = Callable[[Mapping[str, Any]], Iterable[object]]
"""Returns the networks of a provider's list, each in the form ``192.0.2.0/24``."""


def amazon_prefixes(regions: Collection[str]) -> Prefixes:
    """Return the way to read Amazon's list; *regions*: only those of these; empty: all.

    Source: AWS, "AWS IP address ranges".
    """

    def read(found: Mapping[str, Any]) -> Iterator[object]:
        for listed, key in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
            for entry in found.get(listed, ()):
                if not regions or str(entry.get("region", "")).lower() in regions:
                    yield entry.get(key)

    return read


def google_prefixes(found: Mapping[str, Any]) -> Iterator[object]:
    """Yield the networks of Google's list. Source: Google Cloud, "Google IP address ranges"."""
    for entry in found.get("prefixes", ()):
        yield from (entry[key] for key in ("ipv4Prefix", "ipv6Prefix") if key in entry)


class NearNetworks:
    """The networks of near clients.

    Args:
        url: of the provider's list.
        prefixes: reads it.
        name: the provider's, for metrics.
        interval: the time after which it is read again.
    """

    def __init__(self, url: str, prefixes: Prefixes, *, name: str, interval: timedelta) -> None:
        self.name = name
        self._url = url
        self._prefixes = prefixes
        pace = LoopPace(interval=interval, failing=_FAILING, spread=0.1, deadline=_DEADLINE)
        failures = (aiohttp.ClientError, OSError, StorageUnavailable)
        self._loop = Loop(self.refresh, pace, failures=failures, on_failure=self._note)
        self._ranges: Mapping[int, _Ranges] = {}

    async def keep(self) -> None:
        """Read the list now, and again from time to time, until cancelled."""
        await self._loop.run()

    async def refresh(self) -> None:
        """Read the list.

        Raises:
            StorageUnavailable: it is no such list, or too long; what was read before stays.
            aiohttp.ClientError, OSError: nobody answers.
        """
        body = await _fetched(self._url)
        # Thousands of networks: some tens of milliseconds, which no request should wait for.
        self._ranges = await asyncio.to_thread(_parsed, body, self._prefixes)
        _log.info("networks of near clients were read", url=self._url, count=sum(map(len, self._ranges.values())))

    def has(self, address: str) -> bool:
        """Return whether a client is in one of them."""
        if not self._ranges:
            return False
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        plain = mapped or found
        ranges = self._ranges.get(plain.version)
        return ranges is not None and ranges.has(int(plain))

    def _note(self, exc: Exception) -> None:
        _log.warning(
            "networks of near clients cannot be read; those that were read last count", url=self._url, error=repr(exc)
        )


class _Ranges:
    """Ranges of numbers that do not touch, in their order: one look is a search among their beginnings."""

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(pairs):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __len__(self) -> int:
        return len(self._firsts)

    def has(self, number: int) -> bool:
        at = bisect.bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]


async def _fetched(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_DEADLINE.total_seconds(), sock_connect=10)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
        session.get(url, max_redirects=_REDIRECTS) as response,
    ):
        if response.status != 200:  # noqa: PLR2004 - the status of HTTP
            msg = f"the answer has status {response.status}"
            raise StorageUnavailable(msg)
        body = bytearray()
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            body += piece
            if len(body) > LIST_LIMIT_BYTES:
                msg = f"the list is longer than {LIST_LIMIT_BYTES} bytes"
                raise StorageUnavailable(msg)
        return bytes(body)


def _parsed(body: bytes, prefixes: Prefixes) -> Mapping[int, _Ranges]:
    """Return the ranges by the version of IP; what is no network is passed over."""
    try:
        found = parse_json(body)
        networks = [network for text in prefixes(found) if (network := _network(text)) is not None]
    except (ValueError, AttributeError, TypeError) as exc:
        msg = f"it is no list of networks: {exc!r}"
        raise StorageUnavailable(msg) from None
    if not networks:
        msg = "it lists no networks that are asked for"
        raise StorageUnavailable(msg)
    networks.sort(key=lambda network: network.version)
    return {
        version: _Ranges(_pairs(list(group)))
        for version, group in itertools.groupby(networks, key=lambda network: network.version)
    }


def _pairs(networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Iterator[tuple[int, int]]:
    return ((int(network.network_address), int(network.broadcast_address)) for network in networks)


def _network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if isinstance(text, str) else None
    except ValueError:
        return None
