"""The second look at what the walk over a registry with a database found odd: nothing that is fine is a difference.

The walk sees the database at one moment and storage at another, and pushes and collections come between. So each
suspect is looked at again: database, storage, database, storage. That is enough to tell, because

* a push puts the digest into the queue, then its bytes into their place, then its row into the database; or its bytes,
  while they have another name as an upload, and then row and entry of the queue in one;
* a collection removes the row, then the bytes, then the digest from the queue.

So while the same row is there its bytes are there, and while the same bytes are there, so is a row or an entry of the
queue or an upload. What is there before and after a moment, and the same, was there at that moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.errors import BackendError
from moorage.integrity.findings import FindingKind, Note
from moorage.integrity.hashing import Hashing
from moorage.integrity.payloads import Payloads
from moorage.integrity.sightings import Outcome, Sighting, read
from moorage.integrity.walking import stat_of
from moorage.metadata.integrity import BlobRecord, BlobRecordStore, BlobRow
from moorage.oci.digests import Digest
from moorage.storage.base import Stat, StorageDriver

Look = Stat | BackendError | None
"""The state of a blob's bytes in storage; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certain:
    """The facts that are certain of a digest after the second look."""

    digest: Digest
    kind: FindingKind | Note
    size_bytes: int
    seen: Stat | None = None
    """The bytes that it is about; None: there are none."""
    row: BlobRow | None = None
    is_right: bool = False
    """True if these bytes were hashed and are what the digest says."""
    detail: str = ""


def is_odd(sighting: Sighting, outcome: Outcome) -> bool:
    """Return whether the first look calls for a second one."""
    row, stat = None if sighting.record is None else sighting.record.row, sighting.stat
    if sighting.record is None or row is None or stat is None:
        return True
    if outcome is not None and outcome != sighting.digest:
        return True
    return row.size_bytes != stat.size_bytes or row.is_marked or not (row.is_needed or sighting.record.is_queued)


class SecondLook:
    """Looks again."""

    def __init__(self, storage: StorageDriver, records: BlobRecordStore, payloads: Payloads, hashing: Hashing) -> None:
        self._storage = storage
        self._records = records
        self._payloads = payloads
        self._hashing = hashing

    async def settle(self, suspects: Mapping[Digest, Outcome]) -> Sequence[Certain]:
        """Return what is certain of these, with what the first hashing gave; of those that are fine, nothing."""
        first = await self._records.look(suspects)
        seen = {digest: await self._look(digest) for digest in suspects}
        second = await self._records.look(suspects)
        found: list[Certain] = []
        for digest, outcome in suspects.items():
            record, look = second.get(digest), seen[digest]
            row = _same_row(first.get(digest), record)
            if isinstance(look, BackendError):
                found.append(_unreadable(digest, row, None, look))
            elif record is None or record.row is None:
                found += await self._without_row(digest, look, record)
            elif row is not None:  # Or else it was collected and pushed again between our looks.
                found += await self._with_row(outcome, look, digest, row)
            if record is not None and record.row is not None and not (record.row.is_needed or record.is_queued):
                size_bytes = record.row.size_bytes
                found.append(
                    Certain(digest=digest, kind=FindingKind.BLOB_UNREVIEWED, size_bytes=size_bytes, row=record.row)
                )
        return found

    def close(self) -> None:
        """Let go of what was gathered to tell by; to settle more afterwards gathers it anew."""
        self._payloads.close()

    async def _without_row(self, digest: Digest, seen: Stat | None, record: BlobRecord | None) -> Sequence[Certain]:
        if seen is None or await self._look(digest) != seen:
            return ()
        is_known = record is not None or seen.names > 1
        kind: FindingKind | Note = FindingKind.BYTES_UNKNOWN
        if is_known:
            kind = Note.AWAITING_REVIEW
        elif await self._payloads.has(digest):
            kind = Note.PAYLOAD
        return [Certain(digest=digest, kind=kind, size_bytes=seen.size_bytes, seen=seen)]

    async def _with_row(self, outcome: Outcome, seen: Stat | None, digest: Digest, row: BlobRow) -> Sequence[Certain]:
        if seen is None:
            detail = "marked as missing: a push brings it back" if row.is_marked else ""
            size_bytes = row.size_bytes
            return [
                Certain(digest=digest, kind=FindingKind.BYTES_MISSING, size_bytes=size_bytes, row=row, detail=detail)
            ]
        if outcome not in {None, digest} or row.is_marked or row.size_bytes != seen.size_bytes:
            return await self._content_of(digest, row, seen)
        return ()

    async def _content_of(self, digest: Digest, row: BlobRow, seen: Stat) -> Sequence[Certain]:
        """Hash it (again): what of the two is wrong, and is it still?"""
        outcome = await read(self._hashing, digest)
        if outcome is None or await self._look(digest) != seen:
            return ()
        if isinstance(outcome, BackendError):
            return [_unreadable(digest, row, seen, outcome)]
        is_right, is_whole = outcome == digest, seen.size_bytes == row.size_bytes
        if is_right and is_whole and not row.is_marked:
            return ()
        if is_right:
            kind = FindingKind.MARKED_IN_VAIN if is_whole else FindingKind.SIZE_DIFFERS
            detail = "" if is_whole else f"the bytes are right, and the row says {row.size_bytes} of them"
        else:
            kind = FindingKind.DIGEST_DIFFERS if is_whole else FindingKind.SIZE_DIFFERS
            detail = f"the bytes are {outcome}" + ("" if is_whole else f", and should be {row.size_bytes}")
        return [
            Certain(
                digest=digest,
                kind=kind,
                size_bytes=seen.size_bytes,
                seen=seen,
                row=row,
                is_right=is_right,
                detail=detail,
            )
        ]

    async def _look(self, digest: Digest) -> Look:
        try:
            return await stat_of(self._storage, digest)
        except BackendError as exc:
            return exc


def _same_row(first: BlobRecord | None, second: BlobRecord | None) -> BlobRow | None:
    if first is None or second is None or first.row is None or second.row is None:
        return None
    is_same = (first.row.id, first.row.created_at) == (second.row.id, second.row.created_at)
    # Marked only if it was at both moments: a push that ended in between has healed it.
    return (first.row if second.row.is_marked else second.row) if is_same else None


def _unreadable(digest: Digest, row: BlobRow | None, seen: Stat | None, error: BackendError) -> Certain:
    size_bytes = row.size_bytes if row is not None else 0 if seen is None else seen.size_bytes
    return Certain(
        digest=digest, kind=FindingKind.UNREADABLE, size_bytes=size_bytes, seen=seen, row=row, detail=str(error)
    )
