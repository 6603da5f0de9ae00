"""Access to what one request changed: whose changes its id means to a caller, and whether they may see or undo them.

Clients choose the ids of their requests, so that two may use the same, and the repositories of a request are only known
once the journal has been read. Source: ADR 0040, ADR 0049.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from moorage.auth.access import Access, Action, Grant
from moorage.errors import NameUnknown
from moorage.metadata.history import HistoryStore, JournalEntry, JournalFilter
from moorage.metadata.words import JournalAction
from moorage.moorage_errors import RequestShared, RequestUnknown
from moorage.oci.names import RepositoryName

_PAGE = 1000
_MADE_CONTENT = frozenset({JournalAction.MANIFEST_CREATE, JournalAction.MANIFEST_RESTORE, JournalAction.BLOB_RESTORE})
"""Taking it back deletes a manifest, or takes a blob out."""


class RequestAccess:
    """Finds the changes of a request that a caller means, and sees that their rights reach all of them."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def to_see(self, request_id: str, *, repository: RepositoryName | None, grant: Grant) -> JournalFilter:
        """Return the filter of the changes that *request_id* means.

        Raises:
            RequestUnknown: there are none, or not all may be seen.
        """
        meant = await self._meant(request_id, repository, grant)
        await self._check_touched(meant, grant, Action.PULL)
        return meant

    async def to_undo(self, request_id: str, *, repository: RepositoryName | None, grant: Grant) -> JournalFilter:
        """Return the filter of the changes that *request_id* means, all of which the caller may take back.

        Raises:
            RequestUnknown: as for :meth:`to_see`.
            RequestShared: nothing says whose changes are meant, and they are in several repositories.
            AccessLacking: all may be seen, but not so changed, or a repository not be given its old name.
            Protected: a tag may not be changed, or content not be deleted.
            PatternRefused: a pattern of protected tags cannot be used.
        """
        meant = await self._meant(request_id, repository, grant)
        names = await self._check_touched(meant, grant, Action.PULL, Action.PUSH, Action.DELETE)
        if not meant.actor and meant.repository is None and len(names) > 1:
            await self._check_one_caller(meant, names)
        if grant.accesses is not None:
            await self._check_changes(meant, names, grant)
        return meant

    async def _meant(self, request_id: str, repository: RepositoryName | None, grant: Grant) -> JournalFilter:
        """Find the changes that a request's id means: if it may be several callers', those in the named *repository*.

        Only a rename changes more than one repository, and is one thing: then it is all of them.
        """
        actor = await self._actor(request_id, grant)
        everything = JournalFilter(request_id=request_id, actor=actor)
        if actor or repository is None:
            return everything
        inside = replace(everything, repository=repository)
        renames = replace(inside, action=JournalAction.REPOSITORY_RENAME)
        try:
            return inside if await self._has_any(inside) and not await self._has_any(renames) else everything
        except NameUnknown:
            return everything

    async def _actor(self, request_id: str, grant: Grant) -> str | None:
        """Find whose changes a request's id means: the caller's own, if they have used it; else everybody's (None).

        Another may have used the id as well, and must not get into the way. A caller without a name, as one with a
        token without ``sub`` is, has the changes of those without a name for their own; where nobody needs a token they
        have everybody's.
        """
        if grant.accesses is None and not grant.actor:
            return None
        return grant.actor if await self._has_any(JournalFilter(request_id=request_id, actor=grant.actor)) else None

    async def _check_one_caller(self, meant: JournalFilter, names: Sequence[RepositoryName]) -> None:
        """See that changes in several repositories are one request's: only a rename makes such.

        Raises:
            RequestShared: they may be of several callers who have no name.
        """
        if not await self._has_any(replace(meant, action=JournalAction.REPOSITORY_RENAME)):
            request_id = meant.request_id or ""
            msg = (
                f"requests of the id {request_id} changed {len(names)} repositories, and no name says whether one "
                "caller sent them; say by ?repository= in which one they are to be taken back"
            )
            raise RequestShared(msg, request=request_id)

    async def _has_any(self, wanted: JournalFilter) -> bool:
        return bool((await self._store.entries(wanted, before=None, limit=1)).items)

    async def _check_touched(self, meant: JournalFilter, grant: Grant, *actions: Action) -> Sequence[RepositoryName]:
        """Return the repositories that a request changed, once it is known that *grant* allows *actions* on all.

        Raises:
            RequestUnknown: there are none, or not all may be seen: who may not see them learns nothing of them.
            AccessLacking: all may be seen, but not so changed.
        """
        request_id = meant.request_id or ""
        try:
            names = await self._store.touched(request_id, actor=meant.actor, repository=meant.repository)
        except RequestUnknown:
            if grant.accesses is not None:
                raise _unseen(request_id) from None
            raise
        if not grant.allows([access for name in names for access in Access.repository(name, Action.PULL)]):
            raise _unseen(request_id)
        for name in names:
            begins = grant.past(name)
            if begins is not None and await self._has_any(replace(meant, repository=name, until=begins)):
                raise _unseen(request_id)
        grant.require([access for name in names for access in Access.repository(name, *actions)])
        return names

    async def _check_changes(self, meant: JournalFilter, names: Sequence[RepositoryName], grant: Grant) -> None:
        """See that *grant* allows whatever taking back each change comes to.

        A tag, or what it needs, counts as protected in every repository of the request: names may have changed.
        """
        protections = [grant.protections[name.text] for name in names if name.text in grant.protections]
        last: int | None = None
        while True:
            page = await self._store.entries(meant, before=last, limit=_PAGE)
            tags = {entry.tag for entry in page.items if entry.tag is not None}
            for protection, tag in itertools.product(protections, tags):
                protection.check_change(tag)
            if any(entry.action in _MADE_CONTENT for entry in page.items):
                for protection in protections:
                    protection.check_content()
            _check_names(page.items, grant)
            if not page.more:
                return
            last = page.items[-1].id


def _check_names(entries: Sequence[JournalEntry], grant: Grant) -> None:
    for old, new in [entry.renamed for entry in entries if entry.renamed is not None]:
        back = Access.move(RepositoryName(new), old.rpartition("/")[0] or old)
        grant.require((*back, *Access.repository(RepositoryName(old), Action.PUSH)))


def _unseen(request_id: str) -> RequestUnknown:
    msg = (
        "no change was made by a request of this id, or it also changed repositories that the credentials do not allow "
        "to see; a token for its repository is asked for with ?repository="
    )
    return RequestUnknown(msg, request=request_id)
