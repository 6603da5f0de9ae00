"""Lists of a provider's networks: read in the background, and whatever comes of it, requests go on."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import StorageUnavailable
from moorage.storage.middleware import near_networks as module
from moorage.storage.middleware.near_networks import NearNetworks, _parsed, amazon_prefixes, google_prefixes

AMAZON = {
    "syncToken": "1",
    "prefixes": [
        {"ip_prefix": "192.0.2.0/25", "region": "eu-west-1", "service": "EC2"},
        {"ip_prefix": "192.0.2.128/25", "region": "EU-WEST-1", "service": "AMAZON"},
        {"ip_prefix": "198.51.100.0/24", "region": "us-east-1", "service": "EC2"},
        {"ip_prefix": "no network", "region": "us-east-1"},
        {"region": "us-east-1"},
    ],
    "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "us-east-1"}],
}


class Site:
    """A provider's site; ``answer`` is what it does next."""

    def __init__(self) -> None:
        self.url = ""
        self.body = json.dumps(AMAZON).encode()
        self.status = 200
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/list"})
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = web.ServerRunner(web.Server(made.answer), shutdown_timeout=0)
    await server.setup()
    listener = web.TCPSite(server, "127.0.0.1", 0)
    await listener.start()
    made.url = f"http://127.0.0.1:{server.addresses[0][1]}/list"
    yield made
    if made.hold is not None:
        made.hold.set()
    await server.cleanup()


def networks_of(site: Site, *regions: str) -> NearNetworks:
    return NearNetworks(site.url, amazon_prefixes(regions), name="aws", interval=timedelta(hours=12))


async def test_a_list_is_read_with_all_regions_or_with_some(site: Site) -> None:
    everywhere, ireland = networks_of(site), networks_of(site, "eu-west-1")
    await everywhere.refresh()
    await ireland.refresh()
    wanted = {"192.0.2.200": (True, True), "198.51.100.1": (True, False), "2001:db8::5": (True, False)}
    for address, (anywhere, there) in wanted.items():
        assert (everywhere.has(address), ireland.has(address)) == (anywhere, there)
    assert not everywhere.has("203.0.113.1")


async def test_a_list_that_has_moved_is_found(site: Site) -> None:
    site.url = site.url.replace("/list", "/moved")
    networks = networks_of(site)
    await networks.refresh()
    assert networks.has("192.0.2.1")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (404, json.dumps(AMAZON).encode()),
        (200, b"no JSON"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"prefixes": 1}'),
        (200, b'{"prefixes": ["text"]}'),
        (200, b'{"prefixes": [{"ip_prefix": "none"}]}'),
        (200, b"[" * 100_000),
        (200, b"\xff\xfe"),
        (200, b" " * 5000),
    ],
)
async def test_what_is_no_such_list_leaves_the_last_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes
) -> None:
    networks = networks_of(site)
    await networks.refresh()
    if body.isspace():
        monkeypatch.setattr(module, "LIST_LIMIT_BYTES", 4000)
    site.status, site.body = status, body
    with pytest.raises(StorageUnavailable):
        await networks.refresh()
    pause_s = await networks._loop.step()
    assert pause_s is not None
    assert pause_s < 60, "it tries again soon, and not only after the interval"
    assert networks.has("192.0.2.1")


async def test_a_site_that_is_down_ends_nothing(site: Site) -> None:
    networks = NearNetworks("http://127.0.0.1:1/list", google_prefixes, name="gcp", interval=timedelta(hours=1))
    assert await networks._loop.step() is not None
    assert not networks.has("192.0.2.1")
    del site


async def test_a_site_that_hangs_keeps_nobody_waiting_and_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DEADLINE", timedelta(seconds=0.05))
    site.hold = asyncio.Event()
    networks = networks_of(site)
    step: Callable[[], Awaitable[float | None]] = networks._loop.step
    waiting = asyncio.ensure_future(step())
    await site.asked.wait()
    assert not networks.has("192.0.2.1")
    assert await waiting is not None


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=20),
    st.integers(0, 255),
)
def test_an_address_is_near_if_and_only_if_a_network_has_it(given_networks: list[tuple[int, int]], last: int) -> None:
    networks = [ipaddress.ip_network(f"198.51.100.{host}/{bits}", strict=False) for host, bits in given_networks]
    address = ipaddress.ip_address(f"198.51.100.{last}")
    listed = json.dumps({"prefixes": [{"ipv4Prefix": str(network)} for network in networks]}).encode()
    if not networks:
        with pytest.raises(StorageUnavailable):
            _parsed(listed, google_prefixes)
        return
    near = NearNetworks("http://unasked", google_prefixes, name="gcp", interval=timedelta(hours=1))
    near._ranges = _parsed(listed, google_prefixes)
    assert near.has(str(address)) == any(address in network for network in networks)
