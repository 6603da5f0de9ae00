"""The first part of a check: every blob in storage against every blob that is known."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.integrity.confirming import Certain, SecondLook, is_odd
from moorage.integrity.findings import Finding, FindingKind, Note
from moorage.integrity.hashing import Hashing
from moorage.integrity.linked_elsewhere import LinkedElsewhere
from moorage.integrity.progress import CheckProgress
from moorage.integrity.repairing import Repairs
from moorage.integrity.sightings import Outcome, Seen, Sighting, hashed, sightings
from moorage.integrity.walking import Foreign, share_of
from moorage.metadata.integrity import BlobRecordStore
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.walk import Place, path_at

PHASE = "blobs"

_BATCH = 1000
_SUSPECTS = 200
_BATCH_S = 2.0
"""A batch is settled after so many blobs or suspects, or so long, whatever comes first."""
_YOUNG = "not repaired, as somebody may be pushing it to another registry right now: the next check tells"


@dataclass(slots=True)
class Judgement:
    """The outcome of a second look."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[tuple[Note, int]] = field(default_factory=list)


class Judge(Protocol):
    """Knows what is odd, and finds out what is behind it."""

    records: BlobRecordStore | None
    """The records that storage is compared with; None: there is no database."""

    def is_odd(self, sighting: Sighting, outcome: Outcome) -> bool:
        """Return whether the first look calls for a second one."""

    async def judge(self, suspects: Mapping[Digest, Outcome]) -> Judgement:
        """Look again, and repair what is to be repaired."""

    def close(self) -> None:
        """Let go of what was gathered to judge by: nothing more is asked."""


class DatabaseJudge:
    """Compares storage with a database."""

    def __init__(
        self, records: BlobRecordStore, look: SecondLook, elsewhere: LinkedElsewhere, repairs: Repairs | None
    ) -> None:
        """*repairs*: None: nothing is changed."""
        self.records: BlobRecordStore | None = records
        self._elsewhere = elsewhere
        self._look = look
        self._repairs = repairs

    def is_odd(self, sighting: Sighting, outcome: Outcome) -> bool:
        """See :class:`Judge`."""
        return is_odd(sighting, outcome)

    async def judge(self, suspects: Mapping[Digest, Outcome]) -> Judgement:
        """See :class:`Judge`."""
        found = Judgement()
        for certain in await self._look.settle(suspects):
            if isinstance(certain.kind, Note):
                found.notes.append((certain.kind, certain.size_bytes))
            else:
                found.findings.append(await self._finding(certain, certain.kind))
        return found

    def close(self) -> None:
        """See :class:`Judge`."""
        self._look.close()
        self._elsewhere.close()

    async def _finding(self, certain: Certain, kind: FindingKind) -> Finding:
        if kind is FindingKind.BYTES_UNKNOWN and await self._elsewhere.has(certain.digest):
            return Finding(kind=FindingKind.BYTES_LINKED, subject=str(certain.digest), size_bytes=certain.size_bytes)
        done, why_not = await self._repair(certain, self._repairs) if self._repairs is not None else ("", "")
        return Finding(
            kind=kind,
            subject=str(certain.digest),
            size_bytes=certain.size_bytes,
            detail="; ".join(part for part in (certain.detail, why_not) if part),
            repair=done,
        )

    async def _repair(self, certain: Certain, repairs: Repairs) -> tuple[str, str]:
        is_unknown = certain.kind is FindingKind.BYTES_UNKNOWN
        if is_unknown and certain.seen is not None and self._elsewhere.may_lack(certain.seen.modified_at):
            return "", _YOUNG
        return await repairs.apply(certain)


class _Batch:
    """Sightings and outcomes of the walk since the last position."""

    def __init__(self) -> None:
        self.place: Place = ()
        self.blobs = 0
        self.stored_bytes = 0
        self.hashed_bytes = 0
        self.suspects: dict[Digest, Outcome] = {}
        self.findings: list[Finding] = []
        self._began_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        return (
            self.blobs >= _BATCH
            or len(self.suspects) + len(self.findings) >= _SUSPECTS
            or time.monotonic() - self._began_at >= _BATCH_S
        )

    def add(self, seen: Seen, outcome: Outcome, judge: Judge) -> None:
        self.place = seen.place
        if not isinstance(seen, Sighting):
            kind = FindingKind.FOREIGN if isinstance(seen, Foreign) else FindingKind.UNREADABLE
            detail = "" if isinstance(seen, Foreign) else seen.reason
            self.findings.append(Finding(kind=kind, subject=path_at(seen.place), detail=detail))
            return
        self.blobs += 1
        size_bytes = 0 if seen.stat is None else seen.stat.size_bytes
        self.stored_bytes += size_bytes
        self.hashed_bytes += 0 if outcome is None else size_bytes
        if judge.is_odd(seen, outcome):
            self.suspects[seen.digest] = outcome


class BlobCheck:
    """Walks over storage and database together; with *hashing*, reads and hashes every blob."""

    name = PHASE

    def __init__(self, storage: StorageDriver, judge: Judge, hashing: Hashing | None) -> None:
        self._storage = storage
        self._judge = judge
        self._hashing = hashing

    async def run(self, progress: CheckProgress, position: str) -> None:
        """Check what comes after *position*.

        Raises:
            StorageUnavailable: there are no blobs at all, and there should be.
        """
        with contextlib.closing(self._judge):
            await self._walk(progress, tuple(position.split("/")) if position else ())

    async def _walk(self, progress: CheckProgress, after: Place) -> None:
        walk = sightings(self._storage, self._judge.records, after=after)
        batch = _Batch()
        try:
            async with contextlib.aclosing(hashed(walk, self._hashing)) as found, contextlib.aclosing(walk):
                async for seen, outcome in found:
                    batch.add(seen, outcome, self._judge)
                    if batch.is_full:
                        await self._settle(progress, batch)
                        batch = _Batch()
        except PathUnknown as exc:
            await self._refuse_nothing(exc)
        if batch.place:
            await self._settle(progress, batch)

    async def _settle(self, progress: CheckProgress, batch: _Batch) -> None:
        judgement = await self._judge.judge(batch.suspects)
        tally = progress.tally
        tally.blobs += batch.blobs
        tally.stored_bytes += batch.stored_bytes
        tally.hashed_bytes += batch.hashed_bytes
        for finding in (*batch.findings, *judgement.findings):
            progress.found(finding)
        for note, size_bytes in judgement.notes:
            tally.note(note, size_bytes)
        await progress.reached(PHASE, "/".join(batch.place))
        progress.moved(share_of(batch.place))

    async def _refuse_nothing(self, exc: PathUnknown) -> None:
        """No folder of blobs: nothing was pushed yet, or this is not the storage of that database."""
        records = self._judge.records
        known: Sequence[object] = () if records is None else await records.page(after=None, limit=1)
        if known:
            msg = f"the database knows blobs, and storage has no {paths.BLOBS}: is it the right storage, and mounted?"
            raise StorageUnavailable(msg) from exc
