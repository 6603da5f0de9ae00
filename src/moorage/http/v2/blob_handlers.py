"""Blobs: end-2 and end-10."""

from collections.abc import Sequence

from moorage.auth.access import NOBODY
from moorage.core.blobs import Blobs, BlobUrl
from moorage.errors import ConditionFailed
from moorage.http.call import Call
from moorage.oci.digests import Digest
from moorage.storage.base import Reader
from moorage.storage.egress import Egress
from moorage.web.headers import is_other, matches_etag
from moorage.web.ranges import DISTANT_PART_LIMIT, PART_LIMIT, Part, Piece, byte_ranges, content_range, multipart
from moorage.web.responses import Response
from moorage.web.sending import send_file

_SMALL_BYTES = 32 << 10
"""Up to here one write of head and body costs less than a head and a sendfile."""


class BlobHandlers:
    """GET, HEAD and DELETE of ``/v2/<name>/blobs/<digest>``."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, call: Call) -> Response:
        """The blob, or the parts of it that a Range asks for (end-2); or the URL where the client finds it.

        HEAD and a client that has the blob already are answered here: a signed URL is for GET alone, and these need
        no bytes. A client that is sent elsewhere sends its Range there again.
        """
        digest, request = Digest.parse(call.target), call.request
        await self._check_wanted(call, digest)
        is_same = matches_etag(request.headers.getall("If-None-Match", ()), str(digest))
        if is_same or request.method == "HEAD":
            size_bytes = await self._blobs.size(call.name, digest)
            headers = _headers(digest)
            if is_same:
                return Response(304, headers)
            _tell_pull(call, digest, size_bytes)
            return Response(200, headers, content_length=size_bytes)
        is_whole = "Range" not in call.headers
        found = await self._blobs.open(call.name, digest, address=call.address, is_whole=is_whole, egress=_egress(call))
        if isinstance(found, BlobUrl):
            _tell_pull(call, digest, None)
            return Response(307, _redirected(found))
        with found.reader as reader:
            _tell_pull(call, digest, reader.size_bytes)
            parts = _requested_parts(call, digest, reader)
            return await _send(call, reader, _headers(digest), parts)

    async def delete(self, call: Call) -> Response:
        """Take the blob out of the repository (end-10)."""
        digest = Digest.parse(call.target)
        await self._check_wanted(call, digest)
        await self._blobs.delete(call.name, digest, grant=call.grant, cause=call.cause)
        return Response(202)

    async def _check_wanted(self, call: Call, digest: Digest) -> None:
        """Refuse an ``If-Match`` that does not name the blob; if there is no such blob, that is told first."""
        if is_other(call.request.headers.getall("If-Match", ()), str(digest)):
            await self._blobs.size(call.name, digest)
            msg = "If-Match names another digest than the URL"
            raise ConditionFailed(msg, digest=str(digest))


def _egress(call: Call) -> Egress:
    payer = call.grant.payers.get(call.name.text, NOBODY)
    return Egress(payer.namespace_id, payer.project_id, call.grant.actor_type)


def _tell_pull(call: Call, digest: Digest, size_bytes: int | None) -> None:
    """Tell of a pull, also of HEAD; *size_bytes* None: the client is sent to storage."""
    if call.announcer:
        is_redirected = size_bytes is None
        told = call.announcer.blob_pulled(call.name, digest, size_bytes, is_redirected=is_redirected)
        call.announcer.tell(told)


def _headers(digest: Digest) -> dict[str, str]:
    text = str(digest)
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": text,
        "ETag": f'"{text}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000",  # Content under a digest never changes.
    }


def _redirected(found: BlobUrl) -> dict[str, str]:
    # The URL lets whoever has it read the blob, for a time: no cache on the way may hand it to another.
    return {"Location": found.url, "Docker-Content-Digest": str(found.digest), "Cache-Control": "no-store"}


def _requested_parts(call: Call, digest: Digest, reader: Reader) -> Sequence[Part] | None:
    # A client that resumes something else than what is here gets it all. Source: RFC 9110 § 13.1.5.
    unless = call.headers.get("If-Range")
    if unless is not None and unless != f'"{digest}"':
        return None
    limit = DISTANT_PART_LIMIT if reader.fileno() is None else PART_LIMIT
    return byte_ranges(call.headers.get("Range"), reader.size_bytes, limit=limit)


async def _send(call: Call, reader: Reader, headers: dict[str, str], parts: Sequence[Part] | None) -> Response:
    size_bytes, status, tail = reader.size_bytes, 200, b""
    pieces: Sequence[Piece] = [Piece(b"", (0, size_bytes))]
    if parts is not None:
        status = 206
        if len(parts) == 1:
            pieces = [Piece(b"", parts[0])]
            headers["Content-Range"] = content_range(parts[0], size_bytes)
        else:
            several = multipart(parts, size_bytes, content_type=headers["Content-Type"])
            pieces, tail, headers["Content-Type"] = several.pieces, several.tail, several.content_type
    length = sum(piece.size_bytes for piece in pieces) + len(tail)
    if length <= _SMALL_BYTES:
        chunks = []
        for piece in pieces:
            chunks += [piece.lead, *[chunk async for chunk in reader.chunks(*piece.part)]]
        return Response(status, headers, b"".join([*chunks, tail]))
    response = Response(status, headers, content_length=length)
    call.finish(response)
    return await send_file(call.request, response, reader, pieces, tail=tail)
