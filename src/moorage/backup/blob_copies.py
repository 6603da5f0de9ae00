"""Copies of blobs, each looked at byte by byte as it passes, with no more than some pieces of it in memory."""

import asyncio
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused, open_file
from moorage.errors import BackendError, PathUnknown
from moorage.oci.digests import Digest, Hasher
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.upload_sinks import sink_of
from moorage.work.noted import Noted
from moorage.work.reports import WorkReports

BLOB_BAR = "blobs"
PARALLEL_BLOBS = 4
_CHUNK_BYTES = 1 << 20
_UNREADABLE_LIMIT = 100
"""After so many blobs that could not be read it is the storage that is away, and not they."""


@dataclass(slots=True)
class CopySums:
    """Numbers of what was done, and what went wrong."""

    count: int = 0
    size_bytes: int = 0
    copied: int = 0
    copied_bytes: int = 0
    problems: Noted[str] = field(default_factory=Noted)
    unreadable: int = 0


class BlobsOut:
    """Copies from a registry's storage into the folder of backups."""

    def __init__(self, storage: StorageDriver, folder: BackupFolder, reports: WorkReports) -> None:
        self._storage = storage
        self._folder = folder
        self._reports = reports
        self.sums = CopySums()

    async def copy(self, blob: BackupBlob) -> None:
        """Copy one, unless it is there; what cannot be copied is noted.

        Raises:
            OSError: the folder cannot be written.
            BackupRefused: storage gives nothing any more.
        """
        self.sums.count += 1
        self.sums.size_bytes += blob.size_bytes
        target = self._folder.blob(blob.digest)
        if _size_of(target) != blob.size_bytes:
            await self._fetch(blob, target)
        else:
            await asyncio.sleep(0)  # While all are there nothing is waited for, and the lease has to be renewed.
        self._reports.advanced(BLOB_BAR, blob.size_bytes)

    async def _fetch(self, blob: BackupBlob, target: Path) -> None:
        partial = self._folder.partial / secrets.token_hex(8)
        try:
            found, size_bytes = await self._pass(blob.digest, partial)
        except PathUnknown:
            self.sums.problems.add(f"{blob.digest} is missing in storage")
            return
        except BackendError as exc:
            self.sums.problems.add(f"{blob.digest} cannot be read: {exc}")
            self.sums.unreadable += 1
            if self.sums.unreadable >= _UNREADABLE_LIMIT:
                msg = f"{self.sums.unreadable} blobs could not be read; the last one: {exc}"
                raise BackupRefused(msg) from exc
            return
        if found != blob.digest:
            await asyncio.to_thread(partial.unlink)
            self.sums.problems.add(f"{blob.digest} is damaged in storage: its bytes are those of {found}")
            return
        await asyncio.to_thread(_place, partial, target)
        self.sums.copied += 1
        self.sums.copied_bytes += size_bytes

    async def _pass(self, digest: Digest, partial: Path) -> tuple[Digest, int]:
        hasher = Hasher(digest.algorithm)
        try:
            with await self._storage.open(paths.blob(digest)) as reader, FileIO(partial, "xb") as writer:
                os.fchmod(writer.fileno(), 0o600)
                async for chunk in reader.chunks():
                    await asyncio.to_thread(_take, hasher, writer, chunk)
                await asyncio.to_thread(os.fsync, writer.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)  # noqa: ASYNC240 - a moment
            raise
        return hasher.digest(), hasher.size_bytes


class BlobsBack:
    """Copies from the folder of backups into a storage that has none."""

    def __init__(
        self, storage: StorageDriver, folder: BackupFolder, reports: WorkReports, *, goes_on: bool = False
    ) -> None:
        """*goes_on*: some may be there, of a restore that was ended before it was done."""
        self._storage = storage
        self._goes_on = goes_on
        self._sink = sink_of(storage)
        self._folder = folder
        self._reports = reports
        self.sums = CopySums()

    async def copy(self, blob: BackupBlob) -> None:
        """Copy one; what the backup does not have, or not as it should be, is noted and left out.

        Raises:
            StorageFull, StorageUnavailable: storage does not take it.
        """
        self.sums.count += 1
        self.sums.size_bytes += blob.size_bytes
        problem = "" if await self._is_there(blob) else await self._send(blob)
        if problem:
            self.sums.problems.add(problem)
        else:
            self.sums.copied += 1
            self.sums.copied_bytes += blob.size_bytes
        self._reports.advanced(BLOB_BAR, blob.size_bytes)

    async def _is_there(self, blob: BackupBlob) -> bool:
        if not self._goes_on:
            return False
        (there,) = await self._storage.stat_each([paths.blob(blob.digest)])
        return there is not None and there.size_bytes == blob.size_bytes  # It was compared before it got its place.

    async def _send(self, blob: BackupBlob) -> str:
        """Send a blob; return what is wrong with it, nothing if it has its place."""
        try:
            with open_file(self._folder.blob(blob.digest)) as reader:
                return await self._pass(blob.digest, reader)
        except FileNotFoundError:
            return f"{blob.digest} is missing in the backup"
        except OSError as exc:
            return f"{blob.digest} cannot be read in the backup: {exc.strerror}"

    async def _pass(self, digest: Digest, reader: FileIO) -> str:
        folder, target = f"{paths.RESTORING}/{secrets.token_hex(8)}", paths.blob(digest)
        started_at, hasher = datetime.now(UTC).isoformat().encode(), Hasher(digest.algorithm)
        async with await self._sink.begin(folder, started_at, target=target) as upload:
            while chunk := await asyncio.to_thread(reader.read, _CHUNK_BYTES):
                await upload.write(chunk, observer=hasher.update)
            if hasher.digest() != digest:
                await upload.remove()
                return f"{digest} is damaged in the backup: its bytes are others"
            await upload.commit(target)
            with suppress(BackendError):
                await upload.remove()
        return ""


def blob_problem(folder: BackupFolder, blob: BackupBlob) -> str:
    """Read a blob of a backup; return what is wrong with it, nothing if it is right.

    One whose bytes have changed is set aside: by its name and its length the next backup would take it for whole.
    """
    hasher = Hasher(blob.digest.algorithm)
    try:
        with open_file(folder.blob(blob.digest)) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                hasher.update(chunk)
    except FileNotFoundError:
        return f"{blob.digest} is missing in the backup"
    except OSError as exc:
        return f"{blob.digest} cannot be read in the backup: {exc.strerror}"
    if hasher.digest() == blob.digest:
        return ""
    problem = f"{blob.digest} is damaged in the backup: its bytes are others"
    if hasher.size_bytes != blob.size_bytes:
        return f"{problem}, and {hasher.size_bytes} instead of {blob.size_bytes}; the next backup copies it again"
    try:
        folder.set_aside(blob.digest)
    except OSError as exc:
        return f"{problem}; it cannot be renamed ({exc.strerror}): remove it, or the next backup takes it for whole"
    return f"{problem}; it was set aside, and the next backup copies it again"


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _take(hasher: Hasher, writer: FileIO, chunk: bytes) -> None:
    hasher.update(chunk)
    view = memoryview(chunk)
    while view:
        view = view[writer.write(view) :]


def _place(partial: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial.replace(target)
