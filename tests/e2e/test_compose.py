"""The compose file for one machine, started as a whole by docker in a network of its own, and used by docker."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e.test_docker import load
from e2e.wire import eventually
from support.clients import Background, run
from support.components import need
from support.namespaces import Namespace

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.xdist_group("docker")]

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "compose"
BUILD_S = 1500
DOMAIN, REGISTRY = "localhost", "registry.localhost"
"""Caddy gives names below localhost certificates of its own authority: there is no other one here."""


@dataclass
class Composed:
    folder: Path
    space: Namespace

    @property
    def env(self) -> dict[str, str]:
        return {
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.folder / "client"),
            "DOMAIN": DOMAIN,
            "CADDY_IMAGE": "caddy:here",
        }

    def __call__(self, *words: str | Path, given: bytes | None = None) -> str:
        return run(*self.space.within, *words, env=self.env, given=given).strip()

    def docker(self, *words: str | Path, given: bytes | None = None) -> str:
        return self("docker", *words, given=given)

    def compose(self, *words: str) -> str:
        """Run compose, of whichever version is here; the first does not know a project's name in the file."""
        if shutil.which("docker-compose"):
            return self("docker-compose", "-p", "moorage", "-f", self.folder / "compose" / "one-machine.yml", *words)
        return self.docker("compose", "-f", FILES / "one-machine.yml", *words)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image with everything in it, as an archive."""
    need("buildah", "mmdebstrap", "dockerd", "docker", "caddy", "iptables", "ip", "nsenter", "unshare", root=True)
    folder = Path(os.environ.get("MOORAGE_TEST_IMAGES") or tmp_path_factory.mktemp("archives"))
    if "MOORAGE_TEST_IMAGES" not in os.environ:
        command = [str(ROOT / "scripts" / "make-image"), str(folder), "everything"]
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=BUILD_S)
        assert built.returncode == 0, built.stderr[-4000:]
    [found] = folder.glob("moorage-everything-*.tar")
    return found


@pytest.fixture(scope="module")
def composed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("composed")
    shutil.copytree(FILES, folder / "compose")
    tree = yaml.safe_load((FILES / "one-machine.yml").read_text())
    del tree["name"]
    (folder / "compose" / "one-machine.yml").write_text(yaml.safe_dump({"version": "3.8", **tree}))
    for name in ("client", "dockerd"):
        (folder / name).mkdir()
    (folder / "daemon.json").write_text("{}")
    with Namespace(REGISTRY) as space:
        found = Composed(folder, space)
        options: list[str | Path] = [
            *("--data-root", folder / "data", "--exec-root", folder / "exec", "-H", found.env["DOCKER_HOST"]),
            *("--pidfile", folder / "pid", "--config-file", folder / "daemon.json"),
        ]
        server = Background(folder / "dockerd", [*space.within, "dockerd", *options])
        server.start([*space.within, "docker", "-H", found.env["DOCKER_HOST"], "version"])
        try:
            found.docker("load", "--quiet", "--input", archive)
            found.docker(*_caddy_import(folder))
            try:
                found.compose("up", "-d")
                yield found
            finally:
                print(found.compose("logs"))  # noqa: T201 - shown if it fails
                found.compose("down", "--volumes")
        finally:
            server.stop()


def _caddy_import(folder: Path) -> list[str | Path]:
    """Words for docker that make an image of this machine's Caddy, as the official one is arranged."""
    archive, program = folder / "caddy.tar", shutil.which("caddy")
    assert program is not None
    with tarfile.open(archive, "w") as tar:
        for path in (program, *re.findall(r"(/\S+) \(", run("ldd", program))):
            tar.add(Path(path).resolve(), path.lstrip("/"))
        for name in ("tmp", "data", "config"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
    run_it = json.dumps([program, "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"])
    changes = (f"CMD {run_it}", "ENV XDG_DATA_HOME=/data", "ENV XDG_CONFIG_HOME=/config", "ENV HOME=/config")
    return ["import", *(word for change in changes for word in ("--change", change)), archive, "caddy:here"]


def test_the_file_for_one_machine_starts_and_docker_logs_in_pushes_and_pulls(composed: Composed) -> None:
    moorage = composed.compose("ps", "-q", "moorage")
    caddy = composed.compose("ps", "-q", "caddy")
    place = composed.space.etc_docker / "certs.d" / REGISTRY
    place.mkdir(parents=True)
    authority = "/data/caddy/pki/authorities/local/root.crt"

    def has_authority() -> bool:
        done = subprocess.run(
            [*composed.space.within, "docker", "cp", f"{caddy}:{authority}", place / "ca.crt"],
            env={**os.environ, **composed.env},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    eventually("Caddy has made its authority", has_authority, within_s=60)
    password = composed.docker("exec", moorage, "cat", "/var/lib/moorage/initial_password")
    composed.docker("login", "-u", "root", "--password-stdin", REGISTRY, given=password.encode())
    name = f"{REGISTRY}/root/app:v1"
    made = load(composed.docker, name, seed="composed", layers=2)
    composed.docker("push", "--quiet", name)
    composed.docker("rmi", name)
    composed.compose("restart")
    eventually("it is healthy again", lambda: _health(composed, moorage) == "healthy", within_s=120)
    composed.docker("pull", "--quiet", name)
    assert composed.docker("image", "inspect", "--format", "{{.Id}}", name) == made
    page = composed("curl", "-s", "--cacert", place / "ca.crt", f"https://{DOMAIN}/")
    assert "Moorage" in page or page == ""


def _health(composed: Composed, container: str) -> str:
    return composed.docker("inspect", "--format", "{{.State.Health.Status}}", container)
