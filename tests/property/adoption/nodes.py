"""The nodes of the registry that adopts, what is pushed to it, and what it should have."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contract.metadata.stores import SqlStore, Store, sql_store
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.adopting import AdoptingCatalogue, AdoptingLinks, AdoptingManifests
from moorage.metadata.adopting_details import AdoptingHistory, AdoptingRenames
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.moving.adopting import Adoption
from moorage.moving.adoption_walk import AdoptionWalk
from moorage.oci.digests import Digest
from moorage.oci.manifests import parse
from moorage.oci.names import RepositoryName
from moorage.wiring.adopting import adoption_stores
from moorage.work.text_pipe import TextPipe
from property.adoption.fuse import Fuse, FusedDatabase, Killed
from support.images import Content, blob, config, image_manifest, index

NAMES = [RepositoryName(text) for text in ("a", "a-b", "a/b", "b", "b/c")]
BLOBS = [blob(n, 20) for n in range(3)] + [config("a")]
IMAGES = [image_manifest(BLOBS[-1], BLOBS[: n + 1]) for n in range(3)]
INDEXES = [index(IMAGES[:2])]
CONTENTS = {Digest.parse(each.digest): each for each in (*IMAGES, *INDEXES)}
ALL_BLOBS = [Digest.parse(each.digest) for each in BLOBS]
TAGS = ("V1", "v1", "v2")
BROKEN = RepositoryName("z")
_LIMIT = Deadlines(transaction=timedelta(seconds=30), storage=timedelta(seconds=30))


@dataclass
class Repository:
    """What a repository should have."""

    blobs: set[Digest] = field(default_factory=set)
    manifests: set[Digest] = field(default_factory=set)
    tags: dict[str, Digest] = field(default_factory=dict)
    is_populated: bool = False

    def needs(self, digest: Digest) -> bool:
        manifests = [CONTENTS[each] for each in self.manifests if each != digest]
        return any(
            reference.descriptor.digest == digest
            for content in manifests
            for reference in parse(content.body, content.media_type).references
        )


Model = dict[RepositoryName, Repository]


def note_push(model: Model, name: RepositoryName, content: Content, tags: "list[str] | tuple[()]") -> None:
    """A push has arrived."""
    repository = model.setdefault(name, Repository())
    digest = Digest.parse(content.digest)
    repository.manifests.add(digest)
    repository.tags |= dict.fromkeys(tags, digest)
    repository.is_populated = True


def is_below(name: str, other: str) -> bool:
    """Whether a rename of *other* moves *name*."""
    return name == other or name.startswith(f"{other}/")


class Node:
    """One process of the registry."""

    def __init__(self, sql: SqlStore, links: Store, now: Callable[[], datetime]) -> None:
        self.fuse = Fuse()
        self.sql = sql
        database = FusedDatabase(sql.database, self.fuse)
        mended = sql_store(database)
        stores = adoption_stores(database)
        self.ledger = stores.ledger
        wishes = TextPipe()
        self.adoption = Adoption(links.storage, stores, wishes=wishes, now=now)
        self.store = Store(
            storage=links.storage,
            links=AdoptingLinks(self.adoption, mended.links, links.links),
            manifests=AdoptingManifests(self.adoption, mended.manifests, links.manifests),
            catalogue=AdoptingCatalogue(self.adoption, mended.catalogue, links.catalogue),
        )
        self.renames = AdoptingRenames(self.adoption, SqlRenames(database))
        self.history = AdoptingHistory(self.adoption, SqlHistory(database))
        self.walk = AdoptionWalk(links.storage, self.adoption, self.ledger, wishes=wishes, sleep=_no_sleep)
        self.collectors = (
            ManifestCollector(SqlManifestReviews(database), _LIMIT),
            BlobCollector(SqlBlobReviews(database), links.storage, _LIMIT),
        )

    async def gone(self) -> None:
        """Let what it was at end, without a trace."""
        self.fuse.is_blown = True
        with contextlib.suppress(Killed):
            await self.adoption.close()


async def _no_sleep(_: float) -> None:
    await asyncio.sleep(0)
