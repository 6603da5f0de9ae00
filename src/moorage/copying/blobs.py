"""Blobs on their way from one storage to another: hashed as they pass, whole on the target or not at all.

A large one passes in parts where the target takes parts; on a file system it grows beside the tree and is renamed.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator

from moorage.copying.ends import CopyEnds
from moorage.copying.kinds import ObjectKind
from moorage.copying.outcome import CopyFinding, CopyOutcome
from moorage.copying.shared_work import MemoryShare, OnceEach
from moorage.errors import BackendError, PathUnknown
from moorage.oci.digests import Digest, Hasher
from moorage.storage import paths
from moorage.storage.base import Capability, Reader
from moorage.storage.file_storage import FileStorage, keeps_files
from moorage.storage.gathering import Gathered, observe
from moorage.storage.streams import part_bytes_at

SCRATCH = "/docker/registry/moorage/copying"
"""Blobs that are not whole yet, on a file system."""
_MEMORY_BYTES = 384 << 20
_PARTS_HELD = 4
"""Parts of one blob that are in memory together: one that is gathered, two that are sent, one that was cut."""
_REMEMBERED = 1 << 17
_FILE_MEMORY_BYTES = 2 << 20


class BlobTransfer:
    """Copies blobs, each once."""

    def __init__(self, ends: CopyEnds, outcome: CopyOutcome) -> None:
        self._source, self._target = ends.source, ends.target
        self._ends = ends
        self._outcome = outcome
        self._memory = MemoryShare(_MEMORY_BYTES)
        self._once: OnceEach[Digest] = OnceEach(_REMEMBERED)

    def note(self, digest: Digest) -> None:
        """Remember that the target has a blob."""
        self._once.note(digest)

    async def ensure(self, digest: Digest) -> None:
        """See that the target has a blob, if the source has it.

        Raises:
            BackendError: it could not be copied for now.
        """
        await self._once.do(digest, lambda: self._copy_if_missing(digest))

    async def copy(self, digest: Digest) -> None:
        """Copy a blob that the target does not have.

        Raises:
            BackendError: it could not be copied for now.
        """
        await self._once.do(digest, lambda: self._copy(digest))

    async def clear_scratch(self) -> None:
        """Remove what a copy that was killed has left half-written."""
        if not self._ends.changes or not keeps_files(self._target):
            return
        with contextlib.suppress(PathUnknown):
            for entry in await self._target.list(SCRATCH):
                with contextlib.suppress(BackendError):
                    await self._target.delete_abandoned(f"{SCRATCH}/{entry.name}")

    async def _copy_if_missing(self, digest: Digest) -> None:
        path = paths.blob(digest)
        wanted, there = await self._source.size_bytes(path), await self._target.size_bytes(path)
        if wanted is None:
            self._outcome.found(CopyFinding.BLOB_MISSING, path)
        elif wanted != there:
            await self._copy(digest)

    async def _copy(self, digest: Digest) -> None:
        path = paths.blob(digest)
        try:
            reader = await self._source.open(path)
        except PathUnknown:
            self._outcome.found(CopyFinding.VANISHED, path)
            return
        with reader:
            if not self._ends.changes or await self._write(reader, digest):
                self._outcome.did_copy(ObjectKind.BLOB, reader.size_bytes)
            else:
                self._outcome.found(CopyFinding.BLOB_DAMAGED, path)

    async def _write(self, reader: Reader, digest: Digest) -> bool:
        if keeps_files(self._target):
            async with self._memory.taken(_FILE_MEMORY_BYTES):
                return await self._write_file(self._target, reader, digest)
        is_small = reader.size_bytes <= self._target.part_bytes or Capability.PARTS not in self._target.capabilities
        most = reader.size_bytes if is_small else min(reader.size_bytes, _PARTS_HELD * self._target.part_bytes)
        async with self._memory.taken(most):
            return await (self._put if is_small else self._write_parts)(reader, digest)

    async def _pieces(self, reader: Reader, hasher: Hasher) -> AsyncIterator[bytes]:
        async for piece in reader.chunks():
            await self._ends.pace.wait(len(piece))
            await observe(piece, hasher.update)
            yield piece

    async def _put(self, reader: Reader, digest: Digest) -> bool:
        hasher = Hasher(digest.algorithm)
        pieces = [piece async for piece in self._pieces(reader, hasher)]
        if hasher.digest() != digest:
            return False
        await self._target.put(paths.blob(digest), pieces)
        return True

    async def _write_parts(self, reader: Reader, digest: Digest) -> bool:
        hasher, gathered, number = Hasher(digest.algorithm), Gathered(), 0
        writer = await self._target.begin_parts(paths.blob(digest))
        try:
            async for piece in self._pieces(reader, hasher):
                gathered.add(piece)
                while gathered.size_bytes > (part := part_bytes_at(number, self._target.part_bytes)):
                    await writer.add(gathered.cut(part))
                    number += 1
            await writer.add(gathered.cut(gathered.size_bytes))
            if hasher.digest() != digest:
                await writer.abort()
                return False
            await writer.complete()
        except BaseException:
            with contextlib.suppress(BackendError):
                await writer.abort()
            raise
        return True

    async def _write_file(self, target: FileStorage, reader: Reader, digest: Digest) -> bool:
        hasher = Hasher(digest.algorithm)
        scratch = f"{SCRATCH}/{digest.encoded[:16]}-{secrets.token_hex(4)}"
        writer = await target.open_writer(scratch)
        is_right = False
        try:
            async for piece in self._pieces(reader, hasher):
                await writer.write(piece)
            is_right = hasher.digest() == digest
            if is_right:
                await target.move(scratch, paths.blob(digest))
        finally:
            await writer.close()
            with contextlib.suppress(BackendError):
                await target.delete(scratch, durable=False)
        return is_right
