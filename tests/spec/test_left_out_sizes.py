"""An image whose descriptors leave out ``size``, as docker's libraries do with zero, has the size of its blobs."""

import itertools
from pathlib import Path

import pytest

from moorage.core.manifest_rules import ManifestRules
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient

MADE = images.image("sized by its blobs")


@pytest.mark.parametrize("left_out", list(itertools.product([False, True], repeat=3)), ids=str)
@pytest.mark.parametrize("zero", [None, 0, "absent"], ids=["null", "0", "absent"])
def test_the_total_is_what_the_blobs_have(tmp_path: Path, left_out: tuple[bool, ...], zero: object) -> None:
    with InProcess(tmp_path) as registry, RegistryClient(registry.address) as client:
        images.push_blobs(client, "app", MADE.blobs)
        descriptors = [dict(blob.descriptor()) for blob in MADE.blobs]
        for descriptor, is_left_out in zip(descriptors, left_out, strict=True):
            if is_left_out and zero == "absent":
                del descriptor["size"]
            elif is_left_out:
                descriptor["size"] = zero
        value: dict[str, object] = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST}
        value |= {"config": descriptors[0], "layers": descriptors[1:]}
        manifest = images.encode(value, images.OCI_MANIFEST)
        images.push_manifest(client, "app", manifest, "latest")
        ((total,),) = registry.execute("SELECT total_size FROM manifests")
    assert total == len(manifest.body) + sum(len(blob.body) for blob in MADE.blobs)


def test_where_manifests_may_be_sparse_the_total_tells_nothing_of_blobs_that_only_another_repository_has(
    tmp_path: Path,
) -> None:
    """Or whoever knows a digest could find out whether anybody has such a blob, and how large it is."""
    with (
        InProcess(tmp_path, manifest_rules=ManifestRules(sparse=True)) as registry,
        RegistryClient(registry.address) as client,
    ):
        config, *layers = MADE.blobs
        images.push_blobs(client, "private", layers)
        images.push_blobs(client, "app", [config])
        descriptors = [{**blob.descriptor(), "size": 0} for blob in MADE.blobs]
        value = {"schemaVersion": 2, "mediaType": images.OCI_MANIFEST}
        value |= {"config": descriptors[0], "layers": descriptors[1:]}
        manifest = images.encode(value, images.OCI_MANIFEST)
        images.push_manifest(client, "app", manifest, "latest")
        ((total,),) = registry.execute("SELECT total_size FROM manifests")
    assert total == len(manifest.body) + len(config.body)
