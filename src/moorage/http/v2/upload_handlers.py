"""Uploads: end-4 to end-6, end-11, end-13 and end-14."""

import asyncio

from moorage.core.blobs import Blobs
from moorage.core.upload_endings import UploadState
from moorage.core.uploads import Chunks, Uploads
from moorage.errors import BlobUnknown, DigestInvalid, NameInvalid, RangeInvalid, UploadInvalid, UploadUnknown
from moorage.http.call import Call
from moorage.http.v2.upload_states import UploadStates
from moorage.oci.digests import Digest, Hasher, parse_algorithm
from moorage.oci.names import RepositoryName
from moorage.storage.streams import in_memory
from moorage.web.bodies import Bodies
from moorage.web.errors import render
from moorage.web.headers import chunk_range
from moorage.web.responses import Response

_AGAIN = "?digest="


class UploadHandlers:
    """``/v2/<name>/blobs/uploads/`` and below."""

    def __init__(
        self, uploads: Uploads, blobs: Blobs, bodies: Bodies, states: UploadStates, *, chunk_min_bytes: int = 0
    ) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._bodies = bodies
        self._states = states
        self._chunk_min_bytes = chunk_min_bytes

    async def start(self, call: Call) -> Response:
        """Open a session (end-4a, end-4c), take a whole blob (end-4b), or mount one (end-11)."""
        mount, digest = call.query.first("mount"), call.query.first("digest")
        if mount is not None:
            mounted = await self._mounted(call, mount, source=call.query.first("from"))
            if mounted is not None:
                return _created(call, mounted)
        elif digest is not None:
            wanted = Digest.parse(digest)
            await self._uploads.push(
                call.name, wanted, self._bodies.chunks(call.request), client=call.client, cause=call.cause
            )
            return _created(call, wanted)
        algorithm = parse_algorithm(call.query.first("digest-algorithm") or "sha256")
        response = self._accepted(call, await self._uploads.start(call.name, algorithm, client=call.client))
        if self._chunk_min_bytes:
            response.headers["OCI-Chunk-Min-Length"] = str(self._chunk_min_bytes)
        return response

    async def _mounted(self, call: Call, text: str, *, source: str | None) -> Digest | None:
        """The blob that was mounted; None if that cannot be done, for whatever reason: the client uploads it then.

        Source: distribution-spec § Mounting a blob from another repository ("unable to mount … 202").
        """
        try:
            digest = Digest.parse(text)
            place = RepositoryName.parse_stored(source) if source else None
        except (DigestInvalid, NameInvalid):
            return None  # There is nothing of that name.
        mounted = await self._blobs.mount(call.name, digest, source=place, grant=call.grant, cause=call.cause)
        return digest if mounted else None

    async def append(self, call: Call) -> Response:
        """Take a chunk, or a stream of any length (end-5)."""
        try:
            start = await self._chunk_start(call)
            chunks = self._bodies.chunks(call.request)
            session = await self._uploads.append(call.name, call.target, chunks, start=start)
        except RangeInvalid as exc:
            return self._out_of_order(call, exc)
        return self._accepted(call, session)

    async def commit(self, call: Call) -> Response:
        """Take the last chunk, if any, and close the session (end-6)."""
        text, state = _closing(call)
        if text is None:
            msg = "the digest of the whole blob is needed to close the upload: add digest=<digest> to the URL's query"
            raise DigestInvalid(msg)
        digest, chunks = Digest.parse(text), self._bodies.chunks(call.request)
        try:
            start = await self._chunk_start(call)
            known = self._states.read(call.name, call.target, state)
            await self._uploads.commit(
                call.name, call.target, digest, chunks, start=start, known=known, cause=call.cause
            )
        except RangeInvalid as exc:
            return self._out_of_order(call, exc)
        except UploadUnknown:
            if not await self._has(call.name, digest):
                raise
            # The same request once more: its first answer was lost on the way, after the session had become the blob.
            await self._check_repeated(digest, chunks)
        return _created(call, digest)

    async def status(self, call: Call) -> Response:
        """Say how far a session is (end-13)."""
        session = await self._uploads.status(call.name, call.target)
        return Response(204, self._session_headers(call, session))

    async def cancel(self, call: Call) -> Response:
        """Drop a session (end-14)."""
        await self._uploads.cancel(call.name, call.target)
        return Response(204)

    async def _chunk_start(self, call: Call) -> int | None:
        """Return where the chunk of a request starts; None if it does not say.

        Raises:
            RangeInvalid: elsewhere than the session is, and it is not as long as it says: 416 tells how to go on.
            UploadInvalid: its range is malformed, or only its length is wrong.
            UploadUnknown: there is no such session to compare it with.
        """
        said = chunk_range(call.headers)
        if said is None or said.is_consistent:
            return None if said is None else said.start
        session = await self._uploads.status(call.name, call.target)
        if session.offset_bytes != said.start:
            msg = f"the upload has {session.offset_bytes} bytes, so the next chunk starts at {session.offset_bytes}"
            raise RangeInvalid(msg, offset_bytes=session.offset_bytes)
        msg = "Content-Range and Content-Length do not fit together"
        length = call.headers.get("Content-Length")
        raise UploadInvalid(msg, contentRange=call.headers["Content-Range"], contentLength=length)

    async def _has(self, name: RepositoryName, digest: Digest) -> bool:
        """Return whether the blob is in the repository, and will still be when a manifest that names it comes."""
        try:
            await self._blobs.size(name, digest)
        except BlobUnknown:
            return False
        return True

    async def _check_repeated(self, digest: Digest, chunks: Chunks) -> None:
        """Read a body that has become a part of a blob before; it may be none of it, its end, or all of it.

        Raises:
            DigestInvalid: it is longer than the blob, or as long and not the blob. The rest is not read.
        """
        size_bytes = (await self._blobs.sizes([digest])).get(digest, 0)
        hasher = Hasher(digest.algorithm)
        async for came in chunks:
            chunk = in_memory(came)
            if hasher.size_bytes + len(chunk) > size_bytes:
                msg = "the upload has become a blob, and more bytes came than the blob has"
                raise DigestInvalid(msg, given=str(digest))
            await asyncio.to_thread(hasher.update, chunk)
        if hasher.size_bytes == size_bytes and hasher.digest() != digest:
            msg = "the bytes that came have another digest"
            raise DigestInvalid(msg, given=str(digest), computed=str(hasher.digest()))

    def _session_headers(self, call: Call, session: UploadState) -> dict[str, str]:
        return {
            "Location": f"{call.upload_url(session.id)}?_state={self._states.sign(call.name, session)}",
            "Range": f"0-{max(0, session.offset_bytes - 1)}",
            "Docker-Upload-UUID": session.id,
        }

    def _accepted(self, call: Call, session: UploadState) -> Response:
        return Response(202, self._session_headers(call, session))

    def _out_of_order(self, call: Call, exc: RangeInvalid) -> Response:
        response = render(exc)
        # What the client needs to go on, without asking for the status first.
        response.headers.update(self._session_headers(call, UploadState(call.target, exc.offset_bytes)))
        return response


def mount_source(call: Call) -> RepositoryName | None:
    """The repository that a mount names as its source; None if it leaves that to the registry.

    Raises:
        NameInvalid: it is no repository name.
    """
    text = call.query.first("from")
    return RepositoryName.parse_stored(text) if text else None


def _closing(call: Call) -> tuple[str | None, str | None]:
    """The digest and the state of a PUT, also where a script has added ``?digest=`` to a ``Location`` with a query."""
    digest, state = call.query.first("digest"), call.query.first("_state")
    if digest is None and state is not None and _AGAIN in state:
        state, _, digest = state.partition(_AGAIN)
    return digest, state


def _created(call: Call, digest: Digest) -> Response:
    return Response(201, {"Location": call.blob_url(digest), "Docker-Content-Digest": str(digest)})
