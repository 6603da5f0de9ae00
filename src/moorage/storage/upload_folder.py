"""The folder of an upload where nothing can be appended to, renamed or locked, and what is in it.

::

    _uploads/<id>
    ├── startedat                    since when the upload is
    ├── piece-0000000000000          the bytes from 0 on
    ├── piece-0000016777216          those that follow
    └── multipart-<random>           the parts of one request that go to the blob's own place, so that they are found
                                     when its process has died
"""

import contextlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from moorage.errors import PathUnknown
from moorage.storage.base import FolderEntry, StorageDriver, clock
from moorage.storage.uploads import STARTED_AT
from moorage.storage.walk import pages_of
from moorage.telemetry import get_log

_PIECE = "piece-"
_MULTIPART = "multipart-"
_DIGITS = 13
_PAGE = 1000
_PATIENCE_S = 60.0

_log = get_log("uploads")


@dataclass(slots=True)
class UploadFolder:
    """One upload's objects, as far as they are known."""

    storage: StorageDriver
    path: str
    started_at: bytes | None = None
    """The content still to be written to make the upload exist; None: it does."""
    names: list[str] = field(default_factory=list)
    """The objects in it, ``startedat`` first."""
    starts: list[int] = field(default_factory=list)
    """The places where pieces begin, each where the one before ends."""
    size_bytes: int = 0
    """The bytes of the pieces."""
    holds_more: bool = False
    """True if there is something that is not ours."""

    async def start(self) -> None:
        """Make the upload exist, if it does not."""
        if self.started_at is not None:
            await self.storage.put(self._of(STARTED_AT), self.started_at, durable=False)
            self.started_at = None
            self.names.insert(0, STARTED_AT)

    def piece(self, start: int) -> str:
        """Return the path of the piece that begins at *start*."""
        return self._of(f"{_PIECE}{start:0{_DIGITS}}")

    @property
    def pieces(self) -> Sequence[str]:
        """The paths of all pieces, in their order."""
        return [self.piece(start) for start in self.starts]

    @property
    def sizes(self) -> Sequence[int]:
        """The bytes of each piece, in their order."""
        ends = [*self.starts[1:], self.size_bytes]
        return [end - start for start, end in zip(self.starts, ends, strict=True)]

    def add_piece(self, start: int, size_bytes: int) -> None:
        """Count a piece that was written."""
        self.names.append(self.piece(start).rpartition("/")[2])
        self.starts.append(start)
        self.size_bytes += size_bytes

    def name_note(self) -> str:
        """Give a name for a note of parts.

        Each request has its own: of two at once neither takes the note of the other's parts away.
        """
        self.names.append(f"{_MULTIPART}{secrets.token_hex(4)}")
        return self.names[-1]

    async def note_parts(self, name: str, target: str, note: str) -> None:
        """Note that *target* is being written in parts."""
        content = json.dumps({"path": target, "note": note}).encode()
        await self.storage.put(self._of(name), content, durable=False)

    async def forget_parts(self, name: str) -> None:
        """Remove a note, as there are no parts any more."""
        with contextlib.suppress(PathUnknown):
            await self.storage.delete(self._of(name), durable=False)
        self.names.remove(name)

    async def abort_left_parts(self) -> None:
        """Abort what was written in parts by requests whose processes are gone."""
        for name in self.names:
            if not name.startswith(_MULTIPART):
                continue
            try:
                noted = json.loads(await self.storage.get(self._of(name), limit_bytes=1 << 16))
                await self.storage.abort_parts(noted["path"], noted["note"])
            except PathUnknown:
                continue
            except (ValueError, KeyError, TypeError):
                _log.warning("the note of an upload in parts cannot be read", path=self._of(name))

    async def remove(self) -> None:
        """Remove all objects that are known, in one request where storage has one; the whole folder if it holds more.

        Raises:
            BackendError: something is left.
        """
        if self.holds_more:
            with contextlib.suppress(PathUnknown):
                await self.storage.delete(self.path, durable=False)
        elif self.names:
            failures = await self.storage.remove([self._of(name) for name in self.names], until=clock() + _PATIENCE_S)
            for failure in failures.values():
                raise failure
        self.names.clear()

    def _of(self, name: str) -> str:
        return f"{self.path}/{name}"


async def read_folder(storage: StorageDriver, path: str) -> UploadFolder:
    """Look at an upload.

    Raises:
        PathUnknown: there is none, or a part of it is gone already. What came after it was removed, such as a late
            piece, does not bring it back.
    """
    folder, pieces = await _list(storage, path)
    if STARTED_AT not in folder.names:
        raise PathUnknown(path)
    await _chain(folder, pieces)
    return folder


async def list_folder(storage: StorageDriver, path: str) -> UploadFolder:
    """Look at what there is of an upload, whole or not, so that it can be removed."""
    folder, _ = await _list(storage, path)
    return folder


async def _list(storage: StorageDriver, path: str) -> tuple[UploadFolder, Sequence[FolderEntry]]:
    folder = UploadFolder(storage, path)
    pieces: list[FolderEntry] = []
    async for page in pages_of(storage, path, page=_PAGE):
        for entry in page:
            if entry.name == STARTED_AT:
                folder.names.insert(0, entry.name)
            else:
                folder.names.append(entry.name)
            if _is_piece(entry):
                pieces.append(entry)
            elif entry.is_folder or (entry.name != STARTED_AT and not entry.name.startswith(_MULTIPART)):
                folder.holds_more = True
    return folder, pieces


async def _chain(folder: UploadFolder, pieces: Sequence[FolderEntry]) -> None:
    unsized = [f"{folder.path}/{entry.name}" for entry in pieces if entry.size_bytes is None]
    stats = dict(zip(unsized, await folder.storage.stat_each(unsized), strict=True)) if unsized else {}
    for entry in pieces:
        size_bytes, start = entry.size_bytes, int(entry.name.removeprefix(_PIECE))
        if size_bytes is None:
            stat = stats[f"{folder.path}/{entry.name}"]
            size_bytes = None if stat is None else stat.size_bytes
        if size_bytes is None or start != folder.size_bytes:
            raise PathUnknown(folder.path)
        folder.starts.append(start)
        folder.size_bytes += size_bytes


def _is_piece(entry: FolderEntry) -> bool:
    name = entry.name
    is_named = name.startswith(_PIECE) and len(name) == len(_PIECE) + _DIGITS and name[len(_PIECE) :].isdecimal()
    return is_named and not entry.is_folder
