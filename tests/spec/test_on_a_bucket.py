"""A registry on an object store, with link files and with a database: what it does there on its own ground.

All that a client can do is tested there by ``make test-bucket``, which runs the tests of the specification on it.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.gc.offline.offline_collection import collect_offline
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.storage import paths
from moorage.work.reports import WorkReports
from support import images
from support.bucket import Bucket
from support.in_process import InProcess
from support.registry_client import RegistryClient

NAME = "group/app"


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture(params=["link files", "database"])
def client(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Iterator[RegistryClient]:
    folder = tmp_path if request.param == "database" else None
    with InProcess(folder, storage=bucket) as registry, RegistryClient(registry.address) as client:
        yield client


def keys(bucket: Bucket, word: str) -> list[str]:
    return [key for key in bucket.all_keys() if word in key]


def test_an_image_is_pushed_pulled_and_deleted(client: RegistryClient, bucket: Bucket) -> None:
    made = images.push_image(client, NAME, "1")
    pulled = client.get_manifest(NAME, "1")
    assert pulled.body == made.manifest.body
    for part in made.blobs:
        assert client.get_blob(NAME, part.digest).body == part.body
    assert client.delete_manifest(NAME, made.manifest.digest).status == 202
    assert client.get_manifest(NAME, "1").status == 404
    assert client.list_tags(NAME).json()["tags"] in ([], None)
    assert keys(bucket, "_uploads") == []


def test_what_is_left_unfinished_are_its_pieces_and_its_start(client: RegistryClient, bucket: Bucket) -> None:
    location = client.start_upload(NAME).location
    location = client.patch_upload(location, b"first", start=0).location
    client.patch_upload(location, b"second", start=5)
    names = [key.rpartition("/")[2] for key in keys(bucket, "_uploads")]
    assert names == ["piece-0000000000000", "piece-0000000000005", "startedat"]
    assert client.cancel_upload(location).status == 204
    assert keys(bucket, "_uploads") == []


def test_an_upload_that_fits_in_a_piece_is_written_once(client: RegistryClient, bucket: Bucket) -> None:
    content = images.blob("written once")
    bucket.requests.clear()
    assert client.close_upload(client.start_upload(NAME).location, content.digest, content.body).status == 201
    assert not [request for request in bucket.requests if request.startswith(("copy ", "put_if_absent "))]


def test_a_chunk_at_an_offset_where_there_is_one_is_refused(client: RegistryClient) -> None:
    location = client.start_upload(NAME).location
    assert client.patch_upload(location, b"first", start=0).status == 202
    assert client.patch_upload(location, b"other", start=0).status == 416
    assert client.upload_status(location).headers["Range"] == "0-4"


def test_garbage_is_collected_offline_and_the_repository_stays(bucket: Bucket) -> None:
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        gone, kept = images.push_image(client, NAME, None), images.push_image(client, NAME, "1", images.image("kept"))
    options = OfflineOptions(delete_untagged=True, grace=timedelta(0))
    totals = asyncio.run(collect_offline(bucket, options, WorkReports()))
    assert totals.manifests_deleted == 1
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        assert client.get_manifest(NAME, gone.manifest.digest).status == 404
        assert client.get_manifest(NAME, "1").body == kept.manifest.body
        for part in kept.blobs:
            assert client.get_blob(NAME, part.digest).body == part.body
        assert client.delete_manifest(NAME, kept.manifest.digest).status == 202
    asyncio.run(collect_offline(bucket, options, WorkReports()))
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        assert client.list_tags(NAME).status == 200
    assert keys(bucket, paths.LOCK_FILES) == []
