"""docker over HTTPS with a private authority, in a network of its own: it does not check certificates of 127.0.0.1."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.settings import config_for
from e2e.test_docker import load
from e2e.wire import eventually
from support.authority import Authority
from support.clients import Docker
from support.components import need
from support.daemon import Daemon
from support.namespaces import ADDRESS, Namespace

# One docker daemon is enough for all of them.
pytestmark = pytest.mark.xdist_group("docker")

PORT = 5000
FULL, NO_CLIENT, NO_AUTHORITY = "full.test", "client.test", "authority.test"
"""Names of the same registry, by what docker has for them: everything, no client certificate, or no authority."""


@dataclass
class Secured:
    docker: Docker
    daemon: Daemon


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    need("dockerd", "docker", "containerd", "ip", "nsenter", "unshare", root=True)
    folder = tmp_path_factory.mktemp("secured")
    authority, clients = Authority(folder / "ca"), Authority(folder / "clients")
    pair, client = authority.certify("server", FULL, NO_CLIENT, NO_AUTHORITY), clients.certify("docker")
    tls = {
        "certificate": str(pair.certificate),
        "key": str(pair.key),
        "clientcas": [str(clients.certificate)],
    }
    with Namespace(FULL, NO_CLIENT, NO_AUTHORITY) as space:
        for name in (FULL, NO_CLIENT, NO_AUTHORITY):
            certificates = space.etc_docker / "certs.d" / f"{name}:{PORT}"
            certificates.mkdir(parents=True)
            if name != NO_AUTHORITY:
                (certificates / "ca.crt").write_bytes(authority.certificate.read_bytes())
            if name != NO_CLIENT:
                (certificates / "client.cert").write_bytes(client.certificate.read_bytes())
                (certificates / "client.key").write_bytes(client.key.read_bytes())
        daemon = Daemon(folder / "daemon", config=config_for(folder / "daemon", http={"tls": tls}), within=space.within)
        daemon.address = f"{ADDRESS}:{PORT}"
        daemon.start(wait=False)
        eventually("it listens", lambda: "listening on" in daemon.log)
        (folder / "docker").mkdir()
        try:
            with Docker(folder / "docker", within=space.within) as docker:
                yield Secured(docker, daemon)
        finally:
            daemon.stop()
        assert "Traceback" not in daemon.log


def test_docker_pushes_and_pulls_with_the_authority_and_its_certificate(secured: Secured, repository: str) -> None:
    name = f"{FULL}:{PORT}/{repository}:v1"
    made = load(secured.docker, name, seed=repository, layers=3)
    secured.docker("push", "--quiet", name)
    secured.docker("rmi", name)
    secured.docker("pull", "--quiet", name)
    assert secured.docker("image", "inspect", "--format", "{{.Id}}", name) == made


@pytest.mark.parametrize(
    ("name", "says"), [(NO_CLIENT, "certificate required"), (NO_AUTHORITY, "certificate signed by unknown authority")]
)
def test_docker_says_what_is_missing(secured: Secured, repository: str, name: str, says: str) -> None:
    status, said = secured.docker.attempt("pull", f"{name}:{PORT}/{repository}:v1")
    assert status != 0
    assert says in said
