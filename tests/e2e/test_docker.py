"""The docker daemon: push and pull of several layers, manifest lists, mounts between repositories."""

import io
import json
import tarfile
from collections.abc import Callable

import pytest

from e2e.images import build_image
from e2e.wire import Wire
from support.clients import Docker
from support.daemon import Daemon

# One docker daemon is enough for all of them.
pytestmark = pytest.mark.xdist_group("docker")


def load(docker: Callable[..., str], name: str, *, seed: str, layers: int) -> str:
    """Load an image with *layers* layers into the daemon under *name*, without a network; returns its id."""
    image = build_image(seed, layers=layers)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        paths = []
        for blob in image.blobs:
            paths.append(f"{blob.digest.partition(':')[2]}.json" if blob is image.config else f"{blob.digest[7:]}.tar")
            entry = tarfile.TarInfo(paths[-1])
            entry.size = len(blob.content)
            tar.addfile(entry, io.BytesIO(blob.content))
        manifest = json.dumps([{"Config": paths[0], "RepoTags": [name], "Layers": paths[1:]}]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(manifest)
        tar.addfile(entry, io.BytesIO(manifest))
    docker("load", "--quiet", given=archive.getvalue())
    return docker("image", "inspect", "--format", "{{.Id}}", name)


def test_an_image_of_several_layers_is_pushed_and_pulled_back(repository: str, docker: Docker, wire: Wire) -> None:
    name = f"{wire.address}/{repository}:v1"
    made = load(docker, name, seed=repository, layers=5)
    said = docker("push", name)
    digest = wire.manifest(repository, "v1").headers["docker-content-digest"]
    assert digest in said
    docker("rmi", name)
    docker("pull", "--quiet", name)
    assert docker("image", "inspect", "--format", "{{.Id}}", name) == made
    assert docker("image", "inspect", "--format", "{{len .RootFS.Layers}}", name) == "5"
    docker("rmi", name)
    docker("pull", "--quiet", f"{wire.address}/{repository}@{digest}")


def test_manifest_inspect_shows_what_was_pushed(repository: str, docker: Docker, wire: Wire) -> None:
    name = f"{wire.address}/{repository}:v1"
    made = load(docker, name, seed=repository, layers=2)
    docker("push", "--quiet", name)
    told = json.loads(docker("manifest", "inspect", "--insecure", name))
    assert told["config"]["digest"] == made
    assert told == json.loads(wire.manifest(repository, "v1").body)


def test_a_manifest_list_is_made_and_pushed(repository: str, docker: Docker, wire: Wire) -> None:
    names = []
    for architecture in ("amd64", "arm64"):
        names.append(f"{wire.address}/{repository}:{architecture}")
        image = build_image(f"{repository}/{architecture}", family="docker", architecture=architecture)
        wire.push_image(repository, architecture, image)
    together = f"{wire.address}/{repository}:all"
    docker("manifest", "create", "--insecure", together, *names)
    digest = docker("manifest", "push", "--insecure", together).splitlines()[-1]
    assert wire.manifest(repository, "all").headers["docker-content-digest"] == digest
    told = json.loads(docker("manifest", "inspect", "--insecure", together))
    assert sorted(entry["platform"]["architecture"] for entry in told["manifests"]) == ["amd64", "arm64"]


def test_a_push_to_another_repository_mounts_the_layers(registry: Daemon, repository: str, docker: Docker) -> None:
    first, second = (f"{registry.address}/{repository}/{part}:v1" for part in ("a", "b"))
    load(docker, first, seed=repository, layers=3)
    docker("push", first)
    docker("tag", first, second)
    assert docker("push", second).count(f"Mounted from {repository}/a") == 3


def test_a_second_push_finds_its_layers_there(registry: Daemon, repository: str, docker: Docker) -> None:
    name = f"{registry.address}/{repository}:v1"
    load(docker, name, seed=repository, layers=3)
    docker("push", name)
    assert docker("push", name).count("Layer already exists") == 3
