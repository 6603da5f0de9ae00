"""Repairs where there is a database: nothing is thrown away, and all of it can be taken back by a push or a backup."""

import contextlib
from collections.abc import AsyncIterator
from functools import partial

from moorage.errors import BackendError
from moorage.integrity.confirming import Certain
from moorage.integrity.findings import FindingKind
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.walking import stat_of
from moorage.metadata.integrity import BlobRepairStore
from moorage.metadata.reviews import CLAIM
from moorage.oci.digests import Digest
from moorage.storage.base import StorageDriver
from moorage.work.alongside import alongside
from moorage.work.loop import Loop, LoopPace

QUEUED = "put before garbage collection, which removes it after its usual delay"
_MARKED = "marked as missing: a push brings it back"
_BUSY = "not repaired, as somebody is at work on it"
_CHANGED = "not repaired, as it has changed since"
_UNDER_CLAIM = frozenset(
    {FindingKind.BYTES_MISSING, FindingKind.SIZE_DIFFERS, FindingKind.DIGEST_DIFFERS, FindingKind.MARKED_IN_VAIN}
)


class Repairs:
    """Repairs what is certain of a blob.

    What is done while the digest is claimed no push and no collection comes in between: a push of the same digest
    waits until the claim is released, and then finds what it needs or puts it there.
    """

    def __init__(self, storage: StorageDriver, blobs: BlobRepairStore, quarantine: Quarantine) -> None:
        self._storage = storage
        self._blobs = blobs
        self._quarantine = quarantine

    async def apply(self, found: Certain) -> tuple[str, str]:
        """Repair a finding. Return what was done, and why nothing was: one is empty, or both if nothing is to do."""
        if found.kind in {FindingKind.BLOB_UNREVIEWED, FindingKind.BYTES_UNKNOWN}:
            await self._blobs.review(found.digest)
            return QUEUED, ""
        is_known_to_be_missing = found.seen is None and found.row is not None and found.row.is_marked
        if found.row is None or found.kind not in _UNDER_CLAIM or is_known_to_be_missing:
            return "", ""
        async with self._claimed(found.digest) as has_claim:
            if not has_claim:
                return "", _BUSY
            is_same = await stat_of(self._storage, found.digest) == found.seen
            done = await self._apply(found) if is_same else None
        return (done, "") if done else ("", _CHANGED)

    async def _apply(self, found: Certain) -> str | None:
        digest, seen = found.digest, found.seen
        if seen is None:
            return _MARKED if await self._blobs.mark(digest) else None
        if found.kind is FindingKind.MARKED_IN_VAIN:
            return "not marked any more" if await self._blobs.unmark(digest) else None
        if found.is_right:
            return "the row was corrected" if await self._blobs.resize(digest, seen.size_bytes) else None
        # Marked first: from then on nobody is served, whatever happens to us.
        if not await self._blobs.mark(digest):
            return None
        target = await self._quarantine.take(digest, seen)
        if target is None:
            # It has changed under our eyes. Only what is seen to be right is served again.
            if await self._quarantine.is_right(digest):
                await self._blobs.unmark(digest)
            return None
        return f"moved to {target}, and {_MARKED}"

    @contextlib.asynccontextmanager
    async def _claimed(self, digest: Digest) -> AsyncIterator[bool]:
        if not await self._blobs.claim(digest):
            yield False
            return
        # Where it cannot be prolonged, that is tried again well before the claim ends.
        prolonging = Loop(
            partial(self._prolong, digest),
            LoopPace(interval=CLAIM / 4, pauses_first=True),
            failures=(BackendError,),
        )
        try:
            async with alongside(prolonging.run):
                yield True
        finally:
            await self._blobs.release(digest)

    async def _prolong(self, digest: Digest) -> None:
        await self._blobs.claim(digest)
