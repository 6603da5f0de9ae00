"""The interface to uploads: bytes that come in several requests, perhaps through several nodes, and become one object.

An upload is a folder of storage, so that what nobody finished is found and removed like anything else. What is in it
is the matter of the sink: a file that grows, or an object for every piece.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from moorage.storage.base import Incoming, Observer, Reader

STARTED_AT = "startedat"
"""The object in the folder of an upload that says when it was started, in RFC 3339; Distribution's."""


class UploadWriter(ABC):
    """The end of an upload, for one request. Of two at once at most one adds bytes at any offset; the other fails."""

    size_bytes: int
    """The bytes of the upload, those before this request included."""
    has_place = False
    """True if the bytes are an object as well, by :meth:`place`, here or before."""

    @abstractmethod
    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        """Add *data*, after *observer* has seen it; of what is arriving as much as is there, maybe nothing.

        Raises:
            StorageBusy: another request has added to the upload.
            StorageFull: there is no room for it.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Make all that was written part of the upload: the next request finds it, on any node.

        Raises:
            StorageBusy: another request has added to the upload.
        """

    @abstractmethod
    async def take_back(self, size_bytes: int) -> None:
        """Give back the room of what came after the first *size_bytes*, where that can be done."""

    @abstractmethod
    def read(self) -> AsyncIterator[bytes]:
        """Give all bytes of the upload, from its beginning."""

    @abstractmethod
    async def commit(self, target: str) -> None:
        """Make the bytes the object *target*: durable on return, whole or not at all, replacing.

        Afterwards ``size_bytes`` is the size of that object, and nothing more can be written.

        Raises:
            PathUnknown: the upload has been cancelled or committed.
            StorageBusy: another request has added to the upload.
        """

    async def place(self, target: str) -> bool:
        """Do as :meth:`commit`, but leave the upload there, by which a crash is found; it is to be removed in the end.

        Another request can add nothing to it, only end or cancel it. False: storage cannot, and nothing is done.
        """
        del target
        return False

    @abstractmethod
    async def remove(self) -> None:
        """Remove the upload with all that it has, committed or not; not durable. Nothing more can be written.

        On failure a part of it may be left, which is purged like any upload that nobody finished.
        """

    @abstractmethod
    async def close(self) -> None:
        """Keep what was written, if that can be done, and let go."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


class UploadSink(ABC):
    """Takes uploads, each under a folder of its own."""

    @abstractmethod
    async def start(self, folder: str, started_at: bytes) -> None:
        """Begin an upload without bytes. Not durable."""

    @abstractmethod
    async def begin(self, folder: str, started_at: bytes, *, target: str) -> UploadWriter:
        """Begin an upload that ends with the same request, and whose bytes are going to be *target*.

        Nobody is told of it, so it need not be in storage at all.
        """

    @abstractmethod
    async def status(self, folder: str) -> int:
        """Count the bytes of an upload.

        Raises:
            PathUnknown: there is no such upload.
        """

    @abstractmethod
    async def append(self, folder: str, *, target: str | None = None) -> UploadWriter:
        """Go on at the end of an upload.

        *target*: what the bytes are going to be if all goes well, where that is known before they have come.

        Raises:
            PathUnknown: there is no such upload.
            StorageBusy: another request is writing to it.
        """

    async def open_placed(self, folder: str) -> Reader | None:
        """Open the bytes of an upload that was placed and not removed; None: it is none, or not there."""
        del folder
        return None

    @abstractmethod
    async def remove(self, folder: str) -> None:
        """Remove an upload with all that it has, if it is there; not durable."""
