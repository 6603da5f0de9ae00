"""skopeo: push, pull, platforms, inspect, list, delete, sync, and copies inside the registry."""

import json
import re
from pathlib import Path

import pytest

from e2e.images import build_image, build_index, layout_digests, write_layout
from e2e.wire import Wire
from support.clients import Skopeo

PLAIN = "--tls-verify=false"


def test_an_image_pushed_and_pulled_back_is_the_same_bytes(
    wire: Wire, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    image = build_image(repository, layers=3)
    source = write_layout(tmp_path / "source", {"v1": image})
    skopeo.copy(f"oci:{source}:v1", f"docker://{wire.address}/{repository}:v1")
    skopeo.copy(f"docker://{wire.address}/{repository}:v1", f"oci:{tmp_path / 'back'}:v1")
    assert layout_digests(tmp_path / "back") == {part.digest for part in image.parts}


def test_an_image_is_pulled_by_digest(wire: Wire, repository: str, skopeo: Skopeo, tmp_path: Path) -> None:
    image = build_image(repository)
    wire.push_image(repository, "v1", image)
    skopeo.copy(f"docker://{wire.address}/{repository}@{image.manifest.digest}", f"oci:{tmp_path / 'back'}:v1")
    assert image.manifest.digest in layout_digests(tmp_path / "back")


@pytest.mark.parametrize("family", ["v2s2", "oci"])
def test_an_image_converted_on_the_way_is_stored_as_the_client_made_it(
    *, family: str, wire: Wire, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    source = write_layout(tmp_path / "source", {"v1": build_image(repository)})
    target = f"docker://{wire.address}/{repository}:v1"
    skopeo("copy", *skopeo.plain, "--format", family, f"oci:{source}:v1", target)
    raw = skopeo("inspect", PLAIN, "--raw", target)
    expected = "vnd.docker.distribution.manifest.v2" if family == "v2s2" else "vnd.oci.image.manifest.v1"
    assert expected in json.loads(raw).get("mediaType", "application/vnd.oci.image.manifest.v1+json")


def test_an_index_goes_there_and_back_with_all_its_platforms(
    wire: Wire, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    index = build_index(repository, architectures=("amd64", "arm64", "s390x"))
    source = write_layout(tmp_path / "source", {"all": index})
    skopeo.copy(f"oci:{source}:all", f"docker://{wire.address}/{repository}:all", "--all")
    skopeo.copy(f"docker://{wire.address}/{repository}:all", f"oci:{tmp_path / 'back'}:all", "--all")
    assert layout_digests(tmp_path / "back") == {part.digest for part in index.parts}


def test_inspect_tells_digest_labels_and_platform(repository: str, skopeo: Skopeo, wire: Wire) -> None:
    index = build_index(repository, architectures=("arm64", "amd64"))
    for image in index.images:
        wire.push_image(repository, image.manifest.digest, image)
    assert wire.put_manifest(repository, "all", index.manifest).status == 201
    target = f"docker://{wire.address}/{repository}:all"
    told = json.loads(skopeo("inspect", PLAIN, "--override-arch", "arm64", "--override-os", "linux", target))
    assert told["Digest"] == index.manifest.digest
    assert told["Architecture"] == "arm64"
    assert told["Labels"] == {"seed": f"{repository}/arm64"}
    assert told["Layers"] == [layer.digest for layer in index.images[0].layers]
    assert told["RepoTags"] == ["all"]


def test_list_tags_lists_every_tag_once(repository: str, skopeo: Skopeo, wire: Wire) -> None:
    image = build_image(repository)
    tags = [f"v{n}" for n in range(150)]
    wire.push_image(repository, tags[0], image)
    for tag in tags[1:]:
        assert wire.put_manifest(repository, tag, image.manifest).status == 201
    told = json.loads(skopeo("list-tags", PLAIN, f"docker://{wire.address}/{repository}"))
    assert sorted(told["Tags"]) == sorted(tags)


def test_delete_removes_the_manifest_and_its_tags(repository: str, skopeo: Skopeo, wire: Wire) -> None:
    kept, gone = build_image(f"{repository}/kept"), build_image(f"{repository}/gone")
    wire.push_image(repository, "kept", kept)
    for tag in ("gone", "gone-too"):
        wire.push_image(repository, tag, gone)
    skopeo("delete", PLAIN, f"docker://{wire.address}/{repository}:gone")
    assert wire.tags(repository) == ["kept"]
    assert wire.manifest(repository, gone.manifest.digest).status == 404
    status, output = skopeo.attempt("inspect", PLAIN, f"docker://{wire.address}/{repository}:gone")
    assert status != 0
    assert "manifest unknown" in output.lower()


def test_a_tag_deleted_by_name_leaves_its_manifest_for_other_tags(
    repository: str, skopeo: Skopeo, wire: Wire, tmp_path: Path
) -> None:
    image = build_image(repository)
    for tag in ("a", "b"):
        wire.push_image(repository, tag, image)
    assert wire.delete(repository, "manifests", "a").status == 202
    assert wire.tags(repository) == ["b"]
    skopeo.copy(f"docker://{wire.address}/{repository}:b", f"oci:{tmp_path / 'back'}:b")


def test_sync_mirrors_a_repository_with_all_its_tags(
    repository: str, skopeo: Skopeo, wire: Wire, tmp_path: Path
) -> None:
    images = {tag: build_image(f"{repository}/{tag}") for tag in ("v1", "v2")}
    for tag, image in images.items():
        wire.push_image(repository, tag, image)
    name = repository.rpartition("/")[2]
    skopeo("sync", *skopeo.plain, "--src", "docker", "--dest", "dir", f"{wire.address}/{repository}", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}:v1", f"{name}:v2"]
    skopeo("sync", *skopeo.plain, "--src", "dir", "--dest", "docker", tmp_path, f"{wire.address}/mirror")
    for tag, image in images.items():
        assert wire.manifest(f"mirror/{name}", tag).headers["docker-content-digest"] == image.manifest.digest


def test_a_copy_between_repositories_mounts_the_layers(
    wire: Wire, repository: str, skopeo: Skopeo, tmp_path: Path
) -> None:
    image = build_image(repository, layers=3)
    source = write_layout(tmp_path / "source", {"v1": image})
    there = f"docker://{wire.address}/{repository}"
    skopeo.copy(f"oci:{source}:v1", f"{there}/a:v1")
    said = skopeo("--debug", "copy", *skopeo.plain, "--preserve-digests", f"{there}/a:v1", f"{there}/b:v1")
    # On a busy machine skopeo now and then forgets where a layer is, and uploads it: what it asks for is what counts.
    asked = len(re.findall(r"Trying to mount", said))
    assert asked, said
    assert len(re.findall(r"\.\.\. mount OK", said)) == asked, said
    for layer in image.layers:
        assert wire.blob(f"{repository}/b", layer.digest).body == layer.content
        assert wire.blob(f"{repository}/c", layer.digest).status == 404
