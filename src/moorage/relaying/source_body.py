"""The bytes of a blob of the source: a body that breaks off is gone on with where it broke."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus

from moorage.client.patience import PASSING_STATUSES
from moorage.client.registry import CommandFailed
from moorage.client.streaming import RegistryAway, StreamedAnswer, StreamedCall
from moorage.copying.shared_work import BytePace
from moorage.oci.manifests import Descriptor
from moorage.oci.names import RepositoryName
from moorage.relaying.registry_side import RegistrySide

_PART = re.compile(r"bytes (\d+)-\d+/")


class SourceBody:
    """A blob in a repository of the source, to be read as often as it takes."""

    def __init__(self, side: RegistrySide, repository: RepositoryName, blob: Descriptor, pace: BytePace) -> None:
        self.blob = blob
        self._side = side
        self._repository = repository
        self._pace = pace

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* on.

        Raises:
            CommandFailed: the source has no such blob, or more or fewer bytes than its manifest says, or is away.
        """
        at, failures, size = start, 0, self.blob.size_bytes
        while True:
            before, asked_s = at, None
            problem: CommandFailed | None = None
            try:
                async with self._side.remote.opened(self._call(at)) as response:
                    if response.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                        skipped = 0 if response.status == HTTPStatus.PARTIAL_CONTENT else at
                        self._see_where_it_begins(response.headers.get("Content-Range", ""), at, skipped)
                        async for chunk in self._side.remote.chunks_of(response):
                            wanted, skipped = chunk[skipped:], max(0, skipped - len(chunk))
                            if not wanted:
                                continue
                            at += len(wanted)
                            self._see_that_it_ends(at)
                            await self._pace.wait(len(wanted))
                            yield wanted
                    else:
                        body = [part async for part in self._side.remote.chunks_of(response, limit_bytes=1 << 20)]
                        answer = StreamedAnswer(response.status, response.headers, b"".join(body), "")
                        problem = self._refused(answer)
                        asked_s = self._side.remote.patience.asked_pause_s(answer.headers)
            except RegistryAway as exc:
                problem = exc
            if problem is None and (at == size or not size):
                return
            failures = 1 if at > before else failures + 1
            if not await self._side.remote.patience.again(failures, asked_s):
                raise problem or CommandFailed(
                    f"{self._side.remote.host} has only {at:,} of {size:,} bytes of {self.blob.digest}"
                )

    def _call(self, at: int) -> StreamedCall:
        return StreamedCall(
            method="GET",
            url=self._side.url(self._repository, f"blobs/{self.blob.digest}"),
            repository=self._repository.text,
            headers={"Range": f"bytes={at}-"} if at else {},
        )

    def _refused(self, answer: StreamedAnswer) -> CommandFailed:
        problem = self._side.remote.refused(answer)
        if answer.status == HTTPStatus.NOT_FOUND:
            msg = f"{self._side.remote.host} does not have the blob {self.blob.digest}, which a manifest names"
            raise CommandFailed(msg, code=answer.status)
        if answer.status not in PASSING_STATUSES:
            raise problem
        return problem

    def _see_where_it_begins(self, content_range: str, at: int, skipped: int) -> None:
        found = _PART.match(content_range)
        if at and not skipped and (found is None or int(found[1]) != at):
            msg = f"{self._side.remote.host} was asked for bytes from {at:,} on and gives others"
            raise CommandFailed(msg)

    def _see_that_it_ends(self, at: int) -> None:
        if self.blob.size_bytes and at > self.blob.size_bytes:
            msg = f"{self._side.remote.host} has more bytes of {self.blob.digest} than its manifest says"
            raise CommandFailed(msg)
