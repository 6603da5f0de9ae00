"""Writer of an upload whose digest was said before its bytes came: they go to the blob's own place, without a copy.

Up to one part they stay in memory and are written at once. More of them are written in parts, which nobody sees
before all have come and have the digest. Where neither can be done they become pieces like those of any other upload:
storage has no parts, or memory is short.
"""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence

from moorage.errors import BackendError, StorageUnavailable
from moorage.storage.base import Capability, Incoming, Observer
from moorage.storage.byte_budget import ByteShare, nothing_to_send
from moorage.storage.gathering import Gathered, observe
from moorage.storage.piece_upload import PieceUpload
from moorage.storage.streams import PartsWriter, in_memory, part_bytes_at
from moorage.storage.upload_folder import UploadFolder
from moorage.storage.uploads import UploadWriter

_IN_FLIGHT = 2
"""Parts that a driver may have on their way when it has taken another one."""


class DirectUpload(UploadWriter):
    """Bytes that are gathered, then parts or pieces."""

    def __init__(self, folder: UploadFolder, target: str, share: ByteShare, *, piece_bytes: int) -> None:
        """*folder* has no pieces yet."""
        self._folder = folder
        self._target = target
        self._piece_bytes = piece_bytes
        self._gathered = Gathered()
        self._share = share
        share.spill = self._spill
        self._parts: _Parts | None = None
        self._pieces: PieceUpload | None = None
        self._committed_bytes: int | None = None
        self._is_over = False

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is counted
        """See the interface."""
        if self._pieces is not None:
            return self._pieces.size_bytes
        if self._committed_bytes is not None:
            return self._committed_bytes
        return self._gathered.size_bytes + (0 if self._parts is None else self._parts.size_bytes)

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        """See the interface."""
        if self._is_over:
            msg = "the upload could not be written to before"
            raise StorageUnavailable(msg)
        data = in_memory(data)
        if self._parts is None:  # A part has its room before it comes.
            await self._share.take(len(data))
        await observe(data, observer)
        if self._pieces is not None:
            await self._pieces.keep(data)
            return
        self._gathered.add(data)
        if self._parts is None and self._gathered.size_bytes > self._one_request_bytes:
            await self._begin()
        if self._parts is not None:
            await self._send(self._parts)
        elif self._share.budget.is_enough(self._gathered.size_bytes):
            self._spill()

    async def flush(self) -> None:
        """See the interface."""
        if self._parts is None:
            await self._become_pieces().flush()
        else:
            await self._parts.writer.settle()

    async def take_back(self, size_bytes: int) -> None:
        """See the interface. Nothing is left but what became pieces."""
        if self._pieces is not None:
            await self._pieces.take_back(size_bytes)
            return
        self._is_over = True
        self._gathered.clear()
        await self._abort()

    async def read(self) -> AsyncIterator[bytes]:
        """See the interface. Parts cannot be read: their digest is known, as all of them have passed."""
        if self._parts is not None:
            msg = f"{self._target}: parts cannot be read before they are the object"
            raise StorageUnavailable(msg)
        if self._pieces is not None:
            async for chunk in self._pieces.read():
                yield chunk
        for piece in self._gathered.pieces if self._pieces is None else ():
            yield piece

    async def commit(self, target: str) -> None:
        """See the interface."""
        if self._pieces is not None:
            await self._pieces.commit(target)
            return
        self._is_over = True
        size_bytes = self.size_bytes
        if self._parts is None:
            # Others may ask for room meanwhile, and get it when this is done.
            self._share.spill = nothing_to_send
            await self._folder.storage.put(target, self._gathered.pieces)
        else:
            await self._parts.finish(self._gathered.cut(self._gathered.size_bytes))
        self._committed_bytes = size_bytes
        self._gathered.clear()

    async def remove(self) -> None:
        """See the interface. Parts go first: without their note nobody would find them."""
        if self._pieces is not None:
            await self._pieces.remove()
            return
        self._is_over = True
        self._gathered.clear()
        await self._abort()
        await self._folder.remove()

    async def close(self) -> None:
        """See the interface. What a client has sent before it hung up becomes a piece, if it knows of the upload."""
        is_known = self._folder.started_at is None
        if not self._is_over and self._parts is None and self._gathered.size_bytes and is_known:
            self._become_pieces()
        if self._pieces is not None:
            await self._pieces.close()
        with contextlib.suppress(BackendError):  # The purge finds its note.
            await self._abort()
        self._share.end()

    @property
    def _one_request_bytes(self) -> int:
        storage = self._folder.storage
        return storage.part_bytes if Capability.PARTS in storage.capabilities else self._piece_bytes

    async def _begin(self) -> None:
        """Begin to write parts; pieces where that cannot be done, or too much memory would be kept from others."""
        storage = self._folder.storage
        first_bytes = self._one_request_bytes
        if Capability.PARTS not in storage.capabilities or not self._share.pin(first_bytes):
            await self._become_pieces().keep(b"")
            return
        self._is_over = True  # Until all of it is done.
        await self._folder.start()
        writer = await storage.begin_parts(self._target)
        self._parts = _Parts(writer, self._share, first_bytes, note_name=self._folder.name_note())
        await self._folder.note_parts(self._parts.note_name, self._target, writer.note)
        self._is_over = False

    async def _send(self, parts: "_Parts") -> None:
        while self._gathered.size_bytes > parts.next_bytes:
            self._is_over = True
            await parts.add(self._gathered.cut(parts.next_bytes))
            self._is_over = False

    async def _abort(self) -> None:
        if self._parts is not None and await self._parts.abort():
            await self._folder.forget_parts(self._parts.note_name)

    def _become_pieces(self) -> PieceUpload:
        if self._pieces is None:
            self._pieces = PieceUpload(self._folder, self._share, self._gathered, piece_bytes=self._piece_bytes)
        return self._pieces

    def _spill(self) -> None:
        """Send what is gathered as a piece, as others need the room."""
        if self._parts is None and not self._is_over and self._gathered.size_bytes:
            self._become_pieces().spill()


class _Parts:
    """The parts of one upload, and the memory for them: for the next one, and for those that are on their way."""

    def __init__(self, writer: PartsWriter, share: ByteShare, first_bytes: int, *, note_name: str) -> None:
        self.writer = writer
        self.note_name = note_name
        self.size_bytes = 0
        self.next_bytes = first_bytes
        self._first_bytes = first_bytes
        self._share = share
        self._number = 0
        self._on_their_way: deque[int] = deque(maxlen=_IN_FLIGHT)
        self._is_done = False

    async def add(self, part: Sequence[bytes]) -> None:
        """Send a part, and make room for the next."""
        await self.writer.add(part)
        self.size_bytes += self.next_bytes
        self._number += 1
        self._on_their_way.append(self.next_bytes)
        wanted = part_bytes_at(self._number, self._first_bytes)
        if wanted != self.next_bytes and self._share.pin(wanted):
            self.next_bytes = wanted
        missing = self._missing
        if missing > 0 and not self._share.try_take(missing):
            await self.writer.settle()
            self._on_their_way.clear()
            missing = self._missing
            if missing > 0:
                await self._share.take(missing)
        if missing < 0:
            self._share.give_back(-missing)

    async def finish(self, last: Sequence[bytes]) -> None:
        """Send the last part and make them the object."""
        if last:
            await self.writer.add(last)
        await self.writer.complete()
        self._is_done = True

    async def abort(self) -> bool:
        """Remove the parts; return whether there were any."""
        if self._is_done:
            return False
        await self.writer.abort()
        self._is_done = True
        return True

    @property
    def _missing(self) -> int:
        return self.next_bytes + sum(self._on_their_way) - self._share.held_bytes
