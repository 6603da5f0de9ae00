"""Starts and first pushes that run into each other never end on two metadata stores."""

import asyncio
import random

import pytest

from moorage.config.sections.database import DatabaseSection
from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.sql.database_place import DatabasePlace
from moorage.starting.store_choice import Choosing
from moorage.storage.base import ObjectContent, Stat
from moorage.storage.locks import FilesystemClaim
from moorage.storage.memory import MemoryDriver
from moorage.wiring.stores import LayoutStore, Store
from unit.starting.starts import LINK


async def start_at_once(storage: "Slow", *, enabled: bool, holds_images: bool) -> Store | None:
    """A start among others; None if it is refused."""

    async def ready(_place: DatabasePlace) -> bool:
        await storage.wait()
        return holds_images

    database = DatabaseSection.model_validate({"enabled": enabled, "host": "db", "dbname": "registry"})
    await storage.wait()
    try:
        return await Choosing(storage=storage, database=database, prepare=ready).store()
    except ConfigurationError:
        return None


async def push_at_once(storage: "Slow") -> LayoutStore | None:
    """The first image of a registry that runs without a database; None if it is refused."""
    await storage.wait()
    try:
        await FilesystemClaim(storage).hold()
    except StorageUnavailable:
        return None
    await storage.put(LINK, b"")
    return LayoutStore()


@pytest.mark.parametrize("configured", [(True, False), (True, False, True, False)])
async def test_those_that_start_at_once_never_serve_from_different_places(configured: tuple[bool, ...]) -> None:
    for seed in range(300):
        storage = Slow(seed)
        await storage.put(LINK, b"")
        starts = [start_at_once(storage, enabled=enabled, holds_images=True) for enabled in configured]
        served = {type(store) for store in await asyncio.gather(*starts) if store is not None}
        assert len(served) <= 1, seed


async def test_a_first_image_and_a_start_with_a_database_never_both_succeed() -> None:
    for seed in range(300):
        storage = Slow(seed)
        start = start_at_once(storage, enabled=True, holds_images=False)
        served = await asyncio.gather(push_at_once(storage), start)
        assert None in served, seed


class Slow(MemoryDriver):
    """Storage whose answers take their time, each another."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    async def wait(self) -> None:
        for _ in range(self._random.choice((0, 1, 2, 40))):
            await asyncio.sleep(0)

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self.wait()
        found = await super().stat(path, folder=folder)
        await self.wait()
        return found

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        await self.wait()
        await super().put(path, content, durable=durable)
        await self.wait()
