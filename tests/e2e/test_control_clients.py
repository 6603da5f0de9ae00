"""Real clients by the control plane's tokens: log in, push, pull, mount and delete with a credential of each kind."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image, write_layout
from e2e.settings import config_for
from e2e.test_docker import load
from e2e.wire import Wire
from support.clients import Buildah, Containerd, Docker, Podman, Skopeo
from support.components import need
from support.control_plane import ControlPlane
from support.daemon import Daemon
from support.peer import Peer

pytestmark = pytest.mark.xdist_group("docker")

DELETING = ("password", "personal token", "project token", "group token", "job token")
KINDS = (*DELETING, "token for registries", "deploy token")


@dataclass
class ControlledSite:
    """A registry whose tokens come from a control plane."""

    control: ControlPlane
    registry: Daemon

    def name(self, repository: str, tag: str = "v1") -> str:
        return f"{self.registry.address}/{repository}:{tag}"

    def creds(self, kind: str) -> str:
        return ":".join(self.control.credentials[kind])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlledSite]:
    folder = tmp_path_factory.mktemp("controlled")
    with ControlPlane(folder / "control") as control:
        config = yaml.safe_dump({**yaml.safe_load(config_for(folder / "daemon")), "auth": control.auth_section})
        with Daemon(folder / "daemon", config=config) as daemon:
            yield ControlledSite(control, daemon)


def test_skopeo_pushes_mounts_pulls_and_deletes_with_each_kind(
    site: ControlledSite, skopeo: Skopeo, tmp_path: Path
) -> None:
    for kind in KINDS:
        path, creds = f"team/app/{kind.replace(' ', '-')}", site.creds(kind)
        source = write_layout(tmp_path / kind, {"v1": build_image(kind)})
        first, second = (f"docker://{site.name(f'{path}{part}')}" for part in ("", "/again"))
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"oci:{source}:v1", first)
        skopeo("copy", *skopeo.plain, "--src-creds", creds, "--dest-creds", creds, first, second)
        skopeo("inspect", "--tls-verify=false", "--creds", creds, second)
        status, said = skopeo.attempt("delete", "--tls-verify=false", "--creds", creds, second)
        assert (status == 0) == (kind in DELETING), said


def test_docker_logs_in_pushes_mounts_and_pulls_with_each_kind(site: ControlledSite, docker: Docker) -> None:
    for kind in KINDS:
        path = f"team/app/docker-{kind.replace(' ', '-')}"
        user, secret = site.control.credentials[kind]
        login = ("login", "--username", user, "--password-stdin", site.registry.address)
        assert "Login Succeeded" in docker(*login, given=secret.encode())
        load(docker, site.name(path), seed=kind, layers=1)
        docker("push", "--quiet", site.name(path))
        docker("tag", site.name(path), site.name(f"{path}/again"))
        assert "Mounted from" in docker("push", site.name(f"{path}/again"))
        docker("rmi", site.name(path), site.name(f"{path}/again"))
        docker("pull", "--quiet", site.name(path))
        docker("logout", site.registry.address)
    status, said = docker.attempt("pull", site.name("team/app/docker-password"))
    assert status != 0
    assert "access forbidden" in said


def test_buildah_pushes_and_podman_pulls(
    site: ControlledSite, podman: Podman, buildah: Buildah, tmp_path: Path
) -> None:
    name, common = site.name("team/app/built"), ("--tls-verify=false", "--authfile", tmp_path / "auth.json")

    def log_in(client: Podman | Buildah, kind: str) -> None:
        user, secret = site.control.credentials[kind]
        login = ("login", *common, "--username", user, "--password-stdin", site.registry.address)
        assert "Login Succeeded" in client(*login, given=secret.encode())

    buildah.build("localhost/made:1", {"/srv/data": b"moorage" * 1000})
    log_in(buildah, "deploy token")
    buildah("push", *common, "localhost/made:1", f"docker://{name}")
    log_in(podman, "job token")
    pulled = podman("pull", "--quiet", *common, name)
    podman("tag", pulled, f"{name}-again")
    podman("push", *common, f"{name}-again")
    log_in(podman, "reader")
    status, said = podman.attempt("push", *common, f"{name}-again")
    assert status != 0
    assert "denied" in said or "unauthorized" in said or "does not allow push" in said
    words = ("login", "--tls-verify=false", "--username", "ada", "--password", "wrong", site.registry.address)
    status, said = podman.attempt(*words)
    assert status != 0
    assert "invalid username/password" in said


def test_containerd_pulls_and_pushes(
    site: ControlledSite, containerd: Containerd, skopeo: Skopeo, tmp_path: Path
) -> None:
    source, name = write_layout(tmp_path / "source", {"v1": build_image("ctr")}), site.name("team/app/ctr")
    creds = site.creds("group token")
    skopeo("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"oci:{source}:v1", f"docker://{name}")
    containerd("images", "pull", "--snapshotter", "native", "--plain-http", "--user", site.creds("project token"), name)
    containerd("images", "tag", name, f"{name}-again")
    containerd("images", "push", "--plain-http", "--user", site.creds("job token"), f"{name}-again")


def test_a_first_push_makes_a_project_and_everybody_pulls_what_is_public(
    site: ControlledSite, skopeo: Skopeo, tmp_path: Path
) -> None:
    source, plain = write_layout(tmp_path / "source", {"v1": build_image("new")}), "--dest-tls-verify=false"
    creds = ("--dest-creds", site.creds("token for registries"))
    skopeo("copy", plain, *creds, f"oci:{source}:v1", f"docker://{site.name('ada/new')}")
    admin = ("--dest-creds", site.creds("administrator"))
    there = f"docker://{site.name('team/open')}"
    skopeo("copy", plain, *admin, f"oci:{source}:v1", there)
    skopeo("inspect", "--tls-verify=false", "--no-creds", there)
    status, _ = skopeo.attempt("inspect", "--tls-verify=false", "--no-creds", f"docker://{site.name('ada/new')}")
    assert status != 0


def test_what_was_not_granted_is_in_the_log_and_no_secret_is(
    site: ControlledSite, skopeo: Skopeo, tmp_path: Path
) -> None:
    source, creds = write_layout(tmp_path / "source", {"v1": build_image("denied")}), site.creds("reader")
    there = f"docker://{site.name('team/app/denied')}"
    status, said = skopeo.attempt("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"oci:{source}:v1", there)
    assert status != 0
    assert "push needs developer" in said
    assert "the role of this user in the project is reporter, and push needs developer" in site.control.log
    secrets = {secret for _, secret in site.control.credentials.values()}
    assert not [secret for secret in secrets if secret in site.control.log or secret in site.registry.log]
    assert "eyJ" not in site.control.log  # Each token begins so.


def test_a_push_over_a_hard_quota_tells_docker_and_skopeo_why_and_what_to_do(
    site: ControlledSite, docker: Docker, skopeo: Skopeo, tmp_path: Path
) -> None:
    why = "full is over its quota: 1.2 GiB of 1.0 GiB are used; delete images, or ask an administrator for more"
    user, secret = site.control.credentials["personal token"]
    docker("login", "--username", user, "--password-stdin", site.registry.address, given=secret.encode())
    source = write_layout(tmp_path / "source", {"v1": build_image("full")})
    words = ("copy", "--dest-tls-verify=false", "--dest-creds", site.creds("personal token"), f"oci:{source}:v1")
    for project in ("full/app", "full/not-yet-there"):
        name = site.name(project)
        status, said = skopeo.attempt(*words, f"docker://{name}")
        assert status != 0
        assert said.count(f" on {project}: {why}") == said.count("not granted") > 0  # Whole, in each answer.
        load(docker, name, seed="full", layers=1)
        status, said = docker.attempt("push", name)
        assert status != 0
        assert said.count(f" on {project}: {why}") == 1
    docker("logout", site.registry.address)


def test_what_is_not_granted_is_explained_by_a_command(site: ControlledSite) -> None:
    command = [sys.executable, "-m", "moorage", "token", "explain", str(site.control.file), "-", "--json"]
    scope, secret = "repository:team/app:pull,delete", site.control.credentials["token for registries"][1]
    done = subprocess.run(
        [*command, scope], input=f"{secret}\n", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    pull, delete = json.loads(done.stdout)
    assert (pull["allowed"], delete["allowed"]) == (True, False)
    assert delete["reason"] == "the token's scopes are read_registry, write_registry; delete needs api"
    assert secret not in done.stdout + done.stderr


def test_debian_s_registry_takes_the_tokens(site: ControlledSite, skopeo: Skopeo, tmp_path: Path) -> None:
    need("docker-registry")
    peer = Peer(tmp_path / "peer", tmp_path / "data")
    config = yaml.safe_load(peer.config_path.read_text())
    peer.config_path.write_text(yaml.safe_dump({**config, "auth": site.control.auth_section}))
    source = write_layout(tmp_path / "source", {"v1": build_image("peer")})
    with peer:
        assert Wire(peer.address).request("GET", "/v2/").status == 401
        there, creds = f"docker://{peer.address}/team/app/peer:v1", site.creds("job token")
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds", creds, f"oci:{source}:v1", there)
        skopeo("inspect", "--tls-verify=false", "--creds", site.creds("reader"), there)
        skopeo("delete", "--tls-verify=false", "--creds", creds, there)
        status, _ = skopeo.attempt("inspect", "--tls-verify=false", "--no-creds", there)
        assert status != 0
