"""Reading an object of any size by requests; a body that breaks off is gone on with where it broke."""

from collections.abc import AsyncIterator, Awaitable, Callable

from moorage.errors import StorageUnavailable
from moorage.storage.base import Reader
from moorage.storage.remote.attempts import Attempts
from moorage.storage.remote.exchange import IDLE_S, LOST, Stream
from moorage.storage.streams import BodySink

PIECE_BYTES = 1 << 20
_BY_US_BYTES = 1 << 20
"""Up to so many bytes go through this process: a connection that is used past its parser ends, and a new one costs."""

Fetch = Callable[[int, int], Awaitable[Stream]]
"""Asks for the bytes from the first number up to and without the second, of the same version of the object.

It raises ``StorageUnavailable`` when that version has gone.
"""


class BodyReader(Reader):
    """An object that is known to be there. What the first request for it brings is used where it fits.

    Args:
        path: for what is said.
        first: the whole body, unread; None: only parts are wanted, and each is asked for by itself.
        size_bytes: of the object.
        fetch: asks again.
        attempts: makes new attempts for a body.
    """

    def __init__(
        self, path: str, first: Stream | None, *, size_bytes: int, fetch: Fetch, attempts: Callable[[], Attempts]
    ) -> None:
        self.size_bytes = size_bytes
        self._path = path
        self._first = first
        self._fetch = fetch
        self._attempts = attempts

    def fileno(self) -> None:
        """There is none."""

    def close(self) -> None:
        """See the interface."""
        self._drop_first()

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the interface."""
        last = self.size_bytes if end is None else min(end, self.size_bytes)
        at = start
        attempts = self._attempts()
        while at < last:
            why = "it ended too early"
            stream = await self._stream(at, last)
            try:
                async for chunk in stream.chunks():
                    wanted = chunk[: last - at]
                    attempts.restart()
                    for begin in range(0, len(wanted), PIECE_BYTES):
                        piece = wanted[begin : begin + PIECE_BYTES] if len(wanted) > PIECE_BYTES else wanted
                        at += len(piece)
                        yield piece
                    if at >= last:
                        break
            except LOST as exc:
                why = str(exc) or "nothing came any more"
            finally:
                stream.close()
            if at < last and not await attempts.again():
                raise self._broken(at, why)

    async def pour(self, sink: BodySink, start: int = 0, end: int | None = None) -> None:
        """See the interface. What has come with the head is written, the rest goes from socket to socket."""
        last = self.size_bytes if end is None else min(end, self.size_bytes)
        at = start
        attempts = self._attempts()
        while at < last:
            why, before = "it ended too early", at
            stream = await self._stream(at, last)
            try:
                while at < last:
                    source = stream.take_socket() if last - at > _BY_US_BYTES else None
                    if source is not None:
                        with source:
                            at += await sink.splice(source, last - at, idle_s=IDLE_S)
                        break
                    piece = (await stream.piece())[: last - at]
                    if not piece:
                        break
                    await sink.write(piece)
                    at += len(piece)
            except LOST as exc:
                why = str(exc) or "nothing came any more"
            finally:
                stream.close()
            if at > before:
                attempts.restart()
            if at < last and not await attempts.again():
                raise self._broken(at, why)

    def _broken(self, at: int, why: str) -> StorageUnavailable:
        return StorageUnavailable(f"{self._path}: its body broke off at byte {at} of {self.size_bytes}: {why}")

    async def _stream(self, start: int, end: int) -> Stream:
        if start == 0 and self._first is not None:
            stream, self._first = self._first, None
            return stream
        self._drop_first()
        return await self._fetch(start, end)

    def _drop_first(self) -> None:
        if self._first is not None:
            self._first.close()
            self._first = None
