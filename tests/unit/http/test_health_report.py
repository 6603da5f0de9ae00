"""The health of a node while what it asks hangs: who asks has an answer in time, and the worker goes on."""

import asyncio
from pathlib import Path

from moorage.core.damage import DamageFound
from moorage.health.watch import HealthWatch
from moorage.http.health_report import HealthReport, NodeHealth
from moorage.room import Room
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.memory import MemoryDriver

SOON_S = 0.05
NEVER_S = 600.0


class Hanging:
    """Something that gives no answer, and does not even let itself be cancelled, before it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> None:
        self.asked.set()
        while not self.go_on.is_set():
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                continue


class HangingDatabase(SqliteDatabase):
    """A database that answers only when it is let go."""

    hanging: Hanging

    async def ping(self) -> None:
        await self.hanging()


class WatchedRoom(Room):
    """File systems that would hang whoever looks at them."""

    looks = 0

    def check(self) -> None:
        self.looks += 1


async def test_storage_and_database_that_hang_are_asked_at_once_and_not_one_after_the_other(tmp_path: Path) -> None:
    storage = Hanging()
    database = await HangingDatabase.open(tmp_path / "a.db")
    database.hanging = Hanging()
    report = HealthReport(MemoryDriver(), database, watch=HealthWatch(), probe=storage, deadline_s=NEVER_S)
    asking = asyncio.create_task(report.ask())
    async with asyncio.timeout(30):
        await storage.asked.wait()
        await database.hanging.asked.wait()
        storage.go_on.set()
        database.hanging.go_on.set()
        assert not (await asking).failed
    await database.close()


async def test_a_node_that_stops_says_so_though_its_storage_hangs() -> None:
    storage = Hanging()
    report = HealthReport(MemoryDriver(), watch=HealthWatch(), probe=storage, deadline_s=NEVER_S)
    report.drain()
    async with asyncio.timeout(30):
        for for_pushes in (False, True):
            assert await report.unready(for_pushes=for_pushes) == {"draining": "the node is stopping"}


async def test_a_disk_that_hangs_is_not_asked_on_the_event_loop_for_its_room() -> None:
    storage, room = Hanging(), WatchedRoom({})
    report = HealthReport(MemoryDriver(), watch=HealthWatch(), probe=storage, room=room, deadline_s=SOON_S)
    assert (await report.ask()).failed == {"storagedriver_inmemory": f"failed: no answer within {SOON_S} s"}
    assert room.looks == 0
    storage.go_on.set()


async def test_a_look_at_damaged_blobs_that_hangs_holds_up_no_answer() -> None:
    looking = Hanging()

    async def damage() -> DamageFound | None:
        await looking()
        return None

    report = HealthReport(MemoryDriver(), watch=HealthWatch(), damage=damage, deadline_s=SOON_S)
    async with asyncio.timeout(30):
        assert await report.ask() == NodeHealth()
    looking.go_on.set()
