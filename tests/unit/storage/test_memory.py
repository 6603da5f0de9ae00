"""What only the memory driver has: a limit and a clock."""

from datetime import UTC, datetime

import pytest

from moorage.errors import StorageFull, StorageUnavailable
from moorage.storage.memory import MemoryDriver


async def test_the_limit_counts_all_objects_together() -> None:
    driver = MemoryDriver(limit_bytes=100)
    await driver.put("/a", bytes(60))
    with pytest.raises(StorageFull, match="more than 100 bytes"):
        await driver.put("/b", bytes(41))
    await driver.put("/b", bytes(40))
    await driver.delete("/a")
    await driver.put("/c", bytes(60))


async def test_probe_says_when_it_is_full() -> None:
    driver = MemoryDriver(limit_bytes=100)
    await driver.probe()
    await driver.put("/a", bytes(90))
    with pytest.raises(StorageFull):
        await driver.probe()


async def test_objects_have_the_time_of_the_clock_that_was_given() -> None:
    times = iter(datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 10))
    driver = MemoryDriver(now=lambda: next(times))
    await driver.put("/a", b"")
    first = (await driver.stat("/a")).modified_at
    await driver.put("/a", b"")
    assert first < (await driver.stat("/a")).modified_at


async def test_a_closed_writer_writes_no_more() -> None:
    driver = MemoryDriver()
    writer = await driver.open_writer("/a")
    await writer.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        await writer.write(b"x")
