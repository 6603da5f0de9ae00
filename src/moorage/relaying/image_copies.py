"""Copies of images: what a manifest needs, then itself, then what is about it, and the tag at the very last.

At every moment the target has only what is whole. Manifests go byte for byte, so that digests and signatures hold.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from moorage.cache.remembered import Remembered
from moorage.client.registry import CommandFailed
from moorage.copying.shared_work import OnceEach
from moorage.errors import MoorageError
from moorage.oci import mediatypes
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.manifests import Descriptor, Manifest, ManifestKind, StoredManifest, decode, media_type_of, parse
from moorage.oci.names import Reference, Tag
from moorage.relaying.blob_copies import BlobCopies, RepositoryPair
from moorage.relaying.platforms import WantedPlatform, platform_of
from moorage.relaying.registry_side import RelayEnds, fallback_tag
from moorage.relaying.relay_outcome import RelayedReference, RelayOutcome, RelayResult
from moorage.relaying.subject_lists import SubjectLists

_DEPTH = 16
_REMEMBERED = 100_000
_PAYLOAD_BYTES = 32 << 20
_ATTACHED = ("sig", "att", "sbom")
"""Endings of the tags under which cosign keeps what is about a manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWish:
    """Wishes that hold for every copy."""

    platform: WantedPlatform | None = None
    """Of an index only this image; None: all of it."""
    with_referrers: bool = True
    overwrites: bool = True
    """False: a tag of the target that points elsewhere stays."""
    dry_run: bool = False
    jobs: int = 4
    """So many blobs of one image at once."""


@dataclass(frozen=True, slots=True)
class CopyJob:
    """One reference of the source, and where it goes."""

    pair: RepositoryPair
    reference: Reference
    tag: Tag | None
    """The tag on the target; None: there it has only its digest."""
    known_tags: Collection[Tag] | None = field(default=None, repr=False)
    """All tags of the repository of the source, if they were listed."""


class SchemaOne(CommandFailed):
    """A manifest of Docker's schema 1, which is older than content addressing and has to be pushed anew."""


class ImageCopies:
    """Images of one source on their way to one target."""

    def __init__(self, ends: RelayEnds, blobs: BlobCopies, wish: ImageWish, outcome: RelayOutcome) -> None:
        self._source, self._target = ends
        self._blobs = blobs
        self._wish = wish
        self._outcome = outcome
        self._lists = SubjectLists(ends.target)
        self._contents: OnceEach[tuple[RepositoryPair, Digest]] = OnceEach(_REMEMBERED)
        self._abouts: OnceEach[tuple[RepositoryPair, Digest]] = OnceEach(_REMEMBERED)
        self._attachments: OnceEach[tuple[RepositoryPair, Tag]] = OnceEach(_REMEMBERED)
        self._payloads: Remembered[Digest, StoredManifest] = Remembered(
            _PAYLOAD_BYTES, size_of=lambda stored: len(stored.payload)
        )

    async def copy(self, job: CopyJob) -> None:
        """Copy one reference, and take note of what became of it; nothing is raised for what fails."""
        source = f"{self._source.remote.host}/{_shown(job.pair.source.text, job.reference)}"
        target = f"{self._target.remote.host}/{_shown(job.pair.target.text, job.tag or job.reference)}"
        digest = ""
        try:
            self._see_that_it_goes_on()
            found, result = await self._copy(job)
            digest, why = str(found), "" if result is not RelayResult.KEPT else "the target has another image there"
        except SchemaOne as exc:
            result, why = RelayResult.SKIPPED, str(exc)
        except MoorageError as exc:
            result, why = RelayResult.FAILED, str(exc)
            if isinstance(exc, CommandFailed) and exc.code == HTTPStatus.INSUFFICIENT_STORAGE:
                self._outcome.stopped_by[self._target.remote.url] = f"the target has no room left ({exc})"
        self._outcome.became(RelayedReference(source, target, result, digest, why))

    async def copy_if_left(self, job: CopyJob) -> None:
        """Copy a tag that is called like one of referrers, unless it has gone along with the manifest that it names."""
        with suppress(MoorageError):  # What fails is met again by the copy, and noted there.
            if isinstance(job.reference, Tag) and await self._has_gone_along(job.pair, job.reference):
                return
        await self.copy(job)

    async def _has_gone_along(self, pair: RepositoryPair, tag: Tag) -> bool:
        named, _, ending = tag.text.partition(".")
        if ending:
            return self._attachments.knows((pair, tag))
        digest = digest_or_none(named.replace("-", ":", 1))
        if digest is None or not self._abouts.knows((pair, digest)):
            return False
        found = await self._source.find(pair.source, tag)
        return found is None or found.media_type in mediatypes.INDEXES  # Else it is an image, whatever it is called.

    def _see_that_it_goes_on(self) -> None:
        if why := self._outcome.stopped_by.get(self._target.remote.url):
            msg = f"not begun: {why}"
            raise CommandFailed(msg)

    async def _copy(self, job: CopyJob) -> tuple[Digest, RelayResult]:
        found = await self._source.find(job.pair.source, job.reference)
        if found is None:
            msg = f"{self._source.remote.host} has no {_shown(job.pair.source.text, job.reference)}"
            raise CommandFailed(msg)
        digest, media_type = found
        if self._wish.platform is not None:
            digest, media_type = await self._chosen(job, digest, self._wish.platform)
        there = await self._target.find(job.pair.target, job.tag or digest)
        if there is not None and there.digest != digest and not self._wish.overwrites:
            return digest, RelayResult.KEPT
        await self._content(Descriptor(media_type, digest, 0), job.pair)
        if self._wish.with_referrers:
            for member in await self._members(Descriptor(media_type, digest, 0), job.pair):
                await self._about(member, job)
        if there is not None and there.digest == digest:
            return digest, RelayResult.PRESENT
        if self._wish.dry_run:
            return digest, RelayResult.TO_COPY
        if job.tag is not None:
            return digest, await self._tag(job.pair, job.tag, digest)
        return digest, RelayResult.COPIED

    async def _tag(self, pair: RepositoryPair, tag: Tag, digest: Digest) -> RelayResult:
        """Point a tag of the target; where tags stay as they are, not one that somebody has made meanwhile."""
        stored = await self._stored(pair, digest)
        if self._wish.overwrites:
            await self._target.put_manifest(pair.target, tag, stored)
        elif not await self._target.put_new_tag(pair.target, tag, stored):
            there = await self._target.find(pair.target, tag)
            is_same = there is not None and there.digest == digest
            return RelayResult.PRESENT if is_same else RelayResult.KEPT
        return RelayResult.COPIED

    async def _chosen(self, job: CopyJob, digest: Digest, platform: WantedPlatform) -> tuple[Digest, str]:
        """The image of an index for a platform; what is no index is what it is."""
        for _ in range(_DEPTH):
            stored = await self._stored(job.pair, digest)
            manifest = _parsed(stored)
            children = list(manifest.children) if manifest.media_type in mediatypes.INDEXES else []
            if not children:
                return digest, manifest.media_type
            entry = platform.choice(decode(stored.payload))
            if entry is None:
                offered = ", ".join(sorted({platform_of(item) for item in _entries(stored)} - {""})) or "none"
                msg = f"the index has no image for {platform}; it has {offered}"
                raise CommandFailed(msg)
            digest = entry
            self._outcome.note(
                f"{_shown(job.pair.source.text, job.reference)} is an index: only its image for {platform} is copied, "
                "so its digest on the target is another one and signatures of the index are not copied"
            )
        msg = f"indexes are nested deeper than {_DEPTH}"
        raise CommandFailed(msg)

    async def _content(
        self, entry: Descriptor, pair: RepositoryPair, *, depth: int = 0, kind: ManifestKind = ManifestKind.MANIFEST
    ) -> None:
        """See to it that a manifest is on the target, with all that it needs before it.

        It waits only for what the manifest names by digest: so nobody waits in a circle, whatever a source has.
        """
        if depth > _DEPTH:
            msg = f"indexes are nested deeper than {_DEPTH}"
            raise CommandFailed(msg)

        async def work() -> None:
            is_there = await self._target.find(pair.target, entry.digest) is not None
            if is_there and entry.media_type in mediatypes.IMAGES:
                return
            stored = await self._stored_or_none(pair, entry.digest)
            if stored is None:
                await self._without(entry, pair, kind=kind, depth=depth)
                return
            await self._needs(_parsed(stored), pair, depth)
            if not is_there:
                await self._put(pair, stored)

        await self._contents.do((pair, entry.digest), work)

    async def _without(self, entry: Descriptor, pair: RepositoryPair, *, kind: ManifestKind, depth: int) -> None:
        """Go on where the source has no such manifest."""
        if kind is ManifestKind.EITHER:
            await self._blobs.copy(entry, pair)  # Build caches list their layers in an index.
        elif depth:
            self._outcome.note(f"an index lists {pair.source}@{entry.digest}, and the source does not have it")
        else:
            msg = f"{self._source.remote.host} has no {pair.source}@{entry.digest}"
            raise CommandFailed(msg)

    async def _needs(self, manifest: Manifest, pair: RepositoryPair, depth: int) -> None:
        works: list[Callable[[], Awaitable[None]]] = []
        for reference in manifest.references:
            entry, kind = reference.descriptor, reference.kind
            is_typed = kind is ManifestKind.EITHER and entry.media_type != ""
            if kind is ManifestKind.BLOB or (is_typed and not mediatypes.may_be_manifest(entry.media_type)):
                works.append(partial(self._blobs.copy, entry, pair))
            else:
                works.append(partial(self._content, entry, pair, depth=depth + 1, kind=kind))
        works += [partial(self._blobs.copy_foreign, entry, pair) for entry in manifest.elsewhere]
        await _all_of(works, self._wish.jobs)

    async def _put(self, pair: RepositoryPair, stored: StoredManifest) -> None:
        self._outcome.manifests += 1
        if self._wish.dry_run:
            return
        is_noted = await self._target.put_manifest(pair.target, stored.digest, stored)
        manifest = _parsed(stored)
        if manifest.subject is not None and not is_noted:
            await self._lists.add(pair.target, manifest, stored)

    async def _members(self, entry: Descriptor, pair: RepositoryPair) -> Sequence[Digest]:
        """The manifest, and all that an index lists, at any depth."""
        found, waiting = {entry.digest: None}, [entry]
        while waiting:
            entry = waiting.pop()
            stored = None if entry.media_type in mediatypes.IMAGES else await self._stored_or_none(pair, entry.digest)
            if stored is None:
                continue
            for reference in _parsed(stored).references:
                child = reference.descriptor
                if reference.kind is ManifestKind.MANIFEST and child.digest not in found:
                    found[child.digest] = None
                    waiting.append(child)
        return tuple(found)

    async def _about(self, digest: Digest, job: CopyJob, depth: int = 0) -> None:
        """Copy what refers to a manifest: signatures, lists of parts, attestations.

        It waits only for what is about this manifest by its own bytes: as above, there is no circle.
        """
        pair = job.pair
        if depth > _DEPTH:
            msg = f"manifests are about each other deeper than {_DEPTH}"
            raise CommandFailed(msg)

        async def work() -> None:
            listed = await self._source.referrers(pair.source, digest, job.known_tags)
            found = [entry for entry in listed if await self._is_about(entry, digest, pair)]
            for entry in found:
                await self._content(entry, pair)
            if found and not self._wish.dry_run:
                noted = {entry.digest for entry in await self._target.referrers(pair.target, digest)}
                for entry in found:
                    if entry.digest not in noted:  # It was there, but pushed by who did not list it.
                        await self._put(pair, await self._stored(pair, entry.digest))
            self._outcome.referrers += len(found)
            for entry in found:
                await self._about(entry.digest, job, depth + 1)
            for ending in _ATTACHED:
                tag = Tag(f"{fallback_tag(digest)}.{ending}")
                if job.known_tags is None or tag in job.known_tags:
                    await self._attachments.do((pair, tag), partial(self._attached, tag, pair))

        await self._abouts.do((pair, digest), work)

    async def _is_about(self, entry: Descriptor, digest: Digest, pair: RepositoryPair) -> bool:
        stored = await self._stored_or_none(pair, entry.digest)
        if stored is None:
            return False
        subject = _parsed(stored).subject
        return subject is not None and subject.digest == digest

    async def _attached(self, tag: Tag, pair: RepositoryPair) -> None:
        found = await self._source.find(pair.source, tag)
        if found is None:
            return
        self._outcome.referrers += 1
        there = await self._target.find(pair.target, tag)
        if there is not None and there.digest != found.digest and not self._wish.overwrites:
            self._outcome.note(f"{pair.target}:{tag} stays as it is on the target, which has another one")
            return
        await self._content(Descriptor(found.media_type, found.digest, 0), pair)
        if (there is None or there.digest != found.digest) and not self._wish.dry_run:
            await self._tag(pair, tag, found.digest)

    async def _stored(self, pair: RepositoryPair, digest: Digest) -> StoredManifest:
        found = await self._stored_or_none(pair, digest)
        if found is None:
            msg = f"{self._source.remote.host} has no {pair.source}@{digest}"
            raise CommandFailed(msg)
        return found

    async def _stored_or_none(self, pair: RepositoryPair, digest: Digest) -> StoredManifest | None:
        known = self._payloads.get(digest)
        if known is None:
            known = await self._source.manifest(pair.source, digest)
            if known is not None:
                self._payloads.put(digest, known)
        return known


def _parsed(stored: StoredManifest) -> Manifest:
    if {stored.media_type, media_type_of(decode(stored.payload))} & mediatypes.SCHEMA1:
        msg = "it is of Docker's schema 1, which is not copied: pull it and push it again with any client of today"
        raise SchemaOne(msg)
    return parse(stored.payload, stored.media_type)


def _entries(stored: StoredManifest) -> Iterable[object]:
    entries = decode(stored.payload).get("manifests")
    return entries if isinstance(entries, list) else ()


def _shown(repository: str, reference: Reference) -> str:
    return f"{repository}{'@' if isinstance(reference, Digest) else ':'}{reference}"


async def _all_of(works: Iterable[Callable[[], Awaitable[None]]], limit: int) -> None:
    """Do all works, so many at once, even if one fails; then raise what failed first."""
    slots = asyncio.Semaphore(limit)

    async def one(work: Callable[[], Awaitable[None]]) -> None:
        async with slots:
            await work()

    results = await asyncio.gather(*(one(work) for work in works), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
