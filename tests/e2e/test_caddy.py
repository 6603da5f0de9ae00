"""The site for Caddy that comes with the compose file: bodies as they come, URLs with the outer name."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.fronts import (
    Front,
    adapted,
    check_a_long_token_goes_through,
    check_an_image_goes_in_and_out,
    check_claims_do_not_count,
)
from e2e.settings import config_for
from e2e.wire import OCTETS, eventually, sha256
from support.authority import Authority
from support.clients import Background, Skopeo
from support.components import need
from support.daemon import Daemon
from support.ports import free_port

SITE = Path(__file__).parents[2] / "deploy" / "compose" / "one-machine" / "Caddyfile"
MIB = 1 << 20
_OPTIONS = """\
{
	admin off
	auto_https disable_redirects
	skip_install_trust
}
"""


def site_for(front: Front) -> str:
    """The file, with ports and certificates of a test in the place of those of a site."""
    made = Authority(front.authority).certify("tls", "localhost", "127.0.0.1", into=front.folder)
    tls = f"\ttls {made.certificate} {made.key}\n"
    changes = {
        "registry.{$DOMAIN} {\n": f"localhost:{front.port} {{\n{tls}",
        "{$DOMAIN} {\n": f"localhost:{free_port()} {{\n{tls}",
        "moorage:5000": front.daemon.address,
        "moorage:8080": front.daemon.address,
    }
    return _OPTIONS + adapted(SITE, changes)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    need("caddy", "openssl")
    folder = tmp_path_factory.mktemp("caddy")
    with Daemon(folder / "daemon", config=config_for(folder / "daemon"), workers=2) as daemon:
        front = Front(daemon, folder, free_port())
        (folder / "Caddyfile").write_text(site_for(front))
        places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
        command: list[str | Path] = ["caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
        caddy = Background(folder, command, env=places)
        caddy.start(["openssl", "s_client", "-connect", f"127.0.0.1:{front.port}", "-verify_hostname", "localhost"])
        try:
            yield front
        finally:
            caddy.stop()


def test_an_image_goes_in_and_out_through_caddy(front: Front, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    check_an_image_goes_in_and_out(front, repository, skopeo, tmp_path)


def test_locations_have_the_outer_name_whatever_a_client_claims(front: Front, repository: str) -> None:
    check_claims_do_not_count(front, repository)


def test_a_large_layer_reaches_the_registry_before_caddy_has_all_of_it(front: Front, repository: str) -> None:
    content = random.Random(repository).randbytes(24 * MIB)
    uploads = front.daemon.data

    def arrived() -> bool:
        return any(file.stat().st_size >= 4 * MIB for file in uploads.rglob("_uploads/*"))

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(content), MIB):
            if at == 20 * MIB:
                eventually("the registry has bytes before Caddy has all", arrived)
            yield content[at : at + MIB]

    started = front.wire.request("POST", f"/v2/{repository}/blobs/uploads/")
    patched = front.wire.request("PATCH", started.location, pieces(), OCTETS)
    finished = front.wire.finish(patched.location, sha256(content))
    assert [answer.status for answer in (started, patched, finished)] == [202, 202, 201]
    assert front.wire.request("GET", finished.location).body == content


def test_a_token_of_many_repositories_goes_through(front: Front) -> None:
    check_a_long_token_goes_through(front)
