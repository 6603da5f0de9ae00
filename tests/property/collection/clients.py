"""Clients that push, pull, move and remove, as real ones do, and hold the registry to what it told them."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from moorage.auth.access import EVERYTHING
from moorage.core.blobs import BlobFile, Blobs
from moorage.core.history import History, Selection
from moorage.core.manifest_rules import ManifestRules
from moorage.core.manifests import Manifests
from moorage.core.uploads import Uploads
from moorage.errors import (
    BeingRemoved,
    BlobReferenced,
    BlobUnknown,
    ManifestReferenced,
    ManifestUnknown,
    NameUnknown,
    PathUnknown,
    ReferencesUnknown,
    StorageUnavailable,
)
from moorage.metadata.base import Cause
from moorage.metadata.history import UndoSteps
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.moorage_errors import AlreadyUndone, ContentGone, RequestUnknown, UndoConflict
from moorage.oci.digests import Digest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.storage.upload_sinks import sink_of
from property.collection.gates import Actor, Violation
from property.collection.ledger import UNKNOWN, Key, Ledger, Stamp
from property.collection.world import REPOSITORIES, SPARSE, Item, blob_digest
from support.images import Content

REFUSALS = (
    *(BlobUnknown, ManifestUnknown, NameUnknown, ReferencesUnknown),
    *(ManifestReferenced, BlobReferenced),
    *(UndoConflict, ContentGone, AlreadyUndone, RequestUnknown),
    *(BeingRemoved, StorageUnavailable),
)
"""What a client may be told, whatever the collectors do. Where it was promised something else, that is checked."""


def accept_all(media_type: str) -> bool:
    return bool(media_type)


@dataclass(frozen=True)
class Services:
    """A registry, as one process has it."""

    uploads: Uploads
    blobs: Blobs
    strict: Manifests
    sparse: Manifests
    history: History

    @classmethod
    def over(cls, database: Database, storage: StorageDriver) -> "Services":
        links, store = SqlLinks(database), SqlManifests(database)
        blobs = Blobs(storage, links)
        return cls(
            uploads=Uploads(storage, links, sink=sink_of(storage)),
            blobs=blobs,
            strict=Manifests(store, blobs, ManifestRules()),
            sparse=Manifests(store, blobs, ManifestRules(sparse=True)),
            history=History(SqlHistory(database)),
        )

    def manifests(self, name: RepositoryName) -> Manifests:
        return self.sparse if name == SPARSE else self.strict

    async def purge(self) -> None:
        """Purge all uploads, as is done when they are old."""
        for name in REPOSITORIES:
            with contextlib.suppress(PathUnknown):
                await self.uploads.purge(name, older_than=timedelta(hours=-1), dry_run=False)

    async def blob(self, name: RepositoryName, digest: Digest) -> bytes:
        """Pull a blob."""
        found = await self.blobs.open(name, digest, address="")
        assert isinstance(found, BlobFile)
        with found.reader as reader:
            return b"".join([chunk async for chunk in reader.chunks()])

    async def manifest(self, name: RepositoryName, reference: Reference) -> bytes:
        """Pull a manifest."""
        return (await self.manifests(name).get(name, reference, accepts=accept_all)).payload


@dataclass(frozen=True)
class Touched:
    """What one request did, so that undoing it may change it."""

    keys: Collection[Key]
    tags: Collection[tuple[RepositoryName, str]]


@dataclass
class Client:
    """One client with a registry process of its own. Its tags are its own; all else it shares."""

    actor: Actor
    ledger: Ledger
    services: Services
    requests: dict[str, Touched]
    life: str = ""
    """Tells its requests from those of a process of the same name that was killed before it."""

    def cause(self, keys: Collection[Key] = (), tags: Sequence[tuple[RepositoryName, Tag]] = ()) -> Cause:
        """The cause of a new request, which is about to do these things."""
        request_id = f"{self.actor.name}{self.life}-{len(self.requests)}"
        self.requests[request_id] = Touched(keys, [(name, tag.text) for name, tag in tags])
        return Cause(actor=self.actor.name, request_id=request_id)

    async def push_blob(self, name: RepositoryName, content: Content, *, in_chunks: bool) -> None:
        """Upload a blob, in one go or in a session."""
        digest, since = blob_digest(content), self.ledger.stamp()
        if in_chunks:
            session = await self.services.uploads.start(name)
            middle = len(content.body) // 2
            known = await self.services.uploads.append(name, session.id, chunks(content.body[:middle]), start=0)
            rest = chunks(content.body[middle:])
            await self.services.uploads.commit(name, session.id, digest, rest, start=middle, known=known)
        else:
            await self.services.uploads.push(name, digest, chunks(content.body))
        self.ledger.promise(Key(name, "blob", digest), since)

    async def has_blob(self, name: RepositoryName, digest: Digest) -> bool:
        """Ask by HEAD for a blob."""
        return await self._sees(Key(name, "blob", digest), self.services.blobs.size(name, digest))

    async def has_manifest(self, name: RepositoryName, item: Item) -> bool:
        """Ask by HEAD for a manifest."""
        found = self.services.manifests(name).get(name, item.digest, accepts=accept_all, promises=True)
        return await self._sees(Key(name, "manifest", item.digest), found)

    async def _sees(self, key: Key, answer: Awaitable[object]) -> bool:
        """Whether it is there: then it has to stay for half the delay."""
        since = self.ledger.stamp()
        try:
            await answer
        except (BlobUnknown, ManifestUnknown, NameUnknown):
            if self.ledger.has_held(key, since):
                msg = f"{key} was promised, and HEAD does not find it"
                raise Violation(msg) from None
            return False
        self.ledger.promise(key, since, share=0.5)
        return True

    async def mount(self, name: RepositoryName, digest: Digest, source: RepositoryName | None) -> bool:
        """Mount a blob."""
        since = self.ledger.stamp()
        is_there = await self.services.blobs.mount(name, digest, source=source, grant=EVERYTHING)
        if is_there:
            self.ledger.promise(Key(name, "blob", digest), since)
        return is_there

    async def put(self, name: RepositoryName, item: Item, tags: Sequence[Tag]) -> None:
        """Push a manifest, whatever there is of what it names: what was promised may not be missed."""
        key = Key(name, "manifest", item.digest)
        needs = {Key(name, "blob", blob_digest(each)) for each in item.blobs}
        needs |= {Key(name, "manifest", child.digest) for child in item.children}
        before = self._unsettle(name, tags)
        since = self.ledger.stamp()
        cause = self.cause([key], [(name, tag) for tag in tags])
        try:
            await self.services.manifests(name).put(
                name,
                tags[0] if tags else item.digest,
                item.content.body,
                content_type=item.content.media_type,
                grant=EVERYTHING,
                cause=cause,
                tags=tags[1:],
            )
        except ReferencesUnknown as exc:
            # Not what was promised anew meanwhile, by a push that came when this one had been decided.
            missed = {each for each in needs if str(each.digest) in exc.digests and self.ledger.has_held(each, since)}
            if missed:
                msg = f"{key} was refused for what was promised: {missed}"
                raise Violation(msg) from None
            self._settle(before, since)
            raise
        self.ledger.promise(key, since)
        self._settle({(name, tag.text): item.digest for tag in tags}, since)

    async def untag(self, name: RepositoryName, tag: Tag) -> None:
        """Remove one of its tags."""
        self._unsettle(name, [tag])
        since = self.ledger.stamp()
        await self.services.manifests(name).delete(name, tag, grant=EVERYTHING, cause=self.cause(tags=[(name, tag)]))
        self._settle({(name, tag.text): None}, since)

    async def delete_tags(self, name: RepositoryName, tags: Sequence[Tag]) -> None:
        """Remove several of its tags at once."""
        self._unsettle(name, tags)
        since = self.ledger.stamp()
        cause = self.cause(tags=[(name, tag) for tag in tags])
        await self.services.history.delete_tags(name, Selection(chosen=tags), grant=EVERYTHING, cause=cause)
        self._settle({(name, tag.text): None for tag in tags}, since)

    async def delete_manifest(self, name: RepositoryName, item: Item) -> None:
        """Remove a manifest, with whoever's tags."""
        keys = [Key(name, "manifest", item.digest)]
        with self.ledger.removing(keys):
            await self.services.manifests(name).delete(name, item.digest, grant=EVERYTHING, cause=self.cause(keys))

    async def delete_blob(self, name: RepositoryName, digest: Digest) -> None:
        """Take a blob out of a repository."""
        keys = [Key(name, "blob", digest)]
        with self.ledger.removing(keys):
            await self.services.blobs.delete(name, digest, grant=EVERYTHING, cause=self.cause(keys))

    async def undo_tag(self, name: RepositoryName, tag: Tag) -> None:
        """Take the last change of one of its tags back."""
        self._unsettle(name, [tag])
        cause = self.cause(tags=[(name, tag)])
        await self.services.history.undo_tag(
            name, tag, UndoSteps(1), expected=None, grant=EVERYTHING, cause=cause, dry_run=False
        )

    async def undo_request(self, request_id: str) -> None:
        """Take back all that one of its requests did."""
        touched = self.requests[request_id]
        for name, text in touched.tags:
            self._unsettle(name, [Tag(text)])
        cause = self.cause(touched.keys, [(name, Tag(text)) for name, text in touched.tags])
        places = {key.name for key in touched.keys if key.kind == "manifest"}
        with self.ledger.removing(touched.keys), self.ledger.shaking(places):
            await self.services.history.undo_request(
                request_id, repository=None, grant=EVERYTHING, cause=cause, partial=False, dry_run=False
            )

    async def look(self, name: RepositoryName, tag: Tag) -> None:
        """Find out what one of its tags is."""
        key, since = (name, tag.text), self.ledger.stamp()
        # Whoever was killed before may have left it anywhere.
        untold = UNKNOWN if self.life else None
        known = self.ledger.tags.get(key, untold)
        found: Digest | None = None
        with contextlib.suppress(ManifestUnknown, NameUnknown):
            found = Digest.of(await self.services.manifest(name, tag))
        now = self.ledger.tags.get(key, untold)
        if now == known and now is not UNKNOWN and found != now:
            msg = f"{key} is {found} and was told to be {known}"
            raise Violation(msg)
        if now is UNKNOWN or key not in self.ledger.tags:
            self._settle({key: found}, since)

    def _unsettle(self, name: RepositoryName, tags: Sequence[Tag]) -> dict[tuple[RepositoryName, str], Digest | None]:
        """Nobody knows what these are while they are being changed; what they were, where that is known."""
        before = {}
        for tag in tags:
            was = self.ledger.tags.get((name, tag.text))
            if was is None or isinstance(was, Digest):
                before[(name, tag.text)] = was
            self.ledger.tags[(name, tag.text)] = UNKNOWN
        return before

    def _settle(self, tags: dict[tuple[RepositoryName, str], Digest | None], since: Stamp) -> None:
        for (name, text), digest in tags.items():
            if self.ledger.is_shaken(name, since):
                continue
            if digest is None or not self.ledger.is_removed(Key(name, "manifest", digest), since):
                self.ledger.tags[(name, text)] = digest


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body
