"""A whole registry below the wire, to be damaged and checked."""

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from contract.metadata.stores import OpenSql, SqlStore, Store
from moorage.integrity.checking import check
from moorage.integrity.findings import Finding, FindingKind, Note, Tally
from moorage.integrity.hashing import Hashing, HashingPace
from moorage.integrity.progress import CheckProgress, State, Watcher, new_state, report_of, unfinished
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.oci.digests import Digest
from moorage.sql.base import Database, Value
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.wiring.checking import check_parts
from support.bucket import Bucket

DRIVERS = ("filesystem", "inmemory", "bucket")


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found."""

    tally: Tally
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def kinds(self) -> Counter[FindingKind]:
        """How often each kind was found; both counts have to be the same."""
        counted = Counter({kind: count.number for kind, count in self.tally.differences.items()})
        assert counted == Counter(finding.kind for finding in self.findings)
        return counted

    @property
    def notes(self) -> dict[Note, tuple[int, int]]:
        """Number and bytes of each."""
        return {note: (count.number, count.size_bytes) for note, count in self.tally.notes.items()}

    @property
    def pairs(self) -> set[tuple[FindingKind, str]]:
        """What was found of what."""
        return {(finding.kind, finding.subject) for finding in self.findings}


class Registry:
    """A store with its storage."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.storage: StorageDriver = store.storage
        self.database: Database | None = store.database if isinstance(store, SqlStore) else None

    async def check(
        self,
        *,
        verifies: bool = True,
        repairs: bool = False,
        storage: StorageDriver | None = None,
        resumes: bool = False,
        watcher: Watcher | None = None,
        report: Path | None = None,
    ) -> Found:
        """Check all of it. *storage*: what the check sees in the place of the registry's own."""
        seen = storage or self.storage
        state = await unfinished(seen) if resumes else None
        state = state or new_state(store="x", verifies=verifies)
        kept = None if report is None else report_of(state, report)
        hashing = Hashing(seen, threads=2, pace=HashingPace(None))
        try:
            parts = check_parts(seen, self.database, hashing, verifies=verifies, repairs=repairs)
            await check(parts, CheckProgress(seen, state, watcher, kept))
        finally:
            hashing.close()
            if kept is not None:
                kept.close()
        assert await unfinished(seen) is None
        return found_in(state)

    async def damage(self, digest: Digest, content: bytes) -> None:
        """Put other bytes in the place of a blob's."""
        await self.storage.put(paths.blob(digest), content)

    async def lose(self, digest: Digest) -> None:
        """Remove a blob's bytes."""
        await self.storage.delete(paths.blob(digest))

    async def quarantined(self, digest: Digest) -> list[bytes]:
        """What lies in quarantine of a digest."""
        folder = f"{paths.QUARANTINE}/{digest.algorithm}/{digest.encoded}"
        if not await self.storage.exists(folder):
            return []
        return [await self.storage.get(f"{folder}/{entry.name}") for entry in await self.storage.list(folder)]

    async def run(self, text: str, *args: Value) -> None:
        """A statement past all of our code."""
        from contract.metadata.stores import query  # noqa: PLC0415 - the name is short and used once

        assert self.database is not None
        await self.database.write(query(text), *args)


def found_in(state: State) -> Found:
    """The findings that a finished check has."""
    return Found(state.tally, tuple(state.tally.noted.first))


@asynccontextmanager
async def database_registry(driver: str, open_sql: OpenSql, folder: Path) -> AsyncIterator[Registry]:
    """One with a database."""
    async with open_sql() as store:
        storage = _driver(driver, folder)
        yield Registry(dataclasses.replace(store, storage=storage))
        await storage.close()


@asynccontextmanager
async def layout_registry(driver: str, folder: Path) -> AsyncIterator[Registry]:
    """One with link files."""
    storage = _driver(driver, folder)
    yield Registry(layout_store_over(storage))
    await storage.close()


def layout_store_over(storage: StorageDriver) -> Store:
    """Link files on a storage, whatever else is there."""
    return Store(
        storage=storage,
        links=LayoutLinks(storage),
        manifests=LayoutManifests(storage, PayloadCache()),
        catalogue=LayoutCatalogue(storage),
    )


def _driver(name: str, folder: Path) -> StorageDriver:
    if name == "bucket":
        return Bucket()
    return MemoryDriver() if name == "inmemory" else FilesystemDriver(folder / "storage", fsync=False)
