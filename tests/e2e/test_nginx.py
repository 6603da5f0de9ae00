"""The documented site for nginx: TLS by a private authority, URLs with the external scheme and port, large bodies."""

import json
import random
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.fronts import (
    Front,
    adapted,
    check_a_long_token_goes_through,
    check_an_image_goes_in_and_out,
    check_claims_do_not_count,
    nginx_main,
)
from e2e.images import Blob, build_image, image_of
from e2e.settings import config_for
from e2e.wire import OCTETS, Wire, eventually, sha256
from moorage.starting.gitlab_site_start import SiteRequest, write_gitlab_site
from support.authority import Authority
from support.clients import Background, Skopeo
from support.components import need
from support.daemon import Daemon
from support.ports import free_port
from support.token_server import SERVICE, TokenServer

SITE = Path(__file__).parents[2] / "docs" / "how-to" / "nginx" / "moorage.conf"
TOKEN_PAGE = SITE.parents[1] / "token-server.md"
MIB = 1 << 20
OCTET_STREAM = "application/octet-stream"


@dataclass
class NginxFront(Front):
    """nginx in front of a daemon."""

    plain_port: int


def make_certificates(folder: Path) -> Authority:
    """An authority, and a wildcard certificate of it that is also for localhost."""
    authority = Authority(folder / "ca")
    made = authority.certify("tls", "localhost", "127.0.0.1", "*.gitlab.example.com")
    made.certificate.rename(folder / "tls.crt")
    made.key.rename(folder / "tls.key")
    return authority


def site_for(front: NginxFront) -> str:
    """The documented file, with what its head says to change."""
    changes = {
        "https://registry.example.com": f"https://{front.address}",
        "server_name registry.example.com": "server_name localhost",
        "/etc/nginx/tls/registry.crt;": f"{front.folder / 'tls.crt'};",
        "/etc/nginx/tls/registry.key;": f"{front.folder / 'tls.key'};",
        "server 127.0.0.1:5000;": f"server {front.daemon.address};",
        "listen 443 ": f"listen 127.0.0.1:{front.port} ",
        "listen 80;": f"listen 127.0.0.1:{front.plain_port};",
    }
    return adapted(SITE, changes)


@contextmanager
def started(front: NginxFront) -> Iterator[None]:
    """nginx with the site in the folder of *front*."""
    folder = front.folder
    main = nginx_main(folder, f"include {folder}/site.conf;", access_log=f"{folder}/access.log")
    (folder / "nginx.conf").write_text(main)
    nginx = Background(folder, ["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    authority = ("-CAfile", folder / "ca" / "ca.crt")
    nginx.start(["openssl", "s_client", "-connect", f"127.0.0.1:{front.port}", *authority])
    try:
        yield
    finally:
        nginx.stop()
    assert "[alert]" not in nginx.log
    assert "[emerg]" not in nginx.log


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxFront]:
    need("nginx", "openssl")
    folder = tmp_path_factory.mktemp("nginx")
    make_certificates(folder)
    with Daemon(folder / "daemon", config=config_for(folder / "daemon"), workers=2) as daemon:
        front = NginxFront(daemon, folder, free_port(), free_port())
        (folder / "site.conf").write_text(site_for(front))
        with started(front):
            yield front


def test_an_image_goes_in_and_out_over_tls(front: NginxFront, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    check_an_image_goes_in_and_out(front, repository, skopeo, tmp_path)


def test_a_client_that_does_not_know_the_authority_is_refused(front: NginxFront, skopeo: Skopeo) -> None:
    status, output = skopeo.attempt("list-tags", f"docker://{front.address}/any")
    assert status != 0
    assert "unknown authority" in output


def test_locations_are_https_with_the_external_port(front: NginxFront, repository: str) -> None:
    content = random.Random(repository).randbytes(3 * MIB)
    pieces = (content[at : at + MIB] for at in range(0, len(content), MIB))
    started = front.wire.request("POST", f"/v2/{repository}/blobs/uploads/")
    patched = front.wire.request("PATCH", started.location, pieces, OCTETS)
    finished = front.wire.finish(patched.location, sha256(content))
    tagged = front.wire.put_manifest(repository, "v1", image_of(Blob(content, OCTET_STREAM), []).manifest)
    assert [answer.status for answer in (started, patched, finished, tagged)] == [202, 202, 201, 201]
    for answer in (started, patched, finished, tagged):
        parts = urlsplit(answer.headers["location"])
        assert (parts.scheme, parts.netloc) == ("https", front.address)
    assert front.wire.request("GET", finished.location).body == content


def test_the_links_of_lists_lead_back_through_the_proxy(front: NginxFront, repository: str) -> None:
    image = build_image(repository, layers=0)
    for tag in ("v0", "v1"):
        front.wire.push_image(repository, tag, image)
    answer = front.wire.request("GET", f"/v2/{repository}/tags/list?n=1")
    assert answer.json()["tags"] == ["v0"]
    parts = urlsplit(answer.headers["link"].partition(">")[0].removeprefix("<"))
    # A relative link is as good.
    assert (parts.scheme, parts.netloc) in {("https", front.address), ("", "")}
    assert front.wire.request("GET", f"{parts.path}?{parts.query}").json()["tags"] == ["v1"]


def test_a_wildcard_certificate_is_good_for_the_registrys_name_and_not_for_one_below_it(front: NginxFront) -> None:
    trusted = ssl.create_default_context(cafile=front.authority / "ca.crt")
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as plain:
        trusted.wrap_socket(plain, server_hostname="registry.gitlab.example.com").close()
    with (
        socket.create_connection(("127.0.0.1", front.port), timeout=10) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        trusted.wrap_socket(plain, server_hostname="a.registry.gitlab.example.com")


@pytest.mark.parametrize("host", ["registry.gitlab.example.com", "gitlab.example.com:5050", "[2001:db8::1]:5050"])
def test_locations_have_the_name_and_port_that_the_client_used_whatever_nginx_listens_on(
    front: NginxFront, repository: str, host: str
) -> None:
    answer = front.wire.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Host": host})
    assert answer.headers["location"].startswith(f"https://{host}/v2/{repository}/blobs/uploads/")


def test_a_token_of_many_repositories_goes_through(front: NginxFront) -> None:
    check_a_long_token_goes_through(front)


def test_what_a_client_claims_to_be_forwarded_does_not_count(front: NginxFront, repository: str) -> None:
    check_claims_do_not_count(front, repository)


def test_the_token_server_is_reached_beside_the_registry(tmp_path: Path) -> None:
    need("nginx", "openssl")
    (piece,) = re.findall(r"^<!-- nginx -->\n```nginx\n(.*?)^```$", TOKEN_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "front").mkdir()
    make_certificates(tmp_path / "front")
    with (
        TokenServer(tmp_path / "tokens", {"rules": []}, {"ada": "secret"}) as tokens,
        Daemon(tmp_path / "daemon", config=config_for(tmp_path / "daemon")) as daemon,
    ):
        front = NginxFront(daemon, tmp_path / "front", free_port(), free_port())
        location = piece.replace("http://127.0.0.1:5001", f"http://{tokens.address}")
        site = site_for(front).replace("    location / {", f"{location}\n    location / {{")
        (front.folder / "site.conf").write_text(site)
        with started(front):
            credentials = {"Authorization": "Basic " + b64encode(b"ada:secret").decode()}
            answer = front.wire.request("GET", f"/auth/token?service={SERVICE}", headers=credentials)
            assert answer.status == 200
            assert answer.json()["token"]
            claimed = {"Authorization": "Basic " + b64encode(b"ada:wrong").decode(), "X-Forwarded-For": "192.0.2.1"}
            assert front.wire.request("GET", f"/auth/token?service={SERVICE}", headers=claimed).status == 401
            assert front.wire.request("GET", "/v2/").status == 200
        (wrong,) = [line for line in tokens.log.splitlines() if "wrong password" in line]
        assert json.loads(wrong)["remote"] == "127.0.0.1"  # And not what the client claims.


def test_plain_http_is_sent_to_https(front: NginxFront) -> None:
    answer = Wire(f"localhost:{front.plain_port}").request("GET", "/v2/any/tags/list?n=1")
    assert answer.status == 308
    assert answer.headers["location"] == f"https://{front.address}/v2/any/tags/list?n=1"


def test_a_large_body_goes_through_as_it_comes(front: NginxFront, repository: str) -> None:
    content = random.Random(repository).randbytes(32 * MIB)
    location = front.wire.start_upload(repository)
    uploads = front.daemon.data / "docker/registry/v2/repositories" / repository / "_uploads"

    def arrived() -> bool:
        return sum(path.stat().st_size for path in uploads.glob("*")) > MIB

    with front.wire as wire:
        connection = wire.connection()
        connection.putrequest("PATCH", location)
        connection.putheader("Content-Type", OCTET_STREAM)
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content[: 16 * MIB])
        eventually("the registry has bytes before nginx has all", arrived)
        connection.send(content[16 * MIB :])
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
    status = front.wire.request("GET", location)
    assert status.offset == len(content)
    assert front.wire.finish(status.location, sha256(content)).status == 201


def test_a_site_written_from_the_settings_of_the_linux_package_answers(tmp_path: Path) -> None:
    need("nginx", "openssl")
    make_certificates(tmp_path)
    daemon = Daemon(tmp_path / "daemon", has_folder=False)
    front = NginxFront(daemon, tmp_path, free_port(), free_port())
    settings = tmp_path / "gitlab.rb"
    settings.write_text(f"""\
external_url 'http://localhost:{front.plain_port}'
registry_external_url 'https://localhost:{front.port}'
registry_nginx['ssl_certificate'] = "{tmp_path}/tls.crt"
registry_nginx['ssl_certificate_key'] = "{tmp_path}/tls.key"
registry['registry_http_addr'] = "{daemon.address}"
gitlab_rails['registry_path'] = "{tmp_path}/images"
""")
    site = tmp_path / "site"
    write_gitlab_site(SiteRequest(file=settings, folder=site, is_strict=True))
    (site / "nginx.conf").rename(tmp_path / "site.conf")
    daemon.config = (site / "config.yml").read_text()
    with daemon, started(front):
        answer = front.wire.request("GET", "/v2/")
    assert answer.status == 401
    realm = f'realm="http://localhost:{front.plain_port}/jwt/auth",service="container_registry"'
    assert realm in answer.headers["www-authenticate"]
