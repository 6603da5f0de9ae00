"""History and undo; and the removal of many tags at once, which can be undone."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from moorage.auth.access import Grant
from moorage.auth.protections import Protection
from moorage.core.request_access import RequestAccess
from moorage.errors import ManifestUnknown
from moorage.metadata.base import Cause, Page
from moorage.metadata.history import (
    SHOWN_LIMIT,
    AsOf,
    Expected,
    HistoryStore,
    JournalEntry,
    JournalFilter,
    PastTag,
    Published,
    Target,
    UndoOutcome,
    UndoSteps,
)
from moorage.oci.names import RepositoryName, Tag
from moorage.oci.tag_patterns import TagPattern

BATCH = 1000
"""Tags that one transaction removes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The tags of a repository that a removal means."""

    chosen: Sequence[Tag] | TagPattern
    """By name, or by what they match."""
    keep_matching: TagPattern | None = None
    """Of those, keep these."""
    keep_newest: int = 0
    """Of what is left, keep so many: those that were published last."""


@dataclass(slots=True)
class Removal:
    """The outcome of a removal of tags."""

    deleted: int = 0
    """With a dry run: how many would be."""
    kept: int = 0
    """Tags that matched and were kept by ``keep_newest``."""
    protected: int = 0
    """Tags that were meant and are protected."""
    unknown: int = 0
    """Names that were given and are no tags."""
    changed: int = 0
    """Tags that matched, and were pushed or deleted by others before their turn came: they are left."""
    more: bool = False
    """True if the limit ended it, so that there may be more to remove."""
    sample: list[Tag] = field(default_factory=list)
    """The first of those that were removed."""


class History:
    """The history of every repository."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store
        self._requests = RequestAccess(store)

    async def entries(
        self, wanted: JournalFilter, *, grant: Grant, before: int | None, limit: int
    ) -> Page[JournalEntry]:
        """Entries of the journal that *grant* is told of, newest first; see the store's promise."""
        begins = grant.past(wanted.repository) if wanted.repository is not None else None
        if begins is not None:
            wanted = replace(wanted, since=max(begins, wanted.since or begins))
        return await self._store.entries(wanted, before=before, limit=limit)

    async def tag(self, name: RepositoryName, tag: Tag, *, grant: Grant, at: datetime | None) -> PastTag:
        """Return a tag as it is, or as it was at *at*, as far as *grant* is told of it; see the store's promise."""
        begins = grant.past(name)
        if begins is None:
            return await self._store.tag(name, tag, at=at)
        found = await self._store.tag(name, tag, at=None if at is None else max(at, begins))
        is_older = found.changed is not None and found.changed.at < begins
        return replace(found, changed=None) if is_older else found

    async def request_entries(
        self, request_id: str, *, repository: RepositoryName | None, grant: Grant, before: int | None, limit: int
    ) -> Page[JournalEntry]:
        """Entries of one request, newest first; *repository*: where it changed something, as far as the caller knows.

        Raises:
            RequestUnknown: it has none, or *grant* does not allow to see all of them.
        """
        meant = await self._requests.to_see(request_id, repository=repository, grant=grant)
        return await self._store.entries(meant, before=before, limit=limit)

    async def undo_tag(
        self,
        name: RepositoryName,
        tag: Tag,
        target: Target,
        *,
        expected: Expected | None,
        grant: Grant,
        cause: Cause,
        dry_run: bool,
    ) -> UndoOutcome:
        """Take a tag back; see the store's promise.

        Raises:
            Protected: *grant* forbids to move, make or delete the tag; whether it is there is not looked at.
            PatternRefused: a pattern of protected tags cannot be used.
            ManifestUnknown: *target* lies before what *grant* is told of.
        """
        grant.protection(name).check_change(tag)
        begins = grant.past(name)
        if begins is not None and isinstance(target, AsOf):
            target = AsOf(max(target.at, begins))
        elif begins is not None and isinstance(target, UndoSteps):
            await self._check_steps(name, tag, target.count, begins)
        return await self._store.undo_tag(name, tag, target, expected=expected, cause=cause, dry_run=dry_run)

    async def undo_request(
        self,
        request_id: str,
        *,
        repository: RepositoryName | None,
        grant: Grant,
        cause: Cause,
        partial: bool,
        dry_run: bool,
    ) -> UndoOutcome:
        """Take back everything that a request did; see the store's promise.

        *repository*: where it changed something, as far as the caller knows.

        Raises:
            RequestUnknown, RequestShared, AccessLacking, Protected, PatternRefused: as for
                :meth:`RequestAccess.to_undo`; nothing is changed.
        """
        meant = await self._requests.to_undo(request_id, repository=repository, grant=grant)
        return await self._store.undo_request(
            request_id, actor=meant.actor, repository=meant.repository, cause=cause, partial=partial, dry_run=dry_run
        )

    async def delete_tags(
        self,
        name: RepositoryName,
        selection: Selection,
        *,
        grant: Grant,
        cause: Cause,
        limit: int | None = None,
        dry_run: bool = False,
    ) -> Removal:
        """Remove tags, in batches of a transaction each; their manifests stay.

        What *grant* protects stays, and is counted. *limit*: at most so many. Undoing the request brings all back.

        Raises:
            NameUnknown: there is no such repository.
            PatternRefused: a pattern of protected tags cannot be used. Nothing is removed.
        """
        removal = Removal()
        is_by_name, source = self._chosen(name, selection, removal, grant.protection(name))

        async def delete(batch: Sequence[Tag | Published]) -> None:
            found: Sequence[Tag] = [one.tag if isinstance(one, Published) else one for one in batch]
            if is_by_name or not dry_run:
                found = await self._store.delete_tags(name, batch, cause=cause, dry_run=dry_run)
            removal.deleted += len(found)
            if is_by_name:
                removal.unknown += len(batch) - len(found)
            else:
                removal.changed += len(batch) - len(found)
            removal.sample += sorted(found)[: SHOWN_LIMIT - len(removal.sample)]

        batch: list[Tag | Published] = []
        taken = 0
        async for tag in source:
            if taken == limit:
                removal.more = True
                break
            batch.append(tag)
            taken += 1
            if len(batch) == BATCH:
                await delete(batch)
                batch = []
        await delete(batch)  # Also an empty one, which tells whether there is such a repository.
        return removal

    async def _check_steps(self, name: RepositoryName, tag: Tag, count: int, begins: datetime) -> None:
        """See that so many changes of a tag were made since *begins*."""
        wanted = JournalFilter(repository=name, tag=tag, since=begins)
        if len((await self._store.entries(wanted, before=None, limit=count)).items) < count:
            msg = f"{tag} was not changed {count} times since {begins.isoformat()}, when the past of {name} begins here"
            raise ManifestUnknown(msg, tag=tag.text)

    def _chosen(
        self, name: RepositoryName, selection: Selection, removal: Removal, protection: Protection
    ) -> tuple[bool, AsyncIterator[Tag | Published]]:
        """Return whether tags are chosen by name, and the chosen tags that may be removed."""
        if isinstance(selection.chosen, TagPattern):
            return False, self._matching(name, selection.chosen, selection, removal=removal, protection=protection)
        named = list(dict.fromkeys(selection.chosen))
        free = [tag for tag in named if not protection.keeps(tag)]
        removal.protected = len(named) - len(free)
        return True, _each(free)

    async def _matching(
        self, name: RepositoryName, meant: TagPattern, selection: Selection, *, removal: Removal, protection: Protection
    ) -> AsyncIterator[Published]:
        kept = selection.keep_matching
        last: Published | None = None
        while page := await self._store.published(name, after=last, limit=BATCH):
            for found in page:
                if not meant.matches(found.tag) or (kept is not None and kept.matches(found.tag)):
                    continue
                if protection.keeps(found.tag):
                    removal.protected += 1
                    continue
                if removal.kept < selection.keep_newest:
                    removal.kept += 1
                    continue
                yield found
            last = page[-1]


async def _each(tags: Iterable[Tag]) -> AsyncIterator[Tag]:
    for tag in tags:
        yield tag
