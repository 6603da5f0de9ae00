"""The service that fails: what is tried again, what is lost, and what is never done twice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.base import clock
from support.azure_front import AzureFront, Fault

CONTENT = bytes(range(256)) * 8192


async def read(driver: AzureDriver, path: str) -> bytes:
    with await driver.open(path) as reader:
        return b"".join([piece async for piece in reader.chunks()])


@pytest.mark.parametrize(("status", "code"), [(503, "ServerBusy"), (500, "OperationTimedOut"), (429, ""), (408, "")])
async def test_a_busy_service_is_asked_again(driver: AzureDriver, front: AzureFront, status: int, code: str) -> None:
    front.faults += [Fault("*", status=status, code=code, times=2)]
    await driver.put("/a", b"content")
    assert front.kinds() == ["PutBlob"] * 3
    assert await driver.get("/a") == b"content"


async def test_a_service_that_stays_busy_is_unavailable(driver: AzureDriver, front: AzureFront) -> None:
    front.faults.append(Fault("PutBlob", status=503, code="ServerBusy", times=99))
    with pytest.raises(StorageUnavailable, match="ServerBusy"):
        await driver.put("/a", b"content")
    assert front.kinds() == ["PutBlob"] * 4


async def test_what_is_denied_is_not_asked_again(driver: AzureDriver, front: AzureFront) -> None:
    front.faults.append(Fault("*", status=403, code="AuthorizationPermissionMismatch", times=99))
    with pytest.raises(StorageUnavailable, match="Storage Blob Data Contributor"):
        await driver.get("/a")
    assert front.kinds() == ["GetBlob"]


async def test_a_body_that_breaks_off_is_gone_on_with(driver: AzureDriver, front: AzureFront) -> None:
    await driver.put("/a", CONTENT)
    front.faults.append(Fault("GetBlob", cut_at=100_000))
    assert await read(driver, "/a") == CONTENT
    assert front.kinds().count("GetBlob") == 2


async def test_a_body_that_was_replaced_meanwhile_is_not_mixed(driver: AzureDriver, front: AzureFront) -> None:
    await driver.put("/a", CONTENT)
    with await driver.open("/a") as reader:
        await driver.put("/a", bytes(len(CONTENT)))
        with pytest.raises(StorageUnavailable, match="replaced or removed"):
            assert [piece async for piece in reader.chunks(1)]


async def test_a_write_whose_answer_is_lost_has_won_once(driver: AzureDriver, front: AzureFront) -> None:
    front.faults.append(Fault("PutBlob", is_lost=True))
    assert await driver.put_if_absent("/a", b"mine")
    assert not await driver.put_if_absent("/a", b"mine")
    front.faults.append(Fault("PutBlob", status=503, code="ServerBusy"))
    assert not await driver.put_if_absent("/a", b"mine"), "the blob that was there before is not ours"


async def test_a_deletion_whose_answer_is_lost_is_done(driver: AzureDriver, front: AzureFront) -> None:
    await driver.put("/a", b"content")
    front.faults.append(Fault("DeleteBlob", is_lost=True))
    await driver.delete("/a")
    with pytest.raises(PathUnknown):
        await driver.delete("/a")


async def test_a_list_of_blocks_whose_answer_is_lost_is_written(driver: AzureDriver, front: AzureFront) -> None:
    front.faults.append(Fault("PutBlockList", is_lost=True))
    writer = await driver.begin_parts("/a")
    await writer.add([b"one", b"two"])
    await writer.complete()
    assert await driver.get("/a") == b"onetwo"


async def test_a_wrong_clock_is_set_by_that_of_the_service(driver: AzureDriver, front: AzureFront) -> None:
    late = {"Date": "Sun, 29 Nov 2020 12:00:00 GMT"}
    front.faults.append(Fault("GetBlob", status=403, code="AuthenticationFailed", headers=late, times=9))
    with pytest.raises(StorageUnavailable, match="clock"):
        await driver.get("/a")
    assert front.kinds() == ["GetBlob"] * 2, "once with the other clock"
    assert driver._line.signer.now().year == 2020


@pytest.mark.parametrize("what", ["blob", "list"])
async def test_what_is_not_the_services_answer_is_not_believed(
    driver: AzureDriver, front: AzureFront, what: str
) -> None:
    # A proxy between that knows nothing of the path must not make us say that a blob is not there.
    front.faults.append(Fault("*", status=404, code="", times=9))
    with pytest.raises(StorageUnavailable):
        await (driver.get("/a") if what == "blob" else driver.list("/a"))


@pytest.mark.parametrize("kind", ["GetBlob", "GetBlobProperties", "PutBlob", "DeleteBlob", "PutBlockList", "ListBlobs"])
async def test_a_page_in_the_services_place_is_no_answer(driver: AzureDriver, front: AzureFront, kind: str) -> None:
    """It was one of a blob that is there, whatever was asked for."""
    await driver.put("/f/a", CONTENT)
    writer = await driver.begin_parts("/f/b")
    await writer.add([CONTENT])
    await writer.settle()
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "GetBlob": lambda: read(driver, "/f/a"),
        "GetBlobProperties": lambda: driver.stat("/f/a", folder=False),
        "PutBlob": lambda: driver.put("/f/a", b"other"),
        "DeleteBlob": lambda: driver.delete("/f/a"),
        "PutBlockList": writer.complete,
        "ListBlobs": lambda: driver.list("/f"),
    }
    front.faults.append(Fault(kind, status=200))
    with pytest.raises(StorageUnavailable):
        await asked[kind]()
    assert await read(driver, "/f/a") == CONTENT


async def test_a_removal_is_not_done_behind_its_time(driver: AzureDriver, front: AzureFront) -> None:
    await driver.put("/a", b"content")
    until, released = clock() + 0.5, asyncio.Event()
    front.faults.append(Fault("DeleteBlob", status=503, code="ServerBusy", held=released))
    removing = asyncio.ensure_future(driver.remove(["/a"], until=until))
    await asyncio.sleep(0.6)
    released.set()
    assert sorted(await removing) == ["/a"]
    assert await driver.get("/a") == b"content"
