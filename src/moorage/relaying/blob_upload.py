"""An upload of a blob to the target: hashed as it passes, gone on with after a break, and given up whole.

Source: distribution-spec § Pushing a blob in chunks.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from moorage.client.patience import PASSING_STATUSES
from moorage.client.registry import CommandFailed
from moorage.client.streaming import RegistryAway, StreamedAnswer, StreamedCall, joined_url
from moorage.oci.digests import Hasher
from moorage.oci.names import RepositoryName
from moorage.relaying.registry_side import RegistrySide
from moorage.relaying.source_body import SourceBody

SMALL_BYTES = 256 << 10
"""Blobs of so many bytes are sent with the request that ends the upload."""
_SNAPSHOT_BYTES = 16 << 20
_WHOLE = re.compile(r"(?:bytes=)?0-(\d+)")
_TAKEN = frozenset({200, 201, 202, 204})
_NOWHERE = ""


class BlobUpload:
    """One blob on its way into a repository of the target."""

    def __init__(
        self, side: RegistrySide, repository: RepositoryName, body: SourceBody, moved: Callable[[int], object]
    ) -> None:
        """*moved* is told of bytes that are on their way for the first time."""
        self._side = side
        self._repository = repository
        self._body = body
        self._moved = moved
        self._hashers = [Hasher(body.blob.digest.algorithm)]
        """The digest of what has passed, and behind it what it was at places to go back to."""
        self._location = _NOWHERE
        self._most = 0
        self._source_problem: Exception | None = None

    async def run(self, location: str = _NOWHERE) -> None:
        """Upload it, by the upload that is at *location* if the target has begun one.

        Raises:
            CommandFailed: the source or the target failed; nothing of it is left on the target.
        """
        self._location = location or await self._begin()
        content = b""
        try:
            if 0 < self._body.blob.size_bytes <= SMALL_BYTES:
                content = b"".join([chunk async for chunk in self._passing(0)])
            else:
                await self._fill()
            self._check()
            await self._end(content)
        except CommandFailed:
            await self._drop()
            raise

    async def _begin(self) -> str:
        url = self._side.url(self._repository, "blobs/uploads/")
        answer = await self._side.remote.ask(StreamedCall(method="POST", url=url, repository=self._repository.text))
        if answer.status != HTTPStatus.ACCEPTED or not answer.headers.get("Location"):
            raise self._side.remote.refused(answer)
        return joined_url(url, answer.headers["Location"])

    async def _fill(self) -> None:
        at = failures = 0
        while True:
            if at and at == self._body.blob.size_bytes == self._hashers[-1].size_bytes:
                return  # Only the answer was lost.
            asked_s = None
            try:
                answer = await self._side.remote.ask_once(self._patch(at))
            except RegistryAway as exc:
                problem: CommandFailed = exc
            else:
                if answer.status in _TAKEN and self._source_problem is None:
                    self._follow(answer)
                    return
                problem = self._side.remote.refused(answer)
                asked_s = self._side.remote.patience.asked_pause_s(answer.headers)
                is_passing = answer.status in PASSING_STATUSES | {HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
                if not is_passing and self._source_problem is None:
                    raise problem
            if self._source_problem is not None:
                raise self._source_problem
            failures += 1
            if not await self._side.remote.patience.again(failures, asked_s):
                raise problem
            before = at
            at = await self._where()
            failures = 0 if at > before else failures

    def _patch(self, at: int) -> StreamedCall:
        headers = {"Content-Type": "application/octet-stream"}
        size = self._body.blob.size_bytes
        if size:
            headers["Content-Length"] = str(size - at)
        if at:
            headers["Content-Range"] = f"{at}-{size - 1}"
        return StreamedCall(
            method="PATCH",
            url=self._location,
            repository=self._repository.text,
            headers=headers,
            body=self._passing(at),
        )

    async def _where(self) -> int:
        """Return how many bytes the target has; if it does not know, none of a new upload."""
        answer = await self._side.remote.ask(self._call("GET"))
        found = _WHOLE.fullmatch(answer.headers.get("Range", ""))
        # "0-0" is said of no byte as well as of one.
        has = int(found[1]) + 1 if found and found[1] != "0" else 0
        if answer.status in _TAKEN and has and has <= min(self._body.blob.size_bytes, self._most):
            self._follow(answer)
            return has
        await self._drop()
        self._location = await self._begin()
        return 0

    def _follow(self, answer: StreamedAnswer) -> None:
        self._location = joined_url(self._location, answer.headers.get("Location", self._location))

    def _call(self, method: str) -> StreamedCall:
        return StreamedCall(method=method, url=self._location, repository=self._repository.text)

    async def _passing(self, at: int) -> AsyncIterator[bytes]:
        """Yield the bytes from *at* on, after all before them were hashed."""
        while self._hashers[-1].size_bytes > at:
            self._hashers.pop()
        if not self._hashers:
            self._hashers.append(Hasher(self._body.blob.digest.algorithm))
        base = self._hashers[-1].size_bytes
        running = self._hashers[-1].copy()
        self._hashers.append(running)
        try:
            async for chunk in self._body.chunks(base):
                running.update(chunk)
                if running.size_bytes - self._hashers[-2].size_bytes >= _SNAPSHOT_BYTES:
                    self._hashers.insert(-1, running.copy())
                self._count(running.size_bytes)
                wanted = chunk[max(0, at - running.size_bytes + len(chunk)) :]
                if wanted:
                    yield wanted
        except CommandFailed as exc:
            # Whoever sends would take it for a failure of the target.
            self._source_problem = exc
            raise

    def _count(self, size_bytes: int) -> None:
        if size_bytes > self._most:
            self._moved(size_bytes - self._most)
            self._most = size_bytes

    def _check(self) -> None:
        found, blob = self._hashers[-1], self._body.blob
        if found.digest() != blob.digest:
            msg = f"the source gives bytes with the digest {found.digest()} for {blob.digest}"
            raise CommandFailed(msg)

    async def _end(self, content: bytes) -> None:
        url = f"{self._location}{'&' if '?' in self._location else '?'}digest={self._body.blob.digest}"
        headers = {"Content-Type": "application/octet-stream"}
        call = StreamedCall(method="PUT", url=url, repository=self._repository.text, headers=headers, body=content)
        answer = await self._side.remote.ask(call)
        if answer.status not in _TAKEN and not await self._is_there_after_all(answer):
            raise self._side.remote.refused(answer)

    async def _is_there_after_all(self, answer: StreamedAnswer) -> bool:
        # The answer to an earlier attempt may have been lost.
        is_gone = answer.status == HTTPStatus.NOT_FOUND
        return is_gone and await self._side.has_blob(self._repository, self._body.blob.digest)

    async def _drop(self) -> None:
        with contextlib.suppress(CommandFailed):
            await self._side.remote.ask_once(self._call("DELETE"))
