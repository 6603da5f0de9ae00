"""An undo's changes to tags, manifests, blobs and names, in one transaction, each with a row in the journal.

Nothing here decides what is to be taken back (see ``undo.py``). What cannot be done is noted as an obstacle, and left.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from moorage.metadata.base import Cause
from moorage.metadata.history import SHOWN_LIMIT, TagChange, UndoObstacle, UndoOutcome
from moorage.metadata.sql.digest_keys import digest_of
from moorage.metadata.sql.outbox import move_lane, write_notices
from moorage.metadata.words import JournalAction, JournalSubject
from moorage.oci.names import RepositoryName
from moorage.sql.base import NamedQuery, Row, Transaction, Value
from moorage.sql.queries import load_queries

QUERIES: Mapping[str, NamedQuery] = load_queries("moorage.metadata.sql", "history")


BATCH = 1000
"""So many things one statement is about at most."""


class BlobPlace(NamedTuple):
    """A repository: what it is, and what it is called now."""

    id: int
    path: str


@dataclass(frozen=True, slots=True)
class TagStep:
    """A tag that shall be something else than it is. Digests as columns keep them; None: there is no such tag."""

    name: str
    now: bytes | None
    wanted: bytes | None


class UndoTransaction:
    """The changes of one transaction: makes them, journals them, counts them, and notes what stands in their way."""

    def __init__(
        self,
        transaction: Transaction,
        cause: Cause,
        now: datetime,
        *,
        held: Sequence[int] = (),
        can_delete: bool = True,
    ) -> None:
        """Take these parts.

        Args:
            transaction: in which all happens.
            cause: who does it, and why.
            now: when.
            held: the repositories that the undo is about, and that nobody else changes until it has ended.
            can_delete: whether tags, manifests and blobs may be deleted at all (``storage.delete.enabled``).
        """
        self.transaction = transaction
        self._can_delete = can_delete
        self.renamed: list[str] = []
        """The names that repositories have by it."""
        self._held = held
        self.outcome = UndoOutcome()
        self.gone_count = 0
        self.kept_count = 0
        self._cause = cause
        self._announcer = cause.announcer
        self._now = now
        self._places: dict[int, BlobPlace | None] = {}

    async def place(self, repository_id: int) -> BlobPlace | None:
        """The repository with this id; None if there is none any more."""
        if repository_id not in self._places:
            row = await self.transaction.first(QUERIES["repository_path"], repository_id)
            self._places[repository_id] = None if row is None else BlobPlace(repository_id, row[0])
        return self._places[repository_id]

    def obstruct(self, obstacle: UndoObstacle) -> None:
        """Note something that stays as it is."""
        self.outcome.left_count += 1
        self.gone_count += obstacle.reason == "gone"
        self.kept_count += obstacle.reason == "switched off"
        if len(self.outcome.left) < SHOWN_LIMIT:
            self.outcome.left.append(obstacle)

    def is_already(self, count: int = 1) -> None:
        """Note that things are as they should be."""
        self.outcome.already += count

    async def tags_now(self, place: BlobPlace, names: Sequence[str]) -> Mapping[str, bytes]:
        """Lock tags, and return the digests that they point to until this transaction ends."""
        await self.transaction.all(QUERIES["lock_tags"], place.id, names)
        return {row[0]: bytes(row[1]) for row in await self.transaction.all(QUERIES["tags_now"], place.id, names)}

    async def set_tags(self, place: BlobPlace, steps: Sequence[TagStep]) -> None:
        """Point tags to what they shall be, and restore the manifests that they need."""
        ids = await self._live(place, {step.wanted for step in steps if step.wanted is not None})
        created: list[tuple[str, int]] = []
        moved: list[tuple[str, int]] = []
        dropped: list[str] = []
        for step in steps:
            if step.wanted is None:
                if self._keeps(place, "tag", [step.name]):
                    continue
                dropped.append(step.name)
            elif step.wanted not in ids:
                self.obstruct(_gone(place, "tag", step.name, step.wanted))
                continue
            else:
                (created if step.now is None else moved).append((step.name, ids[step.wanted]))
            self._count("tag", place, step.name, (_maybe_text(step.now), _maybe_text(step.wanted)))
        await self._point(place, created, QUERIES["add_tags"])
        await self._point(place, moved, QUERIES["move_tags"])
        await self.drop_tags(place, dropped)

    async def drop_tags(self, place: BlobPlace, names: Sequence[str]) -> Sequence[str]:
        """Delete tags that are locked; return those that were there."""
        if not names:
            return []
        await self.transaction.all(QUERIES["journal_dropped"], place.id, names, *self._why(place))
        gone = sorted(row[0] for row in await self.transaction.all(QUERIES["drop_tags"], place.id, names))
        told = [notice for tag in gone for notice in self._announcer.tag_deleted(RepositoryName(place.path), tag)]
        await write_notices(self.transaction, told)
        return gone

    async def restore_manifests(self, place: BlobPlace, digests: Collection[bytes]) -> None:
        """Let manifests be seen again, with what they need."""
        before = self.outcome.counts["manifest"]
        found = await self._live(place, digests)
        self.is_already(max(0, len(found) - (self.outcome.counts["manifest"] - before)))
        for digest in sorted(set(digests) - found.keys()):
            self.obstruct(_gone(place, "manifest", _text(digest), digest))

    async def remove_manifests(self, place: BlobPlace, digests: Collection[bytes]) -> None:
        """Let manifests not be seen any more, unless a tag or an index uses them."""
        found = await self._locked("lock_manifests", place, digests)
        live = {row_id: digest for digest, (row_id, is_live) in found.items() if is_live}
        self.is_already(len(set(digests)) - len(live))
        if not live:
            return
        used = {row[0]: f"the tag {row[1]}" for row in await self._of("tags_of_manifests", live)}
        parents = await self._of("parents_of_manifests", live)
        waiting = [row for row in parents if row[1] not in live or row[1] in used]
        while waiting:  # What an index that stays lists stays too, whatever would go by itself.
            for child, _, digest in waiting:
                used.setdefault(child, f"the index {digest_of(digest)}")
            waiting = [row for row in parents if row[1] in used and row[0] not in used]
        removed = {row_id: digest for row_id, digest in live.items() if row_id not in used}
        for row_id in sorted(used):
            self.obstruct(_in_use(place, "manifest", live[row_id], used[row_id]))
        if removed and not self._keeps(place, "manifest", [_text(digest) for digest in removed.values()]):
            await self.transaction.all(QUERIES["remove_manifests"], sorted(removed), self._now)
            await self._removed(place, "manifest", JournalAction.MANIFEST_DELETE, sorted(removed.values()))

    async def restore_blobs(self, place: BlobPlace, digests: Collection[bytes]) -> None:
        """Put blobs into the repository again."""
        found = await self._locked("lock_blobs", place, digests)
        dead = {row_id: digest for digest, (row_id, is_live) in found.items() if not is_live}
        self.is_already(len(found) - len(dead))
        for digest in sorted(set(digests) - found.keys()):
            self.obstruct(_gone(place, "blob", _text(digest), digest))
        if dead:
            await self.transaction.all(QUERIES["restore_blobs"], place.id, sorted(dead))
            await self._restored(place, "blob", JournalAction.BLOB_RESTORE, sorted(dead.values()))

    async def remove_blobs(self, place: BlobPlace, digests: Collection[bytes]) -> None:
        """Take blobs out of the repository, unless a manifest of it uses them."""
        found = await self._locked("lock_blobs", place, digests)
        live = {row_id: digest for digest, (row_id, is_live) in found.items() if is_live}
        self.is_already(len(set(digests)) - len(live))
        if not live:
            return
        rows = await self.transaction.all(QUERIES["manifests_of_blobs"], place.id, sorted(live))
        used = {row[0]: f"the manifest {digest_of(row[1])}" for row in rows}
        removed = {row_id: digest for row_id, digest in live.items() if row_id not in used}
        for row_id in sorted(used):
            self.obstruct(_in_use(place, "blob", live[row_id], used[row_id]))
        if removed and not self._keeps(place, "blob", [_text(digest) for digest in removed.values()]):
            await self.transaction.all(QUERIES["remove_blobs"], place.id, sorted(removed), self._now)
            await self._removed(place, "blob", JournalAction.BLOB_DELETE, sorted(removed.values()))

    async def rename(self, place: BlobPlace, *, before: str, after: str) -> None:
        """Call a repository *before* again, if it is called *after*, and nothing else has that name or is below it."""
        row = await self.transaction.first(QUERIES["lock_repository"], place.id)
        now = place.path if row is None else row[0]
        if now == before:
            self.is_already()
            return
        taken = await self.transaction.first(QUERIES["in_the_way"], before, list(self._held))
        if now != after or taken is not None:
            message = f"its name is {now} now"
            if now == after and taken is not None:
                message = f"another repository is called {taken[0]} now"
            self.obstruct(UndoObstacle(now, "repository", "", "changed", message, now))
            return
        namespace = before.partition("/")[0]
        await self.transaction.all(QUERIES["add_namespace"], namespace, self._now)
        await self.transaction.all(QUERIES["rename_repository"], place.id, before, namespace, self._now)
        renamed = self._places[place.id] = BlobPlace(place.id, before)
        self.renamed.append(before)
        detail = json.dumps({"from": now, "to": before})
        await self._journal([self._entry(renamed, JournalAction.REPOSITORY_RENAME, detail=detail)])
        names = RepositoryName(now), RepositoryName(before)
        await move_lane(self.transaction, *names)
        await write_notices(self.transaction, self._announcer.renamed(*names))
        self._count("repository", renamed, "", (now, before))

    def _keeps(self, place: BlobPlace, kind: JournalSubject, names: Collection[str]) -> bool:
        """Return whether things that would have to be deleted stay, as nothing may be."""
        for name in () if self._can_delete else sorted(names):
            message = "deleting is switched off (storage.delete.enabled)"
            self.obstruct(UndoObstacle(place.path, kind, name, "switched off", message))
        return not self._can_delete

    async def _point(self, place: BlobPlace, tags: Sequence[tuple[str, int]], query: NamedQuery) -> None:
        if tags:
            listed = json.dumps(tags)
            await self.transaction.all(QUERIES["journal_pointed"], place.id, listed, *self._why(place))
            await self.transaction.all(query, place.id, listed, self._now)
            await self._tell_pointed(place, tags)

    async def _tell_pointed(self, place: BlobPlace, tags: Sequence[tuple[str | None, int]]) -> None:
        """Tell that manifests, by their ids, are there again, or that tags point to them again."""
        if not self._announcer:
            return
        rows = await self._of("told_manifests", {row_id for _, row_id in tags})
        facts = {row_id: (digest_of(digest), media_type, size) for row_id, digest, media_type, size in rows}
        told = [
            notice
            for tag, row_id in tags
            for notice in self._announcer.manifest_pointed(RepositoryName(place.path), *facts[row_id], tag=tag)
        ]
        await write_notices(self.transaction, told)

    def _why(self, place: BlobPlace) -> Sequence[Value]:
        return place.path, self._now, self._cause.actor, self._cause.request_id, self._cause.reason

    async def _live(self, place: BlobPlace, digests: Collection[bytes]) -> Mapping[bytes, int]:
        """The ids of manifests, none of them deleted any more; those that are gone are missing."""
        if not digests:
            return {}
        found = await self._locked("lock_manifests", place, digests)
        await self._restore(place, sorted(row_id for row_id, is_live in found.values() if not is_live))
        return {digest: row_id for digest, (row_id, _) in found.items()}

    async def _restore(self, place: BlobPlace, ids: Sequence[int]) -> None:
        """Restore manifests, then those that they list, then the blobs of all of them."""
        waiting = list(ids)
        while waiting:
            part, waiting = waiting[:BATCH], waiting[BATCH:]
            rows = await self.transaction.all(QUERIES["restore_manifests"], part)
            await self._restored(
                place, "manifest", JournalAction.MANIFEST_RESTORE, sorted(bytes(row[0]) for row in rows)
            )
            await self._tell_pointed(place, [(None, row_id) for row_id in part])
            held = await self.transaction.all(QUERIES["hold_blobs_of_manifests"], place.id, part)
            blobs = await self.transaction.all(QUERIES["restore_held_blobs"], place.id, [row[0] for row in held])
            await self._restored(place, "blob", JournalAction.BLOB_RESTORE, sorted(bytes(row[0]) for row in blobs))
            waiting += sorted(row[0] for row in await self._of("deleted_children", part))

    async def _locked(
        self, query: Literal["lock_manifests", "lock_blobs"], place: BlobPlace, digests: Collection[bytes]
    ) -> Mapping[bytes, tuple[int, bool]]:
        rows = await self.transaction.all(QUERIES[query], place.id, sorted(digests))
        return {bytes(digest): (row_id, bool(is_live)) for digest, row_id, is_live in rows}

    async def _of(self, query: str, ids: Collection[int]) -> Sequence[Row]:
        return await self.transaction.all(QUERIES[query], sorted(ids))

    async def _restored(
        self, place: BlobPlace, kind: JournalSubject, action: JournalAction, digests: Sequence[bytes]
    ) -> None:
        await self._journal([self._entry(place, action, after=digest) for digest in digests])
        if kind == "blob":
            name = RepositoryName(place.path)
            told = [each for key in digests for each in self._announcer.blob_pushed(name, digest_of(key), None)]
            await write_notices(self.transaction, told)
        for digest in digests:
            self._count(kind, place, _text(digest), (None, _text(digest)))

    async def _removed(
        self, place: BlobPlace, kind: JournalSubject, action: JournalAction, digests: Sequence[bytes]
    ) -> None:
        await self._journal([self._entry(place, action, before=digest) for digest in digests])
        name, announcer = RepositoryName(place.path), self._announcer
        deleted = announcer.blob_deleted if kind == "blob" else announcer.manifest_deleted
        await write_notices(self.transaction, [each for key in digests for each in deleted(name, digest_of(key))])
        for digest in digests:
            self._count(kind, place, _text(digest), (_text(digest), None))

    async def _journal(self, rows: Sequence[Sequence[Value]]) -> None:
        if rows:
            await self.transaction.run_many(QUERIES["add_entry"], rows)

    def _entry(
        self,
        place: BlobPlace,
        action: JournalAction,
        *,
        before: bytes | None = None,
        after: bytes | None = None,
        detail: str | None = None,
    ) -> Sequence[Value]:
        who = self._cause
        return (
            *(self._now, who.actor, who.request_id, who.reason, action.value),
            *(place.id, place.path, None, before, after, detail),
        )

    def _count(self, kind: JournalSubject, place: BlobPlace, name: str, states: tuple[str | None, str | None]) -> None:
        self.outcome.counts[kind] += 1
        if len(self.outcome.changes) < SHOWN_LIMIT:
            self.outcome.changes.append(TagChange(place.path, kind, name, *states))


def _text(digest: bytes) -> str:
    return str(digest_of(digest))


def _maybe_text(digest: bytes | None) -> str | None:
    return None if digest is None else _text(digest)


def _gone(place: BlobPlace, kind: JournalSubject, name: str, digest: bytes) -> UndoObstacle:
    what = f"the manifest {digest_of(digest)} that it pointed to" if kind == "tag" else "it"
    return UndoObstacle(place.path, kind, name, "gone", f"garbage collection has taken {what}")


def _in_use(place: BlobPlace, kind: JournalSubject, digest: bytes, user: str) -> UndoObstacle:
    return UndoObstacle(place.path, kind, _text(digest), "in use", f"{user} uses it", user)
