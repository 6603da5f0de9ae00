"""Answers of a service that are not what was asked for: none is taken for good news."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from moorage.config import S3Section
from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.rude_server import RudeServer, Said
from unit.storage.s3.test_lesser_services import driver_at

PROXY_PAGE = b"<html><body><p>Please sign in.</p></body></html>"
BEGUN = Said(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
NO_SUCH_UPLOAD = Said(404, b"<Error><Code>NoSuchUpload</Code></Error>")


def errors(*said: tuple[str, str]) -> Said:
    """The answer to a removal of many objects of which some failed."""
    texts = [f"<Error>{key and f'<Key>{key}</Key>'}<Code>{code}</Code></Error>" for key, code in said]
    return Said(200, f"<DeleteResult>{''.join(texts)}</DeleteResult>".encode())


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        (errors(), []),
        (errors(("f/a", "AccessDenied"), ("f/b", "NoSuchKey")), ["/f/a"]),
        (errors(("", "InternalError")), ["/f/a", "/f/b"]),
        (errors(("F/A", "AccessDenied")), ["/f/a", "/f/b"]),
        (Said(200, b"<Error><Code>InternalError</Code></Error>"), ["/f/a", "/f/b"]),
        (Said(200, PROXY_PAGE), ["/f/a", "/f/b"]),
    ],
)
async def test_what_is_not_said_to_be_gone_counts_as_there(said: Said, failed: Sequence[str]) -> None:
    """Else garbage collection forgets what then lies there for good."""
    async with RudeServer([said]) as server:
        driver = driver_at(server)
        assert sorted(await driver.remove(["/f/a", "/f/b"], until=float("inf"))) == failed
        await driver.close()


@pytest.mark.parametrize("body", [PROXY_PAGE, b"<p>not closed", b""])
async def test_a_page_of_a_proxy_is_no_list_of_nothing(body: bytes) -> None:
    async with RudeServer([Said(200, body)]) as server:
        driver = driver_at(server)
        with pytest.raises(StorageUnavailable, match="otherwise than S3"):
            await driver.list("/docker")
        await driver.close()


@pytest.mark.parametrize(
    "operation",
    [lambda driver: driver.get("/a"), lambda driver: driver.open("/a"), lambda driver: driver.get_each(["/a"], max)],
    ids=["get", "open", "get_each"],
)
async def test_a_page_of_a_proxy_says_of_no_object_that_it_is_not_there(
    operation: Callable[[S3Driver], Awaitable[object]],
) -> None:
    """Of a tag it would be the end: what it points to is then collected."""
    async with RudeServer([Said(404, PROXY_PAGE)]) as server:
        driver = driver_at(server)
        with pytest.raises(StorageUnavailable, match="status 404"):
            await operation(driver)
        server.answers = [Said(404, b"<Error><Code>NoSuchKey</Code></Error>")]
        with pytest.raises(PathUnknown):
            await driver.get("/a")
        await driver.close()


@pytest.mark.parametrize(
    "said", [Said(507), Said(403, b"<Error><Code>QuotaExceeded</Code><Message>10 GB</Message></Error>")]
)
async def test_a_bucket_without_room_is_full(said: Said) -> None:
    async with RudeServer([said]) as server:
        driver = driver_at(server)
        with pytest.raises(StorageFull, match="PutObject of bucket images"):
            await driver.put("/a", b"content")
        await driver.close()


@pytest.mark.parametrize(("size", "is_done"), [("7", True), ("3", False)])
async def test_an_upload_that_is_gone_after_a_lost_answer_is_the_object_or_an_error(
    size: str, *, is_done: bool
) -> None:
    part = Said(200, headers={"ETag": '"1"'})
    there = Said(200, headers={"Content-Length": size, "ETag": '"2"', "Last-Modified": "Sun, 29 Nov 2026 12:00:00 GMT"})
    async with RudeServer([BEGUN, part, Said(500), NO_SUCH_UPLOAD, there]) as server:
        section = S3Section(bucket="images", regionendpoint=server.url, accesskey="a", secretkey="b", maxretries=1)
        driver = S3Driver(S3Bucket(section))
        writer = await driver.begin_parts("/a")
        await writer.add([b"content"])
        if is_done:
            await writer.complete()
        else:
            with pytest.raises(StorageUnavailable, match="NoSuchUpload"):
                await writer.complete()
        await driver.close()
