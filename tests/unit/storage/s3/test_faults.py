"""A store that goes wrong: what is tried again, what is found out, what is said."""

import asyncio
import random

import pytest

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import clock
from support.fault_proxy import Fault
from support.s3_client import S3Client
from support.s3_stores import seaweed
from unit.storage.s3.conftest import Behind

MIB = 1 << 20
BYTES = random.Random(5).randbytes(6 * MIB)


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.DROP, Fault.LOST])
@pytest.mark.parametrize("kind", ["PutObject", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"])
async def test_what_passes_is_not_noticed(behind: Behind, kind: str, fault: Fault) -> None:
    async with behind() as (driver, proxy):
        await driver.put_if_absent("/warm", b"")  # What is found out once is found out now.
        proxy.fail(kind, fault)
        await driver.put("/f/a", b"content")
        assert await driver.get("/f/a") == b"content"
        assert (await driver.stat("/f/a")).size_bytes == 7
        assert [entry.name for entry in await driver.list("/f")] == ["a"]
        await driver.delete("/f/a")
        with pytest.raises(PathUnknown):
            await driver.get("/f/a")


async def test_a_conditional_write_whose_answer_was_lost_has_won(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        assert await driver.put_if_absent("/warm", b"")
        proxy.fail("PutObject", Fault.LOST)
        assert await driver.put_if_absent("/a", b"mine")
        proxy.fail("PutObject", Fault.DROP)
        assert not await driver.put_if_absent("/a", b"other")
        assert await driver.get("/a") == b"mine"


async def test_a_completion_whose_answer_was_lost_has_completed(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        proxy.fail("CompleteMultipartUpload", Fault.LOST)
        writer = await driver.begin_parts("/a")
        await writer.add([BYTES])
        await writer.add([b"end"])
        await writer.complete()
        assert (await driver.stat("/a")).size_bytes == len(BYTES) + 3


@pytest.mark.parametrize("kind", ["CompleteMultipartUpload", "UploadPartCopy"])
async def test_an_error_inside_a_200_is_an_error_and_passes(behind: Behind, kind: str) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        await driver.put("/b", BYTES[::-1])
        proxy.fail(kind, Fault.ERROR_IN_200, times=2)
        await driver.copy(["/a", "/b"], "/c")
        assert proxy.counts[kind] >= 3
        with await driver.open("/c") as reader:
            assert b"".join([piece async for piece in reader.chunks()]) == BYTES + BYTES[::-1]


async def test_a_copy_that_fails_leaves_no_parts(behind: Behind) -> None:
    async with behind(maxretries=1) as (driver, proxy):
        await driver.put("/a", BYTES)
        await driver.put("/b", BYTES)
        proxy.fail("UploadPartCopy", Fault.ERROR_IN_200, times=10)
        with pytest.raises(StorageUnavailable, match="InternalError"):
            await driver.copy(["/a", "/b"], "/c")
        with pytest.raises(PathUnknown):
            await driver.stat("/c")
        assert proxy.counts["AbortMultipartUpload"] == 1
        assert [key for key in S3Client(seaweed()).unfinished() if key.endswith("/c")] == []


async def test_a_body_that_is_cut_goes_on_where_it_broke(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        proxy.fail("GetObject", Fault.CUT, times=2)
        with await driver.open("/a") as reader:
            assert b"".join([piece async for piece in reader.chunks()]) == BYTES
        ranges = [passed.headers.get("range", "") for passed in proxy.requests if passed.kind == "GetObject"]
        assert ranges[0] == ""
        assert all(found.startswith("bytes=") for found in ranges[1:])
        assert len(ranges) == 3


async def test_a_body_that_was_replaced_meanwhile_is_not_gone_on_with(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        proxy.fail("GetObject", Fault.CUT)
        with await driver.open("/a") as reader:
            await driver.put("/a", BYTES[::-1])
            with pytest.raises(StorageUnavailable, match="went, or was replaced"):
                assert b"".join([piece async for piece in reader.chunks()])


async def test_a_wrong_clock_is_set_by_the_stores(behind: Behind) -> None:
    async with behind(maxretries=1) as (driver, proxy):
        proxy.fail("PutObject", Fault.SKEWED)
        with pytest.raises(StorageUnavailable):  # The proxy's clock is wrong itself, so what it says does not help.
            await driver.put("/a", b"x")
        assert proxy.counts["PutObject"] == 2
        stamps = [passed.headers["x-amz-date"] for passed in proxy.requests]
        assert stamps[1].startswith("20011129T12")


async def test_a_wrong_clock_is_set_though_nobody_says_that_it_is_wrong(behind: Behind) -> None:
    """A push begins with a HEAD: on a node that asked for nothing else its clock stayed wrong, and each answer 503."""
    async with behind() as (driver, proxy):
        await driver.put("/a", b"content")
        proxy.fail("HeadObject", Fault.SKEWED)
        assert (await driver.stat("/a", folder=False)).size_bytes == 7
        _, second, third = [passed.headers["x-amz-date"][:8] for passed in proxy.requests if passed.method == "HEAD"]
        assert second == "20011129" != third  # SeaweedFS did not take the time that the proxy had said.


async def test_expired_credentials_are_said(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        proxy.fail("PutObject", Fault.EXPIRED)
        with pytest.raises(StorageUnavailable, match="the credentials have expired: renew them"):
            await driver.put("/a", b"x")
        assert proxy.counts["PutObject"] == 1


async def test_a_store_that_is_away_is_said_after_all_attempts(behind: Behind) -> None:
    async with behind(maxretries=2) as (driver, proxy):
        proxy.fail("GetObject", Fault.SLOW_DOWN, times=10)
        with pytest.raises(StorageUnavailable, match="SlowDown"):
            await driver.get("/a")
        assert proxy.counts["GetObject"] == 3


async def test_a_tag_goes_in_four_requests_and_what_makes_it_a_tag_first(behind: Behind) -> None:
    tag = "/docker/registry/v2/repositories/app/_manifests/tags/v1"
    async with behind() as (driver, proxy):
        await driver.put_if_absent("/warm", b"")
        await driver.put(f"{tag}/current/link", b"sha256:1")
        await driver.put(f"{tag}/index/sha256/1/link", b"sha256:1")
        proxy.requests.clear()
        await driver.delete(tag)
        kinds = [passed.kind for passed in proxy.requests]
        assert sorted(kinds[:2]) == ["HeadObject", "ListObjectsV2"]
        assert kinds[2:] == ["DeleteObject", "DeleteObjects"]
        assert "current/link" in proxy.requests[2].target


async def test_a_blob_that_is_not_there_costs_one_request(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        path = f"/docker/registry/v2/blobs/sha256/ab/{'ab' * 32}/data"
        assert not await driver.exists(path)
        assert list(proxy.counts.elements()) == ["HeadObject"]


async def test_what_has_a_size_that_is_known_is_copied_without_a_question(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        proxy.requests.clear()
        await driver.copy(["/a"], "/b", sizes=[len(BYTES)])
        assert proxy.counts == {"CopyObject": 1}
        await driver.copy(["/a", "/a"], "/c", sizes=[len(BYTES)] * 2)
        assert proxy.counts["HeadObject"] == 0
        assert (await driver.stat("/c")).size_bytes == 2 * len(BYTES)


async def test_a_part_of_an_object_is_asked_for_alone(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        await driver.put("/a", BYTES)
        proxy.requests.clear()
        with await driver.open("/a", is_whole=False) as reader:
            assert b"".join([piece async for piece in reader.chunks(10, 20)]) == BYTES[10:20]
        assert [passed.kind for passed in proxy.requests] == ["HeadObject", "GetObject"]
        assert proxy.requests[1].headers["range"] == "bytes=10-19"


async def test_a_thousand_objects_go_in_one_request(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        assert await driver.remove([f"/x/{number}" for number in range(1001)], until=float("inf")) == {}
        assert proxy.counts == {"DeleteObjects": 2}


@pytest.mark.parametrize("kind", ["DeleteObjects", "DeleteObject"])
async def test_a_removal_is_not_done_behind_its_time(behind: Behind, kind: str) -> None:
    """A collector's claim has ended by then, and a push has brought the same blob again."""
    async with behind() as (driver, proxy):
        paths = ["/f/a", "/f/b"]
        for path in paths:
            await driver.put(path, b"x")
        if kind == "DeleteObject":
            proxy.fail("DeleteObjects", Fault.UNKNOWN, times=9)
        proxy.fail(kind, Fault.HELD, times=2)
        until = clock() + 0.5
        removing = asyncio.ensure_future(driver.remove(paths, until=until))
        await asyncio.sleep(0.6)
        proxy.released.set()
        assert sorted(await removing) == paths
        assert await driver.get("/f/a") == await driver.get("/f/b") == b"x"
