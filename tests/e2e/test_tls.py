"""HTTPS in the daemon, with real clients that know only a private authority, and certificates that change."""

import random
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.images import build_image, build_index, layout_digests, write_layout
from e2e.settings import config_for
from e2e.wire import OCTETS, Wire, eventually, sha256
from support.authority import Authority, Certified, serial_of
from support.clients import Buildah, Podman, Skopeo
from support.daemon import Daemon
from support.ports import free_port

MIB = 1 << 20


@dataclass
class Place:
    """A daemon that speaks HTTPS, and what clients need for it."""

    daemon: Daemon
    authority: Authority
    pair: Certified
    clients: Authority

    @property
    def wire(self) -> Wire:
        return Wire(self.daemon.address, tls=self.authority.trusted())

    def cert_dir(self, name: str, *, client: bool = False) -> Path:
        """A folder as docker, skopeo and podman take it."""
        folder = self.authority.folder.parent / name
        folder.mkdir()
        (folder / "ca.crt").write_bytes(self.authority.certificate.read_bytes())
        if client:
            made = self.clients.certify(name)
            (folder / "client.cert").write_bytes(made.certificate.read_bytes())
            (folder / "client.key").write_bytes(made.key.read_bytes())
        return folder

    def replace(self) -> int:
        """A new pair in the place of the old one; its serial number."""
        fresh = self.authority.certify("fresh", "localhost", "127.0.0.1")
        fresh.key.rename(self.pair.key)
        fresh.certificate.rename(self.pair.certificate)
        return self.pair.serial

    def shown(self) -> int:
        host, port = self.daemon.address.split(":")
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            self.authority.trusted().wrap_socket(plain, server_hostname="localhost") as line,
        ):
            certificate = line.getpeercert(binary_form=True)
            assert certificate is not None
            return serial_of(certificate)

    def all_show(self, serial: int) -> bool:
        """Whether each worker shows a certificate: a connection meets any of them by chance."""
        return all(self.shown() == serial for _ in range(10))


def place(folder: Path, *, mutual: bool = False, workers: int = 1, **http: object) -> Place:
    authority, clients = Authority(folder / "ca"), Authority(folder / "clients")
    pair = authority.certify("server", "localhost", "127.0.0.1")
    tls: dict[str, object] = {"certificate": str(pair.certificate), "key": str(pair.key)}
    client = None
    if mutual:
        tls["clientcas"] = [str(clients.certificate)]
        client = clients.certify("probe")
    config = config_for(folder / "daemon", http={"tls": tls, "draintimeout": "5s", **http})
    daemon = Daemon(folder / "daemon", config=config, workers=workers, tls=authority.trusted(client))
    return Place(daemon, authority, pair, clients)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = place(tmp_path_factory.mktemp("secure"), workers=2)
    with made.daemon:
        yield made


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = place(tmp_path_factory.mktemp("mutual"), mutual=True)
    with made.daemon:
        yield made


def test_urls_in_answers_are_https(secure: Place, repository: str) -> None:
    location = secure.wire.request("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
    assert urlsplit(location)[:2] == ("https", secure.daemon.address)


def test_large_blobs_go_in_and_out_whole(secure: Place, repository: str) -> None:
    content = random.Random(repository).randbytes(24 * MIB)
    pieces = (content[at : at + MIB] for at in range(0, len(content), MIB))
    with Wire(secure.daemon.address, tls=secure.authority.trusted(), keep=True) as wire:
        patched = wire.request("PATCH", wire.start_upload(repository), pieces, OCTETS)
        finished = wire.finish(patched.location, sha256(content))
        assert finished.status == 201
        assert wire.request("GET", finished.location).body == content


def test_skopeo_copies_in_and_out(secure: Place, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    index = build_index(repository)
    source = write_layout(tmp_path / "source", {"v1": index})
    there, folder = f"docker://{secure.daemon.address}/{repository}:v1", secure.cert_dir("skopeo")
    skopeo("copy", "--all", "--preserve-digests", "--dest-cert-dir", folder, f"oci:{source}:v1", there)
    skopeo("copy", "--all", "--preserve-digests", "--src-cert-dir", folder, there, f"oci:{tmp_path / 'back'}:v1")
    assert layout_digests(tmp_path / "back") == {part.digest for part in index.parts}


def test_podman_and_buildah_push_and_pull(secure: Place, repository: str, podman: Podman, buildah: Buildah) -> None:
    name, folder = f"{secure.daemon.address}/{repository}:v1", secure.cert_dir("podman")
    buildah.build("localhost/made:1", {"/srv/data": repository.encode() * 1000})
    buildah("push", "--cert-dir", folder, "localhost/made:1", f"docker://{name}")
    pulled = podman("pull", "--quiet", "--cert-dir", folder, name)
    assert pulled in buildah("images", "--quiet", "--no-trunc", "localhost/made:1")
    podman("tag", pulled, f"{name}-again")
    podman("push", "--cert-dir", folder, f"{name}-again")
    assert secure.wire.tags(repository) == ["v1", "v1-again"]


@pytest.mark.parametrize("client", ["skopeo", "podman", "buildah"])
def test_a_client_with_a_certificate_is_let_in_and_one_without_is_told(
    mutual: Place, repository: str, client: str, request: pytest.FixtureRequest
) -> None:
    tool = request.getfixturevalue(client)
    with_one, without = mutual.cert_dir(f"{client}-with", client=True), mutual.cert_dir(f"{client}-without")
    probe = mutual.clients.certify(f"{client}-probe")
    Wire(mutual.daemon.address, tls=mutual.authority.trusted(probe)).push_image(
        repository, "v1", build_image(repository)
    )
    name = f"docker://{mutual.daemon.address}/{repository}:v1"
    command = ("inspect",) if client == "skopeo" else ("pull",)
    status, said = tool.attempt(*command, "--cert-dir", without, name)
    assert status != 0
    assert "certificate required" in said
    eventually("the log says why", lambda: "peer did not return a certificate" in mutual.daemon.log)
    tool(*command, "--cert-dir", with_one, name)


def test_a_new_certificate_is_shown_by_all_workers_and_a_push_that_is_going_on_ends_well(
    tmp_path: Path, repository: str
) -> None:
    made = place(tmp_path, workers=2)
    content = random.Random(repository).randbytes(8 * MIB)
    with made.daemon, Wire(made.daemon.address, tls=made.authority.trusted(), keep=True) as wire:
        location = wire.start_upload(repository)
        connection = wire.connection()
        connection.putrequest("PATCH", location)
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content[: len(content) // 2])
        assert isinstance(connection.sock, ssl.SSLSocket)
        before = connection.sock
        serial = made.replace()
        eventually("both workers show the new one", lambda: made.all_show(serial))
        connection.send(content[len(content) // 2 :])
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
        assert connection.sock is before
        assert wire.finish(wire.request("GET", location).location, sha256(content)).status == 201
    assert made.daemon.log.count('"new certificate"') == 2


def test_files_that_cannot_be_used_stop_nobody_even_when_a_worker_dies(tmp_path: Path, repository: str) -> None:
    made = place(tmp_path, workers=1)
    with made.daemon:
        first = made.pair.serial
        made.pair.key.write_text("nonsense")
        eventually("it is logged", lambda: "the new certificate cannot be used" in made.daemon.log)
        assert f"http.tls.key: {made.pair.key} has no private key" in made.daemon.log
        (worker,) = made.daemon.worker_pids
        made.daemon.kill_worker(worker)
        eventually("another worker answers", lambda: worker not in made.daemon.worker_pids and made.shown() == first)
        assert made.wire.request("GET", "/v2/").status == 200
        serial = made.replace()
        eventually("the next good one is shown", lambda: made.all_show(serial))


def test_the_debug_server_has_a_certificate_of_its_own(tmp_path: Path) -> None:
    made, port = place(tmp_path / "main"), free_port()
    (tmp_path / "debug").mkdir()
    own = Authority(tmp_path / "debug" / "ca")
    pair = own.certify("debug", "127.0.0.1")
    debug = {"enabled": True, "certificate": str(pair.certificate), "key": str(pair.key)}
    made = place(tmp_path / "both", debug={"addr": f"127.0.0.1:{port}", "tls": debug})
    with made.daemon:
        health = Wire(f"127.0.0.1:{port}", tls=own.trusted()).request("GET", "/debug/health")
        assert health.status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            Wire(f"127.0.0.1:{port}", tls=made.authority.trusted()).request("GET", "/debug/health")


def test_a_start_names_every_file_that_is_wrong(tmp_path: Path) -> None:
    made = place(tmp_path, mutual=True)
    made.pair.key.write_bytes(made.clients.certify("other").key.read_bytes())
    made.daemon.start(wait=False)
    assert made.daemon.process is not None
    assert made.daemon.process.wait(20) == 1
    assert (
        f"http.tls.key: {made.pair.key} is not the key of the certificate in {made.pair.certificate}" in made.daemon.log
    )
    assert "Traceback" not in made.daemon.log


def test_an_expired_certificate_is_served_with_a_warning(tmp_path: Path) -> None:
    made = place(tmp_path)
    expired = made.authority.certify("expired", "127.0.0.1", days=0.001)
    expired.key.rename(made.pair.key)
    expired.certificate.rename(made.pair.certificate)
    made.daemon.start(wait=False)
    eventually("it listens", lambda: "listening on" in made.daemon.log)
    made.daemon.stop()
    assert re.search(r'"level": "warning".*"the certificate has expired on [0-9-]+ [0-9:]+ UTC"', made.daemon.log)


def test_a_port_scanner_and_a_plain_client_leave_no_trace_but_a_line(secure: Place) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100), b"\x16\x03\x01"):
        host, port = secure.daemon.address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            while line.recv(1000):
                pass
    assert secure.wire.request("GET", "/v2/").status == 200
    assert "Traceback" not in secure.daemon.log
