"""Real clients that are told to slow down, and do: they push and pull, later than they would have liked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image, layout_digests, write_layout
from e2e.settings import config_for
from e2e.test_docker import load
from e2e.wire import Wire
from support.clients import Containerd, Docker, Skopeo
from support.daemon import Daemon

LAYERS = 6
PULL = ("images", "pull", "--plain-http", "--snapshotter", "native")


def limited(folder: Path, *, rate: int, burst: int) -> str:
    """A configuration with one limiter by address."""
    limiter = {
        "name": "each",
        "match": {"type": "IP"},
        "precedence": 1,
        "limit": {"rate": rate, "period": "second", "burst": burst},
        "action": {"hard_action": "block"},
    }
    return config_for(folder) + yaml.safe_dump({"rate_limiter": {"enabled": True, "limiters": [limiter]}})


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Daemon]:
    """A registry of two workers that takes four requests at once and two a second."""
    folder = tmp_path / "slow"
    folder.mkdir()
    with Daemon(folder, config=limited(folder, rate=2, burst=4), workers=2) as daemon:
        yield daemon


def slow_requests(daemon: Daemon) -> int:
    """How many were held until it was their turn, or refused until they came back."""
    held_ms = [float(text) for text in re.findall(r'"duration_ms":([\d.]+)', daemon.log)]
    return daemon.log.count('"status":429') + sum(ms > 200 for ms in held_ms)


def test_skopeo_slows_down_and_succeeds(slow: Daemon, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    image = build_image(repository, layers=LAYERS)
    source = write_layout(tmp_path / "source", {"v1": image})
    skopeo.copy(f"oci:{source}:v1", f"docker://{slow.address}/{repository}:v1")
    skopeo.copy(f"docker://{slow.address}/{repository}:v1", f"oci:{tmp_path / 'back'}:v1")
    assert layout_digests(tmp_path / "back") == {part.digest for part in image.parts}
    assert slow_requests(slow) > 0


def patient_push(daemon: Daemon, repository: str) -> None:
    """An image, pushed before there are limits."""
    Wire(daemon.address).push_image(repository, "v1", build_image(repository, layers=LAYERS))


@pytest.mark.xdist_group("docker")
def test_containerd_slows_down_and_succeeds(tmp_path: Path, repository: str, containerd: Containerd) -> None:
    folder = tmp_path / "slow"
    with Daemon(folder, config=config_for(folder), workers=2) as daemon:
        patient_push(daemon, repository)
        daemon.stop()
        daemon.config = limited(folder, rate=2, burst=4)
        daemon.start()
        containerd(*PULL, f"{daemon.address}/{repository}:v1")
        assert slow_requests(daemon) > 0


@pytest.mark.xdist_group("docker")
def test_docker_slows_down_and_succeeds(slow: Daemon, repository: str, docker: Docker) -> None:
    name = f"{slow.address}/{repository}:v1"
    load(docker, name, seed=repository, layers=LAYERS)
    docker("push", name)
    docker("rmi", name)
    docker("pull", "--quiet", name)
    assert slow_requests(slow) > 0
