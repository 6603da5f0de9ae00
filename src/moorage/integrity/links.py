"""The second part of a check where metadata is in link files: where each link leads, and what no link leads to.

Nothing that points is removed, also by a repair: a link that leads nowhere is answered as "not there", and a push may
bring back what it leads to.

It is done in one go: an unfinished one begins anew, as it reads small files only.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from moorage.errors import BackendError, ManifestInvalid, PathUnknown, TagInvalid
from moorage.integrity.findings import Finding, FindingKind, Note
from moorage.integrity.named_links import named_links
from moorage.integrity.progress import CheckProgress
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.references import References
from moorage.integrity.walking import Stored, share_of, stat_of, stored_blobs
from moorage.oci.digests import Digest, linked_digest
from moorage.oci.mentions import mentions
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver
from moorage.storage.walk import entries_of, lies_at, repository_folders
from moorage.work.large_payloads import read_aside

PHASE = "links"


@dataclass(frozen=True, slots=True)
class _Link:
    """A link file as it was read: another one if it is written again with the same content."""

    content: bytes
    stat: Stat

    @property
    def target(self) -> Digest | None:
        return linked_digest(self.content)


class LinkCheck:
    """Reads every link of every repository."""

    name = PHASE

    def __init__(self, storage: StorageDriver, quarantine: Quarantine | None) -> None:
        """*quarantine*: None: nothing is changed."""
        self._storage = storage
        self._quarantine = quarantine

    async def run(self, progress: CheckProgress, position: str) -> None:
        """Check all of it; *position* is always the beginning."""
        del position
        progress.hold()
        with References() as references:
            async for name in repository_folders(self._storage):
                async for finding in self._repository(name, progress, references):
                    progress.found(finding)
                progress.moved(0.0)
            await self._count_unreferenced(progress, references)

    async def _repository(
        self, name: RepositoryName, progress: CheckProgress, references: References
    ) -> AsyncIterator[Finding]:
        async for finding in self._manifests(name, progress, references):
            yield finding
        folder = f"{paths.repository(name)}/_layers"
        async for path, digest in named_links(self._storage, folder):
            if digest is None:
                yield _finding(FindingKind.LINK_INVALID, path, name, detail="its folder is not named by a digest")
            elif odd := await self._odd(name, path, digest, FindingKind.LAYER_DANGLING):
                yield odd
        async for finding in self._tags(name):
            yield finding

    async def _manifests(
        self, name: RepositoryName, progress: CheckProgress, references: References
    ) -> AsyncIterator[Finding]:
        async for path, digest in named_links(self._storage, paths.revisions(name)):
            if digest is None:
                yield _finding(FindingKind.LINK_INVALID, path, name, detail="its folder is not named by a digest")
                continue
            progress.tally.manifests += 1
            references.add(digest)
            if finding := await self._odd(name, path, digest, FindingKind.REVISION_DANGLING):
                yield finding
            else:
                async for finding in self._payload(name, digest, references):
                    yield finding

    async def _payload(self, name: RepositoryName, digest: Digest, references: References) -> AsyncIterator[Finding]:
        try:
            seen = await stat_of(self._storage, digest)
            payload = await self._storage.get(paths.blob(digest))
        except PathUnknown:
            return  # It was deleted meanwhile: a manifest that is not there was reported before.
        except BackendError as exc:
            yield _finding(FindingKind.UNREADABLE, str(digest), name, detail=str(exc))
            return
        actual = Digest.of(payload, digest.algorithm)
        if actual != digest:
            if seen is not None and await stat_of(self._storage, digest) == seen:
                yield await self._damaged(name, digest, seen, f"the payload is {actual}")
            return
        try:
            found = await read_aside(mentions, payload)
        except ManifestInvalid as exc:
            yield _finding(FindingKind.MANIFEST_DAMAGED, str(digest), name, len(payload), detail=exc.message)
            return
        for named in found.references:  # What garbage collection goes by.
            references.add(named)
        for named, size_bytes in found.sizes.items():
            if finding := await self._of_wrong_size(name, digest, named, size_bytes):
                yield finding

    async def _damaged(self, name: RepositoryName, digest: Digest, seen: Stat, detail: str) -> Finding:
        target = None if self._quarantine is None else await self._quarantine.take(digest, seen)
        repair = "" if target is None else f"moved to {target}: a push brings it back"
        return _finding(FindingKind.MANIFEST_DAMAGED, str(digest), name, seen.size_bytes, detail=detail, repair=repair)

    async def _of_wrong_size(
        self, name: RepositoryName, manifest: Digest, named: Digest, size_bytes: int
    ) -> Finding | None:
        """Find a blob whose size is not the one that a manifest says. The manifest may be wrong: no bytes are moved."""
        try:
            seen = await stat_of(self._storage, named)
            if seen is None or seen.size_bytes == size_bytes or await stat_of(self._storage, named) != seen:
                return None
        except BackendError:
            return None  # The walk over the blobs has reported it.
        detail = f"{manifest} says that it has {size_bytes} bytes"
        return _finding(FindingKind.SIZE_DIFFERS, str(named), name, seen.size_bytes, detail=detail)

    async def _odd(self, name: RepositoryName, path: str, digest: Digest, dangling: FindingKind) -> Finding | None:
        """Find what is wrong with a link to a blob. Its target is there before it is, so it is read twice."""
        try:
            link = await self._link(path)
        except BackendError as exc:
            return _finding(FindingKind.UNREADABLE, path, name, detail=str(exc))
        if link is None:
            return await self._neither(path, name)
        try:
            kind = FindingKind.LINK_INVALID if link.target != digest else None
            kind = kind or (dangling if await stat_of(self._storage, digest) is None else None)
            if kind is None or await self._link(path) != link:
                return None
        except BackendError:
            return None  # The walk over the blobs has reported it.
        return _finding(kind, path if kind is FindingKind.LINK_INVALID else str(digest), name)

    async def _tags(self, name: RepositoryName) -> AsyncIterator[Finding]:
        async for entry in entries_of(self._storage, paths.tags(name)):
            try:
                tag = Tag.parse_stored(entry.name)
            except TagInvalid:
                yield _finding(
                    FindingKind.LINK_INVALID, f"{paths.tags(name)}/{entry.name}", name, detail="no tag's name"
                )
                continue
            path = paths.tag_link(name, tag)
            try:
                finding = await self._odd_tag(name, tag, path)
            except BackendError as exc:
                finding = _finding(FindingKind.UNREADABLE, path, name, detail=str(exc))
            if finding is not None:
                yield finding

    async def _odd_tag(self, name: RepositoryName, tag: Tag, path: str) -> Finding | None:
        link = await self._link(path)
        if link is None:
            return await self._neither(path, name)  # Else half written or half removed: there is no such tag.
        target, finding = link.target, None
        if target is None:
            finding = _finding(FindingKind.LINK_INVALID, path, name)
        elif await self._link(paths.revision_link(name, target)) is None:
            finding = _finding(FindingKind.TAG_DANGLING, tag.text, name, detail=f"it points to {target}")
        return finding if finding is not None and await self._link(path) == link else None

    async def _neither(self, path: str, name: RepositoryName) -> Finding | None:
        """Find what has the name of a link and is no file."""
        try:
            is_odd = await lies_at(self._storage, path) and await self._link(path) is None
        except BackendError as exc:
            return _finding(FindingKind.UNREADABLE, path, name, detail=str(exc))
        detail = "what lies there is neither a file nor a link to one"
        return _finding(FindingKind.UNREADABLE, path, name, detail=detail) if is_odd else None

    async def _count_unreferenced(self, progress: CheckProgress, references: References) -> None:
        try:
            async for found in stored_blobs(self._storage):
                if isinstance(found, Stored) and not references.has(found.digest):
                    progress.tally.note(Note.UNREFERENCED, found.stat.size_bytes)
                progress.moved(share_of(found.place))
        except PathUnknown:
            return

    async def _link(self, path: str) -> _Link | None:
        try:
            stat = await self._storage.stat(path, folder=False)
            return _Link(await self._storage.get(path), stat)
        except PathUnknown:
            return None


def _finding(
    kind: FindingKind, subject: str, name: RepositoryName, size_bytes: int = 0, *, detail: str = "", repair: str = ""
) -> Finding:
    return Finding(
        kind=kind, subject=subject, size_bytes=size_bytes, repository=name.text, detail=detail, repair=repair
    )
