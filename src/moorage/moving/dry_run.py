"""A database into which nothing is written: an import that only finds out what it would leave out."""

from collections.abc import Collection, Mapping, Sequence

from moorage.metadata.imports import FoundBlob, FoundManifest, FoundTag, ImportStore
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName


class NothingTaken(ImportStore):
    """Remembers the manifests of one repository at a time, so that tags can be told from those that lead nowhere."""

    def __init__(self, *, has_tags: bool) -> None:
        """*has_tags*: what the database says that an import would write to."""
        self._has_tags = has_tags
        self._name: RepositoryName | None = None
        self._blobs: dict[Digest, int] = {}
        self._manifests: set[Digest] = set()

    async def has_tags(self) -> bool:
        return self._has_tags

    async def has_content(self, name: RepositoryName) -> bool:
        del name
        return False

    async def blobs(self, digests: Collection[Digest]) -> Mapping[Digest, int]:
        return {digest: self._blobs[digest] for digest in digests if digest in self._blobs}

    async def linked(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return {digest for digest in digests if name == self._name and digest in self._blobs}

    async def manifests(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        del name, digests
        return set()

    async def needed(self, digests: Collection[Digest]) -> set[Digest]:
        return set(digests)  # Nobody knows: nothing was written that could need them.

    async def tags_between(self, name: RepositoryName, after: str, last: str | None) -> Sequence[str]:
        del name, after, last
        return ()

    async def manifests_between(self, name: RepositoryName, after: Digest | None, last: Digest | None) -> set[Digest]:
        del name, after, last
        return set()

    async def page_of_blobs(self, name: RepositoryName, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        del name, after, limit
        return ()

    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        del after, limit
        return ()

    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        del after, limit
        return ()

    async def row_counts(self) -> Mapping[str, int]:
        return {}

    async def take_repository(self, name: RepositoryName, *, is_populated: bool) -> None:
        del is_populated
        self._name = name
        self._blobs.clear()
        self._manifests.clear()

    async def take_blobs(self, name: RepositoryName, blobs: Sequence[FoundBlob]) -> None:
        del name
        self._blobs |= {blob.digest: blob.size_bytes for blob in blobs}

    async def take_manifests(self, name: RepositoryName, manifests: Sequence[FoundManifest]) -> None:
        del name
        self._manifests |= {found.stored.digest for found in manifests}

    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        del name
        return [tag for tag in tags if tag.digest not in self._manifests]

    async def drop_tags(self, name: RepositoryName, tags: Collection[str]) -> None:
        del name, tags

    async def drop_manifests(self, name: RepositoryName, digests: Collection[Digest]) -> None:
        del name, digests

    async def drop_blobs(self, name: RepositoryName, ids: Collection[int]) -> None:
        del name, ids

    async def forget_repository(self, name: RepositoryName) -> None:
        del name

    async def review(self, digests: Collection[Digest]) -> None:
        del digests
