"""What is said where TLS fails: each kind of failure is a real one, against a server on the loopback."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.client.registry import CommandFailed, Remote
from moorage.client.tls import CertificatesUnusable
from support.authority import Authority, Certified


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers an empty object."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(certified: Certified | None) -> Iterator[str]:
    """A server with a certificate, or without TLS; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # what fails here is meant to
    if certified is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certified.certificate, certified.key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def refusal(url: str, ca: Path | None = None) -> str:
    with pytest.raises(CommandFailed) as found:
        Remote(url, ca=None if ca is None else str(ca), environ={}).fetch("/v2/")
    return str(found.value)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


def test_with_its_authority_named_a_registry_is_trusted(authority: Authority) -> None:
    with serving(authority.certify("127.0.0.1")) as address:
        assert Remote(f"https://{address}", ca=str(authority.certificate), environ={}).fetch("/v2/").status == 200


def test_an_unknown_authority_is_said_with_what_helps(authority: Authority) -> None:
    with serving(authority.certify("127.0.0.1")) as address:
        said = refusal(f"https://{address}")
    assert said.startswith(f"the certificate of {address} is not trusted")
    assert "--ca FILE" in said


def test_another_name_is_said(authority: Authority) -> None:
    with serving(authority.certify("other.example")) as address:
        assert "is for another name" in refusal(f"https://{address}", authority.certificate)


def test_a_certificate_that_has_expired_is_said(authority: Authority) -> None:
    certified = authority.certify("127.0.0.1", begin=datetime.now(UTC) - timedelta(hours=20), days=0.5)
    with serving(certified) as address:
        assert "has expired" in refusal(f"https://{address}", authority.certificate)


def test_a_certificate_that_is_not_valid_yet_is_said(authority: Authority) -> None:
    certified = authority.certify("127.0.0.1", begin=datetime.now(UTC) + timedelta(hours=5), days=0.5)
    with serving(certified) as address:
        assert "is not valid yet" in refusal(f"https://{address}", authority.certificate)


def test_tls_to_a_port_without_it_is_said() -> None:
    with serving(None) as address:
        assert refusal(f"https://{address}").endswith(f"ask for http://{address}")


def test_plain_http_to_a_port_with_tls_is_said(authority: Authority) -> None:
    with serving(authority.certify("127.0.0.1")) as address:
        assert refusal(f"http://{address}").endswith(f"ask for https://{address}")


def test_a_file_without_a_certificate_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(CertificatesUnusable, match="holds no certificate"):
        Remote("https://r.example", ca=str(tmp_path / "empty"), environ={})
    with pytest.raises(CertificatesUnusable, match="No such file"):
        Remote("https://r.example", ca=str(tmp_path / "none"), environ={})
