"""Objects in parts by a resumable upload on their own place: nobody sees them before the request that says their size.

Source: "Resumable uploads" of the Cloud Storage documentation. Parts come one after another, each at the offset that
the service has; what it has kept of one it says itself, and the rest is sent again.
"""

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus

from moorage.errors import StorageUnavailable
from moorage.storage.gcs.answers import expect, unexpected
from moorage.storage.gcs.json_api import BucketCalls, check_made
from moorage.storage.remote.exchange import StoreAnswer, StoreCall
from moorage.storage.streams import PartsWriter, size_of

STEP_BYTES = 256 << 10
"""Every part but the last has a multiple of it."""
_CANCELLED = 499
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, _CANCELLED)
_KEPT = re.compile(r"bytes=0-(\d+)")
_STANDSTILLS = 5
_IDLE_S = 120.0


class ResumableParts(PartsWriter):
    """A resumable upload, with one part on its way.

    Args:
        calls: of the bucket.
        key: of the object.
        address: of the upload, a secret.
    """

    def __init__(self, calls: BucketCalls, key: str, address: str) -> None:
        self.note = address
        self._calls = calls
        self._key = key
        self._offset = 0
        self._last: Sequence[bytes] = ()
        self._sending: asyncio.Task[None] | None = None
        self._is_over = False
        self._has_failed = False

    async def add(self, part: Sequence[bytes]) -> None:
        """See the interface. One that the service takes as the last only waits for :meth:`complete`."""
        self._check()
        if self._last:
            msg = f"{self._key}: a part behind the last one"
            raise StorageUnavailable(msg)
        await self.settle()
        if size_of(part) % STEP_BYTES:
            self._last = part
        else:
            self._sending = asyncio.create_task(self._send(part, is_last=False))

    async def settle(self) -> None:
        """See the interface."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            self._has_failed = True  # Whatever came after a part that is not there would be in its place.
            await sending
            self._has_failed = False

    async def complete(self) -> None:
        """See the interface."""
        self._check()
        await self.settle()
        self._has_failed = True
        await self._send(self._last, is_last=True)
        self._is_over, self._last = True, ()

    async def abort(self) -> None:
        """See the interface."""
        if self._is_over:
            return
        self._is_over, self._last = True, ()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await cancel(self._calls, self._key, self.note)

    def _check(self) -> None:
        if self._is_over or self._has_failed:
            msg = f"{self._key}: its upload has {'ended' if self._is_over else 'failed'}"
            raise StorageUnavailable(msg)

    async def _send(self, part: Sequence[bytes], *, is_last: bool) -> None:
        start, end = self._offset, self._offset + size_of(part)
        total = str(end) if is_last else "*"
        standstills = 0
        while True:
            rest = tail_of(part, self._offset - start)
            place = f"{self._offset}-{end - 1}" if self._offset < end else "*"
            answer = await self._put(rest, f"bytes {place}/{total}")
            if answer.status != HTTPStatus.PERMANENT_REDIRECT:
                if not is_last:
                    raise unexpected(answer, "objects.insert", self._key)
                check_made(answer, self._key, end)
                self._offset = end
                return
            kept = _kept(answer)
            if not start <= kept <= end:
                msg = f"{self._key}: the service has kept {kept} bytes, and {start} to {end} were sent"
                raise StorageUnavailable(msg)
            standstills = standstills + 1 if kept == self._offset else 0
            if standstills == _STANDSTILLS:
                msg = f"{self._key}: the service keeps no more than {kept} bytes"
                raise StorageUnavailable(msg)
            self._offset = kept
            if kept == end and not is_last:
                return

    async def _put(self, body: Sequence[bytes], said: str) -> StoreAnswer:
        call = StoreCall(
            kind="objects.insert",
            method="PUT",
            url=self.note,
            headers={"Content-Range": said},
            body=body or b"",
            is_bulk=True,
            # The last one waits until the object is made.
            total_s=None,
            idle_s=_IDLE_S,
        )
        return await self._calls.send(call, self._key)


async def cancel(calls: BucketCalls, key: str, address: str) -> None:
    """End an upload and drop its parts. Does nothing if there is none, or if it has become an object."""
    if not calls.is_session(address):
        return  # It is not ours to ask at: the note is damaged, or was written by another.
    answer = await calls.send(StoreCall(kind="objects.insert", method="DELETE", url=address), key)
    is_done = answer.status // 100 == 2 or answer.status in _GONE  # noqa: PLR2004 - as HTTP numbers what went well
    if not is_done and answer.status != HTTPStatus.NOT_IMPLEMENTED:  # An emulator's: it forgets by itself.
        expect(answer, "objects.insert", key, HTTPStatus.NO_CONTENT)


def tail_of(part: Sequence[bytes], skipped: int) -> Sequence[bytes]:
    """Return the pieces without their first *skipped* bytes; nothing is joined."""
    if not skipped:
        return part
    rest: list[bytes] = []
    for piece in part:
        if skipped < len(piece):
            rest.append(piece[skipped:])
        skipped = max(0, skipped - len(piece))
    return rest


def _kept(answer: StoreAnswer) -> int:
    found = _KEPT.fullmatch(answer.headers.get("Range", ""))
    return int(found[1]) + 1 if found else 0
