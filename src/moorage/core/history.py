"""History and undo, and the removal of many tags at once, which history makes bearable."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import re2

from moorage.errors import ParameterInvalid
from moorage.metadata.base import Cause, Page
from moorage.metadata.history import (
    SHOWN_LIMIT,
    Expected,
    JournalEntry,
    JournalFilter,
    PastTag,
    Published,
    Target,
    UndoOutcome,
)
from moorage.metadata.history import HistoryStore as HistoryStore
from moorage.oci.names import RepositoryName, Tag

BATCH = 1000
"""Tags that one transaction removes."""

PATTERN_LENGTH_LIMIT = 1000

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The tags of a repository that a removal means."""

    tags: Sequence[Tag] | None = None
    """These; None: by pattern."""
    matching: str = ""
    """RE2, of the whole tag."""
    keep_matching: str | None = None
    """RE2: of those, not these."""
    keep_newest: int = 0
    """Of what is left, not the so many that were last published."""


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
    more: bool = False
    """True if the limit ended it, so that there may be more to remove."""
    sample: list[Tag] = field(default_factory=list)
    """The first of those that were removed."""


class History:
    """The history of every repository."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def entries(self, wanted: JournalFilter, *, before: int | None, limit: int) -> Page[JournalEntry]:
        """Entries of the journal, newest first; see the store's promise."""
        return await self._store.entries(wanted, before=before, limit=limit)

    async def tag(self, name: RepositoryName, tag: Tag, *, at: datetime | None) -> PastTag:
        """Return a tag as it is, or as it was at *at*; see the store's promise."""
        return await self._store.tag(name, tag, at=at)

    async def touched(
        self, request_id: str, *, actor: str | None, repository: RepositoryName | None
    ) -> Sequence[RepositoryName]:
        """The repositories that a request changed something in; see the store's promise."""
        return await self._store.touched(request_id, actor=actor, repository=repository)

    async def undo_tag(
        self,
        name: RepositoryName,
        tag: Tag,
        target: Target,
        *,
        expected: Expected | None,
        cause: Cause,
        dry_run: bool,
    ) -> UndoOutcome:
        """Take a tag back; see the store's promise."""
        return await self._store.undo_tag(name, tag, target, expected=expected, cause=cause, dry_run=dry_run)

    async def undo_request(
        self,
        request_id: str,
        *,
        actor: str | None,
        repository: RepositoryName | None,
        cause: Cause,
        partial: bool,
        dry_run: bool,
    ) -> UndoOutcome:
        """Take back everything that a request did; see the store's promise."""
        return await self._store.undo_request(
            request_id, actor=actor, repository=repository, cause=cause, partial=partial, dry_run=dry_run
        )

    async def delete_tags(
        self,
        name: RepositoryName,
        selection: Selection,
        *,
        cause: Cause,
        is_protected: Callable[[Tag], bool] = lambda _: False,
        limit: int | None = None,
        dry_run: bool = False,
    ) -> Removal:
        """Remove tags, in batches that are each kept by themselves; their manifests stay.

        *is_protected* tells which tags stay all the same. *limit*: at most so many. Undoing the request brings all of
        them back.

        Raises:
            NameUnknown: there is no such repository.
            ParameterInvalid: a pattern is malformed. Nothing is removed.
        """
        removal = Removal()
        if selection.tags is None:
            source = self._matching(name, selection, removal, is_protected)
        else:
            named = list(dict.fromkeys(selection.tags))
            free = [tag for tag in named if not is_protected(tag)]
            removal.protected = len(named) - len(free)
            source = _each(free)

        async def delete(batch: Sequence[Tag]) -> None:
            found = batch
            if selection.tags is not None or not dry_run:
                found = await self._store.delete_tags(name, batch, cause=cause, dry_run=dry_run)
            removal.deleted += len(found)
            removal.unknown += len(batch) - len(found)
            removal.sample += sorted(found)[: SHOWN_LIMIT - len(removal.sample)]

        batch: list[Tag] = []
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

    async def _matching(
        self, name: RepositoryName, selection: Selection, removal: Removal, is_protected: Callable[[Tag], bool]
    ) -> AsyncIterator[Tag]:
        is_meant = _pattern(selection.matching)
        is_kept = None if selection.keep_matching is None else _pattern(selection.keep_matching)
        last: Published | None = None
        while page := await self._store.published(name, after=last, limit=BATCH):
            for found in page:
                if not is_meant(found.tag.text) or (is_kept is not None and is_kept(found.tag.text)):
                    continue
                if is_protected(found.tag):
                    removal.protected += 1
                    continue
                if removal.kept < selection.keep_newest:
                    removal.kept += 1
                    continue
                yield found.tag
            last = page[-1]


async def _each(tags: Iterable[Tag]) -> AsyncIterator[Tag]:
    for tag in tags:
        yield tag


def _pattern(text: str) -> Callable[[str], object]:
    """Return a function that says whether a whole tag matches.

    Raises:
        ParameterInvalid: it is no RE2 pattern.
    """
    try:
        if len(text) <= PATTERN_LENGTH_LIMIT:
            matches: Callable[[str], object] = re2.compile(text, _OPTIONS).fullmatch
            return matches
    except (re2.error, UnicodeEncodeError) as exc:
        msg = f"the pattern is not RE2: {exc}"
        raise ParameterInvalid(msg, pattern=text) from None
    msg = f"a pattern has at most {PATTERN_LENGTH_LIMIT} characters"
    raise ParameterInvalid(msg)
