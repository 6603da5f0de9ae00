"""Metadata as link files beside the blobs, in Distribution's exact layout (see ``storage/paths.py``).

Used where a configuration names no database. There is no transaction over several files, so every change is ordered:
what is pointed to is durable before what points, and a reader takes a link for nothing whose target is not there.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import ClassVar

from moorage.cache.known_links import KnownLinks
from moorage.cache.link_memory import LinkMemory
from moorage.errors import (
    BlobUnknown,
    ManifestUnknown,
    NameUnknown,
    PathUnknown,
)
from moorage.metadata.aside import aside, in_turns
from moorage.metadata.base import (
    NOTHING_EXPECTED,
    REFERRERS_PAGE_BYTES,
    UNEXPLAINED,
    Cause,
    Expectation,
    LinkedBlob,
    LinkStore,
    ManifestStore,
    Page,
    RemovalWatch,
    moved_since,
    no_repository,
)
from moorage.metadata.layout_pointers import LayoutPointers, is_linked, payload_of
from moorage.metadata.payloads import Payload, PayloadCache
from moorage.oci import stored as lenient
from moorage.oci.digests import ALGORITHMS, Digest, digest_or_none
from moorage.oci.json_documents import write_json
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.locks import FilesystemClaim
from moorage.storage.repository_marks import keep_repository
from moorage.storage.walk import pages_of
from moorage.telemetry import get_log
from moorage.work.alongside import both
from moorage.work.whole_changes import to_its_end

_log = get_log("layout")

_BATCH = 1000


class LayoutLinks(LinkStore):
    """``_layers`` link files."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage

    async def expect(self, digest: Digest) -> Expectation:
        """Nothing to note it in: offline garbage collection finds by listing what a crash leaves."""
        del digest
        return Expectation()

    async def find(self, name: RepositoryName | None, digest: Digest) -> LinkedBlob | None:
        if name is None:
            return LinkedBlob() if await self._storage.exists(paths.blob(digest), folder=False) else None
        return LinkedBlob() if await is_linked(self._storage, paths.layer_link(name, digest)) else None

    async def promise(self, name: RepositoryName, digest: Digest) -> LinkedBlob | None:
        return await self.find(name, digest)  # Nothing is collected while this store is written to.

    async def find_each(self, name: RepositoryName, digests: Collection[Digest]) -> Mapping[Digest, LinkedBlob]:
        if keeps_files(self._storage):
            return {digest: LinkedBlob() async for digest in in_turns(digests) if await self._can_be_read(name, digest)}
        wanted = list(digests)
        stats = await self._storage.stat_each([paths.layer_link(name, digest) for digest in wanted])
        return {digest: LinkedBlob() for digest, stat in zip(wanted, stats, strict=True) if stat and stat.size_bytes}

    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        del expectation
        await self._storage.put(paths.layer_link(name, digest), str(digest).encode())
        cause.announcer.tell(cause.announcer.blob_pushed(name, digest, size_bytes))
        return True

    async def mount(
        self,
        name: RepositoryName,
        digest: Digest,
        *,
        source: RepositoryName | None,
        size_bytes: int | None = None,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        if source is not None and not await self.has(source, digest):
            return False
        if not await self._storage.exists(paths.blob(digest), folder=False):
            return False
        await self._storage.put(paths.layer_link(name, digest), str(digest).encode())
        cause.announcer.tell(cause.announcer.blob_mounted(name, digest, size_bytes, source=source))
        return True

    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        try:
            await self._storage.delete(paths.layer(name, digest))
        except PathUnknown:
            msg = "the blob is not in the repository"
            raise BlobUnknown(msg, digest=str(digest)) from None
        cause.announcer.tell(cause.announcer.blob_deleted(name, digest))

    async def _can_be_read(self, name: RepositoryName, digest: Digest) -> bool:
        return await self.has(name, digest) and await self._storage.exists(paths.blob(digest), folder=False)


class LayoutManifests(ManifestStore):
    """``_manifests/revisions``, ``_manifests/tags`` and ``_manifests/referrers``."""

    keeps_configurations: ClassVar[bool] = False

    def __init__(
        self,
        storage: StorageDriver,
        payloads: PayloadCache,
        *,
        known: LinkMemory[str] | None = None,
        claim: FilesystemClaim | None = None,
    ) -> None:
        """Take these parts.

        Args:
            storage: has the link files and the payloads.
            payloads: those used last.
            known: remembers which manifests repositories have, and their media types.
            claim: to be held before the first manifest; None: it is held already.
        """
        self._storage = storage
        self._pointers = LayoutPointers(storage)
        self._payloads = payloads
        self._known: LinkMemory[str] = known or KnownLinks(0)
        self._is_remote = not keeps_files(storage)
        self._claim = claim

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        return await is_linked(self._storage, paths.revision_link(name, digest))

    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        digest = await self._pointers.target(name, reference) if isinstance(reference, Tag) else reference
        found = None if digest is None else await self._stored(name, digest)
        if found is not None:
            return found
        raise await self._unknown(name, reference)

    async def promise(self, name: RepositoryName, digest: Digest) -> StoredManifest:
        return await self.find(name, digest)  # As for blobs.

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return {digest async for digest in in_turns(digests) if not await self._can_be_read(name, digest)}

    async def put(
        self,
        name: RepositoryName,
        stored: StoredManifest,
        manifest: Manifest,
        *,
        tags: Sequence[Tag],
        cause: Cause,
        required: Collection[Digest] = (),
        configuration: bytes | None = None,
        expected: Mapping[Tag, Digest | None] = NOTHING_EXPECTED,
    ) -> None:
        del required, configuration  # Link files are written one by one: nothing is seen with a write.
        for tag, digest in expected.items():
            if digest is not None and await self._pointers.target(name, tag) != digest:
                raise moved_since(tag)
        if self._claim is not None:
            await self._claim.hold()
        await self._storage.put(paths.blob(stored.digest), stored.payload)
        fixed = [tag for tag, digest in expected.items() if digest is None]
        await to_its_end(self._pointers.point(name, stored, manifest, tags, fixed=fixed))
        cause.announcer.tell(cause.announcer.manifest_pushed(name, stored, manifest, tags))

    async def delete(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        if not await self.has(name, digest):
            raise await self._unknown(name, digest)
        payload, announcer = await self._payload(digest), cause.announcer
        await keep_repository(self._storage, name)
        try:
            tags = await to_its_end(self._pointers.remove(name, digest, payload))
        finally:
            await self._known.take_away(name, digest)
        announcer.tell(announcer.manifest_deleted(name, digest, tags))

    async def untag(self, name: RepositoryName, tag: Tag, *, cause: Cause, seen: Digest | None = None) -> None:
        if not await self._pointers.drop(name, tag, seen):  # Somebody else may have been quicker.
            raise await self._unknown(name, tag)
        cause.announcer.tell(cause.announcer.tag_deleted(name, tag.text))

    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        found: list[Descriptor] = []
        size_bytes = 0
        listed = await self._listed_by_clients(name, subject)
        digests = {str(digest) async for digest in self._referring(name, subject)} | set(listed)
        async for text in in_turns(sorted(text for text in digests if text > after)):
            digest = Digest.parse(text)
            if not await self.has(name, digest):
                continue  # Removed by Distribution, which does not know of our list.
            descriptor = listed.get(text) or await self._referrer(name, subject, digest)
            if descriptor is None or artifact_type not in (None, descriptor.artifact_type):
                continue
            size_bytes += await aside(_weight(descriptor), _length, descriptor)
            if len(found) == limit or (found and size_bytes > REFERRERS_PAGE_BYTES):
                return Page(found, more=True)
            found.append(descriptor)
        return Page(found, more=False)

    async def _stored(self, name: RepositoryName, digest: Digest) -> StoredManifest | None:
        """The manifest, if the repository has it: from memory, or by two requests at once."""
        media_type, mark = await self._known.look(name, digest)
        is_known = media_type is not None
        payload = self._payloads.get(digest)
        if media_type is not None and payload is not None:
            return StoredManifest(digest, media_type, payload.content)
        if media_type is None and payload is None and self._is_remote:
            is_there, payload = await both(self.has(name, digest), self._payload(digest))
        else:
            is_there = media_type is not None or await self.has(name, digest)
            payload = await self._payload(digest) if is_there else None
        if not is_there or payload is None:
            return None
        media_type = await self._media_type(name, digest, payload)
        if payload.is_declared and not is_known:  # Else another push may make it something else.
            await self._known.keep(name, digest, media_type, mark=mark)
        return StoredManifest(digest, media_type, payload.content)

    async def _can_be_read(self, name: RepositoryName, digest: Digest) -> bool:
        return await self.has(name, digest) and await self._payload(digest) is not None

    async def _payload(self, digest: Digest) -> Payload | None:
        payload = self._payloads.get(digest)
        if payload is None:
            try:
                content = await self._storage.get(paths.blob(digest))
            except PathUnknown:
                return None
            if await aside(len(content), Digest.of, content, digest.algorithm) != digest:
                _log.error("manifest damaged in storage: its bytes have another digest", digest=str(digest))
                return None
            payload = await aside(len(content), payload_of, content)
            self._payloads.put(digest, payload)
        return payload

    async def _media_type(self, name: RepositoryName, digest: Digest, payload: Payload) -> str:
        if payload.is_declared:
            return payload.media_type
        try:
            pushed = (await self._storage.get(paths.content_type(name, digest))).decode("utf-8", "replace")
        except PathUnknown:
            return payload.media_type  # Written by Distribution.
        return pushed if lenient.is_header(pushed) else payload.media_type

    async def _referring(self, name: RepositoryName, subject: Digest) -> AsyncIterator[Digest]:
        for algorithm in ALGORITHMS:
            async for entries in pages_of(self._storage, f"{paths.referrers(name, subject)}/{algorithm}"):
                for entry in entries:
                    digest = digest_or_none(f"{algorithm}:{entry.name}")
                    if digest is not None:
                        yield digest

    async def _referrer(self, name: RepositoryName, subject: Digest, digest: Digest) -> Descriptor | None:
        try:
            content = await self._storage.get(paths.referrer(name, subject, digest))
        except PathUnknown:
            return None
        found = await aside(len(content), _noted, content, digest)
        if found is not None and found.media_type:
            return found
        # Cut short, or not ours: what the manifest itself says is as good.
        payload = await self._payload(digest)
        return None if payload is None else await self._described(name, digest, payload)

    async def _described(self, name: RepositoryName, digest: Digest, payload: Payload) -> Descriptor:
        artifact_type, annotations = await aside(len(payload.content), _shown, payload.content)
        return Descriptor(
            media_type=await self._media_type(name, digest, payload),
            digest=digest,
            size_bytes=len(payload.content),
            artifact_type=artifact_type,
            annotations=annotations,
        )

    async def _listed_by_clients(self, name: RepositoryName, subject: Digest) -> dict[str, Descriptor]:
        """Referrers that clients listed under the fallback tag, before this registry did it for them.

        Source: distribution-spec § Enabling the Referrers API.
        """
        tag = Tag(f"{subject.algorithm[:32]}-{subject.encoded[:64]}")
        target = await self._pointers.target(name, tag)
        payload = None if target is None else await self._payload(target)
        if payload is None:
            return {}
        found = {}
        async for child in in_turns(await aside(len(payload.content), _children, payload.content)):
            content = await self._payload(child.digest) if await self.has(name, child.digest) else None
            if content is None:
                continue
            if (await aside(len(content.content), _subject, content.content)) == subject:
                found[str(child.digest)] = await self._described(name, child.digest, content)
        return found

    async def _unknown(self, name: RepositoryName, reference: Reference) -> ManifestUnknown | NameUnknown:
        if not await self._storage.exists(paths.manifests(name)):
            return no_repository(name)
        if isinstance(reference, Tag):
            return ManifestUnknown("the repository has no such tag", name=name.text, tag=reference.text)
        return ManifestUnknown("the repository has no such manifest", name=name.text, digest=str(reference))


def _children(payload: bytes) -> Sequence[Descriptor]:
    with lenient.reading(payload) as value:
        return list(lenient.children(value))


def _subject(payload: bytes) -> Digest | None:
    with lenient.reading(payload) as value:
        return lenient.subject(value)


def _noted(content: bytes, digest: Digest) -> Descriptor | None:
    with lenient.reading(content) as value:
        return lenient.descriptor_of({**value, "digest": str(digest)})


def _shown(payload: bytes) -> tuple[str, Mapping[str, str]]:
    with lenient.reading(payload) as value:
        return lenient.artifact_type(value), lenient.annotations(value)


def _weight(descriptor: Descriptor) -> int:
    return sum(len(key) + len(value) for key, value in descriptor.annotations.items())


def _length(descriptor: Descriptor) -> int:
    """The bytes that it takes in a list."""
    return len(write_json(descriptor.to_json(), parts=len(descriptor.annotations))) + 1
