"""Requests about whole objects: look, read, write, remove, list."""

import base64
import hashlib
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.base import ObjectContent, whole
from moorage.storage.remote.exchange import StoreAnswer, StoreCall, Stream
from moorage.storage.remote.paging import PAGE, KeyPage
from moorage.storage.remote.remote_driver import each
from moorage.storage.s3.answers import (
    S3Failure,
    S3Refused,
    check_done,
    error_for,
    etag_of,
    failure_of,
    key_in,
    text_of,
    texts_of,
    token_behind,
    xml_of,
)
from moorage.storage.s3.asking import BucketLine

BATCH = 1000
_PARTIAL, _NOT_FOUND, _CONFLICT, _FAILED_CONDITION = 206, 404, 409, 412
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """Facts about an object that its headers say."""

    size_bytes: int
    modified_at: datetime
    etag: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "ObjectFacts":
        """Read them.

        Raises:
            StorageUnavailable: they lack what S3 always says.
        """
        etag, modified, length = etag_of(headers), headers.get("Last-Modified"), headers.get("Content-Length", "")
        if not length.isdecimal():  # Taken for nothing, a whole blob would count as damaged.
            msg = "the service does not say how many bytes an object has"
            raise StorageUnavailable(msg)
        return cls(int(length), parsedate_to_datetime(modified) if modified else _EPOCH, etag)

    @classmethod
    def listed(cls, element: Element) -> "ObjectFacts":
        """Read those of a list's element."""
        modified_at = datetime.fromisoformat(text_of(element, "LastModified"))
        return cls(int(text_of(element, "Size")), modified_at, text_of(element, "ETag"))


class BucketObjects:
    """The objects of a bucket under their whole keys."""

    def __init__(self, line: BucketLine) -> None:
        self._line = line
        self._has_batches = True

    async def head(self, key: str) -> ObjectFacts | None:
        """Return the facts about an object; None if it is not there."""
        call, answer = await self._line.ask("HeadObject", "HEAD", key)
        if answer.status == _NOT_FOUND:
            return None
        self._check(call, answer)
        return ObjectFacts.of(answer.headers)

    async def get(self, key: str, *, limit_bytes: int, start: int = 0, end: int | None = None) -> bytes:
        """Return the content of an object, or its bytes from *start* up to and without *end*.

        Raises:
            PathUnknown: it is not there.
        """
        headers = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}
        call, answer = await self._line.read(key, headers, limit_bytes=limit_bytes, is_bulk=end is not None)
        self._check_found(call, answer, key)
        etag_of(answer.headers)
        if end is not None:
            check_part(answer, key, start=start)
            if len(answer.body) != end - start:
                msg = f"{key}: {end - start} bytes were asked for, and {len(answer.body)} came"
                raise StorageUnavailable(msg)
        return answer.body

    async def open(self, key: str, *, start: int = 0, end: int | None = None, etag: str = "") -> Stream:
        """Open an object, or its bytes from *start* up to and without *end*; with *etag* only that version of it.

        Raises:
            PathUnknown: it is not there.
        """
        headers = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}
        if etag:
            headers["If-Match"] = etag
        call, found = await self._line.open(key, headers)
        if isinstance(found, Stream):
            try:
                etag_of(found.headers)
                check_part(found, key, start=start)
            except StorageUnavailable:
                found.close()
                raise
            return found
        if etag and found.status in (_NOT_FOUND, _FAILED_CONDITION):
            msg = f"{key}: the object went, or was replaced, while it was read"
            raise StorageUnavailable(msg)
        self._check_found(call, found, key)
        msg = f"{key}: an answer without a body"
        raise StorageUnavailable(msg)

    async def put(self, key: str, content: ObjectContent, *, is_kept: bool = True, is_bulk: bool = False) -> None:
        """Write an object, replacing."""
        await self._put(key, content, {}, is_kept=is_kept, is_bulk=is_bulk)

    async def put_if_absent(self, key: str, content: ObjectContent, *, is_kept: bool, is_bulk: bool) -> bool:
        """Write an object unless there is one; return whether it was written."""
        condition = {"If-None-Match": "*"}
        answer = await self._put(key, content, condition, is_kept=is_kept, is_bulk=is_bulk)
        if answer.status != _FAILED_CONDITION:
            return True
        if answer.attempt == 1:
            return False
        # An earlier attempt may have written it, and only its answer was lost.
        wanted = whole(content)
        try:
            return await self.get(key, limit_bytes=len(wanted) + 1) == wanted
        except (PathUnknown, StorageUnavailable):
            return False

    async def delete(self, key: str, *, etag: str = "", until: float = math.inf) -> bool:
        """Remove an object; with *etag* only that version. Return False if it is another. *until*: not later."""
        headers = {"If-Match": etag} if etag else {}
        call, answer = await self._line.remove("DeleteObject", "DELETE", key, headers=headers, until=until)
        is_other = etag and answer.status in (_FAILED_CONDITION, _CONFLICT)
        if is_other or (answer.status == _NOT_FOUND and not self._is_bucket_away(call, answer)):
            # Where an earlier attempt had no answer, it may be the one that removed it.
            return not etag or (answer.attempt > 1 and await self.head(key) is None)
        self._check(call, answer)
        check_done(answer)
        return True

    async def delete_batch(self, keys: Sequence[str], *, until: float = math.inf) -> Mapping[str, BackendError]:
        """Remove at most :data:`BATCH` objects, not later than *until*; return what could not be, with the reason."""
        if self._has_batches and not any(map(_NOT_IN_XML.search, keys)):
            objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
            body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            headers = {"Content-MD5": digest, "Content-Type": "application/xml"}
            call, answer = await self._line.remove(
                "DeleteObjects", "POST", query={"delete": ""}, headers=headers, body=body, until=until
            )
            if failure_of(call, answer) is None:
                return self._failures(call, answer, keys)
            error = error_for(call, answer, bucket=self._line.name)
            if not (isinstance(error, S3Refused) and error.is_missing):
                raise error
            self._has_batches = False
        return await self._delete_singly(keys, until)

    async def page(self, prefix: str, *, after: str = "", token: str = "", limit: int = PAGE) -> KeyPage:
        """Give a page of keys, folded at the next slash."""
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(limit), "encoding-type": "url", "delimiter": "/"}
        query |= {"continuation-token": token} if token else {"start-after": after} if after else {}
        root = await self._list(query)
        decoded = key_decoder(root)
        objects = list(map(decoded, texts_of(root, "Contents", "Key")))
        sizes = map(int, texts_of(root, "Contents", "Size"))
        folders = list(map(decoded, texts_of(root, "CommonPrefixes", "Prefix")))
        token = token_behind(root, asked=token)
        return KeyPage(sorted([*objects, *folders]), token, dict(zip(objects, sizes, strict=False)))

    async def below(self, prefix: str) -> Mapping[str, str]:
        """Return all keys that begin with *prefix*, or at least :data:`BATCH`, with the ETags of their objects."""
        query, token = {"list-type": "2", "prefix": prefix, "max-keys": str(BATCH), "encoding-type": "url"}, ""
        found: dict[str, str] = {}
        while True:
            root = await self._list(query | ({"continuation-token": token} if token else {}))
            keys = map(key_decoder(root), texts_of(root, "Contents", "Key"))
            found |= zip(keys, texts_of(root, "Contents", "ETag"), strict=True)
            token = token_behind(root, asked=token)
            if not token or len(found) >= BATCH:
                return found

    async def all_below(self, prefix: str) -> AsyncIterator[Sequence[tuple[str, ObjectFacts]]]:
        """Yield all keys that begin with *prefix*, with what is known of their objects, a page at a time."""
        query, token = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE), "encoding-type": "url"}, ""
        while True:
            root = await self._list(query | ({"continuation-token": token} if token else {}))
            yield list(
                zip(
                    map(key_decoder(root), texts_of(root, "Contents", "Key")),
                    map(ObjectFacts.listed, root.iterfind("{*}Contents")),
                    strict=True,
                )
            )
            token = token_behind(root, asked=token)
            if not token:
                return

    async def first_below(self, prefix: str) -> datetime | None:
        """Return when the first object below *prefix* changed; None if there is none."""
        root = await self._list({"list-type": "2", "prefix": prefix, "max-keys": "1"})
        found = texts_of(root, "Contents", "LastModified")
        return datetime.fromisoformat(found[0]) if found else None

    async def _list(self, query: Mapping[str, str]) -> Element:
        call, answer = await self._line.ask("ListObjectsV2", "GET", query=query)
        self._check(call, answer)
        return xml_of(answer)

    async def _put(
        self, key: str, content: ObjectContent, extra: Mapping[str, str], *, is_kept: bool, is_bulk: bool
    ) -> StoreAnswer:
        line = self._line
        headers = {**(line.headers.kept if is_kept else line.headers.passing), **line.with_checksum(content), **extra}
        call, answer = await line.ask("PutObject", "PUT", key, headers=headers, body=content, is_bulk=is_bulk)
        if not (extra and answer.status == _FAILED_CONDITION):
            self._check(call, answer)
            etag_of(answer.headers)
        return answer

    async def _delete_singly(self, keys: Sequence[str], until: float) -> Mapping[str, BackendError]:
        failures: dict[str, BackendError] = {}

        async def remove(key: str) -> None:
            try:
                await self.delete(key, until=until)
            except BackendError as exc:
                failures[key] = exc

        await each(keys, remove, at_once=32)
        return failures

    def _failures(self, call: StoreCall, answer: StoreAnswer, keys: Sequence[str]) -> Mapping[str, BackendError]:
        """Those of *keys* that could not be removed: all of them for an error that does not say of which it is."""
        failures, known = dict[str, BackendError](), set(keys)
        for error in xml_of(answer).findall("{*}Error"):
            failure = S3Failure(text_of(error, "Code"), text_of(error, "Message"))
            if failure.code != "NoSuchKey":
                said = f"{call.kind} of bucket {self._line.name}: {failure.code} {failure.message}".rstrip()
                key = text_of(error, "Key")
                failures |= dict.fromkeys([key] if key in known else known, StorageUnavailable(said))
        return failures

    def _check_found(self, call: StoreCall, answer: StoreAnswer, key: str) -> None:
        if answer.status == _NOT_FOUND and not self._is_bucket_away(call, answer):
            raise PathUnknown(key)
        self._check(call, answer)

    def _check(self, call: StoreCall, answer: StoreAnswer) -> None:
        if failure_of(call, answer) is not None:
            raise error_for(call, answer, bucket=self._line.name)

    @staticmethod
    def _is_bucket_away(call: StoreCall, answer: StoreAnswer) -> bool:
        """Return whether a 404 says nothing of the object: there is no bucket, or it is a proxy's that is no S3."""
        failure = failure_of(call, answer)
        return failure is not None and (failure.code == "NoSuchBucket" or bool(answer.body and not failure.code))


def check_part(found: StoreAnswer | Stream, key: str, *, start: int) -> None:
    """See that an answer begins with the byte *start* of the object.

    Raises:
        StorageUnavailable: it is of the whole object, as caches answer that know no ranges.
    """
    if start and found.status != _PARTIAL:
        msg = f"{key}: the bytes from {start} on were asked for, and the answer has all of them"
        raise StorageUnavailable(msg)


def key_decoder(root: Element) -> Callable[[str], str]:
    """Return what reads the form in which a list writes keys: as in URLs, unless the service does not know of that."""
    return key_in if text_of(root, "EncodingType") == "url" else str
