"""Bodies whose length nobody knows before their end: small ones in memory, large ones in a file that has no name."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from moorage.web.lane import Lane

MEMORY_LIMIT_BYTES = 1 << 20
"""A body of more than this is in a file."""
_CHUNK_BYTES = 1 << 20


class SpooledBody:
    """A body that was written piece by piece, to be sent: ``with SpooledBody() as body:`` lets go of its file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_LIMIT_BYTES)  # noqa: SIM115 - closed by close()
        self.size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def extend(self, pieces: Iterable[bytes]) -> None:
        """Take *pieces* as they come; may block, as a disk does.

        Raises:
            OSError: there is no room for them.
        """
        for piece in pieces:
            self._file.write(piece)
            self.size_bytes += len(piece)
        self._file.flush()

    @property
    def in_memory(self) -> bytes | None:
        """The whole body; None: it is in a file."""
        if self.size_bytes > MEMORY_LIMIT_BYTES:
            return None
        self._file.seek(0)
        return self._file.read()

    def fileno(self) -> int:
        """A descriptor of its file, which is made if there is none."""
        return self._file.fileno()

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from *start* up to and without *end*, in pieces; read in a thread."""
        at, last = start, self.size_bytes if end is None else end
        while at < last:
            piece = await asyncio.to_thread(os.pread, self.fileno(), min(_CHUNK_BYTES, last - at), at)
            if not piece:
                return
            at += len(piece)
            yield piece

    async def pour(self, sink: Lane, start: int = 0, end: int | None = None) -> None:
        """Give the same bytes to *sink*."""
        await sink.send_file(self.fileno(), start, self.size_bytes if end is None else end)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
