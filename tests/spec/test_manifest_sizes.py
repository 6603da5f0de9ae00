"""Numbers in manifests that no database could hold: 400 with what is right, whatever keeps the metadata."""

import json
from collections.abc import Iterator

import pytest

from spec.expect import refused
from support import images
from support.daemon import Daemon
from support.in_process import InProcess
from support.postgres import Postgres, migrated
from support.registry_client import RegistryClient

LARGEST = (1 << 63) - 1

SIZES = {
    "one layer of the largest number": str(LARGEST),
    "one more than the largest number": str(LARGEST + 1),
    "negative": "-1",
    "a fraction": "1.5",
    "a float": "10.0",
    "an exponent": "1e3",
    "an endless exponent": "1e999",
    "a truth value": "true",
    "401 digits": "1" + "0" * 400,
    "more digits than are read": "9" * 5000,
    "a string": '"7"',
}


@pytest.fixture(scope="module", params=["layout", "sqlite", "postgres"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryClient]:
    if request.param == "postgres":
        place = tmp_path_factory.mktemp("sizes")
        server: Postgres = request.getfixturevalue("postgres")
        config = f"version: 0.1\nstorage: inmemory\n{server.config_section(migrated(server))}"
        with Daemon(place, config=config) as daemon, RegistryClient(daemon.address) as made:
            yield made
        return
    folder = tmp_path_factory.mktemp("sizes") if request.param == "sqlite" else None
    with InProcess(folder) as registry, RegistryClient(registry.address) as made:
        yield made


def body_of(image: images.Image, place: str, size: str) -> bytes:
    """The manifest with *size* as it is, in one of its descriptors."""
    value = json.loads(image.manifest.body)
    target = value["config"] if place == "config" else value["layers"][0]
    target["size"] = "HERE"
    return json.dumps(value).replace('"HERE"', size).encode()


@pytest.mark.parametrize("place", ["layer", "config"])
@pytest.mark.parametrize("size", SIZES)
def test_a_size_that_is_none_is_refused(client: RegistryClient, size: str, place: str) -> None:
    made = images.image("sizes", layers=1)
    images.push_blobs(client, "sizes/app", made.blobs)
    body = body_of(made, place, SIZES[size])
    refused(client.put_manifest("sizes/app", "v1", body, made.manifest.media_type), 400, "MANIFEST_INVALID")


def test_sizes_that_are_too_much_together_are_refused(client: RegistryClient) -> None:
    made = images.image("sums", layers=2)
    images.push_blobs(client, "sizes/app", made.blobs)
    value = json.loads(made.manifest.body)
    for layer in value["layers"]:
        layer["size"] = 1 << 62
    response = client.put_manifest("sizes/app", "v1", json.dumps(value).encode(), made.manifest.media_type)
    refused(response, 400, "MANIFEST_INVALID")
    assert str(LARGEST) in response.body.decode()


def test_an_index_whose_entries_are_too_large_together_is_refused(client: RegistryClient) -> None:
    made = images.image("entries", layers=1)
    images.push_image(client, "sizes/app", None, made)
    entry = {"mediaType": made.manifest.media_type, "digest": made.manifest.digest, "size": LARGEST}
    value = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [entry, entry]}
    refused(
        client.put_manifest("sizes/app", "all", json.dumps(value).encode(), images.OCI_INDEX), 400, "MANIFEST_INVALID"
    )


def test_a_type_that_is_none_in_its_length_is_refused(client: RegistryClient) -> None:
    made = images.image("types", layers=1, artifactType="a/" + "b" * 300)
    images.push_blobs(client, "sizes/app", made.blobs)
    response = client.put_manifest("sizes/app", "v1", made.manifest.body, made.manifest.media_type)
    refused(response, 400, "MANIFEST_INVALID")
