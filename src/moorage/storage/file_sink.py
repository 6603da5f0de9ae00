"""Uploads on a file system: a file that grows under a lock, and gets its place by being renamed.

Link files are Distribution's layout, and so are uploads beside them: a folder with two files. With a database an upload
is the file alone, which becomes the blob: nothing is made for it that has to be removed again. Either sink goes on with
what the other has begun. See ``docs/adr/0124-*.md``.
"""

import contextlib
from collections.abc import AsyncIterator

from moorage.errors import PathUnknown
from moorage.storage.base import Observer, Writer
from moorage.storage.file_storage import FileStorage
from moorage.storage.uploads import STARTED_AT, UploadSink, UploadWriter

_DATA = "data"


class FileSink(UploadSink):
    """Uploads as Distribution has them: ``startedat`` and ``data`` in a folder.

    One that begins and ends with the same request, which nobody else is told of, is a file without a folder.
    """

    def __init__(self, storage: FileStorage) -> None:
        self._storage = storage

    async def start(self, folder: str, started_at: bytes) -> None:
        """See the interface."""
        for name, content in ((STARTED_AT, started_at), (_DATA, b"")):
            writer = await self._storage.open_writer(f"{folder}/{name}")
            try:
                await writer.write(content)
            finally:
                await writer.close()

    async def begin(self, folder: str, started_at: bytes, *, target: str) -> UploadWriter:
        """See the interface."""
        del started_at, target  # What a crash leaves is as old as its last change; and a rename costs nothing.
        return _LoneUpload(self._storage, folder, await self._storage.open_writer(folder))

    async def status(self, folder: str) -> int:
        """See the interface."""
        found = await self._storage.stat(folder)
        return (await self._storage.stat(f"{folder}/{_DATA}") if found.is_folder else found).size_bytes

    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """See the interface. The lock of the file keeps other requests out until it is closed."""
        del target
        with contextlib.suppress(PathUnknown):
            return await self._in_folder(folder)
        return await self._alone(folder)

    async def remove(self, folder: str) -> None:
        """See the interface."""
        with contextlib.suppress(PathUnknown):
            await self._storage.delete(folder, durable=False)

    async def _in_folder(self, folder: str) -> UploadWriter:
        return _FolderUpload(self._storage, folder, await self._storage.open_writer(f"{folder}/{_DATA}", append=True))

    async def _alone(self, path: str) -> UploadWriter:
        return _LoneUpload(self._storage, path, await self._storage.open_writer(path, append=True))


class LoneFileSink(FileSink):
    """Uploads that are one file each, in the place of the folder. When they began is known elsewhere."""

    async def start(self, folder: str, started_at: bytes) -> None:
        """See the interface."""
        del started_at
        await (await self._storage.open_writer(folder)).close()

    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """See the interface."""
        del target
        with contextlib.suppress(PathUnknown):
            return await self._alone(folder)
        return await self._in_folder(folder)


class _FileUpload(UploadWriter):
    """The end of a file."""

    def __init__(self, storage: FileStorage, path: str, writer: Writer) -> None:
        self._storage = storage
        self._path = path
        self._writer = writer

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is the file's
        return self._writer.size_bytes

    async def write(self, data: bytes | bytearray | memoryview, *, observer: Observer | None = None) -> None:
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
    """The file in a folder."""

    def __init__(self, storage: FileStorage, folder: str, writer: Writer) -> None:
        super().__init__(storage, f"{folder}/{_DATA}", writer)
        self._folder = folder

    async def remove(self) -> None:
        """See the interface. A committed one has one file, which is cheaper to remove than to list a folder."""
        for path in (f"{self._folder}/{STARTED_AT}", self._folder):
            with contextlib.suppress(PathUnknown):
                await self._storage.delete(path, durable=False)


class _LoneUpload(_FileUpload):
    """The file alone. Once it is committed nothing is left."""

    _is_committed = False

    async def commit(self, target: str) -> None:
        await super().commit(target)
        self._is_committed = True

    async def remove(self) -> None:
        if not self._is_committed:
            with contextlib.suppress(PathUnknown):
                await self._storage.delete(self._path, durable=False)
