"""What was begun in parts and never completed: told by a check once it is old, without a right to ask passed over."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from moorage.config import S3Section
from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import CheckProgress, new_state
from moorage.integrity.unfinished import PartsCheck
from moorage.storage.base import StorageDriver
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.rude_server import RudeServer, Said
from support.s3_client import S3Client, S3Server
from support.s3_stores import new_driver, new_root, seaweed, versitygw

BLOB = "/docker/registry/v2/blobs/sha256/ab/abcd/data"


async def found_in(driver: StorageDriver, *, after: timedelta) -> Sequence[Finding]:
    progress = CheckProgress(driver, new_state(store="layout", verifies=False))
    await PartsCheck(driver, now=lambda: datetime.now(UTC) + after).run(progress, "")
    return progress.tally.noted.first


@pytest.mark.parametrize("server", [seaweed, versitygw])
async def test_what_nobody_finished_for_a_week_is_told_whoever_began_it(server: Callable[[], S3Server]) -> None:
    running, root = server(), new_root()
    driver = new_driver(running, rootdirectory=root)
    writer = await driver.begin_parts(BLOB)
    neighbour = new_driver(running, rootdirectory=f"{root}-other")
    other = await neighbour.begin_parts("/a")
    status, _ = S3Client(running).request("POST", f"{root}/docker/a b&c", query="uploads=")
    assert status == 200
    assert await found_in(driver, after=timedelta()) == []
    old = await found_in(driver, after=timedelta(days=8))
    assert {(finding.kind, finding.subject) for finding in old} == {
        (FindingKind.PARTS_ABANDONED, BLOB),
        (FindingKind.PARTS_ABANDONED, "/docker/a b&c"),
    }
    assert all(finding.detail.startswith("begun at 2") for finding in old)
    await writer.abort()
    await other.abort()
    await neighbour.close()
    await driver.close()


def said(*keys: str, more: str = "") -> Said:
    uploads = "".join(
        f"<Upload><Key>{key}</Key><UploadId>u</UploadId><Initiated>2024-01-01T00:00:00.000Z</Initiated></Upload>"
        for key in keys
    )
    pages = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated><NextKeyMarker>{more}</NextKeyMarker>"
    head = "<EncodingType>url</EncodingType><NextUploadIdMarker>u2</NextUploadIdMarker>"
    return Said(200, f"<ListMultipartUploadsResult>{head}{pages}{uploads}</ListMultipartUploadsResult>".encode())


def driver_at(server: RudeServer) -> S3Driver:
    section = S3Section(bucket="images", regionendpoint=server.url, accesskey="a", secretkey="b", rootdirectory="r")
    return S3Driver(S3Bucket(section))


async def test_all_pages_are_read() -> None:
    async with RudeServer([said("r/a", "r/b", more="r/b%20b"), said("r/c")]) as server:
        driver = driver_at(server)
        assert [parts.path async for parts in driver.unfinished_parts()] == ["/a", "/b", "/c"]
        await driver.close()
        assert "key-marker=r%2Fb%20b" in server.asked[1].target
        assert "upload-id-marker=u2" in server.asked[1].target


@pytest.mark.parametrize("answer", [Said(403, b"<Error><Code>AccessDenied</Code></Error>"), Said(501)])
async def test_where_it_may_not_be_asked_there_is_nothing_to_tell(
    answer: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    async with RudeServer([answer]) as server:
        driver = driver_at(server)
        assert [parts async for parts in driver.unfinished_parts()] == []
        await driver.close()
    captured = capsys.readouterr()
    assert "not finished" in captured.out + captured.err
