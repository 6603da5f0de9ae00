"""A registry in which time passes: reviews are due when a test says so."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from contract.metadata.pushing import NAME, push, push_blob, push_image
from contract.metadata.stores import SqlStore, query
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.gc.online.reviewed import BlobsReviewed
from moorage.metadata.base import Cause
from moorage.metadata.explanations import Explanation
from moorage.metadata.queues import Forecast
from moorage.metadata.reviews import ManifestsReviewed
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.explanations import SqlExplanations
from moorage.metadata.sql.queues import SqlQueues
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.metadata.words import Queue
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Value
from support.images import Content, Image, image

DAY = timedelta(days=1)
WITHIN = (timedelta(0), timedelta(hours=1), DAY, 2 * DAY, 7 * DAY)


class Aging:
    """One process's view of a store, of its queues, and of what is said of them."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.queues = SqlQueues(store.database)
        self.explanations = SqlExplanations(store.database)
        self.blobs = SqlBlobReviews(store.database)
        self.manifests = SqlManifestReviews(store.database)
        self._count = 0

    def cause(self, request: str = "") -> Cause:
        return Cause("ada", request or "some-request", "")

    async def push(self, seed: object, *tags: str, name: RepositoryName = NAME) -> Image:
        """An image with a configuration and two layers of 1,000 bytes."""
        made = image(seed)
        await push_image(self.store, made, *tags, name=name)
        return made

    async def push_manifest(self, content: Content, *tags: str, name: RepositoryName = NAME) -> Digest:
        return await push(self.store, content, *tags, name=name)

    async def push_blob(self, content: bytes, *, name: RepositoryName = NAME) -> Digest:
        return await push_blob(self.store, content, name=name)

    async def untag(self, tag: str, *, request: str = "") -> None:
        await self.store.manifests.untag(NAME, Tag(tag), cause=self.cause(request))

    async def delete(self, manifest: str, *, request: str = "") -> None:
        await self.store.manifests.delete(NAME, Digest.parse(manifest), cause=self.cause(request))

    async def explain(self, digest: object, *, name: RepositoryName = NAME) -> Explanation:
        """What is known of it, as one thing."""
        (found,) = await self.explanations.explain(name, Digest.parse(str(digest)))
        return found

    async def forecast(self, queue: Queue) -> list[tuple[int, int]]:
        """Blobs and bytes, for each of :data:`WITHIN`."""
        found: Forecast = await self.queues.forecast(queue, WITHIN)
        assert found.is_whole
        return [(freed.blobs, freed.size_bytes) for freed in found.within]

    async def all_due(self, queue: Queue, ago: timedelta = timedelta(seconds=1)) -> None:
        """Every review of a queue has been due for so long."""
        text = f"UPDATE gc_{queue}_review_queue SET review_after = $1"  # noqa: S608 - one of two words
        await self.run(text, datetime.now(UTC) - ago)

    async def forget_all(self, queue: Queue) -> None:
        await self.run(f"DELETE FROM gc_{queue}_review_queue")  # noqa: S608 - one of two words

    async def collect_manifests(self) -> ManifestsReviewed:
        return await ManifestCollector(self.manifests, Deadlines()).round()

    async def collect_blobs(self) -> BlobsReviewed:
        return await BlobCollector(self.blobs, self.store.storage, Deadlines()).round()

    async def in_queue(self, queue: Queue) -> int:
        return (await self.queues.state(queue)).waiting

    async def due_at(self, digest: str) -> datetime:
        """When a blob's review is due."""
        found = await self.explain(digest)
        assert found.review is not None
        return found.review.due_at

    async def break_bytes_of(self, digest: str) -> None:
        """Its bytes were found missing."""
        text = "UPDATE blobs SET missing_since = $1 WHERE digest = $2"
        await self.run(text, datetime.now(UTC), digest_key(Digest.parse(digest)))

    async def run(self, text: str, *args: Value) -> None:
        await self.store.database.write(query(text), *args)

    async def rows(self, text: str) -> Sequence[Sequence[object]]:
        return await self.store.rows(text)
