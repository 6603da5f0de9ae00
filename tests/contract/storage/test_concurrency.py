"""Several at once: readers see the old or the new, and nobody is in another's way."""

import asyncio
import contextlib

import pytest

from moorage.errors import PathUnknown, StorageBusy, StorageUnavailable
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.remote.exchange import Exchange, StoreAnswer, StoreCall
from moorage.storage.remote.remote_driver import RemoteDriver

SIZE_BYTES = 100_000
"""More than one read of any driver."""


def version(number: int) -> bytes:
    return number.to_bytes(2, "big") * (SIZE_BYTES // 2)


async def test_a_reader_sees_one_version_whole_while_it_is_replaced(driver: StorageDriver) -> None:
    written = [version(0)]
    await driver.put("/a/b", version(0))
    seen: list[bytes] = []
    is_over = asyncio.Event()
    # A bucket's body that breaks off cannot be gone on with, once it is replaced: an error, and never mixed bytes.
    may_break = (StorageUnavailable,) if isinstance(driver, RemoteDriver) else ()

    async def look() -> None:
        while not is_over.is_set():
            seen.append(await driver.get("/a/b"))
            with contextlib.suppress(*may_break), await driver.open("/a/b") as reader:
                seen.append(b"".join([piece async for piece in reader.chunks()]))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        group.create_task(look())
        while len(written) < 13 or len(seen) < 12:
            number = len(written)
            written += [version(number), version(number + 1000)]
            await driver.put("/a/b", version(number), durable=number % 3 == 0)
            await driver.put("/next", version(number + 1000), durable=False)
            await driver.copy(["/next"], "/a/b")
            await asyncio.sleep(0)
        is_over.set()
    assert set(seen) <= set(written)


async def test_of_concurrent_puts_one_wins_whole(driver: StorageDriver) -> None:
    await asyncio.gather(*(driver.put("/new/folder/a", version(number)) for number in range(20)))
    assert await driver.get("/new/folder/a") in {version(number) for number in range(20)}
    assert len(await driver.list("/new/folder")) == 1


async def test_concurrent_puts_share_the_folders_that_they_make(driver: StorageDriver) -> None:
    paths = [f"/new/{number % 3}/{number % 5}/{number}" for number in range(30)]
    await asyncio.gather(*(driver.put(path, path.encode()) for path in paths))
    assert [await driver.get(path) for path in paths] == [path.encode() for path in paths]


async def test_of_concurrent_moves_of_one_object_one_wins(files: FileStorage) -> None:
    await files.put("/source", b"content")
    outcomes = await asyncio.gather(
        *(files.move("/source", f"/target/{number}") for number in range(5)), return_exceptions=True
    )
    won = [number for number, outcome in enumerate(outcomes) if outcome is None]
    assert len(won) == 1
    assert all(isinstance(outcome, PathUnknown) for number, outcome in enumerate(outcomes) if number != won[0])
    assert await files.get(f"/target/{won[0]}") == b"content"


LOOKS_AND_DELETES = {
    "azure": "Azurite looks whether a blob is there, waits for its database, and removes then",
    "gcs-gcp-storage-emulator": "one thread takes few connections at once: whoever has to connect again is not sure",
    "s3-seaweed": "a gateway looks at the condition, and asks another process to remove",
    "s3-versitygw": "the condition is looked at, and the file removed then",
}
"""Servers that may tell several who ask at the same moment that each has removed the same object, and why."""


async def test_of_concurrent_deletions_one_wins(driver: StorageDriver, request: pytest.FixtureRequest) -> None:
    await driver.put("/a/b", b"")
    outcomes = await asyncio.gather(*(driver.delete("/a") for _ in range(5)), return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert set(kinds) <= {type(None), PathUnknown}
    assert type(None) in kinds
    assert not await driver.exists("/a/b")
    if request.node.callspec.params["driver"] not in LOOKS_AND_DELETES:
        assert kinds.count(PathUnknown) == 4


async def test_who_comes_second_to_a_removal_is_told_that_nothing_was_there(
    driver: StorageDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, one after another: what the driver makes of the server's answer, whatever else the server does."""
    if not isinstance(driver, RemoteDriver):
        pytest.skip("nobody comes between the requests of a driver without requests")
    await driver.put("/a/b", b"")
    send, removals = Exchange.send, 0

    async def second(exchange: Exchange, call: StoreCall) -> StoreAnswer:
        nonlocal removals
        if call.method == "DELETE" and call.url.partition("?")[0].endswith(("a/b", "a%2Fb")):
            removals += 1
            if removals == 1:
                await driver.delete("/a")
        return await send(exchange, call)

    monkeypatch.setattr(Exchange, "send", second)
    with pytest.raises(PathUnknown):
        await driver.delete("/a")
    assert removals == 2


async def test_puts_succeed_while_their_folder_is_being_deleted(driver: StorageDriver) -> None:
    async def put_all(own: int) -> None:
        for number in range(20):
            await driver.put(f"/a/b/{own}-{number}", b"x", durable=number % 2 == 0)

    async def delete_all() -> None:
        for _ in range(20):
            with contextlib.suppress(PathUnknown):
                await driver.delete("/a", durable=False)
            await asyncio.sleep(0.001)

    await asyncio.gather(put_all(1), put_all(2), delete_all(), delete_all())
    await driver.put("/a/b/last", b"x")
    assert await driver.get("/a/b/last") == b"x"


async def test_of_concurrent_writers_one_has_the_object(files: FileStorage) -> None:
    outcomes = await asyncio.gather(*(files.open_writer("/u/data") for _ in range(8)), return_exceptions=True)
    writers = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(writers) == 1
    assert all(isinstance(outcome, StorageBusy) for outcome in outcomes if isinstance(outcome, BaseException))
    await writers[0].write(b"content")
    await writers[0].close()
    assert await files.get("/u/data") == b"content"


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_a_put_whose_caller_gave_up_is_done_or_not(driver: StorageDriver, turns: int) -> None:
    await driver.put("/a", version(1))
    task = asyncio.ensure_future(driver.put("/a", version(2)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    found = await driver.get("/a")
    assert found in {version(1), version(2)}
    await asyncio.sleep(0.02)
    assert await driver.get("/a") == found, "nothing is done behind the back of who comes next"


async def test_a_write_whose_caller_gave_up_is_done_or_not(files: FileStorage) -> None:
    writer = await files.open_writer("/u/data")
    await writer.write(b"first")
    task = asyncio.ensure_future(writer.write(bytes(1 << 20)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await writer.close()
    assert (await files.stat("/u/data")).size_bytes in {5, 5 + (1 << 20)}
    again = await files.open_writer("/u/data", append=True)
    await again.write(b"last")
    await again.close()
    assert (await files.get("/u/data")).endswith(b"last")


LOOKS_AND_WRITES = {"s3-seaweed": "a gateway looks at the condition, and asks another process to write"}
"""Servers that may tell several who ask at the same moment that each has made the same object, and why."""


async def test_of_many_that_put_where_nothing_is_one_wins_whole(
    driver: StorageDriver, request: pytest.FixtureRequest
) -> None:
    won = await asyncio.gather(*(driver.put_if_absent("/new/folder/a", version(number)) for number in range(20)))
    winners = [version(number) for number, has_won in enumerate(won) if has_won]
    assert await driver.get("/new/folder/a") in winners
    assert len(await driver.list("/new/folder")) == 1
    if request.node.callspec.params["driver"] not in LOOKS_AND_WRITES:
        assert len(winners) == 1
