"""containerd by ``ctr``: pull, push, all platforms of an index, content checked by its digest."""

import pytest

from e2e.images import build_image, build_index
from e2e.wire import Wire
from support.clients import Containerd

# One containerd is enough for all of them.
pytestmark = pytest.mark.xdist_group("docker")

PULL = ("images", "pull", "--plain-http", "--snapshotter", "native")


def test_an_image_pulled_is_pushed_under_another_name(repository: str, containerd: Containerd, wire: Wire) -> None:
    image = build_image(repository, layers=3)
    wire.push_image(repository, "v1", image)
    source, target = f"{wire.address}/{repository}:v1", f"{wire.address}/{repository}/copy:v2"
    containerd(*PULL, source)
    containerd("images", "tag", source, target)
    containerd("images", "push", "--plain-http", target)
    assert wire.manifest(f"{repository}/copy", "v2").body == image.manifest.content
    for blob in image.blobs:
        assert wire.blob(f"{repository}/copy", blob.digest).body == blob.content


def test_an_index_is_pulled_with_all_its_platforms_and_pushed_whole(
    repository: str, containerd: Containerd, wire: Wire
) -> None:
    index = build_index(repository)
    for image in index.images:
        wire.push_image(repository, image.manifest.digest, image)
    assert wire.put_manifest(repository, "all", index.manifest).status == 201
    source, target = f"{wire.address}/{repository}:all", f"{wire.address}/{repository}/copy:all"
    containerd("content", "fetch", "--plain-http", "--all-platforms", source)
    held = containerd("content", "ls", "--quiet").split()
    assert {part.digest for part in index.parts} <= set(held)
    containerd("images", "tag", source, target)
    containerd("images", "push", "--plain-http", target)
    assert wire.manifest(f"{repository}/copy", "all").body == index.manifest.content
    for image in index.images:
        assert wire.manifest(f"{repository}/copy", image.manifest.digest).body == image.manifest.content


def test_an_image_is_pulled_by_digest(repository: str, containerd: Containerd, wire: Wire) -> None:
    image = build_image(repository)
    wire.push_image(repository, "v1", image)
    reference = f"{wire.address}/{repository}@{image.manifest.digest}"
    containerd(*PULL, reference)
    assert reference in containerd("images", "ls", "--quiet").split()
