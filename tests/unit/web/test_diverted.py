"""Large bodies on their way past the parser, with real clients, over plain HTTP and TLS."""

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import ssl
import struct
from itertools import pairwise
from queue import SimpleQueue

import pytest
import uvloop
from aiohttp import web

from moorage.errors import SizeInvalid
from moorage.storage.streams import in_memory
from moorage.web import bodies as web_bodies
from moorage.web import diverted
from moorage.web.bodies import Bodies, ClientGone
from moorage.web.diverted import DivertedBody
from moorage.web.responses import Response
from support.authority import Authority
from support.connections import GET, MIB, Client, put, run, serving

CONTENT = random.Random(137).randbytes(5 * MIB + 3)


@pytest.fixture(autouse=True)
def _short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diverted, "_LOOK_S", 0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(params=["http", "https"])
def authority(request: pytest.FixtureRequest, made: Authority) -> Authority | None:
    return made if request.param == "https" else None


class Taken:
    """A handler that takes bodies, answers with their digest, and remembers what it has seen."""

    def __init__(self, *, in_thread: bool = True) -> None:
        self.bodies = Bodies()
        self.content = bytearray()
        self.diverted_bytes = 0
        self.told: list[BaseException] = []
        self.is_over = asyncio.Event()
        self.sizes = SimpleQueue[int]()
        """Bytes that there were after each piece."""
        self._in_thread = in_thread

    async def __call__(self, request: web.BaseRequest) -> Response:
        before = len(self.content)
        try:
            async for piece in self.bodies.chunks(request):
                if isinstance(piece, DivertedBody):
                    taken = await asyncio.to_thread(all_of, piece) if self._in_thread else bytes(in_memory(piece))
                    self.diverted_bytes += len(taken)
                    self.content += taken
                else:
                    self.content += piece
                self.sizes.put(len(self.content))
        except (ClientGone, SizeInvalid) as exc:
            self.told.append(exc)
        self.is_over.set()
        if self.told:
            return Response(400)
        return Response(200, {}, hashlib.sha256(memoryview(self.content)[before:]).hexdigest().encode())

    def wait_for(self, size_bytes: int) -> None:
        """Wait, in the thread of a client, until so many bytes have come."""
        while self.sizes.get(timeout=30) < size_bytes:
            pass


def all_of(body: DivertedBody) -> bytes:
    """What is there of *body*, in parts of odd sizes."""
    taken, room = b"", memoryview(bytearray(70_001))
    while count := body.readinto(room):
        taken += room[:count]
    return taken


@pytest.mark.parametrize("in_thread", [True, False], ids=["in a thread", "in memory"])
def test_large_bodies_come_whole_and_what_is_sent_behind_them_is_answered(
    authority: Authority | None, *, in_thread: bool
) -> None:
    taken = Taken(in_thread=in_thread)

    def talk(client: Client) -> None:
        for content in (CONTENT, CONTENT[::-1]):
            client.socket.sendall(put(content) + GET)
            assert client.answer() == (200, hashlib.sha256(content).hexdigest().encode())
            assert client.answer() == (200, hashlib.sha256(b"").hexdigest().encode())

    run(taken, talk, authority)
    assert taken.content == CONTENT + CONTENT[::-1]
    assert taken.diverted_bytes > len(CONTENT)


@pytest.mark.parametrize("seed", range(3))
def test_a_body_comes_whole_however_it_is_cut(authority: Authority | None, seed: int) -> None:
    rng, taken = random.Random(seed), Taken()
    said = put(CONTENT) + GET + put(CONTENT[: 600 << 10]) + GET
    cuts = sorted(
        {0, len(said), *(rng.randrange(len(said)) for _ in range(12)), *(rng.randrange(200) for _ in range(3))}
    )

    def talk(client: Client) -> None:
        for start, end in pairwise(cuts):
            client.socket.sendall(said[start:end])
        assert [client.answer()[0] for _ in range(4)] == [200] * 4

    run(taken, talk, authority)
    assert taken.content == CONTENT + CONTENT[: 600 << 10]


@pytest.mark.parametrize("end", ["leaves", "ends its half"])
def test_what_came_of_a_large_body_is_passed_on_before_its_early_end_is_told(
    authority: Authority | None, end: str
) -> None:
    taken = Taken()
    is_torn = end == "leaves" and authority is not None
    """Who ends TCP's half without a word of TLS may have been cut off by somebody else."""

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT[: MIB + 99], 4 * MIB))
        if is_torn:
            client.leave()
        else:
            client.end_half()
            assert client.answer()[0] == 400

    run(taken, talk, authority)
    assert taken.content == CONTENT[: MIB + 99]
    assert isinstance(taken.told[0], ClientGone if is_torn else SizeInvalid)


def test_what_came_before_a_reset_is_passed_on(authority: Authority | None) -> None:
    taken = Taken()

    async def serve() -> None:
        def speak() -> None:
            with Client(port, authority) as client:
                client.socket.sendall(put(CONTENT[: MIB + 99], 4 * MIB))
                taken.wait_for(MIB // 2)
                at_once = struct.pack("ii", 1, 0)
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                client.file.close()
                client.socket.close()

        async with serving(taken, authority) as (_, port):
            await asyncio.to_thread(speak)
            await taken.is_over.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    assert isinstance(taken.told[0], ClientGone)
    assert taken.content == CONTENT[: len(taken.content)]


def test_the_rest_of_a_large_body_that_is_refused_is_thrown_away_and_the_next_request_is_answered(
    authority: Authority | None,
) -> None:
    bodies = Bodies()

    async def handler(request: web.BaseRequest) -> Response:
        if request.path == "/next":
            return Response(200, {}, b"next")
        pieces = bodies.chunks(request)
        kept.append(pieces)
        async for piece in pieces:
            if isinstance(piece, DivertedBody):
                break
        return Response(413)

    kept: list[object] = []

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT))
        assert client.answer()[0] == 413
        client.socket.sendall(GET)
        assert client.answer() == (200, b"next")

    run(handler, talk, authority)


def test_a_client_that_falls_silent_is_given_up_and_what_it_sent_is_kept(
    authority: Authority | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Taken()

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT[:MIB], 4 * MIB))
        taken.wait_for(MIB)
        client.socket.sendall(CONTENT[MIB : MIB + 5])  # Not worth to wake anybody up, and taken after a while.
        taken.wait_for(MIB + 5)
        monkeypatch.setattr(web_bodies, "STALL_S", 0.01)
        client.socket.sendall(CONTENT[MIB + 5 : MIB + 9])
        assert client.answer()[0] == 400

    run(taken, talk, authority)
    assert isinstance(taken.told[0], ClientGone)
    assert taken.content == CONTENT[: MIB + 9]


def test_a_server_that_ends_lets_go_of_a_client_in_the_middle_of_a_body(authority: Authority | None) -> None:
    taken = Taken()

    def begin(client: Client) -> None:
        client.socket.sendall(put(CONTENT[:MIB], 4 * MIB))
        taken.wait_for(MIB)

    def see_end(client: Client) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while client.socket.recv(MIB):
                pass

    async def serve() -> None:
        async with serving(taken, authority) as (_, port):
            client = await asyncio.to_thread(Client, port, authority)
            await asyncio.to_thread(begin, client)
        with client:
            await asyncio.to_thread(see_end, client)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def test_bytes_in_a_body_that_cannot_be_decrypted_end_the_connection_with_an_alert(made: Authority) -> None:
    taken = Taken()

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT[:MIB], 4 * MIB))
        taken.wait_for(MIB)
        raw = socket.socket(fileno=os.dup(client.socket.fileno()))
        raw.sendall(b"\x17\x03\x03\x40\x00" + bytes(16 << 10) + bytes(300 << 10))
        raw.close()
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            client.socket.recv(1000)

    run(taken, talk, made)
    assert taken.content == CONTENT[:MIB]
    assert isinstance(taken.told[0], ClientGone)
