"""A registry on an object store, with link files and with a database: what it does there on its own ground.

All that a client can do is tested there by ``make test-bucket``, which runs the tests of the specification on it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.cache.shared_changes import SharedChanges
from moorage.errors import StorageFull
from moorage.gc.offline.offline_collection import collect_offline
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.work.reports import WorkReports
from support import images
from support.bucket import Bucket
from support.in_process import InProcess
from support.registry_client import RegistryClient, path_of

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


def requests_of(bucket: Bucket) -> list[str]:
    """What was asked since the last time, without what it was about."""
    asked = [request.split()[0] for request in bucket.requests]
    bucket.requests.clear()
    return asked


def test_a_small_blob_takes_few_requests_to_push(client: RegistryClient, bucket: Bucket) -> None:
    images.push_blobs(client, NAME, [images.blob("before")])  # What is done once is done.
    one, two, three = (images.blob(f"blob {number}", 2048) for number in range(3))
    requests_of(bucket)
    location = client.patch_upload(client.start_upload(NAME).location, one.body).location
    assert client.close_upload(location, one.digest).status == 201
    link = ["put"] if keys(bucket, "/_layers/") else []  # A database has it.
    assert requests_of(bucket) == ["put", "list", "put_if_absent", "list", "copy", *link, "remove"]
    assert client.close_upload(client.start_upload(NAME).location, two.digest, two.body).status == 201
    assert requests_of(bucket) == ["put", "list", "put", *link, "remove"]
    assert client.post_blob(NAME, three.digest, three.body).status == 201
    assert requests_of(bucket) == ["put", *link]


def test_a_manifest_takes_three_requests_in_two_rounds_and_one_when_it_is_remembered(bucket: Bucket) -> None:
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        made = images.push_image(client, NAME, "1")
    with InProcess(None, storage=bucket, remembers=100) as registry, RegistryClient(registry.address) as client:
        requests_of(bucket)
        bucket.rounds = 0
        assert client.get_manifest(NAME, "1").body == made.manifest.body
        assert requests_of(bucket) == ["get", "stat", "get"]
        assert bucket.rounds == 2
        for _ in range(2):
            assert client.get_manifest(NAME, "1").body == made.manifest.body
            assert requests_of(bucket) == ["get"]
            assert client.get_manifest(NAME, made.manifest.digest).body == made.manifest.body
            assert requests_of(bucket) == []


def test_a_manifest_is_pushed_in_ten_requests_and_six_rounds(bucket: Bucket) -> None:
    made = images.image("pushed")
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        images.push_blobs(client, NAME, made.blobs)
        requests_of(bucket)
        bucket.rounds = 0
        images.push_manifest(client, NAME, made.manifest, "1")
        blobs = len(made.blobs)
        assert requests_of(bucket) == ["stat"] * 2 * blobs + ["put"] * 4 + ["stat"] * 2
        assert bucket.rounds == 6


def test_a_manifest_in_a_database_takes_no_request(bucket: Bucket, tmp_path: Path) -> None:
    with InProcess(tmp_path, storage=bucket) as registry, RegistryClient(registry.address) as client:
        made = images.push_image(client, NAME, "1")
        requests_of(bucket)
        for reference in ("1", made.manifest.digest):
            assert client.get_manifest(NAME, reference).body == made.manifest.body
        assert requests_of(bucket) == []


def test_a_blob_is_asked_for_in_one_round_and_without_a_request_when_it_is_remembered(bucket: Bucket) -> None:
    content = images.blob("asked for")
    with InProcess(None, storage=bucket, remembers=100) as registry, RegistryClient(registry.address) as client:
        images.push_blobs(client, NAME, [content])
        requests_of(bucket)
        bucket.rounds = 0
        assert client.head_blob(NAME, content.digest).headers["Content-Length"] == str(len(content.body))
        assert (requests_of(bucket), bucket.rounds) == (["stat", "stat"], 1)
        assert client.head_blob(NAME, content.digest).headers["Content-Length"] == str(len(content.body))
        assert requests_of(bucket) == []
        assert client.get_blob(NAME, content.digest).body == content.body
        assert requests_of(bucket) == ["open"]
        # What is not there is never remembered, and not looked for by a list.
        for _ in range(2):
            assert client.head_blob(NAME, images.missing_digest("x")).status == 404
            assert requests_of(bucket) == ["stat", "stat"]


def test_who_wants_a_part_of_a_blob_does_not_have_the_whole_of_it_opened(bucket: Bucket) -> None:
    content = images.blob("in parts")
    with InProcess(None, storage=bucket, remembers=100) as registry, RegistryClient(registry.address) as client:
        images.push_blobs(client, NAME, [content])
        assert client.get_blob(NAME, content.digest).body == content.body
        requests_of(bucket)
        answer = client.get_blob(NAME, content.digest, headers={"Range": "bytes=2-5"})
        assert (answer.status, answer.body) == (206, content.body[2:6])
        assert requests_of(bucket) == ["open_parts"]


def test_tags_and_repositories_are_not_looked_at_one_by_one(bucket: Bucket) -> None:
    tags = [f"t{number:03}" for number in range(40)]
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        made = images.push_image(client, NAME, "t000")
        for tag in tags[1:]:
            assert client.put_manifest(NAME, tag, made.manifest.body).status == 201
        for number in range(20):
            images.push_image(client, f"many/r{number:02}", "1")
        requests_of(bucket)
        assert client.list_tags(NAME).json()["tags"] == tags
        assert requests_of(bucket) == ["list"], "one list of all keys tells which tags there are"
        bucket.rounds = 0
        assert client.list_tags(NAME, n="20", last="t009").json()["tags"] == tags[10:30]
        assert bucket.rounds <= 3
        bucket.rounds = 0
        listed = client.request("GET", "/v2/_catalog?n=100").json()["repositories"]
        assert listed == sorted([NAME, *(f"many/r{number:02}" for number in range(20))])
        folders = 21 + len(["", "group", "many"])
        assert bucket.rounds <= folders + 4, "each folder is listed, and what is in it is looked at together"


def test_most_of_what_lies_below_tags_may_be_of_what_they_once_were(bucket: Bucket) -> None:
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        images.push_image(client, NAME, "latest")
        folder = paths.tag(RepositoryName(NAME), Tag("latest"))
        for number in range(9000):
            bucket.store(f"{folder}/index/sha256/{number:064x}/link", f"sha256:{number:064x}".encode())
        requests_of(bucket)
        assert client.list_tags(NAME).json()["tags"] == ["latest"]
        assert len(requests_of(bucket)) <= 8


def test_no_worker_of_a_node_remembers_what_another_has_deleted(bucket: Bucket) -> None:
    changes = SharedChanges()
    with (
        InProcess(None, storage=bucket, remembers=100, changes=changes) as one,
        RegistryClient(one.address) as first,
        InProcess(None, storage=bucket, remembers=100, changes=changes) as two,
        RegistryClient(two.address) as second,
    ):
        for deletes in (first, second):
            made = images.push_image(first, NAME, "1")
            layer = made.blobs[-1].digest
            for client in (first, second, first, second):
                assert client.get_manifest(NAME, made.manifest.digest).status == 200
                assert client.head_blob(NAME, layer).status == 200
            assert deletes.delete_blob(NAME, layer).status == 202
            assert deletes.delete_manifest(NAME, made.manifest.digest).status == 202
            for client in (first, second):
                assert client.head_blob(NAME, layer).status == 404
                assert client.get_blob(NAME, layer).status == 404
                assert client.get_manifest(NAME, made.manifest.digest).status == 404
                assert client.get_manifest(NAME, "1").status == 404


def test_a_tag_that_was_moved_is_seen_at_once_on_every_node(bucket: Bucket) -> None:
    with (
        InProcess(None, storage=bucket, remembers=100) as one,
        RegistryClient(one.address) as first,
        InProcess(None, storage=bucket, remembers=100) as two,
        RegistryClient(two.address) as second,
    ):
        for number in range(3):
            made = images.push_image(first, NAME, "latest", images.image(number))
            for client in (second, first, second):
                assert client.get_manifest(NAME, "latest").body == made.manifest.body


def test_a_blob_that_was_mounted_or_pushed_again_is_there_at_once(bucket: Bucket) -> None:
    content, other = images.blob("here and there"), "group/other"
    with InProcess(None, storage=bucket, remembers=100) as registry, RegistryClient(registry.address) as client:
        images.push_blobs(client, NAME, [content])
        assert client.head_blob(other, content.digest).status == 404
        assert client.mount_blob(other, content.digest, NAME).status == 201
        assert client.head_blob(other, content.digest).status == 200
        assert client.delete_blob(other, content.digest).status == 202
        assert client.head_blob(other, content.digest).status == 404
        images.push_blobs(client, other, [content])
        assert client.head_blob(other, content.digest).status == 200


def test_an_upload_goes_on_at_any_node(bucket: Bucket) -> None:
    content = images.blob("over two nodes", 30_000)
    with (
        InProcess(None, storage=bucket) as one,
        RegistryClient(one.address) as first,
        InProcess(None, storage=bucket) as two,
        RegistryClient(two.address) as second,
    ):
        path = path_of(first.start_upload(NAME).location)
        assert second.patch_upload(path, content.body[:10_000], start=0).status == 202
        assert first.patch_upload(path, content.body[10_000:20_000], start=10_000).status == 202
        assert second.upload_status(path).headers["Range"] == "0-19999"
        assert second.close_upload(path, content.digest, content.body[20_000:]).status == 201
        assert second.get_blob(NAME, content.digest).body == content.body
    assert keys(bucket, "_uploads") == []


def test_the_smallest_chunk_worth_a_request_is_said_and_smaller_ones_work(
    client: RegistryClient, bucket: Bucket
) -> None:
    started = client.start_upload(NAME)
    assert started.headers["OCI-Chunk-Min-Length"] == str(bucket.chunk_min_bytes)
    content, location = images.blob("in small chunks", 100), started.location
    for at in range(0, 100, 7):
        location = client.patch_upload(location, content.body[at : at + 7], start=at).location
    assert client.close_upload(location, content.digest).status == 201
    assert client.get_blob(NAME, content.digest).body == content.body


class Quota(Bucket):
    """A bucket that may be at its quota, so that nothing is written, not even what has no bytes."""

    is_full = False

    async def request(self, what: str, path: str) -> None:
        await super().request(what, path)
        if self.is_full and what in {"put", "put_if_absent", "copy", "begin_parts", "add_part", "complete_parts"}:
            raise StorageFull(path)


@pytest.mark.parametrize("metadata", ["link files", "database"])
def test_a_store_at_its_quota_refuses_pushes_and_all_else_goes_on(metadata: str, tmp_path: Path) -> None:
    bucket = Quota()
    folder = tmp_path if metadata == "database" else None
    with InProcess(folder, storage=bucket) as registry, RegistryClient(registry.address) as client:
        made, other = images.push_image(client, NAME, "1"), images.push_image(client, NAME, "2", images.image("other"))
        begun = client.start_upload(NAME).location
        bucket.is_full = True
        content = images.blob("no room")
        refused = [
            client.start_upload(NAME),
            client.post_blob(NAME, content.digest, content.body),
            client.patch_upload(begun, content.body),
            client.close_upload(begun, content.digest, content.body),
        ]
        assert [response.status for response in refused] == [507] * 4
        assert client.get_manifest(NAME, "1").body == made.manifest.body
        assert client.head_blob(NAME, made.blobs[0].digest).status == 200
        assert client.delete_manifest(NAME, made.manifest.digest).status == 202
        assert client.delete_manifest(NAME, "2").status == 202
        assert client.delete_blob(NAME, made.blobs[-1].digest).status == 202
        assert client.get_manifest(NAME, other.manifest.digest).body == other.manifest.body
        bucket.is_full = False
        assert client.close_upload(begun, content.digest, content.body).status == 201
        assert client.get_blob(NAME, content.digest).body == content.body
        images.push_image(client, NAME, "1")
    assert keys(bucket, "_uploads") == []


def test_garbage_is_collected_while_a_store_is_at_its_quota_for_all_but_the_announcement() -> None:
    class Announced(Quota):
        async def request(self, what: str, path: str) -> None:
            if not path.startswith(paths.LOCK_FILES):
                await super().request(what, path)

    bucket = Announced()
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        images.push_image(client, NAME, "kept", images.image("kept"))
        gone = images.push_image(client, NAME, None, images.image("gone"))
    bucket.is_full = True
    options = OfflineOptions(delete_untagged=True, grace=timedelta(0))
    totals = asyncio.run(collect_offline(bucket, options, WorkReports()))
    assert (totals.manifests_deleted, totals.blobs_deleted) == (1, 1 + len(gone.blobs))


@pytest.mark.parametrize(("grace", "looks"), [(timedelta(0), 0), (timedelta(microseconds=1), 2)])
def test_a_thousand_dead_blobs_are_deleted_together(bucket: Bucket, grace: timedelta, looks: int) -> None:
    """Counted as they would be for a million: one list and one removal for as many as a request takes.

    Where their age matters each link and each blob is looked at once more, just before it goes.
    """
    with InProcess(None, storage=bucket) as registry, RegistryClient(registry.address) as client:
        images.push_image(client, NAME, "kept", images.image("kept"))
    dead = 600
    for number in range(dead):
        digest = Digest.of(f"{number}".encode())
        bucket.store(paths.blob(digest), b"x")
        bucket.store(paths.layer_link(RepositoryName(NAME), digest), str(digest).encode())
    bucket.requests.clear()
    totals = asyncio.run(collect_offline(bucket, OfflineOptions(grace=grace), WorkReports()))
    assert (totals.blobs_deleted, totals.layer_links_deleted) == (dead, dead)
    asked = Counter(request.split()[0] for request in bucket.requests)
    assert asked["stat"] <= looks * dead + 20
    assert asked["list"] <= 256 + 40
    assert asked["remove"] <= 20
    assert asked["delete"] <= 4  # Announcements.


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
