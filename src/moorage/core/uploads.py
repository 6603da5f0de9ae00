"""Upload sessions: start, append, ask, commit, cancel, and purge what nobody finished.

The session lives in storage alone (see ``storage/paths.py``), so any worker may take the next request and a restart
loses nothing. A worker also remembers the running hash of the bytes that it has received. If a session goes on in
another worker, its bytes are hashed once more, all together, when it is committed.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from moorage.cache.remembered import Remembered
from moorage.core.blob_placing import BlobPlacing
from moorage.core.session_limits import SessionLimits
from moorage.core.upload_ages import begun_before
from moorage.core.upload_endings import UploadEnding, UploadState, read_again
from moorage.core.upload_writing import Writing, open_session, unknown
from moorage.errors import BackendError, DigestInvalid, PathUnknown, RangeInvalid, StorageFull
from moorage.metadata.base import UNEXPLAINED, Cause, LinkStore, SessionStore, UploadSession
from moorage.oci.digests import Algorithm, Digest, Hasher
from moorage.oci.names import RepositoryName
from moorage.room import Room
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.streams import Arriving
from moorage.storage.uploads import UploadSink, UploadWriter
from moorage.storage.walk import pages_of
from moorage.telemetry import get_log

Chunks = AsyncIterator[bytes | bytearray | Arriving]

_HASHERS = 4096
"""Sessions whose running hash a worker remembers; the bytes of a forgotten one are read again at its end."""

_PURGED_PAGE = 1000

_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID in the form in which it was given out."""

_log = get_log("uploadpurging")


class Uploads:
    """The upload sessions of every repository."""

    def __init__(
        self,
        storage: StorageDriver,
        links: LinkStore,
        *,
        sessions: SessionStore | None = None,
        limits: SessionLimits | None = None,
        room: Room | None = None,
        sink: UploadSink,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take these parts.

        Args:
            storage: has the bytes.
            links: say what is in which repository.
            sessions: where sessions are listed; None: in storage alone.
            limits: how many sessions a client may open.
            room: what has to stay free.
            sink: takes the bytes, in the way that suits what *storage* can do.
            now: the clock.
        """
        self._storage = storage
        self._sink = sink
        self._placing = BlobPlacing(storage, links, sink)
        self._sessions = sessions
        self._limits = limits or SessionLimits(storage, b"", limit=0, now=now)
        self._room = room or Room({})
        self._now = now
        self._hashers: Remembered[str, Hasher] = Remembered(_HASHERS)

    async def start(self, name: RepositoryName, algorithm: Algorithm = "sha256", *, client: str = "") -> UploadState:
        """Open a session of *client* whose bytes are going to be named by *algorithm* (end-4a, end-4c).

        Raises:
            StorageFull: no room is left but for deletions.
            TooManyRequests: the client has as many open as it may have.
        """
        self._room.check()
        session = await self._limits.name_new(name, client)
        folder = paths.upload(name, session)
        try:
            await self._sink.start(folder, self._started_at())
        except BackendError:
            with contextlib.suppress(BackendError):
                await self._sink.remove(folder)
            raise
        self._note(name, session, algorithm)
        return UploadState(session, 0)

    async def status(self, name: RepositoryName, session: str) -> UploadState:
        """Return how far a session is (end-13).

        Raises:
            UploadUnknown: there is no such session.
        """
        _check_id(session)
        try:
            return UploadState(session, await self._sink.status(paths.upload(name, session)))
        except PathUnknown:
            raise unknown(session) from None

    async def append(self, name: RepositoryName, session: str, chunks: Chunks, *, start: int | None) -> UploadState:
        """Add *chunks* to the end and return the new offset (end-5).

        What was written before the client hung up stays, so that it can resume.

        *start* is the offset that the client believes it is at; None if it did not say.

        Raises:
            RangeInvalid: *start* is not the current offset. Nothing is written.
            UploadUnknown: there is no such session.
            UploadBusy: another request is writing to it.
            StorageFull: no more room; the session is as it was before.
        """
        async with await self._writing(name, session) as writer:
            _check_start(writer, start)
            hasher = await self._write(session, writer, chunks)
            await writer.flush()
            return UploadState(session, writer.size_bytes, None if hasher is None else hasher.digest())

    async def commit(
        self,
        name: RepositoryName,
        session: str,
        digest: Digest,
        chunks: Chunks,
        *,
        start: int | None,
        known: UploadState | None = None,
        cause: Cause = UNEXPLAINED,
    ) -> None:
        """Add *chunks*, compare with *digest*, and make the whole a blob of the repository (end-6).

        *known* is what :meth:`append` returned last, here or in another worker; without it the bytes may have to be
        read again.

        On return the blob and its link are durable. In which order, so that nothing half-written is ever visible and
        nothing unknown is ever left, says ``blob_placing.py``.

        Raises:
            DigestInvalid: the bytes have another digest. The session is removed.
            RangeInvalid, UploadUnknown, UploadBusy, StorageFull: as for :meth:`append`.
        """
        async with await self._writing(name, session, digest) as writer:
            _check_start(writer, start)
            if known is not None and known.offset_bytes > writer.size_bytes:
                # A list that is behind, or an accident of storage: not the client's bytes are wrong, so they stay.
                _check_start(writer, known.offset_bytes)
            await self._complete(UploadEnding(name, session, digest, known, cause), writer, chunks)

    async def push(
        self,
        name: RepositoryName,
        digest: Digest,
        chunks: Chunks,
        *,
        client: str = "",
        cause: Cause = UNEXPLAINED,
    ) -> None:
        """Open a session and commit it in one go (end-4b). Nothing of it stays if that fails.

        Raises:
            DigestInvalid, StorageFull: as for :meth:`commit`.
            TooManyRequests: as for :meth:`start`.
        """
        self._room.check()
        session = await self._limits.name_new(name, client)
        folder = paths.upload(name, session)
        try:
            writer = await self._sink.begin(folder, self._started_at(), target=paths.blob(digest))
        except BackendError:
            with contextlib.suppress(BackendError):
                await self._sink.remove(folder)
            raise
        self._note(name, session, digest.algorithm)
        async with Writing(session, writer, self._hashers):
            try:
                await self._complete(UploadEnding(name, session, digest, cause=cause), writer, chunks)
            except BaseException:
                # Nobody was told of the session, so nobody can resume it.
                with contextlib.suppress(BackendError):
                    await self._drop(session, writer)
                raise

    async def cancel(self, name: RepositoryName, session: str) -> None:
        """Remove a session and its bytes (end-14).

        Raises:
            UploadUnknown: there is no such session.
        """
        await self.status(name, session)
        await self._remove(name, session)

    async def purge_listed(
        self, *, older_than: timedelta, dry_run: bool, limit: int, stuck: set[str]
    ) -> Sequence[UploadSession]:
        """Remove at most *limit* of the listed sessions that are older than *older_than*, and return them.

        The oldest first, without a walk through storage; empty where sessions are not listed. *stuck*: sessions that
        could not be removed: they are passed over, stay listed, and those that fail this time are added.
        """
        if self._sessions is None:
            return []
        old = await self._sessions.stale(before=self._now() - older_than, limit=limit + len(stuck))
        tried = [session for session in old if session.id not in stuck]
        if not dry_run:
            stuck.update([session.id for session in tried if not await self._is_purged(session.name, session.id)])
            await self._sessions.flush()
        return [session for session in tried if session.id not in stuck]

    async def purge(self, name: RepositoryName, *, older_than: timedelta, dry_run: bool) -> list[str]:
        """Remove the sessions of a repository that are older than *older_than*, and return their ids.

        One that cannot be removed is logged, and does not keep the others from being removed.
        """
        now, old = self._now(), list[str]()
        async for entries in pages_of(self._storage, paths.uploads(name), page=_PURGED_PAGE):
            sessions = [entry.name for entry in entries]
            old += await begun_before(self._storage, name, sessions, now - older_than, now=now)
        return old if dry_run else [session for session in old if await self._is_purged(name, session)]

    def _started_at(self) -> bytes:
        return _text_of(int(self._now().timestamp()))

    def _note(self, name: RepositoryName, session: str, algorithm: Algorithm) -> None:
        self._hashers.put(session, Hasher(algorithm))
        if self._sessions is not None:
            self._sessions.note(name, session)

    def _forget(self, session: str) -> None:
        self._hashers.pop(session)
        if self._sessions is not None:
            self._sessions.forget(session)

    async def _writing(self, name: RepositoryName, session: str, digest: Digest | None = None) -> Writing:
        """Go on with a session; *digest*: what its bytes are said to have."""
        _check_id(session)
        target = None if digest is None else paths.blob(digest)
        writer = await open_session(self._sink, paths.upload(name, session), session, target=target)
        return Writing(session, writer, self._hashers)

    async def _complete(self, ending: UploadEnding, writer: UploadWriter, chunks: Chunks) -> None:
        session, digest = ending.session, ending.digest
        hasher = await self._write(session, writer, chunks, algorithm=digest.algorithm)
        actual = ending.known_digest(hasher, writer.size_bytes)
        if actual is None:
            actual = await read_again(writer, digest.algorithm)
        if actual != digest:
            await self._drop(session, writer)
            msg = "the bytes that came have another digest"
            raise DigestInvalid(msg, given=str(digest), computed=str(actual))
        await self._placing.put(ending, writer)
        await writer.remove()
        self._forget(session)  # Only now, as below.

    async def _drop(self, session: str, writer: UploadWriter) -> None:
        """Remove a session whose end has failed; by one that is a blob already, that is found when it is purged."""
        if writer.has_place:
            self._hashers.pop(session)
            return
        self._forget(session)
        await writer.remove()

    async def _write(
        self, session: str, writer: UploadWriter, chunks: Chunks, *, algorithm: Algorithm | None = None
    ) -> Hasher | None:
        """Write and hash; return the hasher if it has seen all of the session's bytes.

        Without room nothing of the request is kept: what a refused push left would take the last room from others.
        """
        start_bytes = writer.size_bytes
        try:
            return await self._write_all(session, writer, chunks, algorithm)
        except StorageFull:
            await writer.take_back(start_bytes)
            raise

    async def _write_all(
        self, session: str, writer: UploadWriter, chunks: Chunks, algorithm: Algorithm | None
    ) -> Hasher | None:
        hasher = self._hashers.pop(session)
        if writer.size_bytes == 0 and (hasher is None or algorithm not in (None, hasher.algorithm)):
            hasher = Hasher(algorithm or "sha256")
        if hasher is not None and hasher.size_bytes != writer.size_bytes:
            hasher = None  # Another worker had a part of it, or a part could not be written.

        def see(data: bytes | bytearray | memoryview) -> None:
            self._room.take(len(data))
            if hasher is not None:
                hasher.update(data)

        async for chunk in chunks:
            await writer.write(chunk, observer=see)
        if hasher is not None:
            self._hashers.put(session, hasher)
        return hasher

    async def _remove(self, name: RepositoryName, session: str) -> None:
        self._hashers.pop(session)
        await self._placing.trace(name, session)
        # Not durable: a session that comes back after a power cut is purged like any that nobody finished.
        await self._sink.remove(paths.upload(name, session))
        self._forget(session)  # Only now: what could not be removed is found by the list the next time.

    async def _is_purged(self, name: RepositoryName, session: str) -> bool:
        try:
            await self._remove(name, session)
        except BackendError as exc:
            _log.error("upload could not be purged", repository=name.text, session=session, error=str(exc))
            return False
        return True


@lru_cache(maxsize=1)
def _text_of(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _check_id(session: str) -> None:
    if _ID.fullmatch(session) is None:
        raise unknown(session)


def _check_start(writer: UploadWriter, start: int | None) -> None:
    if start is not None and start != writer.size_bytes:
        msg = f"the upload has {writer.size_bytes} bytes, so the next chunk starts at {writer.size_bytes}"
        raise RangeInvalid(msg, offset_bytes=writer.size_bytes)
