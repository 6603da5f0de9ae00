"""A registry on a bucket whose process is killed at any request to it, and what the next process finds."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.metadata.passing import pass_
from contract.metadata.stores import SqlStore, Store, sqlite_opener
from moorage.auth.access import EVERYTHING
from moorage.core.blobs import BlobFile, Blobs
from moorage.core.maintenance import purge_uploads
from moorage.core.manifest_rules import ManifestRules
from moorage.core.manifests import Manifests
from moorage.core.uploads import Uploads
from moorage.errors import BackendError
from moorage.gc.offline.offline_collection import collect_offline
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.base import UNEXPLAINED, Cause, Expectation, RemovalWatch
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database
from moorage.storage.piece_sink import PieceSink
from moorage.work.reports import WorkReports
from support.bucket import Bucket, Killed

NAME = RepositoryName("group/app")
PART_BYTES = 100
LATER = timedelta(days=30)


class SmallBucket(Bucket):
    """A bucket whose parts and pieces are small."""

    part_bytes = PART_BYTES
    part_min_bytes = PART_BYTES


@dataclass
class Process:
    """One process of a registry, with all that it has in memory."""

    store: Store
    uploads: Uploads
    blobs: Blobs
    manifests: Manifests
    acknowledged: dict[Digest, bytes]
    """What clients were told is there, by its digest. Other processes know of it, too."""
    tags: dict[str, Digest]

    async def blob(self, digest: Digest) -> bytes:
        """The bytes that a client gets."""
        found = await self.blobs.open(NAME, digest, address="")
        assert isinstance(found, BlobFile)
        with found.reader as reader:
            return b"".join([chunk async for chunk in reader.chunks()])

    async def tag(self, payload: bytes, tag: str) -> None:
        pushed = await self.manifests.put(NAME, Tag(tag), payload, content_type="", grant=EVERYTHING, cause=Cause())
        self.tags[tag] = pushed.digest


class _Links(SqlLinks):
    """Links in a database; a process may be killed before each change of them, too."""

    def __init__(self, database: Database, bucket: Bucket) -> None:
        super().__init__(database)
        self._bucket = bucket

    async def expect(self, digest: Digest) -> Expectation:
        await self._bucket.request("expect", "/database")
        return await super().expect(digest)

    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        await self._bucket.request("link", "/database")
        return await super().link(name, digest, expectation, size_bytes=size_bytes, cause=cause)


@dataclass
class World:
    """A bucket, and metadata beside it or in it."""

    folder: Path | None
    """Where the database is; None: link files."""
    bucket: SmallBucket = field(default_factory=SmallBucket)
    acknowledged: dict[Digest, bytes] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._open = None if self.folder is None else sqlite_opener(self.folder)

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        async with contextlib.AsyncExitStack() as stack:
            store: Store = self._layout() if self._open is None else await stack.enter_async_context(self._open())
            if isinstance(store, SqlStore):
                store = replace(store, links=_Links(store.database, self.bucket))
            blobs = Blobs(self.bucket, store.links)
            yield Process(
                store,
                self._uploads(store, datetime.now(UTC)),
                blobs,
                Manifests(store.manifests, blobs, ManifestRules()),
                self.acknowledged,
                self.tags,
            )

    async def kill(self, work: Callable[[Process], Awaitable[None]], *, at: int) -> bool:
        """Do *work*, and kill the process at its request number *at*; return whether it came so far."""
        self.bucket.requests.clear()
        self.bucket.dies_at = at
        try:
            async with self.process() as process:
                await work(process)
        except Killed:
            return True
        finally:
            self.bucket.dies_at = None
        return False

    async def refuse(self, work: Callable[[Process], Awaitable[None]], *, at: int, error: BackendError) -> bool:
        """Do *work*, and refuse its request number *at* once; return whether it came so far, and was told."""
        self.bucket.requests.clear()
        self.bucket.refuses = at, error
        try:
            async with self.process() as process:
                await work(process)
        except type(error):
            return True
        is_unused, self.bucket.refuses = self.bucket.refuses is not None, None
        assert is_unused, "nobody was told that the store refused"
        return False

    async def purge(self) -> None:
        """Purge all uploads, as is done when they are old."""
        async with self.process() as process:
            uploads = self._uploads(process.store, datetime.now(UTC) + LATER)
            await purge_uploads(self.bucket, uploads, age=timedelta(days=1), dry_run=False)

    async def collect(self) -> None:
        """Collect all that is not needed."""
        async with self.process() as process:
            if not isinstance(process.store, SqlStore):
                await collect_offline(self.bucket, OfflineOptions(grace=timedelta(0)), WorkReports())
                return
            await pass_(process.store, LATER)
            database = process.store.database
            await ManifestCollector(SqlManifestReviews(database), Deadlines()).round()
            await pass_(process.store, LATER)
            await BlobCollector(SqlBlobReviews(database), self.bucket, Deadlines()).round()

    def _uploads(self, store: Store, at: datetime) -> Uploads:
        sink = PieceSink(self.bucket)
        return Uploads(self.bucket, store.links, sink=sink, now=lambda: at)

    def _layout(self) -> Store:
        return Store(
            storage=self.bucket,
            links=LayoutLinks(self.bucket),
            manifests=LayoutManifests(self.bucket, PayloadCache()),
            catalogue=LayoutCatalogue(self.bucket),
        )
