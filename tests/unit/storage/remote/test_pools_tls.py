"""TLS to a store: trusted by a CA of one's own, by none, and not at all."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.remote.attempts import AttemptLimits
from moorage.storage.remote.exchange import Exchange, ExchangeSettings, StoreCall, Stream
from moorage.storage.remote.pools import Pools, Trust
from support.authority import Authority
from support.rude_server import RudeServer, Said


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RudeServer]:
    certified = Authority(tmp_path).certify("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.certificate, certified.key)
    async with RudeServer([Said(200, b"safe")], tls=context) as opened:
        yield opened


async def ask(url: str, trust: Trust) -> bytes:
    async def sign(call: StoreCall) -> dict[str, str]:
        return dict(call.headers)

    pools = Pools(url, context=trust.context(key="x"), user_agent="test")
    exchange = Exchange(pools, sign, ExchangeSettings(limits=AttemptLimits(retries=0)))
    try:
        return (await exchange.send(StoreCall(kind="Get", method="GET", url=url))).body
    finally:
        await exchange.close()


async def test_a_ca_of_ones_own_is_trusted(server: RudeServer, tmp_path: Path) -> None:
    assert await ask(server.url, Trust(ca_file=str(tmp_path / "ca.crt"))) == b"safe"


async def test_a_stranger_is_not_trusted_and_that_is_said(server: RudeServer) -> None:
    with pytest.raises(StorageUnavailable, match="certificate verify failed"):
        await ask(server.url, Trust())
    assert server.asked == []


async def test_anybody_is_trusted_where_that_is_asked_for(server: RudeServer) -> None:
    assert await ask(server.url, Trust(is_anyone=True)) == b"safe"


async def test_what_comes_encrypted_is_never_taken_out_of_the_socket(server: RudeServer) -> None:
    async def sign(call: StoreCall) -> dict[str, str]:
        return dict(call.headers)

    content = bytes(3 << 20)
    server.answers = [Said(200, content)]
    pools = Pools(server.url, context=Trust(is_anyone=True).context(key="x"), user_agent="test")
    exchange = Exchange(pools, sign, ExchangeSettings(limits=AttemptLimits(retries=0)))
    found = await exchange.stream(StoreCall(kind="Get", method="GET", url=server.url))
    assert isinstance(found, Stream)
    received = bytearray()
    while len(received) < len(content):
        assert found.take_socket() is None
        received += await found.piece()
    assert received == content
    found.close()
    await exchange.close()
