"""Single blobs: looked at, read, written and removed."""

import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.azure.answers import CHANGED, OTHER_TYPE, THERE, code_of, error_of
from moorage.storage.azure.blob_keys import BlobKeys
from moorage.storage.azure.container import ContainerLine, Pace
from moorage.storage.base import ObjectContent, Stat, size_of
from moorage.storage.remote.bodies import BodyReader
from moorage.storage.remote.exchange import AnswerTooLarge, StoreAnswer, Stream
from moorage.work.whole_changes import to_its_end

_OK = 200
_CREATED = 201
_ACCEPTED = 202
_PARTIAL = 206
_ERROR_BYTES = 1 << 14
_BULK_BYTES = 1 << 20
_MARK = "x-ms-meta-written"
BLOCK_BLOB = "BlockBlob"


Write = Callable[[], Awaitable[StoreAnswer]]
"""A request that writes a blob, and can be sent again."""


class ContainerBlobs:
    """The blobs of a container, by path."""

    def __init__(self, line: ContainerLine, keys: BlobKeys) -> None:
        self._line = line
        self._keys = keys

    async def head(self, path: str) -> StoreAnswer:
        """Return the blob's headers.

        Raises:
            PathUnknown: there is none; a folder of an account with a hierarchical namespace is none.
        """
        answer = await self._line.ask("GetBlobProperties", "HEAD", self._keys.key(path))
        if answer.status != _OK:
            raise error_of(answer, path, what="GetBlobProperties")
        etag_of(answer.headers, path)
        if answer.headers.get("x-ms-meta-hdi_isfolder") == "true":
            raise PathUnknown(path)
        return answer

    async def stat(self, path: str) -> Stat:
        """Return the state of a blob; see :meth:`head`."""
        headers = (await self.head(path)).headers
        modified_at = moment_of(headers.get("Last-Modified", ""))
        return Stat(_length(headers, path), modified_at, version=headers.get("ETag", ""))

    async def get(self, path: str, *, limit_bytes: int) -> StoreAnswer:
        """Read a blob whole.

        Raises:
            PathUnknown: there is none.
        """
        key = self._keys.key(path)
        try:
            answer = await self._line.ask("GetBlob", "GET", key, limit_bytes=max(limit_bytes, _ERROR_BYTES))
        except AnswerTooLarge:
            raise _too_large(path, limit_bytes) from None
        if answer.status != _OK:
            raise error_of(answer, path, what="GetBlob")
        etag_of(answer.headers, path)
        if len(answer.body) > limit_bytes:
            raise _too_large(path, limit_bytes)
        if len(answer.body) != _length(answer.headers, path):
            msg = f"{path}: its body has {len(answer.body)} bytes, and was said to have another number"
            raise StorageUnavailable(msg)
        return answer

    async def open(self, path: str, *, is_whole: bool = True) -> BodyReader:
        """Open a blob for reading; see :meth:`~moorage.storage.base.ObjectStorage.open`.

        Raises:
            PathUnknown: there is none.
        """
        stream: Stream | None = None
        if is_whole:
            answer = await self._line.open(self._keys.key(path))
            if isinstance(answer, StoreAnswer):
                raise error_of(answer, path, what="GetBlob")
            stream, headers = answer, answer.headers
        else:
            headers = (await self.head(path)).headers
        try:
            etag, size_bytes = etag_of(headers, path), _length(headers, path)
        except StorageUnavailable:
            if stream is not None:
                stream.close()
            raise
        fetch = partial(self._fetch, path, etag)
        return BodyReader(path, stream, size_bytes=size_bytes, fetch=fetch, attempts=self._line.exchange.attempts)

    async def put(self, path: str, content: ObjectContent) -> None:
        """Write a blob whole, whatever is there."""
        # A caller that gave up must not find the blob changed later: what was sent may still arrive.
        answer = await to_its_end(self.replacing(path, lambda: self._put(path, content, {})))
        if answer.status != _CREATED:
            raise error_of(answer, path, what="PutBlob")

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """Write a blob whole, unless there is one; return whether it was written."""
        mark = secrets.token_hex(8)
        answer = await self._put(path, content, {"If-None-Match": "*", _MARK: mark})
        if answer.status == _CREATED:
            return True
        if code_of(answer) not in THERE | OTHER_TYPE:
            raise error_of(answer, path, what="PutBlob")
        # It may have been written by the same request whose answer was lost: then it has our mark.
        return await self._has_mark(path, mark)

    async def delete(self, path: str, *, etag: str = "", until: float = math.inf) -> bool:
        """Remove a blob (with *etag*: that version); return whether there was one, which with *etag* it must be.

        *until*: not later.

        Raises:
            StorageUnavailable: it could not be removed.
        """
        return await self.delete_key(self._keys.key(path), etag=etag, until=until)

    async def delete_key(self, key: str, *, etag: str = "", until: float = math.inf) -> bool:
        """As :meth:`delete`, by the blob's key."""
        headers = {"If-Match": etag} if etag else {}
        answer = await self._line.delete(key, headers=headers, until=until)
        if answer.status == _ACCEPTED:
            return True
        error = error_of(answer, self._keys.path(key), what="DeleteBlob")
        if isinstance(error, PathUnknown):
            return answer.attempt > 1  # The attempt before has removed it, and its answer was lost.
        if etag and code_of(answer) in CHANGED:
            return False
        raise error

    async def replacing(self, path: str, write: Write) -> StoreAnswer:
        """Do *write*; if a blob of another type is in its way, as other registries leave them, remove that first."""
        answer = await write()
        if code_of(answer) not in OTHER_TYPE:
            return answer
        try:
            headers = (await self.head(path)).headers
            if headers.get("x-ms-blob-type") != BLOCK_BLOB:
                await self.delete(path, etag=headers.get("ETag", ""))
        except PathUnknown:
            pass  # Another process has removed it.
        return await write()

    async def _put(self, path: str, content: ObjectContent, headers: Mapping[str, str]) -> StoreAnswer:
        return await self._line.ask(
            "PutBlob",
            "PUT",
            self._keys.new_key(path),
            headers={"x-ms-blob-type": BLOCK_BLOB, "Content-Type": "application/octet-stream", **headers},
            body=content,
            pace=Pace.BULK if size_of(content) >= _BULK_BYTES else Pace.SMALL,
        )

    async def _has_mark(self, path: str, mark: str) -> bool:
        try:
            return (await self.head(path)).headers.get(_MARK) == mark
        except PathUnknown:
            return False

    async def _fetch(self, path: str, etag: str, start: int, end: int) -> Stream:
        headers = {"x-ms-range": f"bytes={start}-{end - 1}", "If-Match": etag}
        stream = await self._line.open(self._keys.key(path), headers)
        if isinstance(stream, StoreAnswer):
            error = error_of(stream, path, what="GetBlob")
            msg = f"{path}: it was replaced or removed while it was read"
            if isinstance(error, PathUnknown) or code_of(stream) in CHANGED:
                raise StorageUnavailable(msg) from error
            raise error
        if stream.status != _PARTIAL:
            stream.close()
            msg = f"{path}: a part was asked for, and the answer is another"
            raise StorageUnavailable(msg)
        return stream


def etag_of(headers: Mapping[str, str], path: str) -> str:
    """Return the ETag that comes with each good answer about a blob.

    Raises:
        StorageUnavailable: there is none, so a proxy has answered, and not the service.
    """
    etag = headers.get("ETag", "")
    if not etag:
        msg = f"{path}: the answer is none of Azure's"
        raise StorageUnavailable(msg)
    return etag


def moment_of(text: str) -> datetime:
    """Return the moment that the service tells as *text*, UTC.

    Raises:
        StorageUnavailable: it is none.
    """
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        msg = "the service does not say when a blob was written"
        raise StorageUnavailable(msg) from None


def _too_large(path: str, limit_bytes: int) -> StorageUnavailable:
    return StorageUnavailable(f"{path}: more than {limit_bytes} bytes")


def _length(headers: Mapping[str, str], path: str) -> int:
    try:
        return int(headers["Content-Length"])
    except (KeyError, ValueError):
        msg = f"{path}: the service does not say how many bytes it has"
        raise StorageUnavailable(msg) from None
