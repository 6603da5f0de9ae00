"""Uploads on a file system: a file that grows under a lock, and gets its place by being renamed."""

import contextlib
from collections.abc import AsyncIterator

from moorage.errors import PathUnknown
from moorage.storage.base import Observer, Writer
from moorage.storage.file_storage import FileStorage
from moorage.storage.uploads import STARTED_AT, UploadSink, UploadWriter

_DATA = "data"


class FileSink(UploadSink):
    """Uploads as Distribution has them: ``startedat`` and ``data``."""

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

    async def status(self, folder: str) -> int:
        """See the interface."""
        return (await self._storage.stat(f"{folder}/{_DATA}")).size_bytes

    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """See the interface. The lock of the file keeps other requests out until it is closed."""
        del target  # A rename costs nothing.
        return _FileUpload(self._storage, folder, await self._storage.open_writer(f"{folder}/{_DATA}", append=True))

    async def remove(self, folder: str) -> None:
        """See the interface."""
        with contextlib.suppress(PathUnknown):
            await self._storage.delete(folder, durable=False)


class _FileUpload(UploadWriter):
    def __init__(self, storage: FileStorage, folder: str, writer: Writer) -> None:
        self._storage = storage
        self._folder = folder
        self._path = f"{folder}/{_DATA}"
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
        await self._storage.move(self._path, target)

    async def remove(self) -> None:
        """See the interface. A committed one has one file, which is cheaper to remove than to list a folder."""
        for path in (f"{self._folder}/{STARTED_AT}", self._folder):
            with contextlib.suppress(PathUnknown):
                await self._storage.delete(path, durable=False)

    async def close(self) -> None:
        await self._writer.close()
