"""The bytes of objects on their way: one that is read, one that is appended to, one that is written in parts.

They are a part of the interface to storage, and ``base.py`` has them too: callers take them from there.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self


class BodySink(Protocol):
    """A way to a client, for the bytes of an object."""

    async def write(self, data: bytes) -> None:
        """Take *data*."""

    async def splice(self, source: socket.socket, count: int, *, idle_s: float) -> int:
        """Take *count* bytes out of *source*, past this process; return how many came before it ended or broke."""


class Reader(ABC):
    """An open object. It stays readable as it was opened, whatever happens to its path meanwhile."""

    size_bytes: int

    @abstractmethod
    def fileno(self) -> int | None:
        """A descriptor to send from, with no position of ours; None if there is none (see ``SENDFILE``)."""

    @abstractmethod
    def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from *start* up to and without *end* (None: to the last), in pieces of at most 1 MiB."""

    async def pour(self, sink: BodySink, start: int = 0, end: int | None = None) -> None:
        """Give the same bytes to *sink*; a driver whose bytes come out of a socket may give it that."""
        async for chunk in self.chunks(start, end):
            await sink.write(chunk)

    @abstractmethod
    def close(self) -> None:
        """Let go of it. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


Observer = Callable[[bytes | bytearray | memoryview], object]
"""Sees bytes that pass by, such as :meth:`~moorage.oci.digests.Hasher.update`."""

ObjectContent = bytes | Sequence[bytes]
"""The bytes of a small object, whole or in pieces as they were received: joining them is dearer than sending them."""


def whole(content: ObjectContent) -> bytes:
    """Return the bytes of *content* in one, copied only if they are in pieces."""
    return content if isinstance(content, bytes) else b"".join(content)


def size_of(content: ObjectContent) -> int:
    """Count the bytes of *content*."""
    return len(content) if isinstance(content, bytes) else sum(map(len, content))


_GROWTH_PARTS = 2000
_GROWTH_LIMIT = 2


def part_bytes_at(number: int, first_bytes: int) -> int:
    """Return the bytes of the part with this *number*, from 0 on: twice as many after 2,000 parts, and once more.

    A store takes 10,000 parts of an object; with 16 MiB to begin with these are 480 GB.
    """
    return first_bytes << min(number // _GROWTH_PARTS, _GROWTH_LIMIT)


class Arriving(Protocol):
    """Bytes for an object that have come to this machine, and are where they came: whoever stores them takes them.

    That is done in the thread that stores them. What nobody takes stays, and makes whoever sends it wait.
    """

    most_bytes: int
    """More than this is not taken at once, so that others have their turn."""

    def readinto(self, buffer: memoryview) -> int:
        """Take what has come, up to the size of *buffer*; return how many bytes: fewer if no more are there now.

        It waits for nothing and raises nothing: why no more come, whoever hands them out knows.
        """

    def read(self) -> bytearray:
        """Take as many as may be kept in memory at once, at most ``most_bytes``; none if none are there."""


Incoming = bytes | bytearray | memoryview | Arriving
"""Bytes by which an object grows."""


def in_memory(data: Incoming) -> bytes | bytearray | memoryview:
    """Return *data* as bytes in memory; of what is arriving a part, which may be empty."""
    return data if isinstance(data, bytes | bytearray | memoryview) else data.read()


class Writer(ABC):
    """An object being appended to. Only one writer may have a path open: see ``FileStorage``.

    What was written is there for the next ``open_writer(append=True)`` even if the writer is dropped without
    :meth:`close`: a client that hangs up can resume.
    """

    size_bytes: int
    """Bytes that the object has, those before this writer included."""
    has_place = False
    """True if its bytes have another name as well, so that nothing may be added to them: see ``FileStorage.place``."""

    @property
    def fileno(self) -> int | None:
        """The number of the open file that holds the object; None: it is nothing that a process could hand on."""
        return None

    @abstractmethod
    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        """Add *data* to the end, after *observer* has seen it, where the work is done: in the same thread.

        Of what is arriving that is what is there now, and not more than ``most_bytes``; maybe nothing. The observer
        sees it in parts of at most 1 MiB, each before it is written, and may refuse one by raising.

        Raises:
            StorageFull: not all of it could be written; what could not is dropped, ``size_bytes`` tells.
        """

    @abstractmethod
    async def truncate(self, size_bytes: int) -> None:
        """Cut the object back to its first *size_bytes*, and give the room back."""

    @abstractmethod
    async def close(self) -> None:
        """Make what was written visible to :meth:`StorageDriver.stat` and let go. Not yet durable."""


@dataclass(frozen=True, slots=True)
class UnfinishedParts:
    """An object that was begun in parts and not completed: its parts are kept, unseen."""

    path: str
    begun_at: datetime


class PartsWriter(ABC):
    """An object that is written in parts. Nobody sees any of it before it is complete."""

    note: str
    """The handle by which :meth:`StorageDriver.abort_parts` finds the parts when this process is gone. A secret."""

    @abstractmethod
    async def add(self, part: Sequence[bytes]) -> None:
        """Take the next part; all but the last have as many bytes as :func:`part_bytes_at` says.

        It may return while this part and the one before are still on their way; what goes wrong then is raised by the
        next call.
        """

    @abstractmethod
    async def settle(self) -> None:
        """Wait until no part is on its way, so that none of their bytes is held any more."""

    @abstractmethod
    async def complete(self) -> None:
        """Make it the object: durable on return, whole or not at all, replacing."""

    @abstractmethod
    async def abort(self) -> None:
        """Remove the parts. Does nothing once it is complete or removed."""
