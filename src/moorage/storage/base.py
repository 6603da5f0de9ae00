"""The interface to storage, and what every backend promises.

Paths are absolute, ``/``-separated and name one object: ``/docker/registry/v2/…``. A driver never sees a name that a
client chose without :func:`check_path` having been asked.

Every method may raise :class:`~moorage.errors.StorageFull` (writes) and
:class:`~moorage.errors.StorageUnavailable`; a backend maps every error of its vendor to these or to
:class:`~moorage.errors.PathUnknown`, in one place.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from functools import lru_cache
from typing import TypeVar

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.streams import Incoming as Incoming
from moorage.storage.streams import ObjectContent as ObjectContent
from moorage.storage.streams import Observer as Observer
from moorage.storage.streams import PartsWriter as PartsWriter
from moorage.storage.streams import Reader as Reader
from moorage.storage.streams import UnfinishedParts as UnfinishedParts
from moorage.storage.streams import Writer as Writer
from moorage.storage.streams import size_of as size_of
from moorage.storage.streams import whole as whole

_T = TypeVar("_T")

# Whatever a folder can hold: what other registries, or people, have left there is not passed over by those who look for
# what is still needed. Half of a surrogate pair is how Python shows a byte that is no UTF-8.
_PART = r"(?!\.{1,2}(?:/|\Z)|\.~)[^/\0\ud800-\udc7f\udd00-\udfff]+"
_PATH = re.compile(rf"(?:/{_PART})+")
_NAME = re.compile(_PART)
_PAGE = 1000


class Capability(Enum):
    """Abilities that not every backend has. Callers ask for them, never for the type of a driver."""

    SENDFILE = auto()
    """:meth:`Reader.fileno` gives a descriptor that the kernel can send from."""
    SIGNED_URLS = auto()
    """:meth:`StorageDriver.url_for` gives a URL that a client may fetch."""
    SHARED = auto()
    """Other processes see the same objects."""
    EXCLUSIVE_WRITERS = auto()
    """``FileStorage.open_writer`` keeps all other writers out until it is closed or its process is gone."""
    CONDITIONAL_PUT = auto()
    """:meth:`StorageDriver.put_if_absent` has one winner among all that try at the same time."""
    RENAME = auto()
    """``FileStorage.move`` is one step, whatever the size."""
    CONDITIONAL_DELETE = auto()
    """:meth:`StorageDriver.delete_if_same` removes an object only while nobody has written it again."""
    FLAT_LISTS = auto()
    """:meth:`StorageDriver.all_below` gives all objects below a folder with their states, many in a request."""
    PARTS = auto()
    """:meth:`StorageDriver.begin_parts` writes an object of any size, part by part, at its own place."""


@dataclass(frozen=True, slots=True)
class Stat:
    """The size of an object or folder, and when it last changed (UTC). A folder has size 0."""

    size_bytes: int
    modified_at: datetime
    is_folder: bool = False
    version: str = ""
    """Another one when the object has other bytes, where storage tells one: an ETag, a generation."""
    names: int = field(default=1, compare=False)
    """Counts the names of the object's bytes: two while an upload's are a blob already (``FileStorage.place``)."""


@dataclass(frozen=True, slots=True, order=True)
class FolderEntry:
    """One name in a folder, without its path."""

    name: str
    is_folder: bool
    size_bytes: int | None = field(default=None, compare=False)
    """The size of an object, where the list tells it without another request; None: ask :meth:`ObjectStorage.stat`."""


@lru_cache(maxsize=1024)
def check_path(path: str) -> str:
    """Return *path* if it is well formed.

    Raises:
        StorageUnavailable: it is relative, has ``.`` or ``..``, an empty part or one that begins with ``.~`` (a
            temporary file), or a character that no file can have. That is our own mistake, never a caller's: names are
            parsed long before.
    """
    if _PATH.fullmatch(path) is None:
        msg = f"not a storage path: {path!r}"
        raise StorageUnavailable(msg)
    return path


def is_name(name: str) -> bool:
    """Return whether *name* may be one part of a path that :func:`check_path` takes."""
    return _NAME.fullmatch(name) is not None


def clock() -> float:
    """Seconds of the machine's own clock; those in which it slept count too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def too_late(path: str) -> StorageUnavailable:
    """Make the error for what was not removed any more; see :meth:`BulkStorage.remove`."""
    return StorageUnavailable(f"{path}: storage was too slow to remove it in time")


class ObjectStorage(ABC):
    """Objects under paths. All names of a folder are found by :meth:`list`.

    A folder exists while there are objects in it. When the last one has gone it may exist on, empty: to be rid of a
    folder, :meth:`delete` the folder. A path is an object or a folder, never both.
    """

    @abstractmethod
    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """Size and time of the object at *path*, or of the folder unless *folder* is False: then nothing is listed.

        Raises:
            PathUnknown: there is none.
        """

    @abstractmethod
    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """The whole of a small object. More than *limit_bytes* is refused as :class:`StorageUnavailable`.

        Raises:
            PathUnknown: there is no object.
        """

    @abstractmethod
    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """Write a small object whole: durable on return, and at every moment either the old or the new content.

        Missing folders are made. On failure the old content stays and nothing else is left. With *durable* False a
        power cut (not a crash of ours) may lose it: for notes that can be lost, at a tenth of the price.
        """

    @abstractmethod
    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """Write a small object whole as :meth:`put` does, unless there is one; return whether it was written.

        Of all that try at once one has True (see ``CONDITIONAL_PUT``). After an error it may have been written.
        """

    @abstractmethod
    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """Open an object of any size for reading; *is_whole* False: parts of it are going to be read, and not all.

        Raises:
            PathUnknown: there is no object.
        """

    @abstractmethod
    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """The names in a folder that sort after *after*, in byte order, at most *limit*.

        Memory grows with *limit*, not with the folder. Names that :func:`check_path` refuses and temporary files of
        the backend are left out.

        Raises:
            PathUnknown: there is no such folder.
        """

    @abstractmethod
    async def delete(self, path: str, *, durable: bool = True) -> None:
        """Remove the object, or the folder with all in it; durable on return unless *durable* is False.

        A folder is gone at once for readers, even if removing its content takes longer.

        Raises:
            PathUnknown: there was nothing.
        """

    @abstractmethod
    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """Make *target* the bytes of all *sources*, one after another: durable on return, whole or not at all.

        Where storage can do that by itself, the bytes do not pass through this process. *sizes*: the bytes of each
        source, if they are known, so that nobody has to ask; of objects that never change.

        Raises:
            PathUnknown: one of the sources is not there.
        """

    @abstractmethod
    async def probe(self) -> None:
        """Write, read and remove a small object: what the health check asks.

        Raises:
            StorageFull: there is no room for it.
            StorageUnavailable: it could not be done.
        """


class BulkStorage(ObjectStorage):
    """Many objects at once, by the methods for one; a driver that has a quicker way has its own."""

    async def exists(self, path: str, *, folder: bool = True) -> bool:
        """Return whether there is an object at *path*, or a folder unless *folder* is False."""
        try:
            await self.stat(path, folder=folder)
        except PathUnknown:
            return False
        return True

    async def size_bytes(self, path: str) -> int | None:
        """Return how many bytes the object at *path* has; None if there is none."""
        try:
            return (await self.stat(path, folder=False)).size_bytes
        except PathUnknown:
            return None

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """Remove many objects, and the folders that have nothing left in them because of it; durable on return.

        One that is not there is as good as removed. Return what could not be removed, with the reason: the others are
        gone. From the time *until* on, by :func:`clock`, nothing more is removed, whatever is left by then.

        *rest* limits the use of this machine's processor: after each removal there is a rest, *rest* times as long as
        it has computed. Once half of the time is over, there are no rests.
        """
        del rest
        failures: dict[str, BackendError] = {}
        for path in paths:
            try:
                if clock() >= until:
                    raise too_late(path)
                await self.delete(path)
            except PathUnknown:
                continue
            except BackendError as exc:
                failures[path] = exc
        return failures

    async def get_each(
        self, paths: Sequence[str], use: Callable[[int, bytes], _T], *, limit_bytes: int = 4 << 20
    ) -> Sequence[_T | None]:
        """Return what *use* makes of each of many small objects, in their order; None for those that are not there.

        *use* gets the place in *paths* and the content, one after another, where the object was read: in the same
        thread, so it must not touch what others change. One content is in memory at a time.
        """
        found: list[_T | None] = []
        for number, path in enumerate(paths):
            try:
                found.append(use(number, await self.get(path, limit_bytes=limit_bytes)))
            except PathUnknown:
                found.append(None)
        return found

    async def stat_each(self, paths: Sequence[str], *, folder: bool = False) -> Sequence[Stat | None]:
        """Return the state of each of many objects, in their order; None where there is none.

        With *folder* that of a folder where there is one instead; see :meth:`stat`.
        """
        found: list[Stat | None] = []
        for path in paths:
            try:
                found.append(await self.stat(path, folder=folder))
            except PathUnknown:
                found.append(None)
        return found

    async def delete_each(self, paths: Sequence[str]) -> int:
        """Remove many objects, in their order, and return how many there were; not durable.

        One that is not there is passed over. The folder of each goes too if it is left empty. On failure those that
        came before are gone.
        """
        count = 0
        for path in paths:
            try:
                await self.delete(path, durable=False)
                count += 1
                folder = path.rpartition("/")[0]
                if not await self.list(folder, limit=1):
                    await self.delete(folder, durable=False)
            except PathUnknown:
                continue
        return count


class StorageDriver(BulkStorage):
    """A backend: the nine methods of :class:`ObjectStorage`, what it can do, and what else only some have."""

    name: str
    """As in the configuration: ``filesystem``, ``inmemory``, …"""
    capabilities: frozenset[Capability] = frozenset()
    chunk_min_bytes: int = 0
    """The least that every piece of an upload but the last should have (``OCI-Chunk-Min-Length``); 0: anything."""
    part_bytes: int = 16 << 20
    """The bytes of the first parts of :meth:`begin_parts`: as much as one request is worth; see ``part_bytes_at``."""

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        """Remove an object unless it has had other bytes since *seen* was told of it; return whether it was removed.

        In one step, durable. False, too, if it is not there. Needs ``CONDITIONAL_DELETE``.
        """
        del seen
        msg = f"{path}: this storage cannot remove on a condition"
        raise StorageUnavailable(msg)

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        """Remove a folder if the object *where*, a path inside it, has this *content*; return whether it had. Durable.

        Others see one step: what another process writes there meanwhile is never lost. Meanwhile the folder may seem to
        be away for a moment. This implementation needs ``CONDITIONAL_DELETE``; without it, it is only for a driver on
        which nothing can come between the two calls.
        """
        try:
            if Capability.CONDITIONAL_DELETE not in self.capabilities:
                if await self.get(where) != content:
                    return False
                await self.delete(path)
                return True
            seen = await self.stat(where, folder=False)
            beside = [found async for found in _objects_below(self, path) if found != where]
            if await self.get(where) != content or not await self.delete_if_same(where, seen):
                return False
        except PathUnknown:
            return False
        for failure in (await self.remove(beside, until=float("inf"))).values():
            raise failure
        return True

    def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        """Give the paths of all objects below a folder, at any depth, with their states: nothing if there are none.

        They come a page at a time, in any order. Needs ``FLAT_LISTS``.
        """
        msg = f"{path}: this storage lists one folder at a time"
        raise StorageUnavailable(msg)

    async def begin_parts(self, path: str) -> PartsWriter:
        """Begin to write an object in parts at *path*, what is there stays until it is complete. Needs ``PARTS``."""
        msg = f"{path}: this storage cannot write in parts"
        raise StorageUnavailable(msg)

    async def abort_parts(self, path: str, note: str) -> None:
        """Remove the parts that a process which is gone has left; *note* is its :attr:`PartsWriter.note`.

        Does nothing if there are none, or if they have become the object.
        """
        del path, note

    async def unfinished_parts(self) -> AsyncIterator[UnfinishedParts]:
        """Yield objects that any process is writing in parts; none where storage forgets those by itself."""
        nothing: tuple[UnfinishedParts, ...] = ()
        for each in nothing:
            yield each

    async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
        """Give a signed URL for a client to GET the object directly; None without ``SIGNED_URLS``.

        *egress* is written into it, and so into the provider's logs.
        """
        del path, expires_s, egress
        return None

    def watch(self, path: str, content: bytes | None) -> None:
        """Refuse writes and :meth:`probe` while the object at *path* does not have this *content*.

        Reads that find nothing are refused, too: only the right storage can say that something is not there.

        An empty *path* without *content*: while the whole storage is another folder than now.

        For what can be put in another's place under a running registry, as a folder can by an unmount: what would be
        written there would be lost when the volume is back. From then on all goes on by itself.
        """

    async def close(self) -> None:
        """Wait for what still runs, and let go of what is kept open. Nothing may be asked afterwards."""


async def _objects_below(storage: ObjectStorage, folder: str) -> AsyncIterator[str]:
    after, is_more = "", True
    while is_more:
        entries = await storage.list(folder, after=after, limit=_PAGE)
        for entry in entries:
            if entry.is_folder:
                async for path in _objects_below(storage, f"{folder}/{entry.name}"):
                    yield path
            else:
                yield f"{folder}/{entry.name}"
        is_more = len(entries) == _PAGE
        after = entries[-1].name if entries else ""
