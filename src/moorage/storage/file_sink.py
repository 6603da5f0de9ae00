"""Uploads on a file system: a file that grows under a lock, and gets its place by being renamed.

An upload is the file alone, which becomes the blob: nothing is made for it that has to be removed again. One that
Distribution or an older version has begun, a folder with two files, is gone on with. See ``docs/adr/0136-*.md``.
"""

import contextlib
from collections.abc import AsyncIterator

from moorage.errors import BackendError, PathUnknown
from moorage.storage.base import Incoming, Observer, Reader, Writer
from moorage.storage.file_storage import FileStorage
from moorage.storage.uploads import STARTED_AT, UploadSink, UploadWriter

_DATA = "data"


class FileSink(UploadSink):
    """Uploads that are one file each, in the place of the folder. When one began its id tells, or its last change."""

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage

    async def start(self, folder: str, started_at: bytes) -> None:
        """See the interface."""
        del started_at
        await self._storage.make_empty(folder)

    async def begin(self, folder: str, started_at: bytes, *, target: str) -> UploadWriter:
        """See the interface."""
        del started_at, target
        return _LoneUpload(self._storage, folder, await self._storage.open_writer(folder))

    async def status(self, folder: str) -> int:
        """See the interface."""
        found = await self._storage.stat(folder)
        return (await self._storage.stat(f"{folder}/{_DATA}") if found.is_folder else found).size_bytes

    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """See the interface. The lock of the file keeps other requests out until it is closed."""
        with contextlib.suppress(PathUnknown):
            upload = _LoneUpload(self._storage, folder, await self._storage.open_writer(folder, append=True))
            if not upload.has_place or target is not None:
                return upload
            await upload.close()  # What would be added to it would be added to a blob.
        data = f"{folder}/{_DATA}"
        return _FolderUpload(self._storage, folder, await self._storage.open_writer(data, append=True))

    async def open_placed(self, folder: str) -> Reader | None:
        """See the interface."""
        try:
            found = await self._storage.stat(folder, folder=False)
            return await self._storage.open(folder) if found.names > 1 else None
        except PathUnknown:
            return None

    async def remove(self, folder: str) -> None:
        """See the interface."""
        with contextlib.suppress(PathUnknown):
            await self._storage.delete(folder, durable=False)


class _FileUpload(UploadWriter):
    """The end of a file."""

    def __init__(self, storage: FileStorage, path: str, writer: Writer) -> None:
        self._storage = storage
        self._path = path
        self._writer = writer

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is the file's
        return self._writer.size_bytes

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        await self._writer.write(data, observer=observer)

    async def flush(self) -> None:
        """Do nothing: it is in the file."""

    async def take_back(self, size_bytes: int) -> None:
        await self._writer.truncate(size_bytes)

    async def read(self) -> AsyncIterator[bytes]:
        with await self._storage.open(self._path) as reader:
            async for chunk in reader.chunks():
                yield chunk

    async def commit(self, target: str) -> None:
        await self._storage.move(self._path, target, writer=self._writer)

    async def close(self) -> None:
        await self._writer.close()


class _FolderUpload(_FileUpload):
    """The file ``data`` in a folder, with ``startedat`` beside it."""

    def __init__(self, storage: FileStorage, folder: str, writer: Writer) -> None:
        super().__init__(storage, f"{folder}/{_DATA}", writer)
        self._folder = folder

    async def remove(self) -> None:
        """See the interface. A committed one has one file, which is cheaper to remove than to list a folder."""
        for path in (f"{self._folder}/{STARTED_AT}", self._folder):
            with contextlib.suppress(PathUnknown):
                await self._storage.delete(path, durable=False)


class _LoneUpload(_FileUpload):
    """The file alone. Once it is committed nothing is left; once it is placed it has two names."""

    def __init__(self, storage: FileStorage, path: str, writer: Writer) -> None:
        super().__init__(storage, path, writer)
        self.has_place = writer.has_place
        self._is_gone = False

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        if self.has_place:
            raise PathUnknown(self._path)  # It would be added to a blob.
        await super().write(data, observer=observer)

    async def place(self, target: str) -> bool:
        try:
            is_placed = await self._storage.place(self._path, target, writer=self._writer)
        except BaseException:
            self.has_place = await self._may_have_place()  # What fails may be the last step.
            raise
        self.has_place = self.has_place or is_placed
        return is_placed

    async def commit(self, target: str) -> None:
        # A rename between two names of a file does nothing.
        if not self.has_place or not await self.place(target):
            await super().commit(target)
            self._is_gone = True

    async def remove(self) -> None:
        if not self._is_gone:
            with contextlib.suppress(PathUnknown):
                await self._storage.delete(self._path, durable=False)

    async def _may_have_place(self) -> bool:
        try:
            return (await self._storage.stat(self._path)).names > 1
        except PathUnknown:
            return False
        except BackendError:
            return True
