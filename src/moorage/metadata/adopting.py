"""The stores of a registry that adopts link files: each operation goes to where the truth about its repository is.

There is one rule. A repository that is taken over is in the database, for good. One that is not is in its link files,
which nobody changes: so reads go to them, and writes wait until the repository is taken over.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from moorage.metadata.base import (
    NOTHING_EXPECTED,
    UNEXPLAINED,
    CatalogueStore,
    Cause,
    Expectation,
    LinkedBlob,
    LinkStore,
    ManifestStore,
    Page,
    RemovalWatch,
)
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import Reference, RepositoryName, Tag

_LOOKS = 5
"""So often a list is read again because a repository was taken over, and perhaps renamed, while it was read."""


class Adopter(ABC):
    """Takes repositories over, and knows which ones are."""

    @abstractmethod
    async def is_ready(self, name: RepositoryName) -> bool:
        """Return whether the database is the truth about a repository; if so, it is for good.

        If not, the caller reads its link files; the repository is taken over soon, beside what is served.
        """

    @abstractmethod
    async def ready(self, name: RepositoryName) -> None:
        """Wait until the database is the truth about a repository.

        Raises:
            DatabaseContended: it takes too long; trying again helps.
            BackendError: it could not be taken over.
        """

    @abstractmethod
    async def leave_out(self, name: RepositoryName) -> None:
        """Note a repository, of a name that no database takes, among what somebody has to agree to."""

    @abstractmethod
    async def ready_below(self, name: RepositoryName) -> None:
        """As :meth:`ready`, for *name* and all repositories below it."""

    @abstractmethod
    async def has_below(self, name: RepositoryName) -> bool:
        """Return whether link files have *name*, or a repository below it."""

    @abstractmethod
    async def waiting(self, names: Sequence[RepositoryName]) -> Sequence[RepositoryName]:
        """Those of *names*, which link files have, that are not taken over."""

    @abstractmethod
    async def taken_until(self) -> str | None:
        """Return the name up to which all are taken over; None: all are."""


class AdoptingLinks(LinkStore):
    """Blobs of repositories."""

    def __init__(self, adopter: Adopter, database: LinkStore, link_files: LinkStore) -> None:
        self._adopter = adopter
        self._database = database
        self._link_files = link_files

    async def expect(self, digest: Digest) -> Expectation:
        return await self._database.expect(digest)

    async def watch(self) -> RemovalWatch | None:
        return await self._database.watch()

    async def find(self, name: RepositoryName | None, digest: Digest) -> LinkedBlob | None:
        if name is None:
            return await self._database.find(None, digest)  # What it misses is uploaded, which is always right.
        return await (await self._read(name)).find(name, digest)

    async def promise(self, name: RepositoryName, digest: Digest) -> LinkedBlob | None:
        return await (await self._read(name)).promise(name, digest)

    async def find_each(self, name: RepositoryName, digests: Collection[Digest]) -> Mapping[Digest, LinkedBlob]:
        return await (await self._read(name)).find_each(name, digests)

    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        await self._adopter.ready(name)
        return await self._database.link(name, digest, expectation, size_bytes=size_bytes, cause=cause)

    async def mount(
        self,
        name: RepositoryName,
        digest: Digest,
        *,
        source: RepositoryName | None,
        size_bytes: int | None = None,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        for each in (name, source):
            if each is not None:
                await self._adopter.ready(each)
        return await self._database.mount(name, digest, source=source, size_bytes=size_bytes, cause=cause)

    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        await self._adopter.ready(name)
        await self._database.unlink(name, digest, cause=cause)

    async def _read(self, name: RepositoryName) -> LinkStore:
        return self._database if await self._adopter.is_ready(name) else self._link_files


class AdoptingManifests(ManifestStore):
    """Manifests and tags of repositories."""

    keeps_configurations: ClassVar[bool] = True

    def __init__(self, adopter: Adopter, database: ManifestStore, link_files: ManifestStore) -> None:
        self._adopter = adopter
        self._database = database
        self._link_files = link_files

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        return await (await self._read(name)).has(name, digest)

    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        return await (await self._read(name)).find(name, reference)

    async def promise(self, name: RepositoryName, digest: Digest) -> StoredManifest:
        return await (await self._read(name)).promise(name, digest)

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return await (await self._read(name)).missing(name, digests)

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
        await self._adopter.ready(name)
        await self._database.put(
            name,
            stored,
            manifest,
            tags=tags,
            cause=cause,
            required=required,
            configuration=configuration,
            expected=expected,
        )

    async def delete(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        await self._adopter.ready(name)
        await self._database.delete(name, digest, cause=cause)

    async def untag(self, name: RepositoryName, tag: Tag, *, cause: Cause, seen: Digest | None = None) -> None:
        await self._adopter.ready(name)
        await self._database.untag(name, tag, cause=cause, seen=seen)

    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        store = await self._read(name)
        return await store.referrers(name, subject, artifact_type=artifact_type, after=after, limit=limit)

    async def _read(self, name: RepositoryName) -> ManifestStore:
        return self._database if await self._adopter.is_ready(name) else self._link_files


class AdoptingCatalogue(CatalogueStore):
    """Lists: of repositories, merged from both; of tags, from where they are."""

    def __init__(self, adopter: Adopter, database: CatalogueStore, link_files: CatalogueStore) -> None:
        self._adopter = adopter
        self._database = database
        self._link_files = link_files

    async def repositories(self, *, after: str, limit: int) -> Page[RepositoryName]:
        for _ in range(_LOOKS):
            # First link files, then the database: what is taken over in between is in both, and never in neither.
            waiting = await self._waiting(after, limit + 1)
            page = await self._database.repositories(after=after, limit=limit + 1)
            # What was taken over in between may have another name by now, and be there twice.
            if len(await self._adopter.waiting(waiting)) == len(waiting):
                break
        found = sorted({name.text for name in (*waiting, *page.items)}, key=str.encode)
        return Page([RepositoryName(text) for text in found[:limit]], more=len(found) > limit)

    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        store = self._database if await self._adopter.is_ready(name) else self._link_files
        return await store.tags(name, after=after, limit=limit)

    async def _waiting(self, after: str, limit: int) -> Sequence[RepositoryName]:
        """The first of those that are not taken over."""
        until = await self._adopter.taken_until()
        if until is None:
            return ()
        found: list[RepositoryName] = []
        place = max(after, until)
        while len(found) < limit:
            page = await self._link_files.repositories(after=place, limit=limit)
            found += await self._adopter.waiting(page.items)
            if not page.more:
                break
            place = page.items[-1].text
        return found[:limit]
