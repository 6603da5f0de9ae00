"""What the parts of an offline collection share: what was asked for, what was counted, and how it goes on."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from moorage.errors import DigestInvalid, PathUnknown
from moorage.gc.offline.marks import Marks
from moorage.oci.digests import ALGORITHMS, Algorithm, Digest
from moorage.storage import paths
from moorage.storage.base import FolderEntry, Stat, StorageDriver
from moorage.telemetry import Logger

PARALLEL = 16
"""Repositories, or folders of blobs, that are looked at together: each waits for storage most of the time."""

BATCH = 64
"""Small objects that are read in one go."""

LINKS_BATCH = 512
"""Links that are looked at, or removed, in one go."""

_PAGE = 10_000
"""Names of a folder that are held together. Each page of a file system's folder reads the whole folder again."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineOptions:
    """What a collection is to do."""

    delete_untagged: bool = False
    """Whether manifests go that no tag, no index and no subject keeps."""
    dry_run: bool = False
    """Whether to find out only, and change nothing."""
    ignore_damaged: bool = False
    """Whether to delete what only manifests that cannot be read may refer to; if not, their repositories are kept
    whole."""
    force: bool = False
    """Whether to run beside a registry that takes pushes, or beside another collection."""
    grace: timedelta = timedelta(0)
    """What is younger stays, and what it refers to: it may be part of a push under way."""


@dataclass(slots=True)
class Totals:
    """What was found and done. In a dry run, what would have been done."""

    repositories: int = 0
    manifests: int = 0
    """Links of manifests, over all repositories."""
    manifests_to_delete: int = 0
    manifests_missing: int = 0
    """Manifests with a link and without a payload."""
    manifests_damaged: int = 0
    """Manifests whose payload is not what it should be."""
    links_invalid: int = 0
    repositories_kept_whole: int = 0
    """As something in them cannot be read, so that nobody knows what it refers to."""
    blobs: int = 0
    """In storage, the payloads of manifests included."""
    blobs_marked: int = 0
    """Alive, in storage or not."""
    blobs_to_delete: int = 0
    storage_use_estimate_bytes: int = 0
    """Of the blobs to delete."""
    manifests_deleted: int = 0
    layer_links_deleted: int = 0
    blobs_deleted: int = 0
    freed_bytes: int = 0


class CollectionReports(ABC):
    """Hears how a collection goes on."""

    @abstractmethod
    def begins(self, stage: str, unit: str, total: int) -> None:
        """A stage (``mark``, ``sweep``) begins a part that has so many of a unit to go through."""

    @abstractmethod
    def advanced(self, count: int = 1) -> None:
        """So many more are done."""


class Silence(CollectionReports):
    """Tells nobody."""

    def begins(self, stage: str, unit: str, total: int) -> None:
        """See the interface."""

    def advanced(self, count: int = 1) -> None:
        """See the interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRun:
    """One collection."""

    storage: StorageDriver
    marks: Marks
    options: OfflineOptions
    log: Logger
    reports: CollectionReports
    algorithms: Sequence[Algorithm] = ALGORITHMS
    """Those that storage has blobs of: of others nothing can be alive, and nothing is worth looking for."""
    totals: Totals = field(default_factory=Totals)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    check: Callable[[], None] = lambda: None
    """Raises if others may no longer know of this run; asked before each batch that is deleted."""

    @property
    def has_grace(self) -> bool:
        """Whether the age of anything matters."""
        return self.options.grace > timedelta(0)

    def is_young(self, found: Stat | None) -> bool:
        """Whether somebody may just be about to need it."""
        return self.has_grace and found is not None and found.modified_at > self.began_at - self.options.grace

    async def delete(self, objects: Sequence[str]) -> int:
        """Delete many objects as long as others know of this run; return how many there were."""
        self.check()
        return await self.storage.delete_each(objects)

    async def old(self, objects: Sequence[str]) -> list[str]:
        """Those of some paths that are not young, as they are now; all of them if their age does not matter."""
        if not self.has_grace:
            return list(objects)
        found = await self.storage.stat_each(objects)
        return [path for path, stat in zip(objects, found, strict=True) if not self.is_young(stat)]


async def in_parallel(items: Iterable[_T], work: Callable[[_T], Awaitable[object]], *, limit: int = PARALLEL) -> None:
    """Do *work* for every item, several at once; the first failure ends all and is raised."""
    shared = iter(items)

    async def take() -> None:
        for item in shared:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(take())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def pages_of(storage: StorageDriver, folder: str) -> AsyncIterator[Sequence[FolderEntry]]:
    """What is in a folder, page by page; nothing if it is not there."""
    last = ""
    while True:
        try:
            entries = await storage.list(folder, after=last, limit=_PAGE)
        except PathUnknown:
            return
        yield entries
        if len(entries) < _PAGE:
            return
        last = entries[-1].name


async def digests_in(run: OfflineRun, folder: str, *, at_a_time: int = BATCH) -> AsyncIterator[Sequence[Digest]]:
    """The digests that are named by what lies in a folder, ``<algorithm>/<hex>``; other names are not ours."""
    for algorithm in run.algorithms:
        async for entries in pages_of(run.storage, f"{folder}/{algorithm}"):
            for batch in batched(entries, at_a_time):
                yield [digest for entry in batch if (digest := parsed(f"{algorithm}:{entry.name}")) is not None]


async def algorithms_in(storage: StorageDriver) -> list[Algorithm]:
    """The algorithms that storage has blobs of."""
    return [algorithm for algorithm in ALGORITHMS if await storage.exists(f"{paths.BLOBS}/{algorithm}")]


def batched(items: Iterable[_T], size: int = BATCH) -> Iterator[Sequence[_T]]:
    """*items* in lists of at most *size*."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def parsed(text: str) -> Digest | None:
    """The digest, if it is one."""
    try:
        return Digest.parse(text)
    except DigestInvalid:
        return None
