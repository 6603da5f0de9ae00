"""Blobs in blocks: parts, copies, and blobs of other types in their way."""

import asyncio

import pytest
from azure.storage.blob import BlobServiceClient, BlobType

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.azure import blocks
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.base import ObjectContent
from moorage.storage.remote.remote_driver import PASSING_AT_ONCE
from support.azure_front import AzureFront, Fault
from support.azurite import ACCOUNT, CONTAINER, KEY, shared_azurite
from unit.storage.azure.conftest import Maker


def put_append_blob(driver: AzureDriver, path: str, *contents: bytes) -> None:
    """As Distribution's and GitLab's drivers write."""
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    with BlobServiceClient(shared_azurite().url, credential=credential) as service:
        blob = service.get_blob_client(CONTAINER, driver._keys.key(path))
        for content in contents:
            blob.upload_blob(content, blob_type=BlobType.APPENDBLOB, overwrite=content is contents[0])


async def test_parts_are_seen_when_they_are_complete(driver: AzureDriver) -> None:
    writer = await driver.begin_parts("/a/b")
    parts = [[bytes([number]) * 1000, b"x" * number] for number in range(5)]
    for part in parts:
        await writer.add(part)
    assert not await driver.exists("/a")
    await writer.complete()
    await writer.abort()
    assert await driver.get("/a/b") == b"".join(b"".join(part) for part in parts)


async def test_two_who_write_the_same_blob_both_succeed(driver: AzureDriver) -> None:
    writers = [await driver.begin_parts("/a") for _ in range(2)]
    for writer in writers:
        await writer.add([b"the same"])
        await writer.add([b" bytes"])
        await writer.settle()
    await writers[0].complete()
    await writers[1].complete()  # Its blocks were thrown away by the first.
    assert await driver.get("/a") == b"the same bytes"


async def test_blocks_that_are_gone_without_the_blob_are_an_error(driver: AzureDriver) -> None:
    writers = [await driver.begin_parts("/a") for _ in range(2)]
    await writers[0].add([b"short"])
    await writers[1].add([b"longer"])
    await writers[1].settle()  # A block that came later would be there.
    await writers[0].complete()
    with pytest.raises(StorageUnavailable, match="InvalidBlockList"):
        await writers[1].complete()
    assert await driver.get("/a") == b"short"


async def test_blocks_that_are_settled_are_on_their_way_no_more(driver: AzureDriver, front: AzureFront) -> None:
    writer = await driver.begin_parts("/a")
    await writer.add([b"one"])
    await writer.add([b"two"])
    await writer.settle()
    assert front.kinds() == ["PutBlock"] * 2
    await writer.abort()
    front.faults.append(Fault("PutBlock", status=403, code="AuthorizationPermissionMismatch", times=9))
    writer = await driver.begin_parts("/a")
    await writer.add([b"one"])
    with pytest.raises(StorageUnavailable, match="PutBlock"):
        await writer.settle()
    await writer.abort()


async def test_an_aborted_write_changes_nothing(driver: AzureDriver) -> None:
    await driver.put("/a", b"old")
    writer = await driver.begin_parts("/a")
    await writer.add([b"new"])
    await writer.abort()
    await driver.abort_parts("/a", writer.note)
    assert await driver.get("/a") == b"old"


async def test_a_part_that_fails_is_told_by_the_next_call(driver: AzureDriver, front: AzureFront) -> None:
    front.faults.append(Fault("PutBlock", status=403, code="AuthorizationPermissionMismatch", times=9))
    writer = await driver.begin_parts("/a")
    await writer.add([b"one"])
    with pytest.raises(StorageUnavailable, match="PutBlock"):
        await writer.complete()
    await writer.abort()
    assert not await driver.exists("/a")


async def test_the_service_joins_blobs_by_itself(
    driver: AzureDriver, front: AzureFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LARGEST_COPY", 1000)
    sources = {f"/from/{number}": bytes([number]) * size for number, size in enumerate((2500, 0, 1000, 1))}
    for path, content in sources.items():
        await driver.put(path, content)
    front.seen.clear()
    await driver.copy(list(sources), "/to")
    assert front.kinds().count("PutBlockFromURL") == 5
    assert "GetBlob" not in front.kinds()
    assert await driver.get("/to") == b"".join(sources.values())


async def test_of_a_crowd_of_copies_a_few_blocks_pass_through_us_at_a_time(
    driver: AzureDriver, front: AzureFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "PASSED_BYTES", 1000)
    front.faults.append(Fault("PutBlockFromURL", status=501, code="NotImplemented", times=99))
    send, sending, most = blocks.BlockSession.send, 0, 0

    async def counted(self: blocks.BlockSession, number: int, content: ObjectContent) -> None:
        nonlocal sending, most
        sending += 1
        most = max(most, sending)
        await send(self, number, content)
        sending -= 1

    monkeypatch.setattr(blocks.BlockSession, "send", counted)
    await driver.put("/one", bytes(3000))
    await asyncio.gather(*(driver.copy(["/one"], f"/to/{number}") for number in range(6)))
    assert await driver.get("/to/5") == bytes(3000)
    assert most == PASSING_AT_ONCE


async def test_where_the_service_cannot_copy_the_bytes_pass_through_us(
    driver: AzureDriver, front: AzureFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "PASSED_BYTES", 1000)
    front.faults.append(Fault("PutBlockFromURL", status=501, code="NotImplemented", times=99))
    await driver.put("/one", bytes(2500))
    await driver.put("/two", b"end")
    for _ in range(2):
        await driver.copy(["/one", "/two"], "/to")
        assert await driver.get("/to") == bytes(2500) + b"end"
    assert front.kinds().count("PutBlockFromURL") == 1
    assert front.kinds().count("PutBlock") == 8


async def test_a_copy_without_its_source_leaves_the_old_content(driver: AzureDriver) -> None:
    await driver.put("/to", b"old")
    await driver.put("/one", b"one")
    with pytest.raises(PathUnknown, match="/two"):
        await driver.copy(["/one", "/two"], "/to")
    assert await driver.get("/to") == b"old"


@pytest.mark.parametrize("how", ["put", "parts", "copy"])
async def test_an_append_blob_of_another_registry_is_read_and_replaced(driver: AzureDriver, how: str) -> None:
    await asyncio.to_thread(put_append_blob, driver, "/a/data", b"half ", b"an upload")
    assert await driver.get("/a/data") == b"half an upload"
    assert (await driver.stat("/a/data")).size_bytes == 14
    assert not await driver.put_if_absent("/a/data", b"new")
    if how == "put":
        await driver.put("/a/data", b"new")
    elif how == "copy":
        await driver.put("/new", b"new")
        await driver.copy(["/new"], "/a/data")
    else:
        writer = await driver.begin_parts("/a/data")
        await writer.add([b"new"])
        await writer.complete()
    assert await driver.get("/a/data") == b"new"


async def test_an_append_blob_that_grows_meanwhile_is_not_thrown_away(driver: AzureDriver, front: AzureFront) -> None:
    await asyncio.to_thread(put_append_blob, driver, "/a", b"half")
    front.faults.append(Fault("DeleteBlob", status=412, code="ConditionNotMet"))
    with pytest.raises(StorageUnavailable, match="InvalidBlobType"):
        await driver.put("/a", b"new")
    assert await driver.get("/a") == b"half"


@pytest.mark.parametrize("root", ["", "some/where"])
async def test_blobs_with_a_slash_in_front_are_served(new_driver: Maker, root: str) -> None:
    driver = new_driver(legacyrootprefix=True, rootdirectory=root)
    key = f"/{root}/docker/old".replace("//", "/")
    assert driver._keys.key("/docker/old") == key
    await asyncio.to_thread(put_append_blob, driver, "/docker/old", b"content")
    assert await driver.get("/docker/old") == b"content"
    assert [entry.name for entry in await driver.list("/docker")] == ["old"]
    assert (await driver.stat("/docker")).is_folder
    await driver.delete("/docker")
    assert not await driver.exists("/docker")
