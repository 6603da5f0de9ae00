"""Oddities of a blob where metadata is in link files: only its bytes; who refers to it comes afterwards."""

from collections.abc import Mapping

from moorage.errors import BackendError
from moorage.integrity.blobs import Judgement
from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.hashing import Hashing
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.sightings import Outcome, Sighting, read
from moorage.integrity.walking import stat_of
from moorage.metadata.integrity import BlobRecordStore
from moorage.oci.digests import Digest
from moorage.storage.base import StorageDriver


class LayoutJudge:
    """Knows bytes by their digest alone."""

    records: BlobRecordStore | None = None

    def __init__(self, storage: StorageDriver, hashing: Hashing, quarantine: Quarantine | None) -> None:
        """*quarantine*: None: nothing is changed."""
        self._storage = storage
        self._hashing = hashing
        self._quarantine = quarantine

    def is_odd(self, sighting: Sighting, outcome: Outcome) -> bool:
        """See :class:`~moorage.integrity.blobs.Judge`."""
        return bool(sighting.reason) or (outcome is not None and outcome != sighting.digest)

    async def judge(self, suspects: Mapping[Digest, Outcome]) -> Judgement:
        """See :class:`~moorage.integrity.blobs.Judge`."""
        findings = [await self._look_again(digest) for digest in suspects]
        return Judgement(findings=[finding for finding in findings if finding is not None])

    def close(self) -> None:
        """See :class:`~moorage.integrity.blobs.Judge`: there is nothing to let go of."""

    async def _look_again(self, digest: Digest) -> Finding | None:
        try:
            seen = await stat_of(self._storage, digest)
            outcome = await read(self._hashing, digest)
            if seen is None or outcome in {None, digest} or await stat_of(self._storage, digest) != seen:
                return None
        except BackendError as exc:
            return Finding(kind=FindingKind.UNREADABLE, subject=str(digest), detail=str(exc))
        size_bytes = seen.size_bytes
        if isinstance(outcome, BackendError):
            return Finding(kind=FindingKind.UNREADABLE, subject=str(digest), size_bytes=size_bytes, detail=str(outcome))
        target = None if self._quarantine is None else await self._quarantine.take(digest, seen)
        return Finding(
            kind=FindingKind.DIGEST_DIFFERS,
            subject=str(digest),
            size_bytes=size_bytes,
            detail=f"the bytes are {outcome}",
            repair="" if target is None else f"moved to {target}: a push brings it back",
        )
