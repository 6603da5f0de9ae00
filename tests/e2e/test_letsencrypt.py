"""Certificates by ACME, from the server with which Let's Encrypt tests its clients."""

import json
import re
import socket
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from e2e.settings import config_for
from e2e.wire import eventually
from support.authority import Authority, serial_of
from support.components import need
from support.daemon import Daemon
from support.pebble import Pebble
from support.ports import free_port

HOSTS = ("registry.example.com", "images.example.com")


class Issued:
    """A daemon that gets its certificates from pebble."""

    def __init__(self, folder: Path, *, workers: int = 1, hosts: tuple[str, ...] = HOSTS) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.hosts = hosts
        self.daemon = Daemon(folder / "daemon", workers=workers)
        (folder / "pebble").mkdir(parents=True)
        self.pebble = Pebble(folder / "pebble", self.daemon.port)
        self.daemon.env["SSL_CERT_FILE"] = str(self.pebble.authority.certificate)
        self.configure()

    def configure(self, **tls: object) -> None:
        issued = {
            "cachefile": str(self.cache),
            "email": "admin@example.com",
            "hosts": list(self.hosts),
            "directoryurl": self.pebble.directory_url,
        }
        self.daemon.config = config_for(self.folder / "daemon", http={"tls": {"letsencrypt": issued, **tls}})

    def start(self) -> None:
        before = self.daemon.log.count("listening on")
        self.daemon.start(wait=False)
        eventually("it listens", lambda: self.daemon.log.count("listening on") > before)

    def shown(self, host: str | None) -> int | None:
        """The serial number of the certificate that a client sees who trusts pebble; None if it sees none."""
        context = self.pebble.trusted()
        context.check_hostname = host is not None
        try:
            with (
                socket.create_connection(("127.0.0.1", self.daemon.port), timeout=10) as plain,
                context.wrap_socket(plain, server_hostname=host) as line,
            ):
                shown = line.getpeercert(binary_form=True)
                line.sendall(b"GET /v2/ HTTP/1.1\r\nHost: registry.example.com\r\nConnection: close\r\n\r\n")
                assert line.recv(12) == b"HTTP/1.1 200"
        except (ssl.SSLError, ConnectionError):
            return None
        assert shown is not None
        return serial_of(shown)

    def have_all(self) -> bool:
        """Whether each worker shows each certificate: a connection meets either of them by chance."""
        return all(self.shown(host) is not None for host in self.hosts for _ in range(8))


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[Issued]:
    need("pebble", "pebble-challtestsrv", "openssl")
    yield (made := Issued(tmp_path, workers=2))
    made.daemon.stop()
    assert "Traceback" not in made.daemon.log, made.daemon.log[-4000:]


def test_each_host_has_a_certificate_that_all_workers_show(issued: Issued) -> None:
    with issued.pebble:
        issued.start()
        eventually("both have a certificate", issued.have_all, within_s=60)
        serials = {host: issued.shown(host) for host in HOSTS}
        assert len(set(serials.values())) == 2
        for _ in range(8):
            assert {host: issued.shown(host) for host in HOSTS} == serials
        assert issued.shown(None) == serials[HOSTS[0]]
        assert issued.shown("stranger.example.com") is None


def test_what_is_kept_is_for_the_owner_only_and_laid_out_as_the_peers_do(issued: Issued) -> None:
    with issued.pebble:
        issued.start()
        eventually("both have a certificate", issued.have_all, within_s=60)
    kept = {path.name: stat.S_IMODE(path.stat().st_mode) for path in issued.cache.iterdir()}
    assert kept == dict.fromkeys(["acme_account+key", *HOSTS, "moorage.lock"], 0o600)
    assert stat.S_IMODE(issued.cache.stat().st_mode) == 0o700
    for name in ("acme_account+key", *HOSTS):
        # autocert takes a file with anything between or after the blocks for damaged.
        whole = r"-----BEGIN EC PRIVATE KEY-----\n[^-]+\n-----END EC PRIVATE KEY-----\n" + (
            "" if name not in HOSTS else r"(-----BEGIN CERTIFICATE-----\n[^-]+[^-\n]\n-----END CERTIFICATE-----\n){2,}"
        )
        assert re.fullmatch(whole, (issued.cache / name).read_text())


def test_a_restart_shows_what_is_there_without_asking_the_authority(issued: Issued) -> None:
    with issued.pebble:
        issued.start()
        eventually("both have a certificate", issued.have_all, within_s=60)
        serials = {host: issued.shown(host) for host in HOSTS}
        issued.daemon.stop()
        asked = issued.pebble.log.count("/order-plz")
        issued.start()
        assert {host: issued.shown(host) for host in HOSTS} == serials
        assert issued.pebble.log.count("/order-plz") == asked


def test_a_certificate_that_is_nearly_used_up_is_renewed_while_it_is_shown(issued: Issued, tmp_path: Path) -> None:
    old = Authority(tmp_path / "old").certify(HOSTS[0], begin=datetime.now(UTC) - timedelta(days=80), days=90)
    issued.cache.mkdir(mode=0o700)
    (issued.cache / HOSTS[0]).write_bytes(old.key.read_bytes() + old.certificate.read_bytes())
    issued.hosts = HOSTS[:1]
    issued.configure()
    with issued.pebble:
        issued.start()
        eventually("the new one is shown", lambda: issued.shown(HOSTS[0]) is not None, within_s=60)
    leaf = x509.load_pem_x509_certificate((issued.cache / HOSTS[0]).read_bytes())
    assert leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)


def test_an_authority_that_does_not_answer_is_logged_and_stops_nobody(issued: Issued, tmp_path: Path) -> None:
    good = Authority(tmp_path / "good")
    pair = good.certify(HOSTS[0])
    issued.cache.mkdir(mode=0o700)
    (issued.cache / HOSTS[0]).write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    issued.start()  # pebble does not run.
    eventually("it is logged", lambda: "no certificate; it will be tried again" in issued.daemon.log)
    lines = [json.loads(line) for line in issued.daemon.log.splitlines() if line.startswith("{")]
    (failure,) = [line for line in lines if line.get("host") == HOSTS[1] and line["level"] == "error"]
    assert "127.0.0.1" in failure["error"]
    with (
        socket.create_connection(("127.0.0.1", issued.daemon.port), timeout=10) as plain,
        good.trusted().wrap_socket(plain, server_hostname=HOSTS[0]) as line,
    ):
        assert line.version() == "TLSv1.3"


def test_a_check_that_fails_says_what_the_authority_said(issued: Issued) -> None:
    (issued.folder / "elsewhere").mkdir()
    with Pebble(issued.folder / "elsewhere", free_port()) as elsewhere:  # Nobody is at the port where it checks.
        issued.daemon.env["SSL_CERT_FILE"] = str(elsewhere.authority.certificate)
        issued.pebble = elsewhere
        issued.configure()
        issued.start()
        eventually("it is logged", lambda: "the authority's check failed" in issued.daemon.log)
        assert "for the tls-alpn-01 challenge" in issued.daemon.log
        eventually("no answer to a check is left", lambda: not list(issued.cache.glob("*+token")))


def test_clients_see_the_old_certificate_while_a_check_is_going_on(issued: Issued, tmp_path: Path) -> None:
    good = Authority(tmp_path / "good")
    pair, check = good.certify(HOSTS[0]), good.certify("check", HOSTS[0])
    issued.cache.mkdir(mode=0o700)
    (issued.cache / HOSTS[0]).write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    issued.hosts = HOSTS[:1]
    issued.configure()
    issued.start()
    (issued.cache / f"{HOSTS[0]}+token").write_bytes(check.key.read_bytes() + check.certificate.read_bytes())

    def shown(*protocols: str) -> tuple[int, str | None]:
        context = good.trusted()
        context.set_alpn_protocols(list(protocols))
        with (
            socket.create_connection(("127.0.0.1", issued.daemon.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOSTS[0]) as line,
        ):
            certificate = line.getpeercert(binary_form=True)
            assert certificate is not None
            return serial_of(certificate), line.selected_alpn_protocol()

    assert shown("h2", "http/1.1") == (pair.serial, "http/1.1")
    assert shown("acme-tls/1") == (check.serial, "acme-tls/1")


def test_a_folder_that_cannot_be_written_to_stops_the_start(tmp_path: Path) -> None:
    need("pebble")
    issued = Issued(tmp_path)
    issued.cache.write_text("a file")
    issued.daemon.start(wait=False)
    assert issued.daemon.process is not None
    assert issued.daemon.process.wait(20) == 1
    assert f"http.tls.letsencrypt.cachefile: {issued.cache} cannot be used as a folder" in issued.daemon.log
