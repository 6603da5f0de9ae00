"""Services that leave something out: it is found out, and done otherwise."""

import random

import pytest

from moorage.config import S3Section
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.fault_proxy import Fault
from support.rude_server import RudeServer, Said
from unit.storage.s3.conftest import Behind

BYTES = random.Random(5).randbytes(11 << 20)
ALWAYS = 1_000_000
DONE = Said(200, headers={"ETag": '"1"'})


def bucket_at(server: RudeServer) -> S3Bucket:
    section = S3Section(bucket="images", regionendpoint=server.url, accesskey="a", secretkey="b", maxretries=0)
    return S3Bucket(section)


def driver_at(server: RudeServer) -> S3Driver:
    return S3Driver(bucket_at(server))


async def test_where_conditions_are_ignored_it_is_looked_first() -> None:
    tries = [DONE, DONE, Said(204), Said(204)]
    async with RudeServer([*tries, Said(404), DONE, DONE]) as server:
        driver = driver_at(server)
        assert await driver.put_if_absent("/a", b"first")
        assert [asked.method for asked in server.asked] == ["PUT", "PUT", "DELETE", "DELETE", "HEAD", "PUT"]
        assert "if-none-match" not in server.asked[-1].headers
        assert not await driver.put_if_absent("/a", b"second")
        assert [asked.method for asked in server.asked[6:]] == ["HEAD"]
        await driver.close()


async def test_where_conditions_are_refused_it_is_looked_first() -> None:
    refusal = b"<Error><Code>NotImplemented</Code></Error>"
    tries = [Said(501, refusal), DONE, Said(501, refusal), Said(204)]
    async with RudeServer([*tries, Said(404), DONE]) as server:
        driver = driver_at(server)
        assert await driver.put_if_absent("/a", b"first")
        assert "if-none-match" not in server.asked[-1].headers
        await driver.close()


async def test_where_there_are_no_batches_objects_go_one_by_one(behind: Behind) -> None:
    async with behind() as (driver, proxy):
        proxy.fail("DeleteObjects", Fault.UNKNOWN, times=ALWAYS)
        paths = [f"/f/{number}" for number in range(5)]
        for path in paths:
            await driver.put(path, b"x")
        assert await driver.remove(paths, until=float("inf")) == {}
        assert not await driver.exists("/f/0")
        assert await driver.remove(paths, until=float("inf")) == {}
        assert (proxy.counts["DeleteObjects"], proxy.counts["DeleteObject"]) == (1, 10)


@pytest.mark.parametrize("sources", [["/a"], ["/a", "/b"], ["/b", "/b"], ["/b", "/a", "/b"]])
async def test_where_nothing_is_copied_it_is_read_and_sent(behind: Behind, sources: list[str]) -> None:
    contents = {"/a": BYTES, "/b": b"small"}
    async with behind() as (driver, proxy):
        proxy.fail("CopyObject", Fault.UNKNOWN, times=ALWAYS)
        proxy.fail("UploadPartCopy", Fault.UNKNOWN, times=ALWAYS)
        for path, content in contents.items():
            await driver.put(path, content)
        await driver.copy(sources, "/c")
        with await driver.open("/c") as reader:
            assert b"".join([piece async for piece in reader.chunks()]) == b"".join(map(contents.__getitem__, sources))
        assert proxy.counts["CopyObject"] + proxy.counts["UploadPartCopy"] <= 2


async def test_a_start_goes_on_without_what_can_be_done_otherwise(
    behind: Behind, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind() as (driver, proxy):
        proxy.fail("CopyObject", Fault.UNKNOWN, times=ALWAYS)
        await driver.examine()
        await driver.examine()
    captured = capsys.readouterr()
    assert (captured.out + captured.err).count("does not copy by itself") == 1


async def test_a_conflict_of_two_conditional_writes_is_asked_about_again() -> None:
    """AWS answers so to one of two that write at the same moment: nobody has won yet."""
    conflict = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
    tries = [DONE, Said(412), Said(412), Said(204)]
    async with RudeServer([*tries, Said(409, conflict), Said(412), Said(200, b"other", DONE.headers)]) as server:
        section = S3Section(bucket="images", regionendpoint=server.url, accesskey="a", secretkey="b", maxretries=2)
        driver = S3Driver(S3Bucket(section))
        assert not await driver.put_if_absent("/a", b"mine")
        assert [asked.method for asked in server.asked[4:]] == ["PUT", "PUT", "GET"]
        await driver.close()
