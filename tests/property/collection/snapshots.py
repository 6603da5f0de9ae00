"""What is in the database and in the storage at one moment, and what always holds of it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moorage.errors import PathUnknown
from moorage.metadata.sql.digest_keys import digest_of
from moorage.oci.digests import Digest
from moorage.sql.base import Database, NamedQuery
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from property.collection.world import CONTENTS, ITEMS, SPARSE, blob_digest


@dataclass(frozen=True)
class Row:
    """A manifest."""

    repository: int
    digest: Digest
    is_deleted: bool
    subject: Digest | None
    created_at: object
    """With it a row is told from a later one that has the same id."""

    @property
    def key(self) -> tuple[Digest, int]:
        return self.digest, self.repository


@dataclass(frozen=True)
class Snapshot:
    """Rows by their ids, and the bytes of blobs."""

    repositories: Mapping[int, str]
    manifests: Mapping[int, Row]
    tags: Mapping[tuple[int, str], int]
    blobs: Mapping[int, Digest]
    links: Mapping[tuple[int, int], bool]
    """By repository and blob: whether it was taken out."""
    uses: frozenset[tuple[int, int]]
    """Manifest and blob."""
    lists: frozenset[tuple[int, int]]
    """Index and manifest."""
    sparse: frozenset[tuple[Digest, int, int]]
    """What is named, where, and by which manifest."""
    blob_reviews: frozenset[Digest]
    manifest_reviews: frozenset[int]
    bytes: Mapping[Digest, bytes]
    uploads: frozenset[Digest]
    """Blobs whose bytes have the name of an upload besides, by which they are found when that is purged."""

    def manifest(self, repository: int, digest: Digest) -> int | None:
        """The id of a manifest."""
        return next((i for i, m in self.manifests.items() if (m.repository, m.digest) == (repository, digest)), None)

    def keepers(self, manifest: int) -> set[tuple[str, int]]:
        """What keeps a manifest: tags and sparse manifests (by id), indexes, and its subject."""
        row = self.manifests[manifest]
        found = {("tag", target) for target in self.tags.values() if target == manifest}
        found |= {("manifest", parent) for parent, child in self.lists if child == manifest}
        found |= {("manifest", by) for digest, where, by in self.sparse if (digest, where) == row.key}
        if row.subject is not None and not row.is_deleted:
            subject = self.manifest(row.repository, row.subject)
            found |= set() if subject is None else {("manifest", subject)}
        return found

    def users(self, blob: int) -> set[int]:
        """The manifests that a blob stays for."""
        digest = self.blobs[blob]
        found = {manifest for manifest, used in self.uses if used == blob}
        return found | {by for named, where, by in self.sparse if named == digest and (where, blob) in self.links}

    def faults(self, late: Collection[str]) -> Iterator[str]:
        """What must never be, even for a moment. *late*: of these blobs bytes may be unknown."""
        for found, digest in self.blobs.items():
            if self.bytes.get(digest) != CONTENTS[digest].body:
                yield f"the bytes of the blob {digest} are not in storage"
            if digest not in self.blob_reviews and not self.users(found):
                yield f"the blob {digest} is not needed and would never be reviewed"
        for digest in self.bytes.keys() - set(self.blobs.values()) - self.blob_reviews - self.uploads:
            if digest.encoded in late:
                continue
            yield f"the bytes of {digest} are in storage, and nothing knows them"
        for found, row in self.manifests.items():
            if found not in self.manifest_reviews and not self.keepers(found):
                yield f"the manifest {row.digest} in {self.repositories[row.repository]} would never be reviewed"
            yield from self._gaps(found, row)

    def _gaps(self, manifest: int, row: Row) -> Iterator[str]:
        """What a manifest names and does not keep."""
        item, where = ITEMS[row.digest], self.repositories[row.repository]
        ids = {digest: found for found, digest in self.blobs.items()}
        for digest in map(blob_digest, item.blobs):
            found = ids.get(digest)
            is_kept = (manifest, found) in self.uses or (digest, row.repository, manifest) in self.sparse
            if not is_kept and (where != SPARSE.text or (found is not None and (row.repository, found) in self.links)):
                yield f"the manifest {row.digest} in {where} does not keep its blob {digest} (row: {found})"
            if where != SPARSE.text and found is not None and (row.repository, found) not in self.links:
                yield f"the manifest {row.digest} in {where} has its blob {digest} not in its repository"
        for child in item.children:
            found = self.manifest(row.repository, child.digest)
            is_kept = (manifest, found) in self.lists or (child.digest, row.repository, manifest) in self.sparse
            if not is_kept and (where != SPARSE.text or found is not None):
                yield f"the index {row.digest} in {where} does not keep {child.digest} (row: {found})"

    def losses(self, before: "Snapshot", is_removed: Callable[[str, Digest], bool]) -> Iterator[str]:
        """What was there before, and had the same reason to be there all the time.

        *is_removed*: whether somebody removed the manifest by name meanwhile.
        """
        for found, row in before.manifests.items():
            if not self._has_still(found, before) and not is_removed(self.repositories[row.repository], row.digest):
                kept = {keeper for keeper in before.keepers(found) if keeper[0] == "manifest"}
                if any(self._has_still(by, before) and not before.is_cycle(found, by) for _, by in kept):
                    yield f"the manifest {row.digest} in {self.repositories[row.repository]} went before what kept it"
        for blob, digest in before.blobs.items():
            if blob not in self.blobs and any(self._has_still(user, before) for user in before.users(blob)):
                yield f"the blob {digest} went before what kept it"

    def _has_still(self, manifest: int, before: "Snapshot") -> bool:
        row = self.manifests.get(manifest)
        return row is not None and row.created_at == before.manifests[manifest].created_at

    def is_cycle(self, manifest: int, keeper: int) -> bool:
        """Whether an index lists what it refers to as its subject: then it does not keep itself."""
        return (manifest, keeper) in self.lists

    def reachable(self) -> set[int]:
        """The manifests that a tag leads to: by the lists of indexes, and from a subject to what refers to it."""
        found: set[int] = set()
        waiting = list(self.tags.values())
        while waiting:
            manifest = waiting.pop()
            if manifest in found:
                continue
            found.add(manifest)
            row = self.manifests[manifest]
            named = {child.digest for child in ITEMS[row.digest].children}
            waiting += [
                other
                for other, their in self.manifests.items()
                if their.repository == row.repository
                and (their.digest in named or (their.subject == row.digest and not their.is_deleted))
            ]
        return found

    def leftovers(self, late: Collection[str]) -> Iterator[str]:
        """What should have gone, when everything was reviewed."""
        reachable = self.reachable()
        for found in self.manifests.keys() - reachable:
            yield f"the manifest {self.manifests[found].digest} stays, and nothing leads to it"
        needed = {blob for blob in self.blobs if self.users(blob) & reachable}
        for found in self.blobs.keys() - needed:
            yield f"the blob {self.blobs[found]} stays, and nothing leads to it"
        for digest in self.bytes.keys() ^ set(self.blobs.values()):
            if digest.encoded in late:
                continue
            yield f"storage and database do not agree about {digest}"
        if self.blob_reviews or self.manifest_reviews:
            yield "the queues are not empty"


async def take(database: Database, storage: StorageDriver) -> Snapshot:
    """Look at everything. Nobody may be at work."""

    async def rows(text: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await database.all(NamedQuery("snapshot", text, text))]

    def digest(value: bytes) -> Digest:
        return digest_of(bytes(value))

    manifests = {
        i: Row(repository, digest(key), bool(gone), None if subject is None else digest(subject), at)
        for i, repository, key, gone, subject, at in await rows(
            "SELECT id, repository_id, digest, deleted_at IS NOT NULL, subject_digest, created_at FROM manifests"
        )
    }
    layers = "SELECT manifest_id, blob_id FROM layers"
    uses = f"{layers} UNION SELECT id, config_blob_id FROM manifests WHERE config_blob_id > 0"  # noqa: S608 - both ours
    return Snapshot(
        repositories=dict(await rows("SELECT id, path FROM repositories")),
        manifests=manifests,
        tags={(a, b): c for a, b, c in await rows("SELECT repository_id, name, manifest_id FROM tags")},
        blobs={i: digest(key) for i, key in await rows("SELECT id, digest FROM blobs")},
        links={
            (a, b): bool(gone)
            for a, b, gone in await rows("SELECT repository_id, blob_id, deleted_at IS NOT NULL FROM repository_blobs")
        },
        uses=frozenset(await rows(uses)),
        lists=frozenset(await rows("SELECT parent_id, child_id FROM manifest_references")),
        sparse=frozenset(
            (digest(key), a, b)
            for key, a, b in await rows("SELECT digest, repository_id, manifest_id FROM sparse_references")
        ),
        blob_reviews=frozenset(digest(row[0]) for row in await rows("SELECT digest FROM gc_blob_review_queue")),
        manifest_reviews=frozenset(row[0] for row in await rows("SELECT manifest_id FROM gc_manifest_review_queue")),
        bytes=await stored(storage),
        uploads=frozenset([key for key in CONTENTS if await _is_upload(storage, key)]),
    )


async def _is_upload(storage: StorageDriver, digest: Digest) -> bool:
    try:
        return (await storage.stat(paths.blob(digest))).names > 1
    except PathUnknown:
        return False


async def stored(storage: StorageDriver) -> Mapping[Digest, bytes]:
    """Every blob in storage."""
    found = {}
    for digest in CONTENTS:
        try:
            found[digest] = await storage.get(paths.blob(digest))
        except PathUnknown:
            continue
    return found
