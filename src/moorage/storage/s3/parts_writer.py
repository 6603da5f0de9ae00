"""An object that is written in parts, each sent while the next one comes."""

import asyncio
from collections.abc import Sequence

from moorage.errors import StorageUnavailable
from moorage.storage.base import PartsWriter
from moorage.storage.s3.multipart import BucketParts, PartsUpload, SentPart

IN_FLIGHT = 2


class S3PartsWriter(PartsWriter):
    """An upload in parts of one process. *parts*: has the requests; *upload*: has begun."""

    def __init__(self, parts: BucketParts, upload: PartsUpload) -> None:
        self.note = upload.upload_id
        self._parts = parts
        self._upload = upload
        self._sending: list[asyncio.Task[SentPart]] = []
        self._sent: list[SentPart] = []
        self._count = 0
        self._is_over = False

    async def add(self, part: Sequence[bytes]) -> None:
        """See the interface. Up to :data:`IN_FLIGHT` parts are on their way."""
        if self._is_over:
            msg = f"{self._upload.key}: the upload in parts is over"
            raise StorageUnavailable(msg)
        while len(self._sending) >= IN_FLIGHT:
            await self._take_first()
        self._count += 1
        self._sending.append(asyncio.create_task(self._parts.send(self._upload, self._count, part)))

    async def settle(self) -> None:
        """See the interface."""
        while self._sending:
            await self._take_first()

    async def complete(self) -> None:
        """See the interface."""
        if not self._count:
            await self.add([])  # An object without bytes has a part without bytes.
        await self.settle()
        await self._parts.complete(self._upload, self._sent)
        self._is_over = True

    async def abort(self) -> None:
        """See the interface."""
        sending, self._sending = self._sending, []
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        if not self._is_over:
            self._is_over = True
            await self._parts.abort(self._upload)

    async def _take_first(self) -> None:
        # Left in the list while it is waited for: if this is cancelled, ``abort`` still ends it.
        self._sent.append(await self._sending[0])
        del self._sending[0]
