"""Answers that only a database has, in a registry that adopts link files: the repositories are taken over first."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from moorage.metadata.adopting import Adopter
from moorage.metadata.base import Cause, Page
from moorage.metadata.details import (
    DetailStore,
    Referrer,
    RenameStore,
    RepositoryDetails,
    SizeStore,
    TagDetails,
    TagEntry,
    TagPage,
    TagSelection,
)
from moorage.metadata.explanations import Explanation, ExplanationStore
from moorage.metadata.history import (
    Expected,
    HistoryStore,
    JournalEntry,
    JournalFilter,
    PastTag,
    Published,
    Target,
    UndoOutcome,
)
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag


class AdoptingDetails(DetailStore):
    """Repositories and tags, with more than their names."""

    def __init__(self, adopter: Adopter, database: DetailStore) -> None:
        self._adopter = adopter
        self._database = database

    async def repository(self, name: RepositoryName) -> RepositoryDetails:
        await self._adopter.ready(name)
        return await self._database.repository(name)

    async def has_namespace(self, name: RepositoryName) -> bool:
        if await self._database.has_namespace(name):
            return True
        return await self._adopter.has_below(RepositoryName(name.text.partition("/")[0]))

    async def repositories(self, under: RepositoryName, *, after: str, limit: int) -> Page[RepositoryDetails]:
        await self._adopter.ready_below(under)
        return await self._database.repositories(under, after=after, limit=limit)

    async def tag(self, name: RepositoryName, tag: Tag) -> TagDetails:
        await self._adopter.ready(name)
        return await self._database.tag(name, tag)

    async def tags(self, name: RepositoryName, selection: TagSelection) -> TagPage:
        await self._adopter.ready(name)
        return await self._database.tags(name, selection)

    async def tag_entry(self, name: RepositoryName, tag: str) -> TagEntry | None:
        await self._adopter.ready(name)
        return await self._database.tag_entry(name, tag)

    async def referrers(
        self, name: RepositoryName, subjects: Sequence[Digest], *, artifact_types: Sequence[str]
    ) -> Mapping[Digest, Sequence[Referrer]]:
        await self._adopter.ready(name)
        return await self._database.referrers(name, subjects, artifact_types=artifact_types)


class AdoptingSizes(SizeStore):
    """Bytes that the images of repositories need."""

    def __init__(self, adopter: Adopter, database: SizeStore) -> None:
        self._adopter = adopter
        self._database = database

    async def measure(self, name: RepositoryName, *, with_descendants: bool) -> int:
        await self._ready(name, with_descendants=with_descendants)
        return await self._database.measure(name, with_descendants=with_descendants)

    async def estimate(self, name: RepositoryName) -> int:
        await self._ready(name, with_descendants=True)
        return await self._database.estimate(name)

    async def last_change(self, name: RepositoryName, *, with_descendants: bool) -> int:
        await self._ready(name, with_descendants=with_descendants)
        return await self._database.last_change(name, with_descendants=with_descendants)

    async def _ready(self, name: RepositoryName, *, with_descendants: bool) -> None:
        await (self._adopter.ready_below(name) if with_descendants else self._adopter.ready(name))


class AdoptingRenames(RenameStore):
    """Other names, for repositories that are all in the database: no link file can come to the old or the new name."""

    def __init__(self, adopter: Adopter, database: RenameStore) -> None:
        self._adopter = adopter
        self._database = database

    async def check(self, name: RepositoryName, target: RepositoryName, *, limit: int) -> None:
        await self._ready(name, target)
        await self._database.check(name, target, limit=limit)

    async def rename(self, name: RepositoryName, target: RepositoryName, *, limit: int, cause: Cause) -> int:
        await self._ready(name, target)
        return await self._database.rename(name, target, limit=limit, cause=cause)

    async def _ready(self, name: RepositoryName, target: RepositoryName) -> None:
        await self._adopter.ready_below(name)
        await self._adopter.ready_below(target)


class AdoptingHistory(HistoryStore):
    """The journal. It has nothing of repositories that are not taken over, so requests need no look at link files."""

    def __init__(self, adopter: Adopter, database: HistoryStore) -> None:
        self._adopter = adopter
        self._database = database

    async def entries(self, wanted: JournalFilter, *, before: int | None, limit: int) -> Page[JournalEntry]:
        await self._ready(wanted.repository)
        return await self._database.entries(wanted, before=before, limit=limit)

    async def tag(self, name: RepositoryName, tag: Tag, *, at: datetime | None) -> PastTag:
        await self._ready(name)
        return await self._database.tag(name, tag, at=at)

    async def touched(
        self, request_id: str, *, actor: str | None = None, repository: RepositoryName | None = None
    ) -> Sequence[RepositoryName]:
        await self._ready(repository)
        return await self._database.touched(request_id, actor=actor, repository=repository)

    async def undo_tag(
        self,
        name: RepositoryName,
        tag: Tag,
        target: Target,
        *,
        expected: Expected | None,
        cause: Cause,
        dry_run: bool = False,
    ) -> UndoOutcome:
        await self._ready(name)
        return await self._database.undo_tag(name, tag, target, expected=expected, cause=cause, dry_run=dry_run)

    async def undo_request(
        self,
        request_id: str,
        *,
        actor: str | None = None,
        repository: RepositoryName | None = None,
        cause: Cause,
        partial: bool = False,
        dry_run: bool = False,
    ) -> UndoOutcome:
        await self._ready(repository)
        return await self._database.undo_request(
            request_id, actor=actor, repository=repository, cause=cause, partial=partial, dry_run=dry_run
        )

    async def published(self, name: RepositoryName, *, after: Published | None, limit: int) -> Sequence[Published]:
        await self._ready(name)
        return await self._database.published(name, after=after, limit=limit)

    async def delete_tags(
        self, name: RepositoryName, tags: Sequence[Tag | Published], *, cause: Cause, dry_run: bool = False
    ) -> Sequence[Tag]:
        await self._ready(name)
        return await self._database.delete_tags(name, tags, cause=cause, dry_run=dry_run)

    async def _ready(self, name: RepositoryName | None) -> None:
        if name is not None:
            await self._adopter.ready(name)


class AdoptingExplanations(ExplanationStore):
    """Reasons for which something stays."""

    def __init__(self, adopter: Adopter, database: ExplanationStore) -> None:
        self._adopter = adopter
        self._database = database

    async def explain(self, name: RepositoryName, digest: Digest) -> Sequence[Explanation]:
        await self._adopter.ready(name)
        return await self._database.explain(name, digest)
