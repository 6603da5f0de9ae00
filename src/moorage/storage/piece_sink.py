"""Uploads where nothing can be appended to, renamed or locked: every piece is an object, named by where it begins.

::

    _uploads/<id>
    ├── startedat
    ├── piece-0000000000000          the bytes from 0 on
    └── piece-0000016777216          those that follow

The list of the folder is the whole state, so any node goes on. A piece is written only where there is none, and begins
where the one before ended. So two requests that write at once want the same name, one of them has it, and the other
fails without having changed anything. Pieces are never changed or taken away but with the whole upload: what was once
said of its first bytes (an offset, a digest) stays true. See ``docs/adr/0045-a-port-for-object-stores.md``.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from moorage.errors import BackendError, PathUnknown, StorageBusy, StorageUnavailable
from moorage.storage.base import Observer, StorageDriver
from moorage.storage.uploads import STARTED_AT, UploadSink, UploadWriter
from moorage.storage.walk import pages_of

PIECE_BYTES = 16 << 20
"""Bytes that an upload keeps in memory: as much as one request to an object store is worth."""
_PIECE = "piece-"
_DIGITS = 13
_PAGE = 1000


@dataclass(slots=True)
class _Chain:
    """The pieces of an upload, each beginning where the one before ends."""

    starts: list[int]
    size_bytes: int = 0


class PieceSink(UploadSink):
    """Uploads in pieces, over nothing but what every driver can do.

    Args:
        storage: has ``CONDITIONAL_PUT``.
        piece_bytes: the most that a piece has.
    """

    def __init__(self, storage: StorageDriver, *, piece_bytes: int = PIECE_BYTES) -> None:
        self._storage = storage
        self._piece_bytes = piece_bytes

    async def start(self, folder: str, started_at: bytes) -> None:
        """See the interface."""
        await self._storage.put(f"{folder}/{STARTED_AT}", started_at, durable=False)

    async def status(self, folder: str) -> int:
        """See the interface."""
        return (await self._chain(folder)).size_bytes

    async def append(self, folder: str) -> UploadWriter:
        """See the interface. Whoever else writes at the same time is found out at the first piece."""
        return _PieceUpload(self._storage, folder, await self._chain(folder), self._piece_bytes)

    async def _chain(self, folder: str) -> _Chain:
        starts: list[int] = []
        is_started = False
        async for page in pages_of(self._storage, folder, page=_PAGE):
            is_started = is_started or any(entry.name == STARTED_AT for entry in page)
            starts += [int(entry.name.removeprefix(_PIECE)) for entry in page if _is_piece(entry.name)]
        if not is_started:  # A piece that came after the upload was removed does not bring it back.
            raise PathUnknown(folder)
        if not starts:
            return _Chain(starts)
        last = await self._storage.stat(_path(folder, starts[-1]), folder=False)
        return _Chain(starts, starts[-1] + last.size_bytes)


class _PieceUpload(UploadWriter):
    def __init__(self, storage: StorageDriver, folder: str, chain: _Chain, piece_bytes: int) -> None:
        self._storage = storage
        self._folder = folder
        self._chain = chain
        self._piece_bytes = piece_bytes
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._is_over = False

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is counted
        return self._chain.size_bytes + self._kept_bytes

    async def write(self, data: bytes | bytearray | memoryview, *, observer: Observer | None = None) -> None:
        if self._is_over:
            msg = "the upload could not be written to before"
            raise StorageUnavailable(msg)
        if observer is not None:
            observer(data)
        view = memoryview(data).cast("B")
        while len(view) > 0:
            part = view[: self._piece_bytes - self._kept_bytes]
            self._kept.append(bytes(part))
            self._kept_bytes += len(part)
            view = view[len(part) :]
            if self._kept_bytes >= self._piece_bytes:
                await self.flush()

    async def flush(self) -> None:
        if self._is_over or not self._kept_bytes:
            return
        content, start = b"".join(self._kept), self._chain.size_bytes
        self._drop()
        self._is_over = True  # After an error nobody knows whether it was written, nor where the next one begins.
        if not await self._storage.put_if_absent(_path(self._folder, start), content):
            raise StorageBusy(self._folder)
        self._is_over = False
        self._chain.starts.append(start)
        self._chain.size_bytes += len(content)

    async def take_back(self, size_bytes: int) -> None:
        """Drop what is in memory. Pieces stay: another request may have gone on behind them."""
        del size_bytes
        self._drop()

    async def read(self) -> AsyncIterator[bytes]:
        for start in self._chain.starts:
            with await self._storage.open(_path(self._folder, start)) as reader:
                async for chunk in reader.chunks():
                    yield chunk
        for part in self._kept:
            yield part

    async def commit(self, target: str) -> None:
        """See the interface. What fits in memory goes to its place at once, the rest is copied within storage."""
        if not self._chain.starts:
            await self._storage.put(target, b"".join(self._kept))
            self._chain.size_bytes = self._kept_bytes
            self.abandon()
            return
        await self.flush()
        await self._storage.copy([_path(self._folder, start) for start in self._chain.starts], target)

    def abandon(self) -> None:
        self._is_over = True
        self._drop()

    async def close(self) -> None:
        """See the interface. What another request was quicker than is lost, and its offset never was said."""
        try:
            await self.flush()
        except BackendError:
            return

    def _drop(self) -> None:
        self._kept, self._kept_bytes = [], 0


def _is_piece(name: str) -> bool:
    return name.startswith(_PIECE) and len(name) == len(_PIECE) + _DIGITS and name[len(_PIECE) :].isdecimal()


def _path(folder: str, start: int) -> str:
    return f"{folder}/{_PIECE}{start:0{_DIGITS}}"
