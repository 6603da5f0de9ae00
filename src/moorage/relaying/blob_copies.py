"""Copies of blobs: each once into a repository, by the cheapest way that the target offers."""

import asyncio
import urllib.parse
from dataclasses import dataclass
from http import HTTPStatus

from moorage.cache.remembered import Remembered
from moorage.client.places import is_same_registry
from moorage.client.streaming import StreamedCall, joined_url
from moorage.copying.shared_work import BytePace, OnceEach
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor
from moorage.oci.names import RepositoryName
from moorage.relaying.blob_upload import BlobUpload
from moorage.relaying.registry_side import RelayEnds
from moorage.relaying.relay_outcome import BlobWay, RelayOutcome
from moorage.relaying.source_body import SourceBody
from moorage.work.reports import WorkReports

BYTES = "copying"
"""The part of the work that reports have."""
_REMEMBERED = 200_000
"""Blobs. Of one that was forgotten the target is asked again."""


@dataclass(frozen=True, slots=True)
class RepositoryPair:
    """A repository of the source, and the one of the target that its content goes to."""

    source: RepositoryName
    target: RepositoryName


class TargetHomes:
    """Repositories of a target in which blobs are known to be."""

    def __init__(self) -> None:
        self._known: Remembered[Digest, RepositoryName] = Remembered(_REMEMBERED, is_kept_by_use=True)

    def note(self, digest: Digest, repository: RepositoryName) -> None:
        """Remember that a repository has a blob."""
        self._known.put(digest, repository)

    def of(self, digest: Digest) -> RepositoryName | None:
        """Return a repository that has a blob; None: nobody knows of one."""
        return self._known.get(digest)


class BlobCopies:
    """Blobs of one source on their way to one target."""

    def __init__(
        self,
        ends: RelayEnds,
        outcome: RelayOutcome,
        *,
        pace: BytePace | None = None,
        reports: WorkReports | None = None,
        homes: TargetHomes | None = None,
        jobs: int = 4,
        dry_run: bool = False,
    ) -> None:
        """*reports* hear of bytes that are done with, whatever the way; with *dry_run* nothing is changed."""
        self._source, self._target = ends
        self._outcome = outcome
        self._pace = pace or BytePace(None)
        self._reports = reports or WorkReports()
        self._done_bytes = self._known_bytes = 0
        self._dry_run = dry_run
        self._slots = asyncio.Semaphore(jobs)
        self._is_same_registry = is_same_registry(ends.source.remote.url, ends.target.remote.url)
        self._once: OnceEach[tuple[RepositoryName, Digest]] = OnceEach(_REMEMBERED)
        self._homes = homes or TargetHomes()

    async def copy(self, blob: Descriptor, pair: RepositoryPair) -> None:
        """See to it that a blob is in the repository of the target.

        Raises:
            CommandFailed: it could not be had, or not be stored.
        """
        await self._once.do((pair.target, blob.digest), lambda: self._copy(blob, pair))

    async def copy_foreign(self, blob: Descriptor, pair: RepositoryPair) -> None:
        """The same for a layer that may stay where its ``urls`` point: if the source does not have it, it does.

        Raises:
            CommandFailed: as above.
        """
        if await self._source.has_blob(pair.source, blob.digest):
            await self.copy(blob, pair)

    async def _copy(self, blob: Descriptor, pair: RepositoryPair) -> None:
        self._known_bytes += blob.size_bytes
        way = await self._by_some_way(blob, pair)
        self._outcome.did_blob(way, blob.size_bytes)
        if way is not BlobWay.TO_COPY:
            self._homes.note(blob.digest, pair.target)
        if way is not BlobWay.COPIED:
            self._moved(blob.size_bytes)

    def _moved(self, size_bytes: int) -> None:
        self._done_bytes += size_bytes
        self._reports.moved(BYTES, self._done_bytes, total=self._known_bytes)

    async def _by_some_way(self, blob: Descriptor, pair: RepositoryPair) -> BlobWay:
        if await self._target.has_blob(pair.target, blob.digest):
            return BlobWay.PRESENT
        if self._dry_run:
            return BlobWay.TO_COPY
        home = pair.source if self._is_same_registry else self._homes.of(blob.digest)
        location = ""
        if home is not None and home != pair.target:
            is_mounted, location = await self._mount(blob.digest, home, pair.target)
            if is_mounted:
                return BlobWay.MOUNTED
        body = SourceBody(self._source, pair.source, blob, self._pace)
        async with self._slots:
            await BlobUpload(self._target, pair.target, body, self._moved).run(location)
        return BlobWay.COPIED

    async def _mount(self, digest: Digest, home: RepositoryName, repository: RepositoryName) -> tuple[bool, str]:
        """Ask the target to take a blob from another repository; return whether it did, or the upload it began.

        Source: distribution-spec § Mounting a blob from another repository.
        """
        query = urllib.parse.urlencode({"mount": str(digest), "from": home.text}, safe=":/")
        url = self._target.url(repository, f"blobs/uploads/?{query}")
        answer = await self._target.remote.ask(StreamedCall(method="POST", url=url, repository=repository.text))
        if answer.status == HTTPStatus.CREATED:
            return True, ""
        location = answer.headers.get("Location", "") if answer.status == HTTPStatus.ACCEPTED else ""
        return False, joined_url(url, location) if location else ""
