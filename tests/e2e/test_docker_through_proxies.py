"""docker and crane through the sites for nginx and for Caddy that come with the project: a large layer, and back."""

import io
import os
import random
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.fronts import adapted, nginx_main
from e2e.settings import config_for
from e2e.wire import eventually
from support.authority import Authority
from support.clients import Background, Docker, run
from support.components import need
from support.daemon import Daemon
from support.namespaces import ADDRESS, Namespace

# One docker daemon is enough for all of them.
pytestmark = pytest.mark.xdist_group("docker")

ROOT = Path(__file__).parents[2]
NGINX, CADDY = "nginx.test:8443", "caddy.test:8444"
REGISTRY = f"{ADDRESS}:5000"
LAYER_BYTES = int(os.environ.get("MOORAGE_TEST_LAYER_BYTES") or 32 << 20)
_CADDY = """\
{{
	admin off
	auto_https disable_redirects
	skip_install_trust
}}
{site}
"""


@dataclass
class Proxied:
    """A registry that docker reaches by two proxies, all in a network of their own."""

    docker: Docker
    folder: Path
    within: Sequence[str]

    def crane(self, *words: str | Path) -> str:
        """Run crane, which speaks HTTP/2 where it can, and docker does not."""
        return run(*self.within, "crane", *words, env={"SSL_CERT_FILE": str(self.folder / "ca" / "ca.crt")})


def nginx_in(folder: Path, authority: Authority, space: Namespace) -> Background:
    made = authority.certify("nginx", NGINX.partition(":")[0], into=folder)
    site = adapted(
        ROOT / "docs/how-to/nginx/moorage.conf",
        {
            "https://registry.example.com": f"https://{NGINX}",
            "server_name registry.example.com": f"server_name {NGINX.partition(':')[0]}",
            "/etc/nginx/tls/registry.crt;": f"{made.certificate};",
            "/etc/nginx/tls/registry.key;": f"{made.key};",
            "server 127.0.0.1:5000;": f"server {REGISTRY};",
            "listen 443 ": f"listen {ADDRESS}:{NGINX.partition(':')[2]} ",
            "listen 80;": f"listen {ADDRESS}:8080;",
        },
    )
    main = nginx_main(folder, site, access_log=f"{folder}/access.log versions")
    (folder / "nginx.conf").write_text(main)
    return Background(folder, [*space.within, "nginx", "-p", folder, "-c", folder / "nginx.conf"])


def caddy_in(folder: Path, authority: Authority, space: Namespace) -> Background:
    made = authority.certify("caddy", CADDY.partition(":")[0], into=folder)
    tls = f"\ttls {made.certificate} {made.key}\n"
    site = adapted(
        ROOT / "deploy/compose/one-machine/Caddyfile",
        {
            "registry.{$DOMAIN} {\n": f"{CADDY} {{\n{tls}",
            "{$DOMAIN} {\n": f"caddy.test:8445 {{\n{tls}",
            "moorage:5000": REGISTRY,
            "moorage:8080": REGISTRY,
        },
    )
    (folder / "Caddyfile").write_text(_CADDY.format(site=site))
    places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
    command: list[str | Path] = [
        *space.within,
        "caddy",
        "run",
        "--config",
        folder / "Caddyfile",
        "--adapter",
        "caddyfile",
    ]
    return Background(folder, command, env=places)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    need("dockerd", "docker", "containerd", "ip", "nsenter", "unshare", "nginx", "caddy", "openssl", "crane", root=True)
    folder = tmp_path_factory.mktemp("proxied")
    authority = Authority(folder / "ca")
    for name in ("nginx", "caddy", "docker"):
        (folder / name).mkdir()
    with Namespace("nginx.test", "caddy.test") as space:
        for address in (NGINX, CADDY):
            place = space.etc_docker / "certs.d" / address
            place.mkdir(parents=True)
            (place / "ca.crt").write_bytes(authority.certificate.read_bytes())
        daemon = Daemon(folder / "daemon", config=config_for(folder / "daemon"), within=space.within)
        daemon.address = REGISTRY
        daemon.start(wait=False)
        servers = {
            NGINX: nginx_in(folder / "nginx", authority, space),
            CADDY: caddy_in(folder / "caddy", authority, space),
        }
        try:
            eventually("it listens", lambda: "listening on" in daemon.log)
            for address, server in servers.items():
                server.start([*space.within, "openssl", "s_client", "-connect", address])
            with Docker(folder / "docker", within=space.within) as docker:
                yield Proxied(docker, folder, space.within)
        finally:
            for server in servers.values():
                server.stop()
            daemon.stop()
        assert "Traceback" not in daemon.log


def import_image(docker: Docker, name: str, seed: str) -> str:
    """Make an image with one large layer that cannot be compressed; returns its id."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("random")
        entry.size = LAYER_BYTES
        tar.addfile(entry, io.BytesIO(random.Random(seed).randbytes(LAYER_BYTES)))
    return docker("import", "-", name, given=archive.getvalue())


@pytest.mark.parametrize("front", [NGINX, CADDY], ids=["nginx", "caddy"])
def test_a_large_layer_goes_through_a_proxy_and_back_by_docker_and_by_crane_over_http_2(
    proxied: Proxied, repository: str, front: str, tmp_path: Path
) -> None:
    name = f"{front}/{repository}:v1"
    made = import_image(proxied.docker, name, repository)
    proxied.docker("push", "--quiet", name)
    proxied.docker("rmi", name)
    proxied.crane("pull", name, tmp_path / "pulled.tar")
    again = f"{front}/{repository}/again:v1"
    proxied.crane("push", tmp_path / "pulled.tar", again)
    proxied.docker("pull", "--quiet", again)
    assert proxied.docker("image", "inspect", "--format", "{{.Id}}", again) == made
    proxied.docker("rmi", again)
    if front == NGINX:
        seen = (proxied.folder / "nginx" / "access.log").read_text()
        assert "HTTP/2.0 PATCH 202" in seen, "by crane"
        assert "HTTP/1.1 PATCH 202" in seen, "by docker"
