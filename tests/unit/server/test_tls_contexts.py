"""HTTPS over sockets: what is spoken, who is let in, and certificates that change under open connections."""

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

import pytest
import uvloop

from moorage.config.ciphers import DEFAULT_NAMES, OPENSSL_NAMES
from moorage.errors import ConfigurationError
from moorage.server.tls.tls_contexts import AGAIN, FileTLS, ServerTLS, Terms, make_context
from moorage.web.encrypted import EncryptedTransport
from support.authority import KEY_OF_NO_KIND, OF_NO_VERSION, Authority, Certified, damaged, serial_of
from support.open_files import no_more_files

P = ParamSpec("P")
TERMS = Terms(path="http.tls")


def on_uvloop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test on the event loop that the daemon has."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def pair(authority: Authority) -> Certified:
    return authority.certify("server", "127.0.0.1")


@dataclass
class Line:
    """A connection to the echoing server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def serial(self) -> int:
        shown = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return serial_of(shown)

    async def echoes(self) -> bool:
        self.writer.write(b"hello\n")
        return await self.reader.readline() == b"hello\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


class Server:
    def __init__(self, tls: ServerTLS, authority: Authority) -> None:
        self.tls = tls
        self.authority = authority
        self.port = 0
        self.lines: list[Line] = []

    async def connect(self, context: ssl.SSLContext | None = None) -> Line:
        context = context or self.authority.trusted()
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))
        self.lines.append(line)
        return line


@asynccontextmanager
async def serving(tls: ServerTLS, authority: Authority) -> AsyncIterator[Server]:
    server = Server(tls, authority)
    loop = asyncio.get_running_loop()

    def speak() -> EncryptedTransport:
        return EncryptedTransport(asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo), tls.begin)

    listening = await loop.create_server(speak, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(30):
            yield server
    finally:
        for line in server.lines:
            line.writer.close()
        listening.close()


def replace(pair: Certified, by: Certified) -> None:
    by.certificate.rename(pair.certificate)
    by.key.rename(pair.key)


@on_uvloop
async def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(
    authority: Authority, pair: Certified
) -> None:
    tls, first = FileTLS(TERMS, pair.certificate, pair.key), pair.serial
    async with serving(tls, authority) as server:
        old = await server.connect()
        replace(pair, authority.certify("new", "127.0.0.1"))
        tls.refresh()
        assert (await server.connect()).serial == first  # Seen once: its writer may not be done.
        tls.refresh()
        new = await server.connect()
        assert (old.serial, new.serial) == (first, pair.serial)
        assert first != pair.serial
        assert await old.echoes()
        assert await new.echoes()


@on_uvloop
async def test_files_between_an_old_and_a_new_pair_change_nothing(authority: Authority, pair: Certified) -> None:
    tls, first = FileTLS(TERMS, pair.certificate, pair.key), pair.serial
    new = authority.certify("new", "127.0.0.1")
    async with serving(tls, authority) as server:
        new.certificate.rename(pair.certificate)
        tls.refresh()
        tls.refresh()
        assert (await server.connect()).serial == first
        new.key.rename(pair.key)
        tls.refresh()
        tls.refresh()
        assert (await server.connect()).serial == pair.serial


@pytest.mark.parametrize("fault", ["gone", "empty", "cut", "unreadable", "nonsense", "key of no kind", "no version"])
@on_uvloop
async def test_new_files_that_cannot_be_used_leave_the_old_ones_and_are_logged_once(
    authority: Authority, pair: Certified, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tls, first = FileTLS(TERMS, pair.certificate, pair.key), pair.serial
    good = pair.certificate.read_bytes()
    match fault:
        case "gone":
            pair.certificate.unlink()
        case "unreadable":
            pair.certificate.unlink()
            pair.certificate.mkdir()
        case "key of no kind":
            pair.certificate.write_bytes(damaged(good, KEY_OF_NO_KIND))
        case "no version":
            pair.certificate.write_bytes(damaged(good, OF_NO_VERSION))
        case _:
            pair.certificate.write_bytes({"empty": b"", "cut": good[:300], "nonsense": b"\0" * 1000}[fault])
    for _ in range(4):
        tls.refresh()
    said = capsys.readouterr().err
    assert said.count("the old one stays") == 1
    assert str(pair.certificate) in said
    async with serving(tls, authority) as server:
        assert (await server.connect()).serial == first


@on_uvloop
async def test_new_files_that_could_not_be_read_for_a_while_are_taken_though_they_have_not_changed_since(
    authority: Authority, pair: Certified, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = FileTLS(TERMS, pair.certificate, pair.key)
    replace(pair, authority.certify("new", "127.0.0.1"))
    with no_more_files():
        for _ in range(3 * AGAIN):
            tls.refresh()
    assert capsys.readouterr().err.count("the old one stays") == 1
    for _ in range(AGAIN + 1):
        tls.refresh()
    async with serving(tls, authority) as server:
        assert (await server.connect()).serial == pair.serial
    before = tls.current
    for _ in range(2 * AGAIN):
        tls.refresh()
    assert tls.current is before, "what is good is read once"


@on_uvloop
async def test_a_link_that_leads_elsewhere_is_a_new_certificate(authority: Authority, tmp_path: Path) -> None:
    # As Kubernetes changes a secret, and certbot its "live" folder.
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made = authority.certify(name, "127.0.0.1", into=tmp_path / name)
        made.certificate.rename(tmp_path / name / "tls.crt")
        made.key.rename(tmp_path / name / "tls.key")
    (tmp_path / "now").symlink_to("first")
    linked = Certified(tmp_path / "now" / "tls.crt", tmp_path / "now" / "tls.key")
    tls = FileTLS(TERMS, linked.certificate, linked.key)
    async with serving(tls, authority) as server:
        assert (await server.connect()).serial == linked.serial
        (tmp_path / "next").symlink_to("second")
        (tmp_path / "next").rename(tmp_path / "now")
        tls.refresh()
        tls.refresh()
        assert (await server.connect()).serial == linked.serial


def test_a_worker_that_starts_late_takes_what_is_there_at_once(authority: Authority, pair: Certified) -> None:
    tls = FileTLS(TERMS, pair.certificate, pair.key)
    before = tls.current
    tls.refresh(at_once=True)
    assert tls.current is before
    replace(pair, authority.certify("new", "127.0.0.1"))
    tls.refresh(at_once=True)
    assert tls.current is not before


@on_uvloop
async def test_a_client_certificate_is_needed_where_there_are_authorities(
    authority: Authority, pair: Certified, tmp_path: Path
) -> None:
    clients, strangers = Authority(tmp_path / "clients"), Authority(tmp_path / "strangers")
    terms = Terms(path="http.tls", client_authorities=(clients.certificate,))
    async with serving(FileTLS(terms, pair.certificate, pair.key), authority) as server:
        ours = await server.connect(authority.trusted(clients.certify("ours")))
        assert await ours.echoes()
        # A client of TLS 1.3 only learns it when it reads.
        with pytest.raises(ssl.SSLError, match="certificate required"):
            await (await server.connect()).reader.read()
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            await (await server.connect(authority.trusted(strangers.certify("theirs")))).reader.read()


@on_uvloop
async def test_a_client_certificate_may_be_left_out_and_not_be_wrong_where_it_is_checked_if_given(
    authority: Authority, pair: Certified, tmp_path: Path
) -> None:
    clients, strangers = Authority(tmp_path / "clients"), Authority(tmp_path / "strangers")
    terms = Terms(path="http.tls", client_authorities=(clients.certificate,), needs_client=False)
    async with serving(FileTLS(terms, pair.certificate, pair.key), authority) as server:
        assert await (await server.connect()).echoes()
        assert await (await server.connect(authority.trusted(clients.certify("ours")))).echoes()
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            await (await server.connect(authority.trusted(strangers.certify("theirs")))).reader.read()


@on_uvloop
async def test_new_authorities_count_for_new_connections(authority: Authority, pair: Certified, tmp_path: Path) -> None:
    clients, later = Authority(tmp_path / "clients"), Authority(tmp_path / "later")
    terms = Terms(path="http.tls", client_authorities=(clients.certificate,))
    tls = FileTLS(terms, pair.certificate, pair.key)
    async with serving(tls, authority) as server:
        before = await server.connect(authority.trusted(clients.certify("ours")))
        assert await before.echoes()
        later.certificate.rename(clients.certificate)
        tls.refresh()
        tls.refresh()
        assert await (await server.connect(authority.trusted(later.certify("new")))).echoes()
        with pytest.raises(ssl.SSLError, match="unknown ca"):
            await (await server.connect(authority.trusted(clients.certify("old")))).reader.read()
        assert await before.echoes()


@pytest.mark.parametrize(
    ("minimum", "spoken"),
    [("tls1.2", {"TLSv1.2": True, "TLSv1.3": True}), ("tls1.3", {"TLSv1.2": False, "TLSv1.3": True})],
)
@on_uvloop
async def test_no_version_below_the_least_is_spoken(
    authority: Authority, pair: Certified, minimum: str, spoken: dict[str, bool]
) -> None:
    tls = FileTLS(Terms(path="http.tls", minimum=minimum), pair.certificate, pair.key)
    versions = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
    async with serving(tls, authority) as server:
        for name, version in versions.items():
            context = authority.trusted()
            context.minimum_version = context.maximum_version = version
            if spoken[name]:
                line = await server.connect(context)
                assert line.writer.get_extra_info("ssl_object").version() == name
            else:
                with pytest.raises(ssl.SSLError, match="alert protocol version"):
                    await server.connect(context)


@on_uvloop
async def test_a_suite_that_was_not_chosen_is_not_spoken(authority: Authority, pair: Certified) -> None:
    chosen = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    tls = FileTLS(Terms(path="http.tls", suites=(chosen, "TLS_AES_128_GCM_SHA256")), pair.certificate, pair.key)
    async with serving(tls, authority) as server:
        for name in DEFAULT_NAMES:
            if "_RSA_" in name:
                continue
            context = authority.trusted()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(OPENSSL_NAMES[name])
            if name == chosen:
                assert await (await server.connect(context)).echoes()
            else:
                with pytest.raises(ssl.SSLError, match="handshake failure"):
                    await server.connect(context)


def test_without_a_choice_the_six_suites_of_the_peers_are_spoken() -> None:
    spoken = {suite["name"] for suite in make_context(TERMS).get_ciphers() if suite["protocol"] == "TLSv1.2"}
    assert spoken == {OPENSSL_NAMES[name] for name in DEFAULT_NAMES}


def test_a_suite_that_openssl_no_longer_has_is_named() -> None:
    weak = "TLS_RSA_WITH_3DES_EDE_CBC_SHA"
    with pytest.raises(
        ConfigurationError, match="http.tls.ciphersuites: this machine's OpenSSL does not speak " + weak
    ):
        make_context(Terms(path="http.tls", suites=(weak, DEFAULT_NAMES[0])))


@on_uvloop
async def test_what_is_no_tls_is_refused_and_the_server_goes_on(authority: Authority, pair: Certified) -> None:
    async with serving(FileTLS(TERMS, pair.certificate, pair.key), authority) as server:
        for said in (b"\x80\x01nothing known\r\n", b"ssh-2.0\r\n\r\n"):
            assert await answer_of(server, said) == b""
        assert await (await server.connect()).echoes()


@on_uvloop
async def test_plain_http_is_told_that_this_is_https(authority: Authority, pair: Certified) -> None:
    async with serving(FileTLS(TERMS, pair.certificate, pair.key), authority) as server:
        for method in (b"GET", b"OPTIONS", b"PATCH", b"PROPFIND"):
            answer = await answer_of(server, method + b" /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
            assert "https" in json.loads(body)["errors"][0]["message"]
        assert await (await server.connect()).echoes()


async def answer_of(server: Server, said: bytes) -> bytes:
    """What a client gets who speaks no TLS, up to the end, which is the server's."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(said)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer
