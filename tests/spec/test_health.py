"""A node that a check finds unfit answers 503 everywhere, and says why where it is asked for its health."""

import hashlib
import json
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from spec.conftest import Configured
from support.daemon import Daemon
from support.ports import free_port
from support.registry_client import RegistryClient, Response
from support.threaded_server import Quiet, ThreadedServer


class Node:
    """A daemon, and its debug address."""

    def __init__(self, daemon: Daemon, debug: str) -> None:
        self.daemon = daemon
        self.debug = debug

    def ask(self, path: str) -> tuple[int, dict[str, str]]:
        with RegistryClient(self.debug) as client:
            response = client.request("GET", path)
            return response.status, json.loads(response.body)

    def get(self, path: str, method: str = "GET") -> Response:
        with RegistryClient(self.daemon.address) as client:
            return client.request(method, path)

    def until(self, path: str, status: int) -> Response:
        """Ask until it is answered so; the test's deadline is the deadline."""
        while (response := self.get(path)).status != status:
            pass
        return response


def start(configured: Configured, sections: str, **more: str) -> Node:
    debug = f"127.0.0.1:{free_port()}"
    return Node(configured(f"http: {{draintimeout: 20s, debug: {{addr: '{debug}'}}}}\n{sections}", **more), debug)


@pytest.mark.timeout(60)
def test_a_file_takes_a_node_out_of_service_and_back(configured: Configured, tmp_path: Path) -> None:
    down = tmp_path / "down"
    node = start(configured, f"health: {{file: [{{file: '{down}', interval: 10ms}}]}}")
    assert node.ask("/debug/health") == (200, {})
    assert node.ask("/debug/health/ready") == (200, {})
    down.touch()
    for path in ("/v2/", "/", "/v2/a/manifests/latest", "/nothing"):
        response = node.until(path, 503)
        (error,) = json.loads(response.body)["errors"]
        assert error["code"] == "UNAVAILABLE"
        assert error["detail"]["reason"] == "health check failed: please see /debug/health"
        assert int(response.headers["Retry-After"]) > 0
        assert response.headers["X-Request-Id"]
    assert node.ask("/debug/health") == (503, {str(down): "file exists"})
    assert node.ask("/debug/health/ready") == (503, {str(down): "file exists"})
    assert node.ask("/debug/health/ready/push")[0] == 503
    assert node.ask("/debug/health/live") == (200, {})
    down.unlink()
    node.until("/v2/", 200)
    assert node.ask("/debug/health") == (200, {})
    assert node.daemon.log.count("out of service until it passes") == 1


@pytest.mark.timeout(60)
def test_an_address_that_takes_no_connection_counts_after_its_threshold(configured: Configured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        addr = f"127.0.0.1:{server.getsockname()[1]}"
        node = start(configured, f"health: {{tcp: [{{addr: '{addr}', interval: 10ms, threshold: 3}}]}}")
        assert node.get("/v2/").status == 200
    node.until("/v2/", 503)
    status, told = node.ask("/debug/health")
    assert (status, list(told)) == (503, [addr])


@pytest.mark.timeout(60)
def test_a_url_that_hangs_fails_after_its_timeout(configured: Configured) -> None:
    hangs, ended = threading.Event(), threading.Event()

    class Answering(Quiet, BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if hangs.is_set():
                ended.wait(60)
            self.send_response(200)
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815 - as above

    with ThreadedServer(Answering, is_quiet=True) as server:
        uri = f"{server.url}/"
        node = start(configured, f"health: {{http: [{{uri: '{uri}', interval: 10ms, timeout: 500ms, threshold: 2}}]}}")
        hangs.set()
        node.until("/v2/", 503)
        assert node.ask("/debug/health") == (503, {uri: "no answer within 0.5 s"})
        ended.set()


@pytest.mark.timeout(60)
def test_a_storage_that_is_checked_takes_the_node_out_when_it_goes(configured: Configured) -> None:
    node = start(configured, "health: {storagedriver: {enabled: true, interval: 10ms, threshold: 2}}")
    assert node.ask("/debug/health") == (200, {})
    node.daemon.data.rename(node.daemon.data.with_name("away"))
    node.daemon.data.mkdir()  # What is left of a mount.
    node.until("/v2/", 503)
    assert list(node.ask("/debug/health")[1]) == ["storagedriver_filesystem"]
    node.daemon.data.rmdir()
    node.daemon.data.with_name("away").rename(node.daemon.data)
    node.until("/v2/", 200)


@pytest.mark.timeout(60)
def test_a_database_check_has_gitlabs_name(configured: Configured, tmp_path: Path) -> None:
    sqlite = tmp_path / "moorage.db"
    node = start(
        configured,
        f"database: {{enabled: prefer, sqlite: '{sqlite}'}}\nhealth: {{database: {{enabled: true, interval: 10ms}}}}",
    )
    assert node.ask("/debug/health") == (200, {})


def test_a_read_only_registry_is_ready_for_pulls_only(configured: Configured) -> None:
    node = start(configured, "", storage="maintenance: {readonly: {enabled: true}}")
    assert node.ask("/debug/health/ready") == (200, {})
    assert node.ask("/debug/health/ready/push") == (503, {"readonly": "the registry is read-only for maintenance"})


@pytest.mark.parametrize("database", ["", "database: {enabled: false}\n"])
def test_the_health_of_a_read_only_registry_is_found_out_without_a_write(configured: Configured, database: str) -> None:
    node = start(configured, database, storage="maintenance: {readonly: {enabled: true}}")
    data = node.daemon.data
    before = data.stat().st_mtime_ns
    assert node.ask("/debug/health") == (200, {})
    assert data.stat().st_mtime_ns == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("database", ["{enabled: true, sqlite: '%s'}", "{enabled: false}"])
def test_a_read_only_registry_whose_volume_is_away_says_so(
    configured: Configured, database: str, tmp_path: Path
) -> None:
    section = database % (tmp_path / "moorage.db") if "%s" in database else database
    node = start(configured, f"database: {section}\n", storage="maintenance: {readonly: {enabled: true}}")
    away = node.daemon.data.with_name("away")
    node.daemon.data.rename(away)
    node.daemon.data.mkdir()
    while node.ask("/debug/health/ready")[0] != 503:
        time.sleep(0.1)
    node.daemon.data.rmdir()
    away.rename(node.daemon.data)
    while node.ask("/debug/health/ready")[0] != 200:
        time.sleep(0.1)


@pytest.mark.timeout(60)
def test_a_node_that_drains_is_alive_and_not_ready(configured: Configured) -> None:
    node = start(configured, "")
    host, _, port = node.daemon.address.rpartition(":")
    digest = hashlib.sha256(b"1" + b"2" * 8).hexdigest()
    head = f"POST /v2/a/blobs/uploads/?digest=sha256:{digest} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection((host, int(port))) as upload:
        upload.sendall(head.encode() + b"1")
        assert node.daemon.process is not None
        assert node.ask("/debug/health/ready")[0] == 200
        node.daemon.process.send_signal(signal.SIGTERM)
        while node.ask("/debug/health/ready")[0] != 503:
            pass
        assert node.ask("/debug/health/ready") == (503, {"draining": "the node is stopping"})
        assert node.ask("/debug/health/live") == (200, {})
        assert node.ask("/debug/health")[0] == 200
        upload.sendall(b"2" * 8)
        assert upload.recv(100).startswith(b"HTTP/1.1 201")


def test_other_paths_and_methods_of_the_debug_address_are_not_found(configured: Configured) -> None:
    node = start(configured, "")
    with RegistryClient(node.debug) as client:
        for path in ("/debug", "/debug/health/", "/debug/health/live/", "/debug/health/down"):
            assert client.request("GET", path).status == 404
        assert client.request("POST", "/debug/health/ready").status == 404
