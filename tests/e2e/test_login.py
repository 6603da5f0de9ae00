"""Real clients log in, push, pull and mount: by the token flow, and by a password of a file."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.images import build_image, write_layout
from e2e.test_docker import load
from support.clients import Buildah, Docker, Podman, Skopeo, attempt
from support.daemon import Daemon
from support.registry_client import RegistryClient
from support.token_endpoint import SECRET, USER, TokenEndpoint
from support.tokens import ISSUER, SERVICE, Issuer, protecting
from unit.auth.test_passwords import hashed

pytestmark = pytest.mark.xdist_group("docker")

PLAIN = "--tls-verify=false"


class Realm:
    """A daemon of two workers that asks for credentials, and the endpoint that it sends clients to."""

    def __init__(self, daemon: Daemon, issuer: Issuer, endpoint: TokenEndpoint) -> None:
        self.daemon = daemon
        self.address = daemon.address
        self.issuer = issuer
        self.endpoint = endpoint

    def client(self, *access: tuple[str, str]) -> RegistryClient:
        return RegistryClient(self.address, headers=self.issuer.bearer(*access))


@pytest.fixture(scope="session")
def by_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    folder = tmp_path_factory.mktemp("by-token")
    issuer = Issuer(folder)
    with TokenEndpoint(issuer) as endpoint:
        names = f"realm: '{endpoint.url}', service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: '{issuer.bundle}'"
        with Daemon(folder, config=configuration(folder, f"token: {{{names}}}"), workers=2) as daemon:
            yield Realm(daemon, issuer, endpoint)


@pytest.fixture(scope="session")
def by_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("by-password")
    (folder / "users").write_text(f"{USER}:{hashed(SECRET, prefix=b'2y')}\n")
    auth = f"htpasswd: {{realm: Registry, path: '{folder / 'users'}'}}"
    with Daemon(folder, config=configuration(folder, auth), workers=2) as daemon:
        yield daemon


def configuration(folder: Path, auth: str) -> str:
    storage = f"filesystem: {{rootdirectory: '{folder / 'data'}'}}, delete: {{enabled: true}}"
    return f"version: 0.1\nstorage: {{{storage}}}\nauth: {{{auth}}}\n"


@pytest.fixture(params=["token", "password"])
def address(request: pytest.FixtureRequest) -> str:
    """Of a registry that asks for credentials, this way or that."""
    return str(request.getfixturevalue(f"by_{request.param}").address)


def login(docker: Docker, address: str, secret: str = SECRET) -> tuple[int, str]:
    words = ("docker", "login", "--username", USER, "--password-stdin", address)
    return attempt(*words, env=docker.env, given=secret.encode())


def test_docker_logs_in_pushes_and_pulls(address: str, repository: str, docker: Docker) -> None:
    name = f"{address}/{repository}:v1"
    made = load(docker, name, seed=f"{address}{repository}", layers=3)
    docker("logout", address)
    assert attempt("docker", "push", name, env=docker.env)[0] != 0
    assert login(docker, address, "wrong")[0] != 0
    status, said = login(docker, address)
    assert (status, "Login Succeeded" in said) == (0, True)
    docker("push", name)
    docker("rmi", name)
    docker("pull", "--quiet", name)
    assert docker("image", "inspect", "--format", "{{.Id}}", name) == made
    docker("logout", address)


def test_docker_mounts_from_another_repository(by_token: Realm, repository: str, docker: Docker) -> None:
    first, second = (f"{by_token.address}/{repository}/{part}:v1" for part in ("a", "b"))
    assert login(docker, by_token.address)[0] == 0
    load(docker, first, seed=repository, layers=3)
    docker("push", first)
    docker("tag", first, second)
    assert docker("push", second).count(f"Mounted from {repository}/a") == 3


def test_docker_uploads_what_it_may_not_mount(by_token: Realm, repository: str, docker: Docker) -> None:
    first, second = (f"{by_token.address}/{repository}/{part}:v1" for part in ("a", "b"))
    assert login(docker, by_token.address)[0] == 0
    load(docker, first, seed=repository, layers=2)
    docker("push", first)
    docker("tag", first, second)
    by_token.endpoint.denied.add(f"{repository}/a")
    said = docker("push", second)
    assert "Mounted from" not in said
    assert "digest: sha256:" in said


def test_docker_shows_why_a_protected_tag_is_refused(by_token: Realm, repository: str, docker: Docker) -> None:
    by_token.endpoint.metas[repository] = protecting(push=["^v"])
    assert login(docker, by_token.address)[0] == 0
    load(docker, f"{by_token.address}/{repository}:v1", seed=repository, layers=1)
    docker("tag", f"{by_token.address}/{repository}:v1", f"{by_token.address}/{repository}:other")
    status, said = attempt("docker", "push", f"{by_token.address}/{repository}:v1", env=docker.env)
    assert status != 0
    assert "is protected" in said or "denied" in said
    docker("push", f"{by_token.address}/{repository}:other")


def test_skopeo_copies_lists_and_deletes(address: str, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    image = build_image(f"{address}{repository}", layers=3)
    layout = write_layout(tmp_path / "layout", {"v1": image})
    name = f"docker://{address}/{repository}:v1"
    source = f"oci:{layout}:v1"
    credentials = f"{USER}:{SECRET}"
    assert skopeo.attempt("copy", *skopeo.plain, source, name)[0] != 0
    assert skopeo.attempt("copy", *skopeo.plain, "--dest-creds", f"{USER}:wrong", source, name)[0] != 0
    skopeo.copy(source, name, "--dest-creds", credentials)
    assert image.manifest.digest in skopeo("inspect", PLAIN, "--creds", credentials, name)
    copy = f"docker://{address}/{repository}/copy:v2"
    skopeo.copy(name, copy, "--src-creds", credentials, "--dest-creds", credentials)
    assert '"v2"' in skopeo("list-tags", PLAIN, "--creds", credentials, f"docker://{address}/{repository}/copy")
    skopeo("delete", PLAIN, "--creds", credentials, copy)


def test_podman_logs_in_pulls_and_pushes(address: str, repository: str, podman: Podman, skopeo: Skopeo) -> None:
    layout = write_layout(podman.folder / "layout", {"v1": build_image(f"{address}{repository}", layers=2)})
    name, copy = f"{address}/{repository}:v1", f"{address}/{repository}/copy:v2"
    skopeo.copy(f"oci:{layout}:v1", f"docker://{name}", "--dest-creds", f"{USER}:{SECRET}")
    podman("login", PLAIN, "--username", USER, "--password", SECRET, address)
    podman("pull", "--quiet", PLAIN, name)
    podman("tag", name, copy)
    podman("push", PLAIN, copy)
    podman("logout", address)


def test_buildah_pushes_what_it_built(address: str, repository: str, buildah: Buildah) -> None:
    name = f"{address}/{repository}:v1"
    buildah("login", PLAIN, "--username", USER, "--password", SECRET, address)
    buildah.build(name, {"/file": repository.encode()})
    buildah("push", PLAIN, name)
    buildah("rmi", name)
    buildah("pull", "--quiet", PLAIN, name)


def test_anybody_pulls_where_the_issuer_lets_them(
    by_token: Realm, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    image = build_image(repository)
    layout = write_layout(tmp_path / "layout", {"v1": image})
    name = f"docker://{by_token.address}/{repository}:v1"
    skopeo.copy(f"oci:{layout}:v1", name, "--dest-creds", f"{USER}:{SECRET}")
    skopeo.copy(name, f"oci:{tmp_path / 'back'}:v1", "--src-no-creds")
    # Others have logged in here, and their credentials are kept.
    status, said = skopeo.attempt("copy", *skopeo.plain, "--dest-no-creds", f"oci:{layout}:v1", f"{name}x")
    assert status != 0
    assert "authentication required" in said or "unauthorized" in said or "does not allow" in said


def test_the_log_names_the_user_and_no_password(
    by_password: Daemon, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    layout = write_layout(tmp_path / "layout", {"v1": build_image(repository, layers=20)})
    name, credentials = f"docker://{by_password.address}/{repository}:v1", f"{USER}:{SECRET}"
    skopeo.copy(f"oci:{layout}:v1", name, "--dest-creds", credentials)
    skopeo.copy(name, f"oci:{tmp_path / 'back'}:v1", "--src-creds", credentials)
    assert skopeo.attempt("inspect", PLAIN, "--creds", f"{USER}:hunter2", name)[0] != 0
    log = by_password.log
    assert f'"auth.user.name":"{USER}","auth.user.type":"htpasswd"' in log
    assert "wrong password" in log
    for secret in (SECRET, "hunter2"):
        assert secret not in log
        assert base64.b64encode(f"{USER}:{secret}".encode()).decode() not in log
