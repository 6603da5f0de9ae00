"""Pointers to a manifest in the link-file layout: written and removed so that pushes and deletions may meet.

No lock keeps them apart, as not every storage has locks: ``docs/adr/0034-pushes-meet-deletions-in-link-files.md``.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.metadata.aside import aside
from moorage.metadata.base import TagThere, moved_since
from moorage.metadata.payloads import Payload
from moorage.oci import stored as lenient
from moorage.oci.digests import Digest, linked_digest
from moorage.oci.json_documents import write_json
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.walk import pages_of

_ATTEMPTS = 16
"""So often a push writes again what deletions of the same manifest take away."""

_BATCH = 1000


class LayoutPointers:
    """Revision links, tags, and what a manifest has beside its link."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage

    async def target(self, name: RepositoryName, tag: Tag) -> Digest | None:
        """Return what a tag points to; None if there is no such tag."""
        try:
            return linked_digest(await self._storage.get(paths.tag_link(name, tag)))
        except PathUnknown:
            return None

    async def point(
        self,
        name: RepositoryName,
        stored: StoredManifest,
        manifest: Manifest,
        tags: Sequence[Tag],
        *,
        fixed: Collection[Tag] = (),
    ) -> None:
        """Write all that points to a payload; again what a deletion of the same manifest has taken away meanwhile.

        The tags come last, and after them everything is looked at once more: see ``docs/adr/0034-*.md``. Those that
        are *fixed* are made only where there is none: each by the one of many that the storage lets make it.

        Raises:
            TagThere: one of *fixed* is there. No tag was pointed, or those of *fixed* that were are gone again.
        """
        parts = await aside(len(stored.payload), beside, name, stored, manifest)
        ordered = [*fixed, *(tag for tag in tags if tag not in fixed)]
        await self._write(name, stored.digest, parts, ordered, fixed=fixed)

    async def drop(self, name: RepositoryName, tag: Tag, seen: Digest | None) -> bool:
        """Remove a tag; False: there is none.

        Raises:
            TagChanged: it points elsewhere than to *seen*.
        """
        path = paths.tag_link(name, tag)
        try:
            content = await self._storage.get(path)
            target = linked_digest(content)
            if target is None:
                return False
            if seen is None:
                await self._storage.delete(paths.tag(name, tag))
                return True
            if target != seen or not await self._drop_if_same(name, tag, content):
                raise moved_since(tag)
        except PathUnknown:
            return False
        return True

    async def remove(self, name: RepositoryName, digest: Digest, payload: Payload | None) -> Sequence[str]:
        """Remove what points to a manifest, the tags first; if a push has used it again meanwhile, put it back.

        Return the tags that were removed.
        What is behind a push that was acknowledged is never taken away again: that push came after this deletion.
        """
        dropped: list[str] = []
        async for tag in self._pointing(name, digest):
            await self._drop_tag(name, tag)
            dropped.append(tag.text)
        kept = await self._kept_beside(name, digest, payload)
        await _delete_if_there(self._storage, paths.revision(name, digest))
        for path in kept:
            if not path.startswith(paths.revision(name, digest)):
                await _delete_if_there(self._storage, path)
        is_used = await is_linked(self._storage, paths.revision_link(name, digest))
        async for _ in self._pointing(name, digest):
            is_used = True
            break
        if is_used:
            await self._write(name, digest, kept, ())
        return dropped

    async def _write(
        self,
        name: RepositoryName,
        digest: Digest,
        beside: Mapping[str, bytes],
        tags: Sequence[Tag],
        *,
        fixed: Collection[Tag] = (),
    ) -> None:
        link, revision = str(digest).encode(), paths.revision_link(name, digest)
        pointing = {paths.tag_link(name, tag): tag for tag in tags}
        missing: Sequence[str] = [*beside, revision, *pointing]
        made: list[Tag] = []
        for _ in range(_ATTEMPTS):
            if any(path not in pointing for path in missing):
                for path, content in {**beside, revision: link}.items():
                    await self._storage.put(path, content)
            for tag in [pointing[path] for path in missing if path in pointing]:
                await self._storage.put(paths.tag_index_link(name, tag, digest), link)
                if tag not in fixed:
                    await self._storage.put(paths.tag_link(name, tag), link)
                elif await self._make_tag(name, tag, digest):
                    made.append(tag)
                else:
                    for other in made:
                        await self._drop_if_same(name, other, link)
                    raise TagThere(tag.text)
            missing = await self._gone([*beside, revision, *pointing])
            if not missing:
                return
        msg = f"{name.text}: {digest} is deleted again and again while it is pushed"
        raise StorageUnavailable(msg)

    async def _make_tag(self, name: RepositoryName, tag: Tag, digest: Digest) -> bool:
        """Make a tag; False: there is one."""
        link, path = str(digest).encode(), paths.tag_link(name, tag)
        if await self._storage.put_if_absent(path, link):
            return True
        # An empty link is no tag. It goes with its folder, so that what lies in there is written again.
        if await is_linked(self._storage, path):
            return False
        with contextlib.suppress(PathUnknown):
            await self._drop_if_same(name, tag, b"")
        await self._storage.put(paths.tag_index_link(name, tag, digest), link)
        return await self._storage.put_if_absent(path, link)

    async def _gone(self, links: Sequence[str]) -> Sequence[str]:
        """Those of some link files that are not there, or say nothing."""
        if keeps_files(self._storage):
            return [path for path in links if not await is_linked(self._storage, path)]
        stats = await self._storage.stat_each(links)
        return [path for path, stat in zip(links, stats, strict=True) if stat is None or not stat.size_bytes]

    async def _drop_tag(self, name: RepositoryName, tag: Tag) -> None:
        """Remove a tag unless it points elsewhere by now."""
        path = paths.tag_link(name, tag)
        try:
            seen = await self._storage.get(path)
        except PathUnknown:
            return
        await self._drop_if_same(name, tag, seen)

    async def _drop_if_same(self, name: RepositoryName, tag: Tag, content: bytes) -> bool:
        return await self._storage.delete_saying(paths.tag(name, tag), content, where=paths.tag_link(name, tag))

    async def _kept_beside(self, name: RepositoryName, digest: Digest, payload: Payload | None) -> dict[str, bytes]:
        """The objects that a manifest has beside its link, to be removed and perhaps to be put back."""
        subject = None if payload is None else await aside(len(payload.content), _subject, payload.content)
        wanted = [paths.content_type(name, digest)]
        if subject is not None:
            wanted.append(paths.referrer(name, subject, digest))
        kept: dict[str, bytes] = {}
        for path in wanted:
            with contextlib.suppress(PathUnknown):
                kept[path] = await self._storage.get(path)
        return kept

    async def _pointing(self, name: RepositoryName, digest: Digest) -> AsyncIterator[Tag]:
        """The tags that point to a manifest. No link says which they are, so that of every tag is read."""
        text = digest.encoded.encode()

        def points(_: int, content: bytes) -> bool:
            return text in content and linked_digest(content) == digest  # Hardly any is worth to be parsed.

        async for entries in pages_of(self._storage, paths.tags(name), page=_BATCH):
            tags = [Tag(entry.name) for entry in entries]
            # Many at once, and not on the event loop: of a large repository they are many files.
            found = await self._storage.get_each([paths.tag_link(name, tag) for tag in tags], points)
            for tag, is_pointing in zip(tags, found, strict=True):
                if is_pointing:
                    yield tag
            await asyncio.sleep(0)


async def is_linked(storage: StorageDriver, path: str) -> bool:
    """Return whether a link file is there and says something."""
    try:
        # An empty link is what a crash leaves of Distribution, which writes in place.
        return (await storage.stat(path, folder=False)).size_bytes > 0
    except PathUnknown:
        return False


def beside(name: RepositoryName, stored: StoredManifest, manifest: Manifest) -> dict[str, bytes]:
    """Return the objects that a manifest needs beside its link, by path."""
    found: dict[str, bytes] = {}
    if not payload_of(stored.payload).is_declared:
        found[paths.content_type(name, stored.digest)] = stored.media_type.encode()
    if manifest.subject is not None:
        descriptor = descriptor_of(stored, manifest)
        # Not escaped: so it is no larger than the manifest, which is what can be read again.
        parts = len(descriptor.annotations)
        text = write_json(descriptor.to_json(), parts=parts, ensure_ascii=False, separators=(",", ":"))
        found[paths.referrer(name, manifest.subject.digest, stored.digest)] = text.encode("utf-8", "surrogatepass")
    return found


async def _delete_if_there(storage: StorageDriver, path: str) -> None:
    try:
        await storage.delete(path)
    except PathUnknown:
        return


def _subject(content: bytes) -> Digest | None:
    with lenient.reading(content) as value:
        return lenient.subject(value)


def payload_of(content: bytes) -> Payload:
    """Return a manifest's bytes with what they say of their type."""
    with lenient.reading(content) as value:
        declared = value.get("mediaType")
        is_declared = isinstance(declared, str) and lenient.is_header(declared)
        return Payload(content, lenient.shown_type(value), is_declared=is_declared)


def descriptor_of(stored: StoredManifest, manifest: Manifest) -> Descriptor:
    """Return a manifest as a list of referrers shows it."""
    return Descriptor(
        media_type=stored.media_type,
        digest=stored.digest,
        size_bytes=len(stored.payload),
        artifact_type=manifest.artifact_type,
        annotations=manifest.annotations,
    )
