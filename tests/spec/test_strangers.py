"""Strangers who each keep to the limits, and all together would not; and clients that go away at any moment."""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from spec.conftest import Configured
from spec.expect import holds_for_every_response, refused
from spec.wire import Wire, exchange, head
from support import images
from support.daemon import Daemon
from support.ports import free_port
from support.registry_client import RegistryClient, path_of
from support.token_server import TokenServer

REPOSITORY = "t/strangers"
MIB = 1 << 20
STRANGERS = 100
ROOM_BYTES = 110 * MIB
"""What all of them may add to a worker, with what Python and the sockets add to the budgets of 32 MiB."""

MOMENTS = {
    "a-head-cut": b"PUT /v2/t/x/manifests/a HTTP/1.1\r\nHost: x\r\nContent-Le",
    "a-head": head("PATCH", "UPLOAD", "Content-Length: 1000000"),
    "a-part": head("PATCH", "UPLOAD", "Content-Length: 1000000") + b"x" * 100_000,
    "a-whole": head("PATCH", "UPLOAD", "Content-Length: 100000") + b"x" * 100_000,
    "a-chunk-cut": head("PATCH", "UPLOAD", "Transfer-Encoding: chunked") + b"ffff\r\n" + b"x" * 1000,
    "waits-to-continue": head("PATCH", "UPLOAD", "Content-Length: 1000000", "Expect: 100-continue"),
    "a-commit-cut": head("PUT", "UPLOAD?digest=" + images.digest_of(b"y"), "Content-Length: 1000") + b"x",
    "a-manifest-cut": head("PUT", "/v2/t/x/manifests/a", f"Content-Type: {images.OCI_MANIFEST}", "Content-Length: 9000")
    + b"{" * 5_000,
    "a-monolith-cut": head("POST", "/v2/t/x/blobs/uploads/?digest=" + images.digest_of(b"y"), "Content-Length: 900000")
    + b"x" * 80_000,
    "a-download": head("GET", "BLOB"),
    "downloads-ahead": head("GET", "BLOB") * 3 + head("GET", "/v2/"),
    "a-list": head("GET", "/v2/_catalog"),
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as daemon:
        yield daemon


def client_of(daemon: Daemon) -> RegistryClient:
    return RegistryClient(daemon.address, observe=holds_for_every_response)


class Crowd:
    """Connections that send as much as is taken of each, and then wait."""

    def __init__(self, address: str, data: bytes) -> None:
        host, _, port = address.rpartition(":")
        self._left = {
            socket.create_connection((host, int(port)), timeout=10): memoryview(data) for _ in range(STRANGERS)
        }
        self.sockets = list(self._left)
        for sock in self.sockets:
            sock.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self.sockets:
            sock.close()

    def send(self) -> None:
        """Send until nobody takes any more: nothing has gone out for a second."""
        while self._left:
            _, ready, _ = select.select([], list(self._left), [], 1.0)
            if not ready:
                return
            for sock in ready:
                try:
                    self._left[sock] = self._left[sock][sock.send(self._left[sock][: 256 * 1024]) :]
                except OSError:
                    self._left[sock] = self._left[sock][:0]
                if not self._left[sock]:
                    del self._left[sock]


def added_bytes(daemon: Daemon, before: dict[int, int]) -> int:
    after = daemon.rss_bytes()
    assert after.keys() == before.keys(), "a worker was lost"
    return max(after[pid] - before[pid] for pid in before)


@pytest.mark.crowd(0.5)
class TestManyAtOnce:
    """100 strangers who each send what one may."""

    def test_heads_of_many_large_headers_take_little_memory(self, daemon: Daemon) -> None:
        headers = b"".join(b"X%d: %b\r\n" % (number, b"a" * 60_000) for number in range(120))
        before = daemon.rss_bytes()
        with Crowd(daemon.address, b"GET /v2/ HTTP/1.1\r\nHost: x\r\n" + headers) as crowd:
            crowd.send()
            assert exchange(daemon.address, head("GET", "/v2/")) is not None
            assert added_bytes(daemon, before) < ROOM_BYTES

    def test_manifests_that_stall_take_little_memory_and_do_not_keep_others_out(self, daemon: Daemon) -> None:
        size = 4 * MIB - 1000
        line = f"Content-Length: {size}"
        request = head("PUT", f"/v2/{REPOSITORY}/manifests/a", f"Content-Type: {images.OCI_MANIFEST}", line)
        before = daemon.rss_bytes()
        with Crowd(daemon.address, request + b" " * (size - 1)) as crowd:
            crowd.send()
            with client_of(daemon) as client:
                images.push_image(client, REPOSITORY, "latest")
            assert added_bytes(daemon, before) < ROOM_BYTES
            answers: list[bytes] = []
            for sock in crowd.sockets:
                sock.setblocking(True)
                sock.settimeout(60)
            while not answers:
                ready, _, _ = select.select(crowd.sockets, [], [], 60)
                assert ready, "nobody is sent away"
                answers = [answer for sock in ready if b" 429 " in (answer := sock.recv(4096))]
            assert b"\r\nRetry-After: " in answers[0]
            assert b"TOOMANYREQUESTS" in answers[0]


class TestUploadSessions:
    """One client opens more uploads than it may (`http.limits.uploadsessions`)."""

    def test_more_than_the_limit_is_429_over_workers_and_restarts(self, tmp_path: Path) -> None:
        config = (
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}\n"
            "http: {secret: of all nodes, limits: {uploadsessions: 4}}\n"
        )
        with Daemon(tmp_path, config=config, workers=2) as daemon:
            locations = []
            for _ in range(4):
                with client_of(daemon) as client:  # A connection each: they go to either worker.
                    locations.append(client.start_upload(REPOSITORY).location)
            with client_of(daemon) as client:
                response = client.start_upload(REPOSITORY)
                refused(response, 429, "TOOMANYREQUESTS")
                assert response.headers["Retry-After"]
                assert "http.limits.uploadsessions" in response.body.decode()
                assert client.start_upload("t/another").status == 202
        with Daemon(tmp_path, config=config, workers=2) as daemon, client_of(daemon) as client:
            refused(client.start_upload(REPOSITORY), 429, "TOOMANYREQUESTS")
            refused(client.post_blob(REPOSITORY, images.digest_of(b"x"), b"x"), 429, "TOOMANYREQUESTS")
            assert client.cancel_upload(path_of(locations[0])).status == 204
            client.push_blob(REPOSITORY, b"x", images.digest_of(b"x"))
            assert client.start_upload(REPOSITORY).status == 202

    def test_a_client_does_not_shut_out_another(self, configured: Configured) -> None:
        daemon = configured("http: {limits: {uploadsessions: 2}}")

        def start(address: str) -> int:
            line = f"X-Forwarded-For: {address}"  # Believed of this machine, as a proxy on it.
            found = exchange(
                daemon.address, head("POST", f"/v2/{REPOSITORY}/blobs/uploads/", line, "Content-Length: 0")
            )
            assert found is not None
            return found.status

        assert [start("192.0.2.1") for _ in range(3)] == [202, 202, 429]
        assert start("192.0.2.2") == 202


class TestResets:
    """Clients that are killed at any moment are nobody's crash."""

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_a_reset_is_not_logged_as_a_crash(self, daemon: Daemon, moment: str) -> None:
        with client_of(daemon) as client:
            blob = b"b" * 30 * MIB
            client.push_blob("t/x", blob, images.digest_of(blob))
            for pause_s in (0.0, 0.001, 0.003, 0.01, 0.03) * 4:
                upload = path_of(client.start_upload("t/x").location).encode()
                sent = MOMENTS[moment].replace(b"UPLOAD?digest", upload.partition(b"?")[0] + b"?digest")
                sent = sent.replace(b"UPLOAD", upload)
                reset(
                    daemon.address, sent.replace(b"BLOB", f"/v2/t/x/blobs/{images.digest_of(blob)}".encode()), pause_s
                )
            assert client.base().status == 200
        daemon.stop()
        assert "crashed" not in daemon.log
        assert "Unhandled" not in daemon.log
        assert "Traceback" not in daemon.log
        assert '"status":500' not in daemon.log.replace(" ", "")

    def test_a_reset_of_the_token_server_is_not_logged_as_a_crash(self, tmp_path: Path) -> None:
        with TokenServer(tmp_path, {"rules": []}, {"ada": "x"}) as server:
            form = "Content-Type: application/x-www-form-urlencoded"
            for pause_s in (0.0, 0.001, 0.003, 0.01) * 5:
                for lines, body in (
                    (["Content-Length: 5000"], b"grant_type=password&"),
                    (["Content-Length: 5000", "Expect: 100-continue"], b""),
                    (["Transfer-Encoding: chunked"], b"ff\r\nabc"),
                ):
                    reset(server.address, head("POST", "/token", form, *lines) + body, pause_s)
                reset(server.address, head("GET", "/token?service=registry.test"), pause_s)
            assert exchange(server.address, head("GET", "/")) is not None
            log = server.log_path.read_text()
            assert "crashed" not in log
            assert "Traceback" not in log


class TestOtherWays:
    """What balancers and small clients send."""

    @pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD"])
    def test_a_balancers_question_is_answered_with_success(self, daemon: Daemon, method: str) -> None:
        answer = exchange(daemon.address, head(method, "/", version="1.0", host=None), method=method)
        assert answer is not None
        assert 200 <= answer.status < 300

    def test_head_with_a_closed_half_is_answered(self, daemon: Daemon) -> None:
        for _ in range(20):
            assert closed_half(daemon.address, head("HEAD", "/v2/")).startswith(b"HTTP/1.1 200")

    def test_the_debug_and_the_token_server_answer_a_closed_half(self, tmp_path: Path, configured: Configured) -> None:
        debug = f"127.0.0.1:{free_port()}"
        configured(f"http: {{debug: {{addr: '{debug}', prometheus: {{enabled: true}}}}}}")
        for path in ("/debug/health", "/metrics"):
            assert closed_half(debug, head("GET", path)).startswith(b"HTTP/1.1 200")
        with TokenServer(tmp_path, {"rules": []}, {"ada": "x"}) as server:
            assert closed_half(server.address, head("GET", "/token?service=registry.test")).startswith(b"HTTP/1.1 200")


def closed_half(address: str, data: bytes) -> bytes:
    """Everything that comes back to a client that closes its sending half at once."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as raw:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        return raw.makefile("rb").read()


def reset(address: str, data: bytes, pause_s: float) -> None:
    """Send *data*, and end the connection with a reset, as a client does that is killed."""
    with Wire(address) as wire, contextlib.suppress(OSError):
        wire.send(data)
        time.sleep(pause_s)
        wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
