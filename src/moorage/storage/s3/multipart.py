"""Requests about objects that are written in parts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from xml.sax.saxutils import escape

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import ObjectContent, size_of
from moorage.storage.remote.exchange import StoreAnswer, StoreCall
from moorage.storage.s3.answers import error_for, etag_of, failure_of, text_of, xml_of
from moorage.storage.s3.asking import BucketLine
from moorage.storage.s3.objects import BucketObjects, key_decoder
from moorage.storage.s3.signing import in_path

LEAST_PART_BYTES = 5 << 20
"""The least that every part but the last has."""
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the service has."""

    number: int
    etag: str
    size_bytes: int
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class PartsUpload:
    """An upload in parts that is under way."""

    key: str
    upload_id: str = field(repr=False)


class BucketParts:
    """Objects of a bucket that are written in parts."""

    def __init__(self, line: BucketLine, objects: BucketObjects) -> None:
        self._line = line
        self._objects = objects

    async def begin(self, key: str) -> PartsUpload:
        """Begin an object."""
        checksum = self._line.checksum
        headers = dict(self._line.headers.kept)
        if checksum is not None:
            headers["x-amz-checksum-algorithm"] = checksum.name.upper()
        answer = await self._ask("CreateMultipartUpload", "POST", key, query={"uploads": ""}, headers=headers)
        return PartsUpload(key, text_of(xml_of(answer), "UploadId"))

    async def send(self, upload: PartsUpload, number: int, content: ObjectContent) -> SentPart:
        """Send a part."""
        headers = self._line.with_checksum(content)
        call, answer = await self._line.ask(
            "UploadPart", "PUT", upload.key, query=_part(upload, number), headers=headers, body=content, is_bulk=True
        )
        self._check(call, answer)
        return SentPart(number, etag_of(answer.headers), size_of(content), next(iter(headers.values()), ""))

    async def copy(self, upload: PartsUpload, number: int, *, source: str, start: int, end: int) -> SentPart:
        """Make a part of the bytes of the object *source* from *start* up to and without *end*.

        Raises:
            PathUnknown: *source* is not there.
        """
        headers = {
            "x-amz-copy-source": in_path(f"{self._line.name}/{source}"),
            "x-amz-copy-source-range": f"bytes={start}-{end - 1}",
        }
        answer = await self._ask(
            "UploadPartCopy", "PUT", upload.key, query=_part(upload, number), headers=headers, source=source
        )
        root, checksum = xml_of(answer), self._line.checksum
        found = "" if checksum is None else text_of(root, f"Checksum{checksum.name.upper()}")
        return SentPart(number, text_of(root, "ETag"), end - start, found)

    async def copy_whole(self, source: str, target: str) -> None:
        """Make *target* a copy of *source*, which has no more than 5 GiB.

        Raises:
            PathUnknown: *source* is not there.
        """
        headers = {**self._line.headers.kept, "x-amz-copy-source": in_path(f"{self._line.name}/{source}")}
        xml_of(await self._ask("CopyObject", "PUT", target, headers=headers, source=source))

    async def complete(self, upload: PartsUpload, parts: Sequence[SentPart]) -> None:
        """Make the parts the object."""
        ordered = sorted(parts, key=lambda part: part.number)
        body = f"<CompleteMultipartUpload>{''.join(map(self._part_as_xml, ordered))}</CompleteMultipartUpload>"
        call, answer = await self._line.ask(
            "CompleteMultipartUpload",
            "POST",
            upload.key,
            query={"uploadId": upload.upload_id},
            headers={"Content-Type": "application/xml"},
            body=body.encode(),
            is_slow=True,
        )
        failure = failure_of(call, answer)
        if failure is None:
            xml_of(answer)
            return
        if failure.code == "NoSuchUpload" and answer.attempt > 1:
            # An earlier attempt may have done it, and only its answer was lost.
            facts = await self._objects.head(upload.key)
            if facts is not None and facts.size_bytes == sum(part.size_bytes for part in parts):
                return
        raise error_for(call, answer, bucket=self._line.name)

    async def abort(self, upload: PartsUpload) -> None:
        """Remove the parts; nothing happens if there are none any more."""
        query = {"uploadId": upload.upload_id}
        call, answer = await self._line.ask("AbortMultipartUpload", "DELETE", upload.key, query=query)
        failure = failure_of(call, answer)
        if failure is not None and failure.code != "NoSuchUpload":
            raise error_for(call, answer, bucket=self._line.name)

    async def unfinished(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        """Yield the keys below *prefix* that are being written in parts, each with the time at which that began."""
        place = {"key-marker": "", "upload-id-marker": ""}
        while True:
            query = {"uploads": "", "prefix": prefix, "encoding-type": "url", **place}
            call, answer = await self._line.ask("ListMultipartUploads", "GET", query=query)
            self._check(call, answer)
            root = xml_of(answer)
            decoded = key_decoder(root)
            for upload in root.iterfind("{*}Upload"):
                yield decoded(text_of(upload, "Key")), datetime.fromisoformat(text_of(upload, "Initiated"))
            if text_of(root, "IsTruncated") != "true":
                return
            before, place = (
                place,
                {
                    "key-marker": decoded(text_of(root, "NextKeyMarker")),
                    "upload-id-marker": text_of(root, "NextUploadIdMarker"),
                },
            )
            if place == before:
                msg = "the service says that a list of unfinished uploads goes on, and not where"
                raise StorageUnavailable(msg)

    async def _ask(
        self,
        kind: str,
        method: str,
        key: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        source: str = "",
    ) -> StoreAnswer:
        call, answer = await self._line.ask(
            kind, method, key, query=query or {}, headers=headers, is_slow=bool(source), is_bulk=bool(source)
        )
        failure = failure_of(call, answer)
        if source and failure is not None and failure.code == "NoSuchKey":
            raise PathUnknown(source)
        self._check(call, answer)
        return answer

    def _check(self, call: StoreCall, answer: StoreAnswer) -> None:
        if failure_of(call, answer) is not None:
            raise error_for(call, answer, bucket=self._line.name)

    def _part_as_xml(self, part: SentPart) -> str:
        name = "" if self._line.checksum is None else f"Checksum{self._line.checksum.name.upper()}"
        checksum = f"<{name}>{part.checksum}</{name}>" if name and part.checksum else ""
        return f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(part.etag)}</ETag>{checksum}</Part>"


def _part(upload: PartsUpload, number: int) -> Mapping[str, str]:
    return {"partNumber": str(number), "uploadId": upload.upload_id}
