"""Looking at a bucket: at a start, whether it can be used, and once a process, what its service leaves out."""

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.storage.remote.remote_driver import PROBES
from moorage.storage.s3.answers import S3Refused
from moorage.storage.s3.bucket import S3Bucket
from moorage.telemetry import get_log

_CONTENT = b"probe"

_log = get_log("storage")


class Examination:
    """The facts that are known of a bucket's service."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self._objects = bucket.objects
        self._conditions: asyncio.Task[tuple[bool, bool]] | None = None
        self._known: tuple[bool, bool] | None = (True, True) if bucket.is_aws else None

    async def has_conditional_put(self) -> bool:
        """Return whether an object is written only where there is none, if that is asked for."""
        return (await self._find_out())[0]

    async def has_conditional_delete(self) -> bool:
        """Return whether an object is removed only as it was read, if that is asked for."""
        return (await self._find_out())[1]

    async def close(self) -> None:
        """Stop to find out."""
        if self._conditions is not None:
            self._conditions.cancel()
            await asyncio.wait([self._conditions])

    async def at_start(self, *, can_write: bool) -> None:
        """See :meth:`~moorage.storage.remote.remote_driver.RemoteDriver.examine`."""
        try:
            await self._objects.page(self._bucket.keys.root, limit=1)
            if can_write:
                await self._write()
        except S3Refused as exc:
            path = f"{self._bucket.key}.{exc.key}" if exc.key else self._bucket.key
            raise ConfigurationError([Mistake(path, str(exc))]) from None

    async def _write(self) -> None:
        key = self._key()
        await self._objects.put(key, _CONTENT, is_kept=False)
        copy, parts = self._key(), self._key()
        try:
            if await self._objects.get(key, limit_bytes=100) != _CONTENT:
                message = "the service gives other bytes than it was given"
                raise ConfigurationError([Mistake(self._bucket.key, message)])
            await self._bucket.copies.copy([key], copy)
            await self._write_in_parts(parts)
            for lacking in await self.shortcomings():
                _log.warning(lacking)
        finally:
            for made in (key, copy, parts):
                await self._objects.delete(made)

    async def _write_in_parts(self, key: str) -> None:
        parts = self._bucket.parts
        upload = await parts.begin(key)
        try:
            sent = await parts.send(upload, 1, _CONTENT)
            await parts.complete(upload, [sent])
        except BaseException:
            with contextlib.suppress(BackendError):
                await parts.abort(upload)
            raise
        await parts.abort(await parts.begin(key))  # To abort is a right of its own.

    async def shortcomings(self) -> Sequence[str]:
        """See :meth:`~moorage.storage.remote.remote_driver.RemoteDriver.shortcomings`."""
        can_put, can_delete = await self._find_out()
        found = []
        if not can_put:
            found.append("the service does not know If-None-Match: of two that write at once, the last one has its way")
        if not can_delete:
            found.append("the service does not know If-Match: a tag that is moved while it is deleted may be lost")
        return found

    async def _find_out(self) -> tuple[bool, bool]:
        if self._known is None:
            if self._conditions is None:
                self._conditions = asyncio.create_task(self._try_conditions())
            try:
                self._known = await asyncio.shield(self._conditions)
            finally:
                if self._conditions is not None and self._conditions.done():
                    self._conditions = None
        return self._known

    async def _try_conditions(self) -> tuple[bool, bool]:
        key = self._key()
        try:
            can_put = await self._can_put(key)
            return can_put, await self._can_delete(key)
        finally:
            await self._objects.delete(key)

    async def _can_put(self, key: str) -> bool:
        try:
            await self._objects.put_if_absent(key, _CONTENT, is_kept=False, is_bulk=False)
            return not await self._objects.put_if_absent(key, b"other", is_kept=False, is_bulk=False)
        except S3Refused:
            await self._objects.put(key, _CONTENT, is_kept=False)
            return False

    async def _can_delete(self, key: str) -> bool:
        try:
            return not await self._objects.delete(key, etag='"00000000000000000000000000000000"')
        except S3Refused:
            return False

    def _key(self) -> str:
        return self._bucket.keys.key(f"{PROBES}/{secrets.token_hex(8)}")
