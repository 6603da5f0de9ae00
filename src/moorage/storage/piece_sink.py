"""Uploads where nothing can be appended to, renamed or locked: every piece is an object, named by where it begins.

The list of the folder (``upload_folder.py``) is the whole state, so any node goes on. A piece is written only where
there is none, and begins where the one before ended. So two requests that write at once want the same name, one of them
has it, and the other fails without having changed anything. Pieces are never changed or taken away but with the whole
upload: what was once said of its first bytes (an offset, a digest) stays true. See
``docs/adr/0045-a-port-for-object-stores.md``. Bytes whose digest is known before they come need no pieces: see
``direct_upload.py``.
"""

from moorage.storage.base import StorageDriver
from moorage.storage.byte_budget import ByteBudget
from moorage.storage.direct_upload import DirectUpload
from moorage.storage.gathering import Gathered
from moorage.storage.piece_upload import PieceUpload
from moorage.storage.upload_folder import UploadFolder, list_folder, read_folder
from moorage.storage.uploads import STARTED_AT, UploadSink, UploadWriter


class PieceSink(UploadSink):
    """Uploads in pieces, over nothing but what every driver can do; in parts where it has ``PARTS``.

    Args:
        storage: has ``CONDITIONAL_PUT``.
        piece_bytes: the most that the first pieces have; None: as much as a part.
        budget: the memory for all uploads.
    """

    def __init__(
        self, storage: StorageDriver, *, piece_bytes: int | None = None, budget: ByteBudget | None = None
    ) -> None:
        self._storage = storage
        self._piece_bytes = storage.part_bytes if piece_bytes is None else piece_bytes
        self._budget = budget or ByteBudget()

    async def start(self, folder: str, started_at: bytes) -> None:
        """See the interface."""
        await self._storage.put(f"{folder}/{STARTED_AT}", started_at, durable=False)

    async def begin(self, folder: str, started_at: bytes, *, target: str) -> UploadWriter:
        """See the interface. What fits in one request never is an upload."""
        return self._direct(UploadFolder(self._storage, folder, started_at), target)

    async def status(self, folder: str) -> int:
        """See the interface."""
        return (await read_folder(self._storage, folder)).size_bytes

    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """See the interface. Another writer at the same time is found out at the first piece."""
        found = await read_folder(self._storage, folder)
        if target is not None and not found.starts:
            return self._direct(found, target)
        return PieceUpload(found, self._budget.share(), Gathered(), piece_bytes=self._piece_bytes)

    async def remove(self, folder: str) -> None:
        """See the interface. Parts that a dead process has left go first: without their note nobody finds them."""
        found = await list_folder(self._storage, folder)
        await found.abort_left_parts()
        # Some stores keep a folder for a while when nothing is in it any more.
        found.holds_more = found.holds_more or not found.names
        await found.remove()

    def _direct(self, folder: UploadFolder, target: str) -> UploadWriter:
        return DirectUpload(folder, target, self._budget.share(), piece_bytes=self._piece_bytes)
