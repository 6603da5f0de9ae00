"""A delete by digest of a manifest that an index lists: 409 where a database knows it, 202 with link files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spec.expect import errors_of, refused
from spec.gitlab_v1 import GitLab
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RegistryClient]:
    with InProcess(tmp_path) as registry, RegistryClient(registry.address) as made:
        yield made


def push_index(client: RegistryClient) -> tuple[images.Content, images.Content]:
    child = images.push_image(client, "listed/app").manifest
    parent = images.index([child])
    images.push_manifest(client, "listed/app", parent, "all")
    return child, parent


def test_a_refusal_names_the_indexes_and_what_to_do_first(client: RegistryClient) -> None:
    child, parent = push_index(client)
    response = client.delete_manifest("listed/app", child.digest)
    refused(response, 409)
    (error,) = errors_of(response)
    detail = error["detail"]
    assert isinstance(detail, dict)
    assert (detail["reason"], detail["indexes"]) == ("MANIFEST_REFERENCED", [parent.digest])
    assert client.delete_manifest("listed/app", parent.digest).status == 202
    assert client.delete_manifest("listed/app", child.digest).status == 202


def test_a_layer_does_not_go_before_the_image(client: RegistryClient) -> None:
    made = images.push_image(client, "listed/app", "v1")
    layer = made.blobs[1].digest
    response = client.delete_blob("listed/app", layer)
    refused(response, 409, "DENIED")
    detail = errors_of(response)[0]["detail"]
    assert isinstance(detail, dict)
    assert (detail["reason"], detail["manifests"]) == ("BLOB_REFERENCED", [made.digest])
    assert client.get_blob("listed/app", layer).status == 200
    assert client.delete_manifest("listed/app", made.digest).status == 202
    assert client.delete_blob("listed/app", layer).status == 202


def test_with_link_files_they_go() -> None:
    with InProcess(None) as registry, RegistryClient(registry.address) as client:
        child, _ = push_index(client)
        assert client.delete_manifest("listed/app", child.digest).status == 202
        made = images.push_image(client, "listed/app", "v1")
        assert client.delete_blob("listed/app", made.blobs[1].digest).status == 202


def test_a_build_cache_has_the_size_of_its_layers(tmp_path: Path) -> None:
    with GitLab(tmp_path) as gitlab:
        layers = [images.blob("one", 1000), images.blob("two", 3000)]
        cache = images.Content("application/vnd.buildkit.cacheconfig.v0", b'{"layers": [], "records": []}')
        images.push_blobs(gitlab.client, "cache/app", [*layers, cache])
        index = images.index([*layers, cache])
        images.push_manifest(gitlab.client, "cache/app", index, "cache")
        (entry,) = gitlab.json("repositories/cache/app/tags/list/")
        assert entry["size_bytes"] == 4000 + len(cache.body) + len(index.body)
