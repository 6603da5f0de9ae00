"""Taking back what was done: of one tag, and of everything that one request did.

A thing that is where the request left it goes back to where the request found it; one that is there already is left
alone; anything else is in the way, as somebody changed it since. It all happens in one transaction, in batches.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from moorage.errors import ManifestUnknown, MethodNotAllowed
from moorage.metadata.base import no_repository
from moorage.metadata.history import AsOf, Expected, Target, UndoObstacle, UndoSteps
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.metadata.sql.undo_transaction import BATCH, QUERIES, BlobPlace, TagStep, UndoTransaction
from moorage.metadata.words import JournalAction
from moorage.moorage_errors import AlreadyUndone, ContentGone, RequestUnknown, UndoConflict
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Reads, Row, Transaction, moment

EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class UndoStep:
    """A request's change of one thing: its state before and after. Names of repositories are bytes here too."""

    id: int
    repository_id: int
    tag: str | None
    before: bytes | None
    after: bytes | None


class _Repeated(NamedTuple):
    """Something that the request changed more than once: it counts at its last row, from what the first one found."""

    last_id: int
    before: bytes | None


_Key = tuple[int, str, str | None, bytes | None]
_Pass = Callable[[UndoTransaction, BlobPlace, Sequence[UndoStep]], Awaitable[None]]


async def repository_id(transaction: Transaction, name: RepositoryName) -> int:
    """The id of a repository.

    Raises:
        NameUnknown: there is none of this name.
    """
    row = await transaction.first(QUERIES["repository_id"], name.text)
    if row is None:
        raise no_repository(name)
    return int(row[0])


async def hold(transaction: Transaction, repositories: Sequence[int]) -> None:
    """Keep everybody else from changing these repositories until the transaction has ended."""
    await transaction.all(QUERIES["hold_repositories"], sorted(repositories))


class Meant(NamedTuple):
    """The changes to be taken back: those of a request, of an actor, in a repository; None: of all."""

    request_id: str
    actor: str | None
    place_id: int | None


async def undo_request(work: UndoTransaction, meant: Meant) -> None:
    """Take back what a request did, as far as nothing is in the way; see :meth:`HistoryStore.undo_request`."""
    newest = (await work.transaction.all(QUERIES["newest_of_request"], *meant))[0][0]
    if newest is None:
        msg = "no change was made by a request of this id"
        raise RequestUnknown(msg, request=meant.request_id)
    repeated = await _repeated(work.transaction, meant)
    sample: UndoStep | None = None
    for kind, actions, take_back in _PASSES:
        source = _Source(meant, newest, kind, [action.value for action in actions])
        async for steps in _pages(work, source, repeated):
            by_repository: dict[int, list[UndoStep]] = {}
            for step in steps:
                by_repository.setdefault(step.repository_id, []).append(step)
                sample = sample or step
            for found, those in by_repository.items():
                place = await work.place(found)
                if place is None:
                    _obstruct_lost(work, those)
                else:
                    await take_back(work, place, those)
            await asyncio.sleep(0)  # Reads of other requests go on meanwhile.
    if work.outcome.total == 0 and work.outcome.left_count == 0:
        raise await _already_undone(work.transaction, meant.request_id, sample)


async def undo_tag(
    work: UndoTransaction, place: BlobPlace, tag: Tag, target: Target, *, expected: Expected | None
) -> None:
    """Take a tag back; see :meth:`HistoryStore.undo_tag`."""
    now = (await work.tags_now(place, [tag.text])).get(tag.text)
    if expected is not None and now != (None if expected.digest is None else digest_key(expected.digest)):
        shown = "there is no such tag now" if now is None else f"it points to {digest_of(now)} now"
        msg = f"somebody changed the tag since: {shown}"
        raise UndoConflict(msg, tag=tag.text, now=None if now is None else str(digest_of(now)))
    wanted = await _wanted(work.transaction, place, tag, target)
    if wanted == now:
        work.is_already()
        return
    await work.set_tags(place, [TagStep(tag.text, now, wanted)])
    if work.gone_count and wanted is not None:
        raise await _tag_gone(work.transaction, place, tag, wanted)
    if work.kept_count:
        raise _switched_off(work.kept_count)


async def reason_of(transaction: Transaction, place: BlobPlace, tag: Tag, target: Target) -> str:
    """Return the reason that the journal notes for an undo of a tag."""
    match target:
        case UndoSteps(count=1):
            row = await transaction.first(QUERIES["last_change_of_tag"], place.id, tag.text, EVER, 0)
            return "" if row is None else f"undo of {row[3]}"
        case UndoSteps(count=count):
            return f"undo of the last {count} changes of the tag"
        case AsOf(at=at):
            return f"back to what it was at {at.isoformat()}"
        case Digest():
            return f"back to {target}"


def settle(work: UndoTransaction, *, partial: bool) -> None:
    """End a transaction that something stands in the way of.

    Raises:
        UndoConflict, ContentGone, MethodNotAllowed: something does, and *partial* does not say that it may stay.
    """
    outcome = work.outcome
    if not outcome.left_count or (partial and outcome.total):
        return
    detail: dict[str, object] = {
        "count": outcome.left_count,
        "conflicts": [obstacle.to_json() for obstacle in outcome.left],
    }
    if work.gone_count == outcome.left_count:
        msg = f"garbage collection has taken {_things(outcome.left_count)} that would have to come back"
        raise ContentGone(msg, **detail)
    if work.kept_count:  # What uses it is in the way for that reason alone.
        raise _switched_off(work.kept_count)
    msg = f"{_things(outcome.left_count)} cannot be taken back, as somebody changed or uses them since"
    raise UndoConflict(msg, **detail)


def _switched_off(count: int) -> MethodNotAllowed:
    msg = f"the undo would delete {_things(count)}, and deleting is switched off (storage.delete.enabled)"
    return MethodNotAllowed(msg, allowed=())


def _things(count: int) -> str:
    return "1 thing" if count == 1 else f"{count} things"


async def _restore_manifests(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    await work.restore_manifests(place, {step.before for step in steps if step.before is not None})


async def _restore_blobs(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    await work.restore_blobs(place, {step.before for step in steps if step.before is not None})


async def _set_tags(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    found = await work.tags_now(place, [step.tag for step in steps if step.tag is not None])
    fit: list[TagStep] = []
    for step in steps:
        name = step.tag or ""
        now = found.get(name)
        if now == step.before:
            work.is_already()
        elif now == step.after:
            fit.append(TagStep(name, now, step.before))
        else:
            shown = None if now is None else str(digest_of(now))
            message = "it was deleted since" if now is None else f"it was moved since and points to {shown}"
            work.obstruct(UndoObstacle(place.path, "tag", name, "changed", message, shown))
    await work.set_tags(place, fit)


async def _remove_manifests(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    await work.remove_manifests(place, {step.after for step in steps if step.after is not None})


async def _remove_blobs(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    await work.remove_blobs(place, {step.after for step in steps if step.after is not None})


async def _rename(work: UndoTransaction, place: BlobPlace, steps: Sequence[UndoStep]) -> None:
    for step in steps:
        await work.rename(place, before=(step.before or b"").decode(), after=(step.after or b"").decode())


_PASSES: Sequence[tuple[str, Sequence[JournalAction], _Pass]] = (
    ("man", (JournalAction.MANIFEST_DELETE,), _restore_manifests),
    ("blo", (JournalAction.BLOB_DELETE,), _restore_blobs),
    ("tag", (JournalAction.TAG_CREATE, JournalAction.TAG_MOVE, JournalAction.TAG_DELETE), _set_tags),
    ("man", (JournalAction.MANIFEST_CREATE, JournalAction.MANIFEST_RESTORE), _remove_manifests),
    ("blo", (JournalAction.BLOB_RESTORE,), _remove_blobs),
    ("rep", (JournalAction.REPOSITORY_RENAME,), _rename),
)
"""The order of an undo: a thing comes back before what needs it, and goes after it."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The rows of the journal that a pass is about."""

    meant: Meant
    newest: int
    """Later rows are the undo's own, if it has the same request id."""
    kind: str
    actions: Sequence[str]


async def _pages(
    work: UndoTransaction, source: _Source, repeated: Mapping[_Key, _Repeated]
) -> AsyncIterator[list[UndoStep]]:
    last = source.newest + 1
    while True:
        arguments = (*source.meant, last, source.actions, BATCH)
        rows = await work.transaction.all(QUERIES["steps"], *arguments)
        steps = [step for row in rows if (step := _step(row, source.kind, repeated)) is not None]
        differing = [step for step in steps if step.before != step.after]
        work.is_already(len(steps) - len(differing))
        yield differing
        if len(rows) < BATCH:
            return
        last = rows[-1][0]


def _step(row: Row, kind: str, repeated: Mapping[_Key, _Repeated]) -> UndoStep | None:
    row_id, place_id, tag, before, after, detail = row
    found = repeated.get((place_id, kind, tag, None if tag is not None else _bytes(before) or _bytes(after)))
    if found is not None and found.last_id != row_id:
        return None
    first, last = _states(before, after, detail)
    return UndoStep(row_id, place_id, tag, first if found is None else found.before, last)


async def _repeated(transaction: Transaction, meant: Meant) -> Mapping[_Key, _Repeated]:
    found = {}
    rows = await transaction.all(QUERIES["repeated"], *meant)
    for place_id, kind, tag, digest, last_id, before, detail in rows:
        found[(place_id, kind, tag, _bytes(digest))] = _Repeated(last_id, _states(before, None, detail)[0])
    return found


def _states(before: bytes | None, after: bytes | None, detail: str | None) -> tuple[bytes | None, bytes | None]:
    """Return the states before and after a row of the journal; of a rename, the names."""
    if detail is None:
        return _bytes(before), _bytes(after)
    names = json.loads(detail)
    return str(names["from"]).encode(), str(names["to"]).encode()


def _bytes(value: bytes | None) -> bytes | None:
    return None if value is None else bytes(value)


def _obstruct_lost(work: UndoTransaction, steps: Sequence[UndoStep]) -> None:
    for step in steps:
        work.obstruct(UndoObstacle("", "repository", step.tag or "", "gone", "its repository is gone"))


async def _wanted(transaction: Transaction, place: BlobPlace, tag: Tag, target: Target) -> bytes | None:
    """Return the digest that a tag shall point to; None: there shall be no such tag.

    Raises:
        ManifestUnknown: the journal has no such change, or the repository never had such a manifest.
    """
    match target:
        case Digest():
            digest = digest_key(target)
            is_there = await transaction.all(QUERIES["lock_manifests"], place.id, [digest])
            if is_there or await transaction.first(QUERIES["removal_of_tag_target"], place.id, tag.text, digest):
                return digest
            msg = "the repository has no such manifest, or no longer"
            raise ManifestUnknown(msg, name=place.path, digest=str(target))
        case AsOf(at=at):
            return await digest_at(transaction, place, tag, at)
        case UndoSteps(count=count):
            row = await transaction.first(QUERIES["last_change_of_tag"], place.id, tag.text, EVER, count - 1)
            if row is None:
                few = "has no change" if count == 1 else f"has fewer than {count} changes"
                msg = f"the history of the tag {few}"
                raise ManifestUnknown(msg, name=place.path, tag=tag.text)
            return _bytes(row[9])


async def digest_at(transaction: Reads, place: BlobPlace, tag: Tag, at: datetime) -> bytes | None:
    """Return the digest that a tag pointed to at a time, as far as the journal tells; None: there was no such tag."""
    row = await transaction.first(QUERIES["last_change_of_tag"], place.id, tag.text, at, 0)
    if row is not None:
        return _bytes(row[10])
    row = await transaction.first(QUERIES["next_change_of_tag"], place.id, tag.text, at)
    # Never changed since there is a journal: then it is what it was.
    row = row or await transaction.first(QUERIES["tag_now"], place.id, tag.text)
    return None if row is None else _bytes(row[0])


_REVIEWS = {JournalAction.TAG_MOVE: "tag_switch", JournalAction.TAG_DELETE: "tag_delete"}


async def _tag_gone(transaction: Transaction, place: BlobPlace, tag: Tag, digest: bytes) -> ContentGone:
    text, detail = str(digest_of(digest)), {"digest": str(digest_of(digest))}
    row = await transaction.first(QUERIES["removal_of_tag_target"], place.id, tag.text, digest)
    if row is None:
        return ContentGone(f"garbage collection has taken the manifest {text}", **detail)
    removed_at = moment(row[0])
    delay = await transaction.first(QUERIES["review_delay"], _REVIEWS[JournalAction(row[1])])
    could_go_at = removed_at + timedelta(microseconds=0 if delay is None else delay[0])
    msg = (
        f"garbage collection has taken the manifest {text}: the tag left it at {removed_at.isoformat()}, "
        f"and it could go from {could_go_at.isoformat()} on"
    )
    return ContentGone(msg, **detail, left_at=removed_at.isoformat(), could_go_at=could_go_at.isoformat())


async def _already_undone(transaction: Transaction, request_id: str, sample: UndoStep | None) -> AlreadyUndone:
    detail: dict[str, object] = {"request": request_id}
    if sample is not None and sample.tag is not None:
        row = await transaction.first(QUERIES["last_change_of_tag"], sample.repository_id, sample.tag, EVER, 0)
        if row is not None:
            detail |= {"undone_by": row[3], "at": moment(row[1]).isoformat()}
    msg = "everything is as it was before that request already"
    return AlreadyUndone(msg, **detail)
