"""A copy of a whole storage: in rounds, of which each takes over what is new since the one before.

Order: blobs first, then links, each after what it leads to, then the notes that say whose storage it is. Only at the
very end, and only if nothing failed, what the source does not have any more is removed: tags, then links, then blobs.
See ``docs/adr/0100-how-a-storage-is-copied.md``.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from moorage.copying.blobs import BlobTransfer
from moorage.copying.ends import CopyEnds
from moorage.copying.kinds import CopiedObject, ObjectKind, object_at
from moorage.copying.links import LinkTransfer
from moorage.copying.objects import counted, is_there, no_files_above_blobs, objects_below
from moorage.copying.outcome import CopyFinding, CopyOutcome
from moorage.copying.shared_work import many_at_once
from moorage.errors import BackendError, PathUnknown, StorageFull
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.locks import Lock
from moorage.storage.walk import blob_folders, path_at
from moorage.work.alongside import both
from moorage.work.reports import WorkReports

BLOBS, LINKS, REMOVALS = "blobs", "links", "removals"
"""Parts of the work, as they are reported."""
_AT_ONCE = 16
_BLOB_FOLDERS = 256
_VIEW_LIMIT = 200_000
_FAILURES = 1000
_MB = 1e6
_NOTES = (Lock.FILESYSTEM.path, Lock.DATABASE.path, paths.IDENTITY)
"""Notes that make a storage somebody's: the last that are written."""


class NewBlobs(Protocol):
    """A teller of blobs that have come to a source since it was asked before."""

    async def since_last(self) -> AsyncIterator[Sequence[Digest]]:
        """Yield them, some at a time."""
        ...  # pragma: no cover - a protocol
        yield ()


class StorageCopy:
    """One copy, from its first round to its last."""

    def __init__(self, ends: CopyEnds, outcome: CopyOutcome, reports: WorkReports) -> None:
        self._ends = ends
        self._source, self._target = ends.source, ends.target
        self._outcome = outcome
        self._reports = reports
        self._blobs = BlobTransfer(ends, outcome)
        self._links = LinkTransfer(ends, self._blobs, outcome)
        self._has_blobs = self._has_links = True
        self._began_at = 0.0
        self._bytes_before = 0

    async def whole_round(self) -> None:
        """Copy all that the source has and the target has not.

        Raises:
            StorageFull: the target has no room.
            StorageUnavailable: the source cannot be listed, or the target.
        """
        self._began_at = time.monotonic()
        self._bytes_before = self._outcome.copied_bytes[ObjectKind.BLOB]
        # A tag may have moved since the last round, and what could not be copied may be there now.
        self._outcome.forget_findings()
        self._blobs = BlobTransfer(self._ends, self._outcome)
        self._links = LinkTransfer(self._ends, self._blobs, self._outcome)
        self._has_blobs = await is_there(self._target, paths.BLOBS)
        self._has_links = await is_there(self._target, paths.REPOSITORIES)
        await self._blobs.clear_scratch()
        await self._copy_blobs()
        await self._copy_links()
        await self._copy_notes()
        self._end_round()

    async def new_blobs(self, told: NewBlobs) -> None:
        """Copy blobs that have come since the last round, where no link has come with them.

        Raises:
            StorageFull, StorageUnavailable: as above.
        """
        self._began_at = time.monotonic()
        async with many_at_once(_AT_ONCE) as works:
            async for digests in told.since_last():
                for digest in digests:
                    await works.begin(partial(self._try, paths.blob(digest), partial(self._blobs.ensure, digest)))
        self._end_round()

    async def remove_what_is_gone(self) -> None:
        """Remove from the target what the source does not have.

        Raises:
            StorageUnavailable: one of them cannot be listed, or something cannot be removed.
        """
        self._reports.begins(REMOVALS, None)
        for kinds in ((ObjectKind.TAG, ObjectKind.INDEX), None):
            await self._remove_below(paths.REPOSITORIES, kinds)
        await self._remove_below(paths.BLOBS, None)

    async def count(self) -> None:
        """Count both sides.

        Raises:
            StorageUnavailable: one of them cannot be listed.
        """
        self._outcome.source, self._outcome.target = await both(counted(self._source), counted(self._target))

    def _end_round(self) -> None:
        self._outcome.rounds += 1
        self._outcome.last_round_s = time.monotonic() - self._began_at

    async def _copy_blobs(self) -> None:
        self._reports.begins(BLOBS, 1.0)
        number = 0
        async for path in no_files_above_blobs(self._source):
            self._no_file(path)
        async with many_at_once(_AT_ONCE) as works:
            async for place in blob_folders(self._source):
                folder = path_at(place)
                there = await self._sizes_below(folder)
                async for page in objects_below(self._source, folder, no_file=self._no_file):
                    for found, size_bytes in await self._with_target(page, there):
                        if found.digest is None:
                            self._outcome.found(CopyFinding.FOREIGN, found.path)
                        elif size_bytes == found.size_bytes:
                            self._blobs.note(found.digest)
                        else:
                            await works.begin(partial(self._try, found.path, partial(self._blobs.copy, found.digest)))
                number += 1
                self._reports.moved(BLOBS, min(number / _BLOB_FOLDERS, 1.0), said=self._said())
        self._reports.moved(BLOBS, 1.0, said=self._said())

    async def _copy_links(self) -> None:
        self._reports.begins(LINKS, None)
        async with many_at_once(_AT_ONCE) as works:
            async for page in objects_below(self._source, paths.REPOSITORIES, no_file=self._no_file):
                there: dict[str, int] | None = None if self._has_links else {}
                for found, size_bytes in await self._with_target(page, there):
                    if found.kind is ObjectKind.FOREIGN:
                        self._outcome.found(CopyFinding.FOREIGN, found.path)
                        continue
                    await works.begin(partial(self._try, found.path, partial(self._links.copy, found, size_bytes)))
                self._reports.advanced(LINKS, len(page))

    def _no_file(self, path: str) -> None:
        self._outcome.found(CopyFinding.NO_FILE, path)

    async def _copy_notes(self) -> None:
        for path in _NOTES:
            await self._try(path, partial(self._copy_note, path))

    async def _copy_note(self, path: str) -> None:
        try:
            content = await self._source.get(path)
        except PathUnknown:
            return
        if self._ends.changes and not await self._has(path, content):
            await self._target.put(path, content)

    async def _has(self, path: str, content: bytes) -> bool:
        try:
            return await self._target.get(path) == content
        except PathUnknown:
            return False

    async def _try(self, path: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do one thing; that it cannot be done is noted, and the others go on. A full target ends all."""
        try:
            await work()
        except StorageFull:
            raise
        except BackendError as exc:
            self._outcome.found(CopyFinding.NOT_COPIED, path, str(exc))
            if self._outcome.findings[CopyFinding.NOT_COPIED] > _FAILURES:
                raise  # It is not this object that cannot be had.

    async def _sizes_below(self, folder: str) -> dict[str, int] | None:
        """Return the sizes of all that the target has there; None: it has too much for that."""
        sizes: dict[str, int] = {}
        if self._has_blobs:
            async for page in objects_below(self._target, folder):
                sizes.update((found.path, found.size_bytes) for found in page)
                if len(sizes) > _VIEW_LIMIT:
                    return None
        return sizes

    async def _with_target(
        self, page: Sequence[CopiedObject], there: dict[str, int] | None
    ) -> Sequence[tuple[CopiedObject, int | None]]:
        if there is not None:
            return [(found, there.get(found.path)) for found in page]
        stats = await self._target.stat_each([found.path for found in page])
        return [(found, None if stat is None else stat.size_bytes) for found, stat in zip(page, stats, strict=True)]

    async def _remove_below(self, folder: str, kinds: Sequence[ObjectKind] | None) -> None:
        async for page in objects_below(self._target, folder):
            wanted = [found for found in page if kinds is None or found.kind in kinds]
            stats = await self._source.stat_each([found.path for found in wanted])
            gone = [
                found
                for found, stat in zip(wanted, stats, strict=True)
                if (stat is None or object_at(found.path, stat.size_bytes).is_empty_link)
                and found.kind is not ObjectKind.FOREIGN
            ]
            failed: Mapping[str, BackendError] = {}
            if self._ends.changes:
                failed = await self._target.remove([found.path for found in gone], until=float("inf"))
            for path, error in failed.items():
                self._outcome.found(CopyFinding.NOT_COPIED, path, f"it could not be removed: {error}")
            self._outcome.deleted.update(found.kind for found in gone if found.path not in failed)
            self._reports.advanced(REMOVALS, len(page))

    def _said(self) -> str:
        elapsed_s = max(time.monotonic() - self._began_at, 0.001)
        copied = self._outcome.copied[ObjectKind.BLOB]
        rate = (self._outcome.copied_bytes[ObjectKind.BLOB] - self._bytes_before) / elapsed_s / _MB
        return f"{copied:,} copied, {rate:.1f} MB/s"
