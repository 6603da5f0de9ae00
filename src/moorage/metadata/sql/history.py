"""History in a database: the journal as it is read, and the transactions that take something back."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from moorage.errors import DatabaseConflict
from moorage.metadata.base import Cause, Page, no_repository
from moorage.metadata.history import (
    Expected,
    Fate,
    HistoryStore,
    JournalEntry,
    JournalFilter,
    PastTag,
    Published,
    PullFacts,
    Target,
    UndoOutcome,
)
from moorage.metadata.sql.digest_keys import digest_of
from moorage.metadata.sql.undo import (
    EVER,
    Meant,
    digest_at,
    hold,
    reason_of,
    repository_id,
    settle,
    undo_request,
    undo_tag,
)
from moorage.metadata.sql.undo_transaction import QUERIES, BlobPlace, UndoTransaction
from moorage.metadata.words import JournalAction
from moorage.moorage_errors import RequestUnknown, UndoConflict
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database, Row, Transaction, maybe_moment, moment
from moorage.sql.collisions import done_again

_NEVER = datetime.min.replace(tzinfo=UTC)
_NEWEST = (1 << 63) - 1
_TOOK_MANIFEST = frozenset({JournalAction.TAG_MOVE, JournalAction.TAG_DELETE, JournalAction.MANIFEST_DELETE})


class _Rehearsed(Exception):
    """The end of a dry run: the transaction is not kept."""


class SqlHistory(HistoryStore):
    """The journal of a database."""

    def __init__(
        self,
        database: Database,
        *,
        can_delete: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """*can_delete*: whether an undo may delete something (``storage.delete.enabled``)."""
        self._database = database
        self._can_delete = can_delete
        self._clock = clock

    async def entries(self, wanted: JournalFilter, *, before: int | None, limit: int) -> Page[JournalEntry]:
        place_id = None if wanted.repository is None else await self._repository_id(wanted.repository)
        bounds = (before or _NEWEST, wanted.since or _NEVER, wanted.until or EVER, limit + 1)
        tag = None if wanted.tag is None else wanted.tag.text
        # Most of a long history may lie outside of the times asked for.
        heavy = wanted.since is not None or wanted.until is not None
        if wanted.request_id is not None:
            args = (place_id, *bounds, wanted.request_id, tag, wanted.actor, wanted.action)
            rows = await self._database.all(QUERIES["entries_of_request"], *args, heavy=heavy)
        elif tag is not None:
            rows = await self._database.all(QUERIES["entries_of_tag"], place_id, *bounds, tag, heavy=heavy)
        else:
            rows = await self._database.all(QUERIES["entries_of_repository"], place_id, *bounds, heavy=heavy)
        return Page(await self._with_fates(rows[:limit]), more=len(rows) > limit)

    async def tag(self, name: RepositoryName, tag: Tag, *, at: datetime | None) -> PastTag:
        place_id = await self._repository_id(name)
        if at is None:
            row = await self._database.first(QUERIES["tag_now"], place_id, tag.text)
            key = None if row is None else bytes(row[0])
        else:
            key = await digest_at(self._database, BlobPlace(place_id, name.text), tag, at)
        last = await self._database.all(QUERIES["last_change_of_tag"], place_id, tag.text, at or EVER, 0)
        changes = await self._with_fates(last)
        fates = await self._manifest_fates(place_id, [] if key is None else [key])
        is_live, fate = fates.get(key or b"", (False, Fate(is_restorable=False)))
        return PastTag(
            digest=None if key is None else digest_of(key),
            is_pullable=is_live,
            fate=None if key is None else fate,
            changed=changes[0] if changes else None,
            pulls=await self._pulls("pulls_by_tag", place_id, tag.text),
            manifest_pulls=PullFacts() if key is None else await self._pulls("pulls_of_manifest", place_id, key),
        )

    async def touched(
        self, request_id: str, *, actor: str | None = None, repository: RepositoryName | None = None
    ) -> Sequence[RepositoryName]:
        place_id = None if repository is None else await self._repository_id(repository)
        rows = await self._database.all(QUERIES["repositories_of_request"], request_id, actor, place_id)
        if not rows:
            msg = "no change was made by a request of this id"
            raise RequestUnknown(msg, request=request_id)
        return [RepositoryName(row[0]) for row in rows]

    @done_again
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
        async with self._undoing(name, dry_run=dry_run) as transaction:
            place = BlobPlace(await repository_id(transaction, name), name.text)
            await hold(transaction, [place.id])
            said = await reason_of(transaction, place, tag, target)
            work = UndoTransaction(transaction, _said(cause, said), self._clock(), can_delete=self._can_delete)
            await undo_tag(work, place, tag, target, expected=expected)
            if dry_run:
                raise _Rehearsed
        return work.outcome

    @done_again
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
        names = await self.touched(request_id, actor=actor, repository=repository)
        async with self._undoing(names[0], dry_run=dry_run) as transaction:
            place_id = None if repository is None else await repository_id(transaction, repository)
            meant = Meant(request_id, actor, place_id)
            held = [row[0] for row in await transaction.all(QUERIES["repository_ids_of_request"], *meant)]
            await hold(transaction, held)
            why = _said(cause, f"undo of {request_id}")
            work = UndoTransaction(transaction, why, self._clock(), held=held, can_delete=self._can_delete)
            await undo_request(work, meant)
            settle(work, partial=partial)
            if dry_run:
                raise _Rehearsed
        if not dry_run:  # The names that came back as well: a replica that is behind would still not have them.
            await self._database.announce([*(name.text for name in names[1:]), *work.renamed])
        return work.outcome

    async def published(self, name: RepositoryName, *, after: Published | None, limit: int) -> Sequence[Published]:
        place_id = await self._repository_id(name)
        if after is None:
            rows = await self._database.all(QUERIES["published"], place_id, limit)
        else:
            rows = await self._database.all(QUERIES["published_after"], place_id, limit, after.at, after.tag.text)
        return [Published(moment(row[0]), Tag(row[1])) for row in rows]

    @done_again
    async def delete_tags(
        self, name: RepositoryName, tags: Sequence[Tag | Published], *, cause: Cause, dry_run: bool = False
    ) -> Sequence[Tag]:
        seen = {one.tag.text: one.at for one in tags if isinstance(one, Published)}
        texts = [one.text for one in tags if isinstance(one, Tag)] + list(seen)
        found: Sequence[str] = []
        async with self._undoing(name, dry_run=dry_run) as transaction:
            place = BlobPlace(await repository_id(transaction, name), name.text)
            if texts:
                await transaction.all(QUERIES["lock_repository"], place.id)
                await transaction.all(QUERIES["lock_tags"], place.id, texts)
                if seen:  # They are locked, so that nobody pushes to them any more.
                    rows = await transaction.all(QUERIES["published_now"], place.id, texts)
                    texts = [text for at, text in rows if seen.get(text, moment(at)) == moment(at)]
                found = await UndoTransaction(transaction, cause, self._clock()).drop_tags(place, texts)
            if dry_run:
                raise _Rehearsed
        return [Tag(text) for text in found]

    @contextlib.asynccontextmanager
    async def _undoing(self, name: RepositoryName, *, dry_run: bool) -> AsyncIterator[Transaction]:
        with contextlib.ExitStack() as stack:
            if dry_run:
                stack.enter_context(contextlib.suppress(_Rehearsed))
            try:
                async with self._database.transaction(repository=name.text) as transaction:
                    yield transaction
            except DatabaseConflict as exc:
                msg = "somebody is changing the same things right now; look at them again"
                raise UndoConflict(msg) from exc

    async def _repository_id(self, name: RepositoryName) -> int:
        row = await self._database.first(QUERIES["repository_id"], name.text)
        if row is None:
            raise no_repository(name)
        return int(row[0])

    async def _pulls(self, query: str, place_id: int, what: str | bytes) -> PullFacts:
        row = await self._database.first(QUERIES[query], place_id, what)
        return PullFacts() if row is None else PullFacts(int(row[0]), maybe_moment(row[1]))

    async def _with_fates(self, rows: Sequence[Row]) -> list[JournalEntry]:
        manifests: dict[int, set[bytes]] = {}
        blobs: dict[int, set[bytes]] = {}
        for row in rows:
            action = JournalAction(row[5])
            if row[9] is not None and action in _TOOK_MANIFEST:
                manifests.setdefault(row[6], set()).add(bytes(row[9]))
            elif action is JournalAction.BLOB_DELETE:
                blobs.setdefault(row[6], set()).add(bytes(row[9]))
        fates: dict[tuple[int, str, bytes], Fate] = {}
        for place_id, keys in manifests.items():
            found = await self._manifest_fates(place_id, sorted(keys))
            fates |= {(place_id, "manifest", key): fate for key, (_, fate) in found.items()}
        for place_id, keys in blobs.items():
            for key, _, until in await self._database.all(QUERIES["blob_fates"], place_id, sorted(keys)):
                fates[place_id, "blob", bytes(key)] = Fate(is_restorable=True, until=maybe_moment(until))
        return [_entry(row, fates) for row in rows]

    async def _manifest_fates(self, place_id: int, keys: Sequence[bytes]) -> Mapping[bytes, tuple[bool, Fate]]:
        if not keys:
            return {}
        rows = await self._database.all(QUERIES["manifest_fates"], place_id, keys)
        return {
            bytes(key): (bool(is_live), Fate(is_restorable=True, until=maybe_moment(until)))
            for key, is_live, until in rows
        }


def _said(cause: Cause, what: str) -> Cause:
    """The cause of an undo: what it takes back, and why."""
    return replace(cause, reason=f"{what}: {cause.reason}" if cause.reason else what)


def _entry(row: Row, fates: Mapping[tuple[int, str, bytes], Fate]) -> JournalEntry:
    row_id, at, actor, request_id, reason, said, place_id, path, tag, before, after, detail = row
    action, fate, names = JournalAction(said), None, json.loads(detail) if detail else {}
    if action in _TOOK_MANIFEST or action is JournalAction.BLOB_DELETE:
        kind = "blob" if action is JournalAction.BLOB_DELETE else "manifest"
        fate = fates.get((place_id, kind, bytes(before)), Fate(is_restorable=False))
    return JournalEntry(
        id=row_id,
        at=moment(at),
        cause=Cause(actor, request_id, reason),
        action=action,
        repository=RepositoryName(path),
        tag=None if tag is None else Tag(tag),
        before=_digest(before),
        after=_digest(after),
        renamed=(names["from"], names["to"]) if action is JournalAction.REPOSITORY_RENAME else None,
        fate=fate,
    )


def _digest(key: bytes | None) -> Digest | None:
    return None if key is None else digest_of(bytes(key))
