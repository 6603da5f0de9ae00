"""Answers that are none of S3's, and that look like good ones: what they say was not done, and is not so."""

import random
from collections.abc import Awaitable, Callable

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import clock
from moorage.storage.s3.s3_driver import S3Driver
from support.fault_proxy import Fault
from support.rude_server import RudeServer, Said
from unit.storage.s3.conftest import Behind
from unit.storage.s3.test_lesser_services import bucket_at, driver_at

BYTES = random.Random(7).randbytes(6 << 20)


async def _read(driver: S3Driver, path: str, start: int = 0) -> bytes:
    with await driver.open(path, is_whole=not start) as reader:
        return b"".join([piece async for piece in reader.chunks(start)])


async def _remove(driver: S3Driver) -> None:
    for failure in (await driver.remove(["/a", "/b"], until=clock() + 60)).values():
        raise failure


async def _parts(driver: S3Driver) -> None:
    writer = await driver.begin_parts("/parts")
    try:
        await writer.add([BYTES])
        await writer.complete()
    finally:
        await writer.abort()


ASKED: dict[str, tuple[str, Callable[[S3Driver], Awaitable[object]]]] = {
    "written": ("PutObject", lambda driver: driver.put("/new", b"new")),
    "written if absent": ("PutObject", lambda driver: driver.put_if_absent("/new", b"new")),
    "looked at": ("HeadObject", lambda driver: driver.stat("/a", folder=False)),
    "got": ("GetObject", lambda driver: driver.get("/a")),
    "opened": ("GetObject", lambda driver: _read(driver, "/a")),
    "listed": ("ListObjectsV2", lambda driver: driver.list("/f")),
    "deleted": ("DeleteObject", lambda driver: driver.delete("/a")),
    "removed": ("DeleteObjects", _remove),
    "begun": ("CreateMultipartUpload", _parts),
    "sent": ("UploadPart", _parts),
    "completed": ("CompleteMultipartUpload", _parts),
    "copied": ("CopyObject", lambda driver: driver.copy(["/a"], "/new")),
    "joined": ("UploadPartCopy", lambda driver: driver.copy(["/a", "/b"], "/new")),
}


@pytest.mark.parametrize("done", ASKED)
async def test_a_page_in_the_stores_place_is_no_answer(behind: Behind, done: str) -> None:
    kind, ask = ASKED[done]
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        await driver.put("/b", BYTES)
        await driver.put_if_absent("/warm", b"")
        proxy.fail(kind, Fault.PAGE)
        with pytest.raises(StorageUnavailable, match="otherwise than S3"):
            await ask(driver)


async def test_bytes_from_another_place_than_was_asked_for_are_not_given() -> None:
    """Some caches know no ranges."""
    head = {"ETag": '"1"', "Content-Length": "8"}
    async with RudeServer([Said(200, headers=head), Said(200, b"01234567", head)]) as server:
        driver = driver_at(server)
        with pytest.raises(StorageUnavailable, match="has all of them"):
            await _read(driver, "/a", 5)
        server.answers = [Said(200, headers=head), Said(206, b"567", {"ETag": '"1"'})]
        assert await _read(driver, "/a", 5) == b"567"
        await driver.close()


@pytest.mark.parametrize("kind", ["GetObject", "HeadObject"])
async def test_an_object_of_unknown_size_is_not_taken_for_an_empty_one(behind: Behind, kind: str) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        proxy.fail(kind, Fault.UNSIZED)
        with pytest.raises(StorageUnavailable, match="how many bytes"):
            await (_read(driver, "/a") if kind == "GetObject" else driver.stat("/a", folder=False))


@pytest.mark.parametrize("token", ["", "<NextContinuationToken>1</NextContinuationToken>"])
async def test_a_list_that_goes_on_nobody_knows_where_has_not_ended(token: str) -> None:
    """What is behind would be collected as garbage, or asked for again and again."""
    page = f"<ListBucketResult><IsTruncated>true</IsTruncated>{token}</ListBucketResult>"
    async with RudeServer([Said(200, page.encode())]) as server:
        driver = driver_at(server)
        with pytest.raises(StorageUnavailable, match="goes on, and not where"):
            await driver.list("/docker")
        with pytest.raises(StorageUnavailable, match="goes on, and not where"):
            assert [found async for found in driver.all_below("/docker")]
        await driver.close()


async def test_what_is_in_a_folder_is_found_though_the_service_tells_of_few_objects_at_a_time() -> None:
    """A folder that is removed goes whole by it."""
    last = "<IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"
    pages = [
        f"<ListBucketResult>{more}<Contents><Key>f/{key}</Key><ETag>1</ETag></Contents></ListBucketResult>"
        for key, more in (("a", last), ("b", ""))
    ]
    async with RudeServer([Said(200, page.encode()) for page in pages]) as server:
        bucket = bucket_at(server)
        assert await bucket.objects.below("f/") == {"f/a": "1", "f/b": "1"}
        await bucket.close()
