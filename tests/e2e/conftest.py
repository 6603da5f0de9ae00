"""A registry with deletion on, and the clients, for the whole folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.settings import config_for
from e2e.wire import Wire
from support.clients import Buildah, Containerd, Docker, LazyPodman, Oras, Podman, Skopeo
from support.components import need
from support.daemon import Daemon


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A two-worker daemon that allows deletion: tests use a repository name of their own."""
    folder = tmp_path_factory.mktemp("registry")
    with Daemon(folder, config=config_for(folder), workers=2) as daemon:
        yield daemon


@pytest.fixture
def wire(registry: Daemon) -> Wire:
    """A client that opens a connection for each request, so that both workers are asked."""
    return Wire(registry.address)


@pytest.fixture(params=["layout", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """The section ``database`` of a registry with link files, and of one with a database."""
    if request.param == "layout":
        return {"enabled": False}
    return {"enabled": True, "sqlite": str(tmp_path / "registry.db")}


@pytest.fixture
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    need("skopeo")
    return Skopeo(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    need("buildah", root=True)
    with Buildah(tmp_path_factory.mktemp("buildah")) as client:
        yield client


@pytest.fixture
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    need("podman", root=True)
    with Podman(tmp_path_factory.mktemp("podman")) as client:
        yield client


@pytest.fixture
def lazy_podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LazyPodman]:
    need("podman", root=True)
    with LazyPodman(tmp_path_factory.mktemp("lazy")) as client:
        yield client


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    need("dockerd", "docker", "containerd", root=True)
    with Docker(tmp_path_factory.mktemp("docker")) as client:
        yield client


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    need("containerd", "ctr", root=True)
    with Containerd(tmp_path_factory.mktemp("containerd")) as client:
        yield client


@pytest.fixture
def oras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Oras:
    need("oras")
    monkeypatch.chdir(tmp_path)  # It takes files below here only, by relative paths.
    (tmp_path / "report.json").write_text("{}")
    return Oras(tmp_path)
