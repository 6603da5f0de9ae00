"""Metadata as link files beside the blobs, in Distribution's exact layout (see ``storage/paths.py``).

Used where a configuration names no database. There is no transaction over several files, so every change is ordered:
what is pointed to is durable before what points, and a reader takes a link for nothing whose target is not there.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from functools import lru_cache
from typing import ClassVar

from moorage.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    PathUnknown,
)
from moorage.metadata.aside import aside, in_turns
from moorage.metadata.base import REFERRERS_PAGE_BYTES, Catalogue, Cause, Expectation, Links, Manifests, Page
from moorage.metadata.payloads import Payload, PayloadCache
from moorage.oci.digests import ALGORITHMS, Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest, decode, media_type_of, parse
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import FilesystemClaim
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log

_log = get_log("layout")

_BATCH = 1000


class LayoutLinks(Links):
    """``_layers`` link files."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage

    async def expect(self, digest: Digest) -> Expectation:
        """Nothing to note it in: offline garbage collection finds by listing what a crash leaves."""
        del digest
        return Expectation()

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        return await _is_linked(self._storage, paths.layer_link(name, digest))

    async def promise(self, name: RepositoryName, digest: Digest) -> bool:
        return await self.has(name, digest)  # Nothing is collected while this store is written to.

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return {digest async for digest in in_turns(digests) if not await self._can_be_read(name, digest)}

    async def link(self, name: RepositoryName, digest: Digest, expectation: Expectation, *, size_bytes: int) -> bool:
        del expectation, size_bytes
        await self._storage.put(paths.layer_link(name, digest), str(digest).encode())
        return True

    async def mount(self, name: RepositoryName, digest: Digest, *, source: RepositoryName | None) -> bool:
        if source is not None and not await self.has(source, digest):
            return False
        if not await self._storage.exists(paths.blob(digest)):
            return False
        await self._storage.put(paths.layer_link(name, digest), str(digest).encode())
        return True

    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        del cause
        try:
            await self._storage.delete(paths.layer(name, digest))
        except PathUnknown:
            msg = "the blob is not in the repository"
            raise BlobUnknown(msg, digest=str(digest)) from None

    async def _can_be_read(self, name: RepositoryName, digest: Digest) -> bool:
        return await self.has(name, digest) and await self._storage.exists(paths.blob(digest))


class LayoutManifests(Manifests):
    """``_manifests/revisions``, ``_manifests/tags`` and ``_manifests/referrers``."""

    keeps_configurations: ClassVar[bool] = False

    def __init__(self, storage: StorageDriver, payloads: PayloadCache, *, claim: FilesystemClaim | None = None) -> None:
        """*claim*: to be held before the first manifest; None: it is held already."""
        self._storage = storage
        self._payloads = payloads
        self._claim = claim

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        return await _is_linked(self._storage, paths.revision_link(name, digest))

    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        digest = await self._target(name, reference) if isinstance(reference, Tag) else reference
        if digest is not None and await self.has(name, digest):
            payload = await self._payload(digest)
            if payload is not None:
                media_type = (
                    payload.media_type if payload.is_declared else await self._pushed_type(name, digest, payload)
                )
                return StoredManifest(digest, media_type, payload.content)
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
    ) -> None:
        del cause, required, configuration
        if self._claim is not None:
            await self._claim.hold()
        digest, link = stored.digest, str(stored.digest).encode()
        await self._storage.put(paths.blob(digest), stored.payload)
        if not (await aside(len(stored.payload), _payload_of, stored.payload)).is_declared:
            await self._storage.put(paths.content_type(name, digest), stored.media_type.encode())
        if manifest.subject is not None:
            descriptor = _descriptor(stored, manifest)
            path = paths.referrer(name, manifest.subject.digest, digest)
            await self._storage.put(path, await aside(len(stored.payload), _written, descriptor))
        await self._storage.put(paths.revision_link(name, digest), link)
        for tag in tags:
            await self._storage.put(paths.tag_index_link(name, tag, digest), link)
            await self._storage.put(paths.tag_link(name, tag), link)

    async def delete(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        del cause
        if not await self.has(name, digest):
            raise await self._unknown(name, digest)
        async for tag, target in self._tags(name):
            if target == digest:
                await _delete_if_there(self._storage, paths.tag(name, tag))
        payload = await self._payload(digest)
        await _delete_if_there(self._storage, paths.revision(name, digest))
        subject = None if payload is None else await aside(len(payload.content), _subject, payload.content)
        if subject is not None:
            await _delete_if_there(self._storage, paths.referrer(name, subject, digest))

    async def untag(self, name: RepositoryName, tag: Tag, *, cause: Cause) -> None:
        del cause
        if await self._target(name, tag) is not None:
            try:
                await self._storage.delete(paths.tag(name, tag))
            except PathUnknown:
                pass  # Somebody else was quicker: then there is no such tag, as for any late comer.
            else:
                return
        raise await self._unknown(name, tag)

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

    async def _can_be_read(self, name: RepositoryName, digest: Digest) -> bool:
        return await self.has(name, digest) and await self._payload(digest) is not None

    async def _target(self, name: RepositoryName, tag: Tag) -> Digest | None:
        try:
            return _parse_link(await self._storage.get(paths.tag_link(name, tag)))
        except PathUnknown:
            return None

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
            payload = await aside(len(content), _payload_of, content)
            self._payloads.put(digest, payload)
        return payload

    async def _pushed_type(self, name: RepositoryName, digest: Digest, payload: Payload) -> str:
        try:
            return (await self._storage.get(paths.content_type(name, digest))).decode()
        except PathUnknown:
            return payload.media_type  # Written by Distribution.

    async def _tags(self, name: RepositoryName) -> AsyncIterator[tuple[Tag, Digest | None]]:
        last = ""
        while True:
            try:
                entries = await self._storage.list(paths.tags(name), after=last, limit=_BATCH)
            except PathUnknown:
                return
            for entry in entries:
                tag = Tag(entry.name)
                yield tag, await self._target(name, tag)
            if len(entries) < _BATCH:
                return
            last = entries[-1].name
            await asyncio.sleep(0)

    async def _referring(self, name: RepositoryName, subject: Digest) -> AsyncIterator[Digest]:
        for algorithm in ALGORITHMS:
            try:
                entries = await self._storage.list(f"{paths.referrers(name, subject)}/{algorithm}")
            except PathUnknown:
                continue
            for entry in entries:
                digest = _parse_link(f"{algorithm}:{entry.name}".encode())
                if digest is not None:
                    yield digest

    async def _referrer(self, name: RepositoryName, subject: Digest, digest: Digest) -> Descriptor | None:
        try:
            content = await self._storage.get(paths.referrer(name, subject, digest))
            value = await aside(len(content), json.loads, content)
        except (PathUnknown, ValueError):
            return None
        return Descriptor(
            media_type=value["mediaType"],
            digest=digest,
            size_bytes=value["size"],
            artifact_type=value.get("artifactType", ""),
            annotations=value.get("annotations", {}),
        )

    async def _listed_by_clients(self, name: RepositoryName, subject: Digest) -> dict[str, Descriptor]:
        """Referrers that clients listed under the fallback tag, before this registry did it for them.

        Source: distribution-spec § Enabling the Referrers API.
        """
        tag = Tag(f"{subject.algorithm[:32]}-{subject.encoded[:64]}")
        target = await self._target(name, tag)
        payload = None if target is None else await self._payload(target)
        if payload is None:
            return {}
        found = {}
        try:
            children = list((await aside(len(payload.content), parse, payload.content)).children)
        except ManifestInvalid:
            return {}
        async for child in in_turns(children):
            try:
                stored = await self.find(name, child.digest)
                manifest = await aside(len(stored.payload), parse, stored.payload, stored.media_type)
            except (ManifestUnknown, NameUnknown, ManifestInvalid):
                continue
            if manifest.subject is not None and manifest.subject.digest == subject:
                found[str(child.digest)] = _descriptor(stored, manifest)
        return found

    async def _unknown(self, name: RepositoryName, reference: Reference) -> ManifestUnknown | NameUnknown:
        if not await self._storage.exists(paths.manifests(name)):
            return _no_repository(name)
        if isinstance(reference, Tag):
            return ManifestUnknown("the repository has no such tag", name=name.text, tag=reference.text)
        return ManifestUnknown("the repository has no such manifest", name=name.text, digest=str(reference))


class LayoutCatalogue(Catalogue):
    """Lists read from the folders."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage

    async def repositories(self, *, after: str, limit: int) -> Page[RepositoryName]:
        found: list[RepositoryName] = []
        async for name in repository_folders(self._storage, after=after):
            if not await self._storage.exists(paths.manifests(name)):
                continue
            if len(found) == limit:
                return Page(found, more=True)
            found.append(name)
        return Page(found, more=False)

    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        found: list[Tag] = []
        batch = _BATCH if limit is None else min(limit + 1, _BATCH)
        while True:
            try:
                entries = await self._storage.list(paths.tags(name), after=after, limit=batch)
            except PathUnknown:
                if not await self._storage.exists(paths.manifests(name)):
                    raise _no_repository(name) from None
                entries = []
            async for entry in in_turns(entries):
                # A tag whose link is not there yet is half-written, or already half removed.
                if entry.is_folder and await _is_linked(self._storage, paths.tag_link(name, Tag(entry.name))):
                    if limit is not None and len(found) == limit:
                        return Page(found, more=True)
                    found.append(Tag(entry.name))
            if len(entries) < batch:
                return Page(found, more=False)
            after = entries[-1].name


def _no_repository(name: RepositoryName) -> NameUnknown:
    return NameUnknown("there is no such repository", name=name.text)


async def _is_linked(storage: StorageDriver, path: str) -> bool:
    try:
        # An empty link is what a crash leaves of Distribution, which writes in place.
        return (await storage.stat(path)).size_bytes > 0
    except PathUnknown:
        return False


async def _delete_if_there(storage: StorageDriver, path: str) -> None:
    try:
        await storage.delete(path)
    except PathUnknown:
        return


@lru_cache(maxsize=16384)
def _parse_link(content: bytes) -> Digest | None:
    try:
        return Digest.parse(content.decode("ascii").strip())
    except (DigestInvalid, UnicodeDecodeError):
        return None


def _payload_of(content: bytes) -> Payload:
    try:
        value = decode(content)
    except ManifestInvalid:
        return Payload(content, "application/octet-stream", is_declared=False)
    return Payload(
        content, media_type_of(value) or "application/octet-stream", is_declared=bool(value.get("mediaType"))
    )


def _subject(content: bytes) -> Digest | None:
    try:
        manifest = parse(content)
    except ManifestInvalid:
        return None
    return None if manifest.subject is None else manifest.subject.digest


def _weight(descriptor: Descriptor) -> int:
    return sum(len(key) + len(value) for key, value in descriptor.annotations.items())


def _length(descriptor: Descriptor) -> int:
    """The bytes that it takes in a list."""
    return len(json.dumps(descriptor.to_json())) + 1


def _written(descriptor: Descriptor) -> bytes:
    """A descriptor as a file; not escaped, so it is no larger than the manifest, which is what can be read again."""
    text = json.dumps(descriptor.to_json(), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _descriptor(stored: StoredManifest, manifest: Manifest) -> Descriptor:
    return Descriptor(
        media_type=stored.media_type,
        digest=stored.digest,
        size_bytes=len(stored.payload),
        artifact_type=manifest.artifact_type,
        annotations=manifest.annotations,
    )
