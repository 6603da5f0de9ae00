"""State that the parts of an offline collection share: the options, the counts, and how far it is."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from moorage.errors import BackendError
from moorage.gc.offline.marks import Marks
from moorage.oci.digests import ALGORITHMS, Algorithm, Digest, digest_or_none
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.presence import Announcement
from moorage.storage.walk import pages_of
from moorage.telemetry import Logger
from moorage.work.reports import WorkReports

PARALLEL = 16
"""Repositories, or folders of blobs, that are looked at together: each waits for storage most of the time."""

BATCH = 64
"""Small objects that are read in one go."""

LINKS_BATCH = 512
"""Links that are looked at, or removed, in one go."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineOptions:
    """Options of a collection."""

    delete_untagged: bool = False
    """True if manifests go that no tag, no index and no subject keeps."""
    dry_run: bool = False
    """True to find out only, and change nothing."""
    ignore_damaged: bool = False
    """True to delete what only manifests that cannot be read may refer to; if not, their repositories are kept
    whole."""
    force: bool = False
    """True to run beside a registry that takes pushes, or beside another collection."""
    grace: timedelta = timedelta(0)
    """Objects younger than this stay, and what they refer to: they may be part of a push under way."""


@dataclass(slots=True)
class Totals:
    """Counts of what was found and done. In a dry run, of what would have been done."""

    repositories: int = 0
    """Those that have manifests or tags."""
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
    blobs_not_deleted: int = 0
    """As storage would not: a retention rule may keep them for a while."""
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineRun:
    """One collection."""

    storage: StorageDriver
    marks: Marks
    options: OfflineOptions
    log: Logger
    reports: WorkReports
    algorithms: Sequence[Algorithm] = ALGORITHMS
    """Those that storage has blobs of: of others nothing can be alive, and nothing is worth looking for."""
    totals: Totals = field(default_factory=Totals)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    announcement: Announcement | None = None
    """By which others know of this run; None: it relies on nobody, so it has nothing to lose."""

    @property
    def has_grace(self) -> bool:
        """True if the age of objects matters."""
        return self.options.grace > timedelta(0)

    def is_young(self, found: Stat | None) -> bool:
        """Return whether an object is so young that a push under way may need it."""
        return self.has_grace and found is not None and found.modified_at > self.began_at - self.options.grace

    async def delete(self, objects: Sequence[str]) -> int:
        """Delete many objects as long as others know of this run; return how many there were.

        Where there are no folders to be emptied nobody looks first which of them are there: each was listed a moment
        ago, and a look at one costs as much as the removal of a thousand.
        """
        count, failures = await self.remove(objects)
        for failure in failures.values():
            raise failure
        return count

    async def remove(self, objects: Sequence[str]) -> tuple[int, Mapping[str, BackendError]]:
        """Delete as :meth:`delete` does, but go on where storage refuses some; return those with the reason."""
        until = math.inf
        if self.announcement is not None:
            self.announcement.check()
            until = self.announcement.known_until  # Asked for again later, it could be done when we are taken for dead.
        if keeps_files(self.storage):
            return await self.storage.delete_each(objects), {}
        failures = await self.storage.remove(objects, until=until)
        return len(objects) - len(failures), failures

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


async def digests_in(run: OfflineRun, folder: str, *, at_a_time: int = BATCH) -> AsyncIterator[Sequence[Digest]]:
    """The digests that are named by what lies in a folder, ``<algorithm>/<hex>``; other names are not ours."""
    for algorithm in run.algorithms:
        async for entries in pages_of(run.storage, f"{folder}/{algorithm}"):
            for batch in batched(entries, at_a_time):
                yield [digest for entry in batch if (digest := digest_or_none(f"{algorithm}:{entry.name}")) is not None]


async def algorithms_in(storage: StorageDriver) -> list[Algorithm]:
    """The algorithms that storage has blobs of."""
    return [algorithm for algorithm in ALGORITHMS if await storage.exists(f"{paths.BLOBS}/{algorithm}")]


def batched(items: Iterable[_T], size: int = BATCH) -> Iterator[Sequence[_T]]:
    """*items* in lists of at most *size*."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
