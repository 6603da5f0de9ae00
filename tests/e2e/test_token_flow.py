"""Real clients with the token flow, over TLS by a private authority: log in, push, pull, mount, be refused."""

import json
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from e2e.images import build_image, write_layout
from e2e.settings import config_for
from e2e.test_docker import load
from e2e.wire import Wire, eventually
from support.authority import Authority
from support.clients import Buildah, Containerd, Docker, Podman, Skopeo
from support.components import need
from support.daemon import Daemon
from support.namespaces import ADDRESS, Namespace
from support.peer import Peer
from support.ports import free_port
from support.token_server import ISSUER, SERVICE, TokenServer

pytestmark = pytest.mark.xdist_group("docker")

RULES = {
    "rules": [
        {"users": ["ada"], "repositories": ["team/**"], "actions": ["pull", "push"]},
        {"users": ["reader"], "repositories": ["team/**"], "actions": ["pull"]},
        {"users": ["anonymous"], "repositories": ["team/public/*"], "actions": ["pull"]},
    ]
}
USERS = {"ada": "ada's password", "reader": "reader's password"}
ADA = f"ada:{USERS['ada']}"
READER = f"reader:{USERS['reader']}"


@dataclass
class Site:
    """A registry and its token server, both behind certificates of one authority."""

    tokens: TokenServer
    registry: Daemon
    cert_dir: Path

    def name(self, repository: str, tag: str = "v1") -> str:
        return f"{self.registry.address}/{repository}:{tag}"


def registry_config(folder: Path, tokens: TokenServer, **http: object) -> str:
    tree = yaml.safe_load(config_for(folder, http=http))
    return yaml.safe_dump({**tree, "auth": tokens.auth_section()})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    authority = Authority(folder / "ca")
    pair = authority.certify("server", "127.0.0.1")
    tls = {"certificate": str(pair.certificate), "key": str(pair.key)}
    certificates = folder / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes(authority.certificate.read_bytes())
    with TokenServer(folder / "tokens", RULES, USERS, trusts=authority.trusted(), tls=tls) as tokens:
        config = registry_config(folder / "daemon", tokens, tls=tls)
        with Daemon(folder / "daemon", config=config, workers=2, tls=authority.trusted()) as daemon:
            yield Site(tokens, daemon, certificates)


def test_skopeo_pushes_and_pulls_with_a_password_and_without_one_is_refused(
    site: Site, skopeo: Skopeo, tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image("skopeo")})
    there, folder = f"docker://{site.name('team/skopeo')}", ("--dest-cert-dir", site.cert_dir)
    status, said = skopeo.attempt("copy", *folder, f"oci:{source}:v1", there)
    assert status != 0
    assert "authentication required" in said or "denied" in said
    skopeo("copy", *folder, "--dest-creds", ADA, f"oci:{source}:v1", there)
    skopeo("copy", "--src-cert-dir", site.cert_dir, "--src-creds", READER, there, f"oci:{tmp_path / 'back'}:v1")


def test_a_reader_cannot_push(site: Site, skopeo: Skopeo, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image("reader")})
    there = f"docker://{site.name('team/reader')}"
    status, said = skopeo.attempt(
        "copy", "--dest-cert-dir", site.cert_dir, "--dest-creds", READER, f"oci:{source}:v1", there
    )
    assert status != 0
    assert "denied" in said or "unauthorized" in said


def test_a_wrong_password_is_told(site: Site, skopeo: Skopeo) -> None:
    status, said = skopeo.attempt(
        "inspect", "--cert-dir", site.cert_dir, "--creds", "ada:wrong", f"docker://{site.name('team/any')}"
    )
    assert status != 0
    assert "invalid username/password" in said or "the user or the password is wrong" in said


def test_everybody_pulls_what_is_public(site: Site, skopeo: Skopeo, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image("public")})
    there = f"docker://{site.name('team/public/app')}"
    skopeo("copy", "--dest-cert-dir", site.cert_dir, "--dest-creds", ADA, f"oci:{source}:v1", there)
    skopeo("inspect", "--cert-dir", site.cert_dir, "--no-creds", there)


def test_podman_and_buildah_log_in_push_and_pull(site: Site, podman: Podman, buildah: Buildah, tmp_path: Path) -> None:
    name, authfile = site.name("team/podman"), tmp_path / "auth.json"
    common = ("--cert-dir", site.cert_dir, "--authfile", authfile)
    for client in (podman, buildah):
        said = client(
            "login",
            *common,
            "--username",
            "ada",
            "--password-stdin",
            site.registry.address,
            given=USERS["ada"].encode(),
        )
        assert "Login Succeeded" in said
    buildah.build("localhost/made:1", {"/srv/data": b"moorage" * 1000})
    buildah("push", *common, "localhost/made:1", f"docker://{name}")
    pulled = podman("pull", "--quiet", *common, name)
    podman("tag", pulled, f"{name}-again")
    podman("push", *common, f"{name}-again")
    status, said = podman.attempt("login", *common, "--username", "ada", "--password", "wrong", site.registry.address)
    assert status != 0
    assert "invalid username/password" in said


def test_containerd_pushes_and_pulls_by_oauth2(
    site: Site, containerd: Containerd, skopeo: Skopeo, tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image("containerd", layers=2)})
    name, folder = site.name("team/containerd"), ("--dest-cert-dir", site.cert_dir)
    skopeo("copy", *folder, "--dest-creds", ADA, f"oci:{source}:v1", f"docker://{name}")
    hosts = tmp_path / "hosts" / site.registry.address
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text(
        f'server = "{site.registry.url}"\n[host."{site.registry.url}"]\nca = "{site.cert_dir / "ca.crt"}"\n'
    )
    common = ("--hosts-dir", hosts.parent)
    containerd("images", "pull", "--snapshotter", "native", *common, "--user", READER, name)
    containerd("images", "tag", name, f"{name}-again")
    containerd("images", "push", *common, "--user", ADA, f"{name}-again")
    lines = [json.loads(line) for line in site.tokens.log.splitlines() if '"client": "containerd-client"' in line]
    assert {(line["user"], line["by"]) for line in lines} == {("ada", "password"), ("reader", "password")}


def test_skopeo_mounts_from_a_repository_that_the_user_can_read(site: Site, skopeo: Skopeo, tmp_path: Path) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image("mount", layers=3)})
    first, second = (f"docker://{site.name(f'team/mount/{part}')}" for part in ("a", "b"))
    skopeo("copy", "--dest-cert-dir", site.cert_dir, "--dest-creds", ADA, f"oci:{source}:v1", first)
    both = ("--src-cert-dir", site.cert_dir, "--dest-cert-dir", site.cert_dir, "--src-creds", ADA, "--dest-creds", ADA)
    skopeo("copy", *both, first, second)

    def mounts() -> list[int]:
        lines = [line for line in site.registry.log.splitlines() if "mount=" in line and "team%2Fmount%2Fa" in line]
        return [json.loads(line)["status"] for line in lines]

    # On a busy machine skopeo now and then forgets where a layer is, and uploads it: what it asks for is what counts.
    eventually("what it asked to mount is mounted", lambda: set(mounts()) == {201})


def test_keys_are_rotated_under_clients_that_never_notice(site: Site) -> None:
    """Tokens are asked for and used all the time, while the key changes."""
    failures: list[str] = []
    seen: set[str] = set()
    stop = threading.Event()
    query = urlencode({"service": SERVICE, "scope": "repository:team/rotated:pull"})
    header = {"Authorization": "Basic " + b64encode(ADA.encode()).decode()}

    def use() -> None:
        while not stop.is_set():
            try:
                request = urllib.request.Request(f"{site.tokens.url}?{query}", headers=header)
                with urllib.request.urlopen(request, timeout=10, context=site.tokens.trusts) as answer:
                    token = json.load(answer)["token"]
                seen.add(token.split(".")[0])
                request = urllib.request.Request(
                    f"{site.registry.url}/v2/", headers={"Authorization": f"Bearer {token}"}
                )
                with urllib.request.urlopen(request, timeout=10, context=site.registry.tls):
                    pass
            except (urllib.error.URLError, OSError) as exc:
                failures.append(exc.read().decode() if isinstance(exc, urllib.error.HTTPError) else str(exc))

    user = threading.Thread(target=use)
    user.start()
    try:
        for expected in (2, 3):
            done = site.tokens.command("rotate", str(site.tokens.path), "--after", "3s")
            assert done.returncode == 0, done.stderr
            eventually("the new key signs", lambda expected=expected: len(seen) == expected)  # type: ignore[misc]
    finally:
        stop.set()
        user.join(30)
    assert failures == []


def test_distribution_trusts_these_tokens_too(tmp_path: Path) -> None:
    need("docker-registry")
    with TokenServer(tmp_path / "tokens", RULES, USERS) as tokens:
        peer = Peer(tmp_path / "peer", tmp_path / "data")
        config = yaml.safe_load(peer.config_path.read_text())
        peer.config_path.write_text(yaml.safe_dump({**config, "auth": tokens.auth_section()}))
        with peer:
            image, wire = build_image("peer"), Wire(peer.address)
            assert wire.request("GET", "/v2/").status == 401
            query = urlencode({"service": SERVICE, "scope": "repository:team/app:pull,push"})
            header = {"Authorization": "Basic " + b64encode(ADA.encode()).decode()}
            with urllib.request.urlopen(urllib.request.Request(f"{tokens.url}?{query}", headers=header)) as answer:
                bearer = {"Authorization": f"Bearer {json.load(answer)['token']}"}
            assert wire.request("GET", "/v2/", headers=bearer).status == 200
            started = wire.request("POST", "/v2/team/app/blobs/uploads/", headers=bearer)
            assert started.status == 202
            assert wire.request("POST", "/v2/other/app/blobs/uploads/", headers=bearer).status == 401
            assert image.manifest.digest
    assert ISSUER in (tmp_path / "peer" / "peer.yml").read_text()


@dataclass
class DockerSite:
    docker: Docker
    tokens: TokenServer
    registry: Daemon
    address: str


@pytest.fixture(scope="module")
def docker_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerSite]:
    need("dockerd", "docker", "containerd", "ip", "nsenter", "unshare", root=True)
    folder = tmp_path_factory.mktemp("dockersite")
    authority = Authority(folder / "ca")
    pair = authority.certify("server", "registry.test", "tokens.test")
    tls = {"certificate": str(pair.certificate), "key": str(pair.key)}
    with Namespace("registry.test", "tokens.test") as space:
        certificates = space.etc_docker / "certs.d" / "registry.test:5000"
        certificates.mkdir(parents=True)
        (certificates / "ca.crt").write_bytes(authority.certificate.read_bytes())
        port = free_port()
        tokens = TokenServer(folder / "tokens", RULES, USERS, within=space.within, tls=tls, addr=f"{ADDRESS}:{port}")
        (folder / "docker").mkdir()
        with tokens:
            tree = yaml.safe_load(config_for(folder / "daemon", http={"tls": tls}))
            auth = tokens.auth_section(realm=f"https://tokens.test:{port}/token")
            daemon = Daemon(folder / "daemon", config=yaml.safe_dump({**tree, "auth": auth}), within=space.within)
            daemon.address = f"{ADDRESS}:5000"
            daemon.start(wait=False)
            eventually("it listens", lambda: "listening on" in daemon.log)
            try:
                with Docker(folder / "docker", within=space.within) as docker:
                    yield DockerSite(docker, tokens, daemon, "registry.test:5000")
            finally:
                daemon.stop()


def test_docker_logs_in_pushes_mounts_and_pulls_with_a_refresh_token(docker_site: DockerSite, repository: str) -> None:
    docker, address = docker_site.docker, docker_site.address
    first, second = (f"{address}/team/{repository.removeprefix('t/')}/{part}:v1" for part in ("a", "b"))
    made = load(docker, first, seed=repository, layers=3)
    status, said = docker.attempt("push", first)
    assert status != 0
    assert "authentication required" in said or "denied" in said or "unauthorized" in said
    status, said = docker.attempt("login", address, "--username", "ada", "--password", "wrong")
    assert status != 0
    assert "the user or the password is wrong" in said
    docker("login", address, "--username", "ada", "--password-stdin", given=USERS["ada"].encode())
    kept = json.loads((docker.folder / "client" / "config.json").read_text())["auths"][address]
    assert kept["identitytoken"].startswith("moorage-refresh-1.")
    docker("push", first)
    docker("tag", first, second)
    assert docker("push", second).count("Mounted from team/") == 3
    docker("rmi", first, second)
    docker("pull", "--quiet", second)
    assert docker("image", "inspect", "--format", "{{.Id}}", second) == made
    assert '"by": "refresh_token"' in docker_site.tokens.log
    docker("logout", address)
    status, said = docker.attempt("pull", second)
    assert status != 0


def test_docker_is_told_what_a_user_may_not(docker_site: DockerSite, repository: str) -> None:
    docker, address = docker_site.docker, docker_site.address
    name = f"{address}/team/{repository.removeprefix('t/')}:v1"
    load(docker, name, seed=repository, layers=1)
    docker("login", address, "--username", "reader", "--password-stdin", given=USERS["reader"].encode())
    status, said = docker.attempt("push", name)
    assert status != 0
    assert "denied" in said or "unauthorized" in said
    docker("logout", address)
