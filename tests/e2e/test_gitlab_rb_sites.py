"""Sites of the guide's Linux package, written as sites of Moorage and run on the ports that they name.

docker logs in with credentials of the site, pushes and pulls; OpenSSL verifies what nginx shows.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.fronts import nginx_main
from e2e.test_docker import load
from e2e.wire import eventually
from support.authority import Authority
from support.clients import Background, Docker
from support.components import need
from support.namespaces import ADDRESS, Namespace

# One docker daemon is enough for all of them.
pytestmark = pytest.mark.xdist_group("docker")

PAGES, OWN, BALANCED = "gitlab.example.com", "registry.gitlab.example.com", "registry-gitlab.example.com"
PASSWORD = "a long password of root"


@dataclass(frozen=True)
class Shape:
    """One way in which the guide says that a site is set up."""

    lines: str
    registry: str
    """The address that clients use."""
    listens: int
    """The port that nginx has."""
    names: "tuple[str, ...]"
    """Of the registry's certificate."""


SHAPES = {
    # S-021 to S-025, S-028: the domain of the site, another port, the site's certificate.
    "existing-domain": Shape(f"registry_external_url 'https://{PAGES}:5050'\n", f"{PAGES}:5050", 5050, (PAGES,)),
    # S-021, S-029 to S-031: a domain of its own; a wildcard is given by its places.
    "own-domain": Shape(
        f"registry_external_url 'https://{OWN}'\n"
        "registry_nginx['ssl_certificate'] = \"{folder}/ssl/wildcard.crt\"\n"
        "registry_nginx['ssl_certificate_key'] = \"{folder}/ssl/wildcard.key\"\n",
        OWN,
        443,
        ("*.gitlab.example.com",),
    ),
    # S-026: any port behind a balancer, which keeps the name.
    "balancer": Shape(
        f"registry_external_url 'https://{BALANCED}'\n"
        "registry_nginx['redirect_http_to_https'] = true\n"
        "registry_nginx['listen_port'] = 5678\n",
        BALANCED,
        5678,
        (BALANCED,),
    ),
}


@dataclass
class Site:
    folder: Path
    space: Namespace
    shape: Shape

    def run(self, *words: str | Path, given: str = "") -> str:
        """A command within the site's network, which has to succeed."""
        line = [*self.space.within, *map(str, words)]
        ended = subprocess.run(line, input=given, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def moorage(self, *words: str | Path, given: str = "") -> str:
        return self.run(sys.executable, "-m", "moorage", *words, given=given)

    def verified(self, port: int, name: str) -> str:
        """OpenSSL's answer, asked for as the guide does."""
        where = ("-connect", f"{ADDRESS}:{port}", "-servername", name, "-verify_hostname", name)
        return self.run("openssl", "s_client", "-showcerts", *where, "-CAfile", self.folder / "ca" / "ca.crt")


@contextmanager
def running(folder: Path, shape: Shape) -> Iterator[Site]:
    """nginx, the registry and the control plane of a site, from nothing but its ``gitlab.rb``."""
    authority, ssl = Authority(folder / "ca"), folder / "ssl"
    ssl.mkdir()
    authority.certify(PAGES, PAGES, into=ssl)
    name = "wildcard" if shape.names[0].startswith("*") else shape.names[0]
    if name != PAGES:
        authority.certify(name, *shape.names, into=ssl)
    rb = f"external_url 'https://{PAGES}'\ngitlab_rails['registry_path'] = \"{folder}/images\"\n{shape.lines}"
    (folder / "gitlab.rb").write_text(rb.replace("{folder}", str(folder)))
    with Namespace(PAGES, OWN, BALANCED) as space:
        site = Site(folder, space, shape)
        place = space.etc_docker / "certs.d" / shape.registry
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(authority.certificate.read_bytes())
        site.moorage("config", "from-gitlab-rb", folder / "gitlab.rb", "--to", folder / "site", "--strict")
        nginx = folder / "site" / "nginx.conf"
        nginx.write_text(nginx.read_text().replace("/etc/gitlab/ssl/", f"{ssl}/"))
        (folder / "nginx.conf").write_text(nginx_main(folder, f"include {folder}/site/nginx.conf;"))
        control = folder / "site" / "control.yml"
        site.moorage("control", "migrate", "--config", control)
        site.moorage(
            *("control", "user", "create", "root", "--admin", "--password-stdin"), "--config", control, given=PASSWORD
        )
        ours = [*space.within, sys.executable, "-m", "moorage"]
        servers = {
            "registry": Background(folder / "registry", [*ours, "serve", folder / "site" / "config.yml"]),
            "control": Background(folder / "control", [*ours, "control", "serve", control]),
            "nginx": Background(folder / "nginx", [*space.within, "nginx", "-p", folder, "-c", folder / "nginx.conf"]),
        }
        probes = {"registry": "http://127.0.0.1:5000/", "control": "http://127.0.0.1:8080/"}
        try:
            for name, server in servers.items():
                server.folder.mkdir()
                asks = ["curl", "-s", "-o", str(folder / "probe"), probes[name]] if name in probes else []
                server.start([*space.within, *(asks or ["test", "-s", str(folder / "pid")])])
            yield site
        finally:
            for server in servers.values():
                server.stop()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_site_of_the_guide_is_logged_in_to_and_pushed_to_by_docker_on_its_own_ports(
    tmp_path: Path, shape: Shape
) -> None:
    need("dockerd", "docker", "containerd", "ip", "nsenter", "unshare", "nginx", "openssl", "curl", root=True)
    with running(tmp_path, shape) as site:
        name = shape.registry.partition(":")[0]
        assert "Verification: OK" in site.verified(shape.listens, name)
        assert "Verification: OK" in site.verified(443, PAGES)
        if shape.registry == BALANCED:
            sent = site.run("curl", "-si", "--resolve", f"{name}:80:{ADDRESS}", f"http://{name}/v2/")
            assert f"Location: https://{name}/v2/" in sent
            return  # The balancer in front of it is not ours.
        (tmp_path / "docker").mkdir()
        with Docker(tmp_path / "docker", within=site.space.within) as docker:
            status, said = docker.attempt("login", "-u", "root", "-p", "another", shape.registry)
            assert status != 0, said
            docker("login", "-u", "root", "--password-stdin", shape.registry, given=PASSWORD.encode())
            image = f"{shape.registry}/root/app:v1"
            made = load(docker, image, seed=image, layers=2)
            docker("push", "--quiet", image)
            docker("rmi", image)
            docker("pull", "--quiet", image)
            assert docker("image", "inspect", "--format", "{{.Id}}", image) == made
        control = tmp_path / "site" / "control.yml"
        listed: list[str] = []

        def is_listed() -> bool:
            listed.append(site.moorage("control", "repository", "list", "--config", control, "--json"))
            return "root/app" in listed[-1]

        eventually(f"the site lists the repository; it said {listed[-1:]}", is_listed)
