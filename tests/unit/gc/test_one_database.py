"""Two copies of a database that begin to serve one storage at the same moment: both notice."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial

import pytest

from moorage.gc.online import one_database
from moorage.gc.online.one_database import OneDatabase
from moorage.metadata.storage_marks import StorageMarks
from moorage.storage import paths
from moorage.storage.base import ObjectContent
from moorage.storage.memory import MemoryDriver


class Marks(StorageMarks):
    """Marks of a database that remembers all of them, and is held for good."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.is_noticed = asyncio.Event()

    async def known(self) -> Collection[str]:
        return self.all

    async def add(self, mark: str, *, every: timedelta) -> bool:
        if every and self.all:
            return False
        self.all.append(mark)
        return True

    async def hold(self, length: timedelta) -> bool:
        assert length == one_database.HELD
        was_held = self.is_noticed.is_set()
        self.is_noticed.set()
        return not was_held

    async def is_held(self) -> bool:
        return self.is_noticed.is_set()


class OvertakenStorage(MemoryDriver):
    """Storage in which something happens between a look and the mark that is set then."""

    def __init__(self) -> None:
        super().__init__()
        self.before_writing: Callable[[], Awaitable[None]] | None = None
        self.is_overtaken = asyncio.Event()

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        meanwhile, self.before_writing = self.before_writing, None
        if meanwhile is not None:
            await meanwhile()
        await super().put(path, content, durable=durable)
        if meanwhile is not None:
            self.is_overtaken.set()


async def test_who_notices_has_the_other_one_notice_whose_mark_had_come_over_its_own() -> None:
    storage = OvertakenStorage()
    first, second = OneDatabase(Marks(), storage), OneDatabase(Marks(), storage)
    storage.before_writing = partial(first.look, starts=True)
    await second.look(starts=True)
    assert await second.is_alone(), "it has come over the first one's mark without having seen it"
    assert not await first.is_alone()
    assert not await second.is_alone(), "so that neither removes anything"
    before = await storage.get(paths.MARK)
    assert [await one.is_alone() for one in (first, second)] == [False, False]
    assert await storage.get(paths.MARK) == before, "they do not answer each other for ever"


async def test_who_was_noticed_notices_without_a_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_database, "_AGAIN_S", 0.01)
    storage, marks = OvertakenStorage(), Marks()
    first, second = OneDatabase(Marks(), storage), OneDatabase(marks, storage)
    storage.before_writing = partial(first.look, starts=True)
    running = asyncio.create_task(second.run())
    try:
        async with asyncio.timeout(30):
            await storage.is_overtaken.wait()
            assert not await first.is_alone()
            await marks.is_noticed.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
