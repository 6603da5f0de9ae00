"""Writer of an upload in pieces: every piece is an object, named by where it begins.

While one piece is on its way the next one is gathered. It is not sent before the one before is there: so a crash leaves
no gap, behind which would be bytes that a client that goes on knows nothing of. See ``docs/adr/0054-*.md``.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from moorage.errors import BackendError, StorageBusy, StorageUnavailable
from moorage.storage.base import Incoming, Observer
from moorage.storage.byte_budget import ByteShare, nothing_to_send
from moorage.storage.gathering import Gathered, observe
from moorage.storage.streams import in_memory, part_bytes_at
from moorage.storage.upload_folder import UploadFolder
from moorage.storage.uploads import UploadWriter


class PieceUpload(UploadWriter):
    """Pieces written one after another, each only where there is none."""

    def __init__(self, folder: UploadFolder, share: ByteShare, gathered: Gathered, *, piece_bytes: int) -> None:
        """*gathered*: what has come already, which *share* holds."""
        self._folder = folder
        self._piece_bytes = piece_bytes
        self._gathered = gathered
        self._share = share
        share.spill = self.spill
        self._sending: asyncio.Task[None] | None = None
        self._sending_bytes = 0
        self._is_over = False

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is counted
        """See the interface."""
        return self._folder.size_bytes + self._sending_bytes + self._gathered.size_bytes

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        """See the interface. What goes wrong may be told at the next piece, or by :meth:`flush`."""
        if self._is_over:
            await self._settle()
            msg = "the upload could not be written to before"
            raise StorageUnavailable(msg)
        data = in_memory(data)
        await self._share.take(len(data))
        await observe(data, observer)
        await self.keep(data)

    async def keep(self, data: bytes | bytearray | memoryview) -> None:
        """Add what is held and observed already."""
        self._gathered.add(data)
        while self._gathered.size_bytes >= self._next_bytes:
            if self._sending is None:
                self._send()
            else:
                await self._settle()
        if self._share.budget.is_enough(self._gathered.size_bytes):
            self.spill()

    def spill(self) -> None:
        """Begin to send what is gathered, unless a piece is on its way."""
        if self._gathered.size_bytes and not self._is_over and (self._sending is None or self._sending.done()):
            self._send()

    async def flush(self) -> None:
        """See the interface."""
        await self._settle()
        while self._gathered.size_bytes and not self._is_over:
            self._send()
            await self._settle()

    async def take_back(self, size_bytes: int) -> None:
        """Drop what is in memory. Pieces stay: another request may have gone on behind them."""
        del size_bytes
        self._drop()

    async def read(self) -> AsyncIterator[bytes]:
        """See the interface."""
        await self._settle()
        for path in self._folder.pieces:
            with await self._folder.storage.open(path) as reader:
                async for chunk in reader.chunks():
                    yield chunk
        for piece in self._gathered.pieces:
            yield piece

    async def commit(self, target: str) -> None:
        """See the interface. What fits in memory goes to its place at once, the rest is copied within storage."""
        await self._settle()
        if not self._folder.starts:
            self._share.spill = nothing_to_send
            await self._folder.storage.put(target, self._gathered.pieces)
            self._folder.size_bytes = self._gathered.size_bytes
            self._is_over = True
            self._drop()
            return
        await self.flush()
        await self._folder.storage.copy(self._folder.pieces, target, sizes=self._folder.sizes)
        self._is_over = True

    async def remove(self) -> None:
        """See the interface."""
        self._is_over = True
        self._drop()
        with contextlib.suppress(BackendError):  # It goes anyway.
            await self._settle()
        await self._folder.remove()

    async def close(self) -> None:
        """See the interface. What another request was quicker than is lost, and its offset never was said."""
        try:
            await self.flush()
        except BackendError:
            return
        finally:
            self._drop()
            self._share.end()

    @property
    def _next_bytes(self) -> int:
        is_sending = self._sending is not None and not self._sending.done()
        return part_bytes_at(len(self._folder.starts) + is_sending, self._piece_bytes)

    def _send(self) -> None:
        start = self._folder.size_bytes
        content = self._gathered.cut(self._next_bytes)
        self._sending_bytes = sum(map(len, content))
        self._share.send(self._sending_bytes)
        self._sending = asyncio.ensure_future(self._put(content, start))

    async def _put(self, content: Sequence[bytes], start: int) -> None:
        count = self._sending_bytes
        is_written = False
        try:
            await self._folder.start()
            is_written = await self._folder.storage.put_if_absent(self._folder.piece(start), content)
            if is_written:
                self._folder.add_piece(start, count)
        finally:
            self._is_over = not is_written  # Else nobody knows where the next one begins.
            self._sending_bytes = 0
            self._share.sent(count)
        if not is_written:
            raise StorageBusy(self._folder.path)

    async def _settle(self) -> None:
        """Wait for the piece on its way. Who is cancelled does not call it back: it may be there already."""
        while self._sending is not None:  # While one was waited for, another may have been sent for want of room.
            sending = self._sending
            await asyncio.wait([sending])
            if self._sending is sending:
                self._sending = None
            await sending

    def _drop(self) -> None:
        self._share.give_back(self._gathered.clear())
