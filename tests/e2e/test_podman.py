"""podman: pull by tag and digest, tag, push, list of tags."""

import json
import random

from e2e.images import build_image, image_of_files, write_layout
from e2e.wire import Wire
from support.clients import LazyPodman, Podman

PLAIN = "--tls-verify=false"


def test_an_image_pulled_tagged_and_pushed_keeps_its_config_and_layers(
    repository: str, podman: Podman, wire: Wire
) -> None:
    image = build_image(repository, layers=3)
    wire.push_image(repository, "v1", image)
    source, target = f"{wire.address}/{repository}:v1", f"{wire.address}/{repository}/copy:v2"
    pulled = podman("pull", "--quiet", PLAIN, source)
    assert f"sha256:{pulled}" == image.config.digest
    podman("tag", source, target)
    podman("push", PLAIN, target)
    pushed = json.loads(wire.manifest(f"{repository}/copy", "v2").body)
    assert pushed["config"]["digest"] == image.config.digest
    # podman packs layers again, so that only their number is the same.
    assert len(pushed["layers"]) == 3


def test_an_image_is_pulled_by_digest(repository: str, podman: Podman, wire: Wire) -> None:
    image = build_image(repository)
    wire.push_image(repository, image.manifest.digest, image)
    podman("pull", "--quiet", PLAIN, f"{wire.address}/{repository}@{image.manifest.digest}")
    listed = json.loads(podman("images", "--format", "json", "--digests"))
    assert [entry["Digest"] for entry in listed] == [image.manifest.digest]


def test_search_lists_the_tags(repository: str, podman: Podman, wire: Wire) -> None:
    image = build_image(repository)
    for tag in ("v1", "v2"):
        wire.push_image(repository, tag, image)
    listed = json.loads(podman("search", PLAIN, "--list-tags", "--format", "json", f"{wire.address}/{repository}"))
    assert [entry["Tags"] for entry in listed] == [["v1", "v2"]]


def test_only_those_files_of_a_layer_are_pulled_that_are_not_there_yet(
    repository: str, lazy_podman: LazyPodman, wire: Wire
) -> None:
    source = random.Random(repository)
    files = {f"srv/{number}": source.randbytes(30_000) for number in range(40)}
    for tag in ("v1", "v2"):
        files["srv/7"] = source.randbytes(30_000)
        name = f"{wire.address}/{repository}:{tag}"
        layout = write_layout(lazy_podman.folder / tag, {tag: image_of_files(files)})
        pulled = lazy_podman("pull", "--quiet", f"oci:{layout}:{tag}")
        lazy_podman("push", PLAIN, "--compression-format", "zstd:chunked", pulled, f"docker://{name}")
    lazy_podman("rmi", "--all", "--force")
    lazy_podman("pull", "--quiet", PLAIN, f"{wire.address}/{repository}:v1")
    said = lazy_podman("--log-level=debug", "pull", PLAIN, f"{wire.address}/{repository}:v2")
    assert "Retrieved partial blob" in said
    layers = [
        {f"srv/{path.name}": path.read_bytes() for path in layer.iterdir()}
        for layer in lazy_podman.folder.glob("root/overlay/*/diff/srv")
    ]
    assert files in layers
