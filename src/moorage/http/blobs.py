"""Blobs: end-2 and end-10."""

from moorage.core.blobs import Blobs, BlobUrl
from moorage.http.call import Call
from moorage.http.headers import byte_range, matches_etag
from moorage.http.responses import Response
from moorage.http.sending import send_file
from moorage.oci.digests import Digest

_SMALL_BYTES = 32 << 10
"""Up to here one write of head and body costs less than a head and a sendfile."""


class BlobHandlers:
    """GET, HEAD and DELETE of ``/v2/<name>/blobs/<digest>``."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, call: Call) -> Response:
        """The blob, or the part of it that a Range asks for (end-2)."""
        digest = Digest.parse(call.target)
        request = call.request
        found = await self._blobs.open(call.name, digest, method=request.method)
        if isinstance(found, BlobUrl):
            return Response(307, {"Location": found.url, "Docker-Content-Digest": str(digest)})
        with found.reader as reader:
            headers = _headers(digest)
            if matches_etag(request.headers.getall("If-None-Match", ()), str(digest)):
                return Response(304, headers)
            size_bytes = reader.size_bytes
            if request.method == "HEAD":
                return Response(200, headers, content_length=size_bytes)
            part, status = _requested_part(call, digest, size_bytes), 200
            if part is None:
                part = 0, size_bytes
            else:
                status = 206
                headers["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{size_bytes}"
            if part[1] - part[0] <= _SMALL_BYTES:
                body = b"".join([chunk async for chunk in reader.chunks(*part)])
                return Response(status, headers, body)
            response = Response(status, headers, content_length=part[1] - part[0])
            call.finish(response)
            return await send_file(request, response, reader, part)

    async def delete(self, call: Call) -> Response:
        """Take the blob out of the repository (end-10)."""
        call.grant.protection(call.name).check_content()  # No image of a protected tag may lose a layer.
        await self._blobs.delete(call.name, Digest.parse(call.target), cause=call.cause)
        return Response(202)


def _headers(digest: Digest) -> dict[str, str]:
    text = str(digest)
    return {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": text,
        "ETag": f'"{text}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "max-age=31536000",  # Content under a digest never changes.
    }


def _requested_part(call: Call, digest: Digest, size_bytes: int) -> tuple[int, int] | None:
    # A client that resumes something else than what is here gets it all. Source: RFC 9110 § 13.1.5.
    unless = call.headers.get("If-Range")
    if unless is not None and unless != f'"{digest}"':
        return None
    return byte_range(call.headers.get("Range"), size_bytes)
