"""Asking with streamed bodies: redirects, deadlines, and what is said where nothing answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.client.credentials import Credentials
from moorage.client.patience import RegistryPatience
from moorage.client.registry import CommandFailed
from moorage.client.streaming import RegistryAway, StreamedCall, StreamingRemote, joined_url
from moorage.client.tls import trusting
from support.authority import Authority
from support.rude_server import RudeServer, Said


def remote(server: RudeServer, *, token: str = "", **patience: float) -> StreamingRemote:
    waits = RegistryPatience(retries=0, **patience)  # type: ignore[arg-type] # seconds
    return StreamingRemote(server.url, credentials=lambda _repository: _with_token(token), patience=waits)


def _with_token(token: str) -> Credentials:
    found = Credentials(token=token)
    found.header = f"Bearer {token}" if token else ""
    return found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_redirect_to_another_host_is_followed_as_it_was_asked_and_without_credentials(method: str) -> None:
    async with RudeServer([Said(body=b"bytes")]) as store:
        location = f"{store.url}/bucket/blob?X-Signature=a%2Fb%3D"
        async with (
            RudeServer([Said(307, headers={"Location": location})]) as server,
            remote(server, token="t") as asked,
        ):
            answer = await asked.ask(StreamedCall(method=method, url=f"{server.url}/v2/app/blobs/x"))
        assert server.asked[0].headers["authorization"] == "Bearer t"
        (there,) = store.asked
        assert (there.method, there.target) == (method, "/bucket/blob?X-Signature=a%2Fb%3D")
        assert "authorization" not in there.headers
        assert answer.body == (b"bytes" if method == "GET" else b"")


async def test_credentials_are_not_given_to_whom_a_redirect_leads_to_even_if_they_are_asked_for() -> None:
    async with RudeServer([Said(body=b'{"token": "t"}')]) as realm:
        challenge = {"WWW-Authenticate": f'Bearer realm="{realm.url}/token",service="s"'}
        async with RudeServer([Said(401, headers=challenge)]) as elsewhere:
            there = Said(307, headers={"Location": f"{elsewhere.url}/blob"})
            async with RudeServer([Said(401, headers=challenge), there]) as server:
                login = Credentials(username="ada", password="s3cr3t")
                async with StreamingRemote(server.url, credentials=lambda _name: login) as asked:
                    answer = await asked.ask(StreamedCall(method="GET", url=f"{server.url}/v2/app/blobs/x"))
        assert answer.status == 401
        assert len(realm.asked) == 1  # By the registry's own challenge.
        assert [headers.get("authorization") for headers in (one.headers for one in server.asked)] == [
            None,
            "Bearer t",
        ]


async def test_a_circle_of_redirects_is_said() -> None:
    async with RudeServer([Said(302, headers={"Location": "/v2/again"})]) as server, remote(server) as asked:
        with pytest.raises(CommandFailed, match="leads in a circle"):
            await asked.ask(StreamedCall(method="GET", url=f"{server.url}/v2/"))


async def test_who_says_nothing_is_not_waited_for_for_ever() -> None:
    async with (
        RudeServer([Said(), Said(body=b"half", is_silent=True)]) as server,
        remote(server, connect_s=0.05, idle_s=0.05) as asked,
    ):
        await asked.ask(StreamedCall(method="GET", url=f"{server.url}/v2/"))
        with pytest.raises(RegistryAway, match="it took too long"):
            await asked.ask(StreamedCall(method="GET", url=f"{server.url}/v2/"))


async def test_a_target_that_stops_taking_bytes_is_not_waited_for_for_ever() -> None:
    stuck = asyncio.Event()

    async def take_little(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await stuck.wait()
        writer.close()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async with await asyncio.start_server(take_little, "127.0.0.1", 0, limit=1 << 16) as server:
        host, port = server.sockets[0].getsockname()
        waits = RegistryPatience(idle_s=0.1)
        url = f"http://{host}:{port}"
        async with StreamingRemote(url, credentials=lambda _name: Credentials(), patience=waits) as asked:
            with pytest.raises(CommandFailed, match="it took too long"):
                await asked.ask_once(StreamedCall(method="PATCH", url=f"{url}/v2/", body=endless()))
        stuck.set()


async def test_only_a_certificate_that_is_trusted_is_spoken_to_and_plain_http_is_not_tried(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certified = authority.certify("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certified.certificate, certified.key)
    async with RudeServer([Said(body=b"safe")], tls=context) as server:
        call = StreamedCall(method="GET", url=f"{server.url}/v2/")
        trusted = trusting(str(authority.certificate), "--source-ca")
        async with StreamingRemote(server.url, credentials=lambda _name: Credentials(), context=trusted) as asked:
            assert (await asked.ask(call)).body == b"safe"
        async with remote(server) as asked:
            with pytest.raises(CommandFailed, match="nobody knows who issued it"):
                await asked.ask(call)
        plain = server.url.replace("https", "http")
        async with StreamingRemote(plain, credentials=lambda _name: Credentials()) as asked:
            with pytest.raises(CommandFailed, match="if it speaks TLS, ask for https"):
                await asked.ask(StreamedCall(method="GET", url=f"{plain}/v2/"))


@pytest.mark.parametrize("location", ["ftp://elsewhere/x", "//:x/"])
def test_a_location_that_leads_nowhere_is_refused(location: str) -> None:
    with pytest.raises(CommandFailed, match="which is no URL"):
        joined_url("http://127.0.0.1:5000/v2/", location)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 1970 00:00:09 GMT", 9.0), ("soon", None), ("", None), ("-1", None)],
)
def test_retry_after_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert RegistryPatience(now=lambda: 0.0).asked_pause_s({"Retry-After": said}) == seconds
