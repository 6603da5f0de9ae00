"""Uploads: end-4 to end-6, end-11, end-13 and end-14."""

from aiohttp import web

from moorage.core.blobs import Blobs
from moorage.core.uploads import Session, Uploads
from moorage.errors import DigestInvalid, RangeInvalid
from moorage.http.bodies import Bodies
from moorage.http.call import Call, answer
from moorage.http.errors import render
from moorage.http.headers import chunk_start
from moorage.oci.digests import Digest, parse_algorithm
from moorage.oci.names import RepositoryName


class UploadHandlers:
    """``/v2/<name>/blobs/uploads/`` and below."""

    def __init__(self, uploads: Uploads, blobs: Blobs, bodies: Bodies, *, chunk_min_bytes: int = 0) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._bodies = bodies
        self._chunk_min_bytes = chunk_min_bytes

    async def start(self, call: Call) -> web.StreamResponse:
        """Open a session (end-4a, end-4c), take a whole blob (end-4b), or mount one (end-11)."""
        mount, digest = call.query.first("mount"), call.query.first("digest")
        if mount is not None:
            wanted, source = Digest.parse(mount), mount_source(call)
            if await self._blobs.mount(call.name, wanted, source=source):
                return _created(call, wanted)
        elif digest is not None:
            wanted = Digest.parse(digest)
            await self._uploads.push(call.name, wanted, self._bodies.chunks(call.request))
            return _created(call, wanted)
        algorithm = parse_algorithm(call.query.first("digest-algorithm") or "sha256")
        response = _accepted(call, await self._uploads.start(call.name, algorithm))
        if self._chunk_min_bytes:
            response.headers["OCI-Chunk-Min-Length"] = str(self._chunk_min_bytes)
        return response

    async def append(self, call: Call) -> web.StreamResponse:
        """Take a chunk, or a stream of any length (end-5)."""
        start = chunk_start(call.headers)
        try:
            chunks = self._bodies.chunks(call.request)
            session = await self._uploads.append(call.name, call.target, chunks, start=start)
        except RangeInvalid as exc:
            return _out_of_order(call, exc)
        return _accepted(call, session)

    async def commit(self, call: Call) -> web.StreamResponse:
        """Take the last chunk, if any, and close the session (end-6)."""
        text = call.query.first("digest")
        if text is None:
            msg = "the digest of the whole blob is needed to close the upload: PUT …?digest=<digest>"
            raise DigestInvalid(msg)
        digest, start = Digest.parse(text), chunk_start(call.headers)
        try:
            chunks = self._bodies.chunks(call.request)
            await self._uploads.commit(call.name, call.target, digest, chunks, start=start)
        except RangeInvalid as exc:
            return _out_of_order(call, exc)
        return _created(call, digest)

    async def status(self, call: Call) -> web.StreamResponse:
        """Say how far a session is (end-13)."""
        session = await self._uploads.status(call.name, call.target)
        return answer(204, _session_headers(call, session))

    async def cancel(self, call: Call) -> web.StreamResponse:
        """Drop a session (end-14)."""
        await self._uploads.cancel(call.name, call.target)
        return answer(204)


def mount_source(call: Call) -> RepositoryName | None:
    """The repository that a mount names as its source; None if it leaves that to the registry.

    Raises:
        NameInvalid: it is no repository name.
    """
    text = call.query.first("from")
    return RepositoryName.parse(text) if text else None


def _session_headers(call: Call, session: Session) -> dict[str, str]:
    return {
        "Location": call.upload_url(session.id),
        "Range": f"0-{max(0, session.offset_bytes - 1)}",
        "Docker-Upload-UUID": session.id,
    }


def _accepted(call: Call, session: Session) -> web.Response:
    return answer(202, {**_session_headers(call, session), "Content-Length": "0"})


def _created(call: Call, digest: Digest) -> web.Response:
    return answer(201, {"Location": call.blob_url(digest), "Docker-Content-Digest": str(digest), "Content-Length": "0"})


def _out_of_order(call: Call, exc: RangeInvalid) -> web.Response:
    response = render(exc)
    # What the client needs to go on, without asking for the status first.
    response.headers.update(_session_headers(call, Session(call.target, exc.offset_bytes)))
    return response
