"""The driver over the strict fake: parts, copies, conditions, answers that were lost, and what others left there."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable

import pytest
from structlog.testing import capture_logs

from moorage.config import GCSSection
from moorage.errors import ConfigurationError, PathUnknown, StorageUnavailable
from moorage.storage.base import Capability, FolderEntry
from moorage.storage.gcs.gcs_driver import GCSDriver
from moorage.storage.gcs.opening import open_bucket
from support.gcs_fake import EMAIL, GCSFake
from support.gcs_objects import STEP_BYTES, GCSBucket, GCSObject, Refusal

MIB = 1 << 20


@pytest.fixture
def bucket(fake: GCSFake) -> GCSBucket:
    fake.denied, fake.refuse = set(), lambda _method, _target: None
    fake.requests.clear()
    return fake.make()


@pytest.fixture
async def driver(fake: GCSFake, bucket: GCSBucket) -> AsyncIterator[GCSDriver]:
    section = GCSSection(bucket="registry", credentials=dict(fake.key()), chunksize=STEP_BYTES, rootdirectory="/root/")
    driver = open_bucket(section, endpoint=fake.url)
    yield driver
    await driver.close()


def once(refusal: Refusal, method: str, part: str = "") -> Callable[[str, str], Refusal | None]:
    """Refuse the first request of this kind."""
    left = [refusal]

    def refuse(asked: str, target: str) -> Refusal | None:
        return left.pop() if left and asked == method and part in target else None

    return refuse


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read()


BUSY = Refusal(503, "backendError", "Backend Error")
TOO_MUCH = Refusal(403, "rateLimitExceeded", "Exceeded the rate limit (rateLimitExceeded)")


async def test_objects_lie_below_the_root_at_the_keys_of_other_registries(driver: GCSDriver, bucket: GCSBucket) -> None:
    await driver.put("/docker/registry/v2/blobs/sha256/aa/x/data", b"content")
    assert list(bucket.objects) == ["root/docker/registry/v2/blobs/sha256/aa/x/data"]


async def test_an_upload_session_of_another_registry_is_no_object(driver: GCSDriver, bucket: GCSBucket) -> None:
    for name, content in (("data", b"tail"), ("empty", b"")):
        bucket.store(f"root/u/{name}", content, "application/x-docker-upload-session")
    bucket.store("root/u/startedat", b"now", "application/octet-stream")
    bucket.store("root/u/", b"", "text/plain")
    for path in ("/u/data", "/u/empty"):
        for attempt in (driver.get, driver.open, driver.stat):
            with pytest.raises(PathUnknown):
                await attempt(path)
    assert await driver.list("/u") == [FolderEntry("startedat", is_folder=False)]
    await driver.delete("/u")
    assert not bucket.objects


@pytest.mark.parametrize("size", [0, 1, STEP_BYTES, STEP_BYTES + 1, 3 * STEP_BYTES, 3 * STEP_BYTES + 7])
async def test_parts_are_seen_by_nobody_before_they_are_complete(
    driver: GCSDriver, bucket: GCSBucket, size: int
) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    await driver.put("/a", b"old")
    writer = await driver.begin_parts("/a")
    for at in range(0, size, STEP_BYTES):
        part = content[at : min(at + STEP_BYTES, size)]
        await writer.add([part[:1000], part[1000:]])
    await writer.settle()
    assert await driver.get("/a") == b"old"
    await writer.complete()
    assert await driver.get("/a") == content[:size]
    assert list(bucket.objects) == ["root/a"]


async def test_what_the_service_did_not_keep_of_a_part_is_sent_again(driver: GCSDriver, bucket: GCSBucket) -> None:
    bucket.persisted_at_once = STEP_BYTES
    content = bytes(range(256)) * (3 * STEP_BYTES // 256)
    writer = await driver.begin_parts("/a")
    await writer.add([content[:100], content[100:]])
    await writer.add([b"last"])
    await writer.complete()
    assert await driver.get("/a") == content + b"last"


@pytest.mark.parametrize("number", [1, 2])
async def test_a_part_whose_answer_was_lost_is_not_written_twice(
    driver: GCSDriver, fake: GCSFake, bucket: GCSBucket, number: int
) -> None:
    """The service has kept it, and says 503."""
    taken = bucket.resume
    answers = iter([False] * (number - 1) + [True])

    def lose(*args: object) -> GCSObject | None:
        made = taken(*args)  # type: ignore[arg-type]
        if next(answers, False):
            raise BUSY
        return made

    bucket.resume = lose  # type: ignore[method-assign,assignment]
    writer = await driver.begin_parts("/a")
    await writer.add([bytes(STEP_BYTES)])
    await writer.add([b"last"])
    await writer.complete()
    assert await driver.get("/a") == bytes(STEP_BYTES) + b"last"


async def test_parts_that_are_given_up_or_found_by_their_note_are_gone(driver: GCSDriver, bucket: GCSBucket) -> None:
    first, second = await driver.begin_parts("/a"), await driver.begin_parts("/b")
    for writer in (first, second):
        await writer.add([bytes(STEP_BYTES)])
        await writer.settle()
    await first.abort()
    await first.abort()
    await driver.abort_parts("/b", second.note)
    await driver.abort_parts("/b", second.note)
    assert all(session.is_cancelled for session in bucket.sessions.values())
    for writer in (first, second):
        with pytest.raises(StorageUnavailable):
            await writer.complete()
    assert not bucket.objects


async def test_a_note_of_another_service_is_asked_nothing(driver: GCSDriver, fake: GCSFake) -> None:
    fake.requests.clear()
    for note in ("", "http://127.0.0.1:1/upload/storage/v1/b/registry/o?upload_id=x", f"{fake.url}/upload/x"):
        await driver.abort_parts("/a", note)
    assert fake.requests == []


async def test_parts_behind_one_that_failed_never_become_the_object(
    driver: GCSDriver, fake: GCSFake, bucket: GCSBucket
) -> None:
    writer = await driver.begin_parts("/a")
    await writer.add([bytes(STEP_BYTES)])
    await writer.settle()
    fake.refuse = lambda method, _: Refusal(400, "invalid", "no") if method == "PUT" else None
    await writer.add([bytes(STEP_BYTES)])
    with pytest.raises(StorageUnavailable):
        await writer.settle()
    fake.refuse = lambda _method, _target: None
    with pytest.raises(StorageUnavailable):
        await writer.complete()
    assert not bucket.objects


async def test_a_copy_goes_on_until_all_is_copied(driver: GCSDriver, fake: GCSFake, bucket: GCSBucket) -> None:
    bucket.store("root/from", bytes(2 * MIB + 1), "application/octet-stream")
    await driver.copy(["/from"], "/to")
    assert (await driver.stat("/to")).size_bytes == 2 * MIB + 1
    assert len([request for request in fake.requests if "rewriteTo" in request]) == 3


@pytest.mark.parametrize("count", [2, 32, 33, 100, 1030])
async def test_many_objects_are_joined_in_their_order_and_nothing_stays_between(
    driver: GCSDriver, bucket: GCSBucket, count: int
) -> None:
    for number in range(count):
        bucket.store(f"root/u/{number}", number.to_bytes(2, "big"), "application/octet-stream")
    await driver.copy([f"/u/{number}" for number in range(count)], "/to")
    assert await driver.get("/to") == b"".join(number.to_bytes(2, "big") for number in range(count))
    assert len(bucket.objects) == count + 1


@pytest.mark.parametrize("refusal", [BUSY, TOO_MUCH, Refusal(429, "rateLimitExceeded", "slow down")])
async def test_what_may_go_better_later_is_asked_again(driver: GCSDriver, fake: GCSFake, refusal: Refusal) -> None:
    fake.refuse = once(refusal, "POST")
    await driver.put("/a", b"content")
    fake.refuse = once(refusal, "GET")
    assert await driver.get("/a") == b"content"
    fake.refuse = once(refusal, "DELETE")
    await driver.delete("/a")


async def test_a_creation_whose_answer_was_lost_is_ours(driver: GCSDriver, bucket: GCSBucket) -> None:
    stored, lost = bucket.store, [BUSY]

    def lose(name: str, content: bytes, content_type: str, *, metadata: dict[str, str]) -> GCSObject:
        made = stored(name, content, content_type, metadata=metadata)
        if lost:
            raise lost.pop()
        return made

    bucket.store = lose  # type: ignore[method-assign,assignment]
    assert await driver.put_if_absent("/a", b"same")


async def test_the_same_bytes_of_another_are_not_ours(driver: GCSDriver, fake: GCSFake) -> None:
    assert await driver.put_if_absent("/a", b"same")
    fake.refuse = once(BUSY, "POST")
    assert not await driver.put_if_absent("/a", b"same")


async def test_a_removal_whose_answer_was_lost_was_ours(driver: GCSDriver, bucket: GCSBucket) -> None:
    await driver.put("/a", b"x")
    taken, lost = bucket.delete, [BUSY]

    def lose(name: str, conditions: dict[str, str]) -> None:
        taken(name, conditions)
        if lost:
            raise lost.pop()

    bucket.delete = lose  # type: ignore[method-assign,assignment]
    await driver.delete("/a")
    with pytest.raises(PathUnknown):
        await driver.delete("/a")


async def test_a_folder_that_was_written_again_meanwhile_keeps_what_is_new(
    driver: GCSDriver, bucket: GCSBucket
) -> None:
    where = "/tags/a/current/link"
    await driver.put(where, b"old")
    await driver.put("/tags/a/index/link", b"old")
    taken = bucket.delete

    def meanwhile(name: str, conditions: dict[str, str]) -> None:
        bucket.delete = taken  # type: ignore[method-assign]
        bucket.store("root/tags/a/current/link", b"new", "application/octet-stream")
        taken(name, conditions)

    bucket.delete = meanwhile  # type: ignore[method-assign,assignment]
    assert not await driver.delete_saying("/tags/a", b"old", where=where)
    assert await driver.get(where) == b"new"
    assert await driver.get("/tags/a/index/link") == b"old"


async def test_a_folder_of_many_pages_is_gone_and_its_links_went_first(
    driver: GCSDriver, fake: GCSFake, bucket: GCSBucket
) -> None:
    bucket.page_limit = 3
    for number in range(10):
        bucket.store(f"root/tags/{number}/current/link", b"", "")
        bucket.store(f"root/tags/{number}/index/link", b"", "")
    fake.requests.clear()
    await driver.delete("/tags")
    assert not bucket.objects
    gone = [request for request in fake.requests if request.startswith("DELETE /storage") and "tags%2F" in request]
    assert all("current" in request for request in gone[:10])
    assert len(gone) == 20


async def test_a_broken_batch_is_made_good_one_by_one(driver: GCSDriver, fake: GCSFake, bucket: GCSBucket) -> None:
    for number in range(5):
        bucket.store(f"root/f/{number}", b"", "")
    fake.refuse = once(BUSY, "DELETE", "%2F3")
    assert await driver.delete_each([f"/f/{number}" for number in range(6)]) == 5
    assert not bucket.objects


async def test_a_token_that_is_refused_is_replaced_for_the_same_request(driver: GCSDriver, fake: GCSFake) -> None:
    await driver.put("/a", b"content")
    fake.tokens.clear()
    assert await driver.get("/a") == b"content"
    fake.tokens.clear()
    with await driver.open("/a") as reader:
        assert b"".join([piece async for piece in reader.chunks()]) == b"content"


async def test_a_bucket_that_went_is_no_empty_storage(driver: GCSDriver, fake: GCSFake) -> None:
    await driver.put("/a", b"content")
    fake.buckets.clear()
    for attempt in (driver.stat, driver.get, driver.open, driver.list, driver.delete):
        with pytest.raises(StorageUnavailable, match="there is no bucket registry"):
            await attempt("/a")


async def test_a_reader_of_what_was_replaced_never_mixes_two_objects(driver: GCSDriver) -> None:
    await driver.put("/a", bytes(MIB))
    with await driver.open("/a") as reader:
        await driver.put("/a", b"\1" * MIB)
        with pytest.raises(StorageUnavailable, match="replaced or removed"):
            _ = [piece async for piece in reader.chunks(5, 10)]


async def test_a_url_brings_the_object_and_no_other(driver: GCSDriver, fake: GCSFake) -> None:
    await driver.put("/a b+c%2F\u00e4~", b"content")
    url = await driver.url_for("/a b+c%2F\u00e4~", expires_s=60)
    assert url is not None
    assert await asyncio.to_thread(fetched, url) == (200, b"content")
    assert (await asyncio.to_thread(fetched, url.replace("%C3%A4", "x")))[0] == 403
    assert Capability.SIGNED_URLS in driver.capabilities


async def test_a_start_says_which_right_is_missing(driver: GCSDriver, fake: GCSFake) -> None:
    await driver.examine()
    fake.denied = {"storage.objects.delete", "storage.objects.create"}
    await driver.examine(can_write=False)
    with pytest.raises(ConfigurationError) as caught:
        await driver.examine()
    (mistake,) = caught.value.mistakes
    assert mistake.path == "storage.gcs.bucket"
    assert mistake.message == (
        f"{EMAIL} may not write objects, remove or replace objects in the bucket registry (storage.objects.create, "
        f"storage.objects.delete): grant it roles/storage.objectUser on the bucket"
    )


async def test_a_start_without_the_bucket_says_so(driver: GCSDriver, fake: GCSFake) -> None:
    fake.buckets.clear()
    with pytest.raises(ConfigurationError, match="there is no bucket registry; make it"):
        await driver.examine()


async def test_a_right_that_is_taken_away_later_is_said_with_what_to_grant(driver: GCSDriver, fake: GCSFake) -> None:
    fake.denied = {"storage.objects.create"}
    with pytest.raises(StorageUnavailable, match=r"storage\.objects\.create.*grant the account roles/storage"):
        await driver.put("/a", b"")


async def test_a_request_is_logged_without_its_secrets(fake: GCSFake, bucket: GCSBucket) -> None:
    section = GCSSection(bucket="registry", credentials=dict(fake.key()), debug_log=True)
    driver = open_bucket(section, endpoint=fake.url)
    with capture_logs() as lines:
        writer = await driver.begin_parts("/a")
        await writer.add([b"last"])
        await writer.complete()
    await driver.close()
    said = str(lines)
    assert "objects.insert" in said
    assert not [token for token in (*fake.tokens, *bucket.sessions) if token in said]
