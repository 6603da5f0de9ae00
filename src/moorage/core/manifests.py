"""Manifests of a repository: get what the client can read, put what is whole, delete."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from moorage.auth.access import Grant
from moorage.auth.protections import Protection
from moorage.core.blobs import Blobs
from moorage.core.manifest_conditions import check_delete, check_push, check_untag, tag_there
from moorage.core.manifest_rules import ManifestRules, check_tag_count
from moorage.errors import (
    DigestInvalid,
    ManifestUnknown,
    ReferencesUnknown,
)
from moorage.metadata.aside import aside
from moorage.metadata.base import Cause, ManifestStore, Page, PullStore, TagThere
from moorage.oci import mediatypes
from moorage.oci import stored as lenient
from moorage.oci.conditions import ALWAYS, Condition
from moorage.oci.digests import Digest
from moorage.oci.manifests import (
    Descriptor,
    Manifest,
    ManifestKind,
    ManifestReference,
    StoredManifest,
    parse,
)
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.room import Room

DEFAULT_PLATFORM = ("linux", "amd64")
"""The image for clients that cannot read a Docker manifest list. Source: content-negotiation.md; ADR 0006."""

CONFIGURATION_LIMIT_BYTES = 256 << 10
"""Larger configurations are not kept with their manifests. Source: GitLab, ``dbConfigSizeLimit``."""


class Accepts(Protocol):
    """The media types that a client can read."""

    def __call__(self, media_type: str) -> bool:
        """Return whether the client asked for *media_type*, by name or by a wildcard."""


class PayloadReader(Protocol):
    """Reads a manifest that is still to come."""

    async def __call__(self, *, check_size: Callable[[int], None]) -> bytes:
        """Return all of it. *check_size* is asked about the bytes that are announced, and that have come so far."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The outcome of a manifest's push."""

    digest: Digest
    subject: Digest | None


class _Needs:
    """The objects that a manifest needs, with the kind of each, in the manifest's order."""

    def __init__(self, kinds: Mapping[Digest, ManifestKind]) -> None:
        self.kinds = kinds
        self.manifests = [digest for digest, kind in kinds.items() if kind is not ManifestKind.BLOB]
        self._blobs = [digest for digest, kind in kinds.items() if kind is ManifestKind.BLOB]

    def blobs_and(self, missing: Collection[Digest]) -> Sequence[Digest]:
        """The blobs, and what may be one as it is missing as a manifest."""
        return [*self._blobs, *(digest for digest in missing if self.kinds[digest] is ManifestKind.EITHER)]

    def refuse(self, missing: Collection[Digest], gone: Collection[Digest]) -> None:
        """Refuse a manifest that needs something *missing* as a manifest, or *gone* as a blob.

        Raises:
            ReferencesUnknown: it does; what may be either has to be both.
        """
        absent = [
            digest
            for digest, kind in self.kinds.items()
            if digest in gone or (kind is ManifestKind.MANIFEST and digest in missing)
        ]
        if absent:
            raise ReferencesUnknown.of(absent)


class Manifests:
    """The manifests of every repository."""

    def __init__(
        self,
        store: ManifestStore,
        blobs: Blobs,
        rules: ManifestRules,
        *,
        pulls: PullStore | None = None,
        room: Room | None = None,
    ) -> None:
        """*pulls*: where pulls are counted; None: nowhere. *room*: what has to stay free."""
        self._store = store
        self._blobs = blobs
        self._pulls = pulls
        self._room = room or Room({})
        self.rules = rules

    async def get(
        self, name: RepositoryName, reference: Reference, *, accepts: Accepts | None, promises: bool = False
    ) -> StoredManifest:
        """The manifest that *reference* names, as it was pushed.

        *accepts* None: the client did not say, so anything but a Docker manifest list by tag. *promises*: whether the
        client may rely on the manifest being there, as it does not fetch it.

        Raises:
            ManifestUnknown: there is none, or none that the client can read.
            NameUnknown: there is no such repository.
        """
        if promises and not isinstance(reference, Tag):
            stored = await self._store.promise(name, reference)
        else:
            stored = await self._store.find(name, reference)
        kind = stored.media_type
        if kind == mediatypes.DOCKER_LIST and isinstance(reference, Tag) and not (accepts and accepts(kind)):
            return await self._default_child(name, stored)
        if accepts is None or accepts(kind) or kind not in (mediatypes.OCI_MANIFEST, mediatypes.OCI_INDEX):
            return stored
        noun = "index" if kind == mediatypes.OCI_INDEX else "manifest"
        msg = f"OCI {noun} found, but the Accept header does not name {kind}"
        raise ManifestUnknown(msg, name=name.text, reference=str(reference))

    async def put(
        self,
        name: RepositoryName,
        reference: Reference,
        payload: bytes,
        *,
        content_type: str,
        grant: Grant,
        cause: Cause,
        tags: Sequence[Tag] = (),
        condition: Condition = ALWAYS,
    ) -> Pushed:
        """Store a manifest under its digest, and point the tag that *reference* is, and *tags*, to it.

        *grant*: who does it, for what is protected from them. *condition*: on what each tag points to before; of a push
        without tags on the manifest itself.

        Raises:
            TooManyTags: *tags* are more than are taken. Nothing is written.
            Protected: a tag may not be moved, or is there and immutable. Nothing is written.
            ConditionFailed: what is there is not as *condition* says. Nothing is written.
            PatternRefused: a pattern of protected tags cannot be used. Nothing is written.
            DigestInvalid: *reference* is a digest, and not that of *payload*.
            ManifestInvalid: it is malformed, too large, or refers to too much. Nothing is written.
            ReferencesUnknown: it refers to content that the repository does not have. Nothing is written.
            StorageFull: no room is left but for deletions.
        """
        wanted = _wanted(reference, tags)
        _check_tags(wanted, grant.protection(name))
        self._room.check()
        self.rules.check_size(len(payload))
        digest, manifest, needs = await aside(len(payload), self._take_apart, reference, payload, content_type)
        required = await self._check_references(name, needs, len(payload))
        manifest = await self._with_sizes(name, manifest, len(payload), required)
        stored = StoredManifest(digest, manifest.media_type, payload)
        configuration = await self._configuration(name, manifest, required)
        protection = grant.protection(name)
        expected = await check_push(
            self._store, name, wanted, digest=digest, condition=condition, protection=protection
        )
        try:
            await self._store.put(
                name,
                stored,
                manifest,
                tags=wanted,
                cause=cause,
                required=required,
                configuration=configuration,
                expected=expected,
            )
        except TagThere as exc:  # Another push of it was a moment faster.
            raise tag_there(Tag(exc.tag), protection) from None
        return Pushed(digest, None if manifest.subject is None else manifest.subject.digest)

    async def receive(
        self,
        name: RepositoryName,
        reference: Reference,
        read: PayloadReader,
        *,
        content_type: str,
        grant: Grant,
        cause: Cause,
        tags: Sequence[Tag] = (),
        condition: Condition = ALWAYS,
    ) -> Pushed:
        """Read a manifest that is still to come, and store it as :meth:`put` does.

        What the tags and the announced size forbid is told before anything is read, in this order.

        Raises: as :meth:`put` and *read* do.
        """
        _check_tags(_wanted(reference, tags), grant.protection(name))
        payload = await read(check_size=self.rules.check_size)
        return await self.put(
            name,
            reference,
            payload,
            content_type=content_type,
            grant=grant,
            cause=cause,
            tags=tags,
            condition=condition,
        )

    def note_pull(self, name: RepositoryName, reference: Reference, digest: Digest) -> None:
        """Count a pull of the manifest *digest* by *reference*."""
        if self._pulls is not None:
            self._pulls.note(name, reference, digest)

    async def delete(
        self, name: RepositoryName, reference: Reference, *, grant: Grant, cause: Cause, condition: Condition = ALWAYS
    ) -> None:
        """Remove a tag, or a manifest with every tag that points to it. Both take effect at once.

        *condition*: on what the tag points to, or on the manifest.

        Raises:
            Protected: *grant* forbids it; whether the tag or manifest is there is not looked at.
            PatternRefused: a pattern of protected tags cannot be used.
            ManifestReferenced: an index of the repository lists the manifest; where a database says so.
            ManifestUnknown: there is none.
            NameUnknown: there is no such repository.
            ConditionFailed: what is there is not as *condition* says.
        """
        protection = grant.protection(name)
        if isinstance(reference, Tag):
            protection.check_delete(reference)
            seen = await check_untag(self._store, name, reference, condition)
            await self._store.untag(name, reference, cause=cause, seen=seen)
        else:
            protection.check_content()  # Its tags go with it.
            await check_delete(self._store, name, reference, condition)
            await self._store.delete(name, reference, cause=cause)

    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        """Manifests whose subject is *subject*; see the store's promise."""
        return await self._store.referrers(name, subject, artifact_type=artifact_type, after=after, limit=limit)

    async def _default_child(self, name: RepositoryName, stored: StoredManifest) -> StoredManifest:
        for child in await aside(len(stored.payload), _children, stored.payload):
            if child.platform is not None and child.platform[:2] == DEFAULT_PLATFORM:
                return await self._store.find(name, child.digest)
        msg = "the manifest list has nothing for linux/amd64, and the Accept header does not name manifest lists"
        raise ManifestUnknown(msg, name=name.text, accept=mediatypes.DOCKER_LIST)

    def _take_apart(self, reference: Reference, payload: bytes, content_type: str) -> tuple[Digest, Manifest, _Needs]:
        """All that the payload alone tells, once it has been found to be right."""
        digest = _digest(reference, payload)
        manifest = parse(payload, content_type)
        self.rules.check(manifest, size_bytes=len(payload))
        return digest, manifest, self._needs(manifest)

    def _needs(self, manifest: Manifest) -> _Needs:
        """Return what has to be there before the manifest."""
        if self.rules.sparse or manifest.media_type not in mediatypes.IMAGES | mediatypes.INDEXES:
            return _Needs({})
        return _Needs(
            {
                reference.descriptor.digest: reference.kind
                for reference in manifest.references
                if self.rules.is_required(reference)
            }
        )

    async def _check_references(self, name: RepositoryName, needs: _Needs, size_bytes: int) -> Collection[Digest]:
        """Check that all that the manifest, of *size_bytes*, needs is there, and return it.

        Raises:
            ReferencesUnknown: not all of it.
        """
        missing = await self._store.missing(name, needs.manifests)
        # What may be either is looked for among blobs, too.
        blobs = await aside(size_bytes, needs.blobs_and, missing)
        gone = await self._blobs.missing(name, blobs)
        if missing or gone:
            await aside(size_bytes, needs.refuse, missing, gone)
        return needs.kinds

    async def _with_sizes(
        self, name: RepositoryName, manifest: Manifest, size_bytes: int, seen: Collection[Digest]
    ) -> Manifest:
        """The manifest, of so many bytes, with the sizes that it leaves out, where they are known.

        docker's libraries leave out what is zero. *seen*: what the repository is known to have.
        """
        if manifest.media_type not in mediatypes.IMAGES:
            return manifest
        unsized = await aside(size_bytes, _unsized, manifest)
        if not unsized:
            return manifest
        sizes = await self._blobs.sizes(await self._of_repository(name, unsized, seen))
        return await aside(size_bytes, _sized, manifest, sizes)

    async def _configuration(self, name: RepositoryName, manifest: Manifest, seen: Collection[Digest]) -> bytes | None:
        config = manifest.config
        if not self._store.keeps_configurations or config is None or config.size_bytes > CONFIGURATION_LIMIT_BYTES:
            return None
        if not await self._of_repository(name, [config.digest], seen):
            return None
        # The descriptor may lie about the size.
        return await self._blobs.content(config.digest, limit_bytes=CONFIGURATION_LIMIT_BYTES)

    async def _of_repository(
        self, name: RepositoryName, digests: Sequence[Digest], seen: Collection[Digest]
    ) -> Sequence[Digest]:
        """Those that the repository has: with sparse manifests a stranger could name another's."""
        unseen = [digest for digest in digests if digest not in seen]
        missing = await self._blobs.missing(name, unseen) if unseen else ()
        return [digest for digest in digests if digest not in missing]


def _wanted(reference: Reference, tags: Sequence[Tag]) -> Sequence[Tag]:
    """Return the tags that a push moves or makes, each once.

    Raises:
        TooManyTags: *tags* are more than are taken.
    """
    check_tag_count(len(tags))
    return list(dict.fromkeys([reference, *tags] if isinstance(reference, Tag) else tags))


def _check_tags(wanted: Sequence[Tag], protection: Protection) -> None:
    for tag in wanted:
        protection.check_push(tag)


def _digest(reference: Reference, payload: bytes) -> Digest:
    if isinstance(reference, Tag):
        return Digest.of(payload)
    digest = Digest.of(payload, reference.algorithm)
    if digest != reference:
        msg = "the manifest's digest is not the one in the URL"
        raise DigestInvalid(msg, given=str(reference), computed=str(digest))
    return digest


def _children(payload: bytes) -> Sequence[Descriptor]:
    return list(lenient.children(lenient.read(payload)))


def _unsized(manifest: Manifest) -> Sequence[Digest]:
    return sorted({ref.descriptor.digest for ref in manifest.references if not ref.descriptor.size_bytes})


def _sized(manifest: Manifest, sizes: Mapping[Digest, int]) -> Manifest:
    def sized(descriptor: Descriptor) -> Descriptor:
        return replace(descriptor, size_bytes=descriptor.size_bytes or sizes.get(descriptor.digest, 0))

    return replace(
        manifest,
        references=tuple(ManifestReference(ref.kind, sized(ref.descriptor)) for ref in manifest.references),
        config=manifest.config and sized(manifest.config),
    )
