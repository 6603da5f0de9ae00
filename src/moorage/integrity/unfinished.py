"""Objects that somebody has begun to write in parts and never completed: nobody sees them, and they are paid for.

Moorage notes what it writes in parts, and purges it with the upload; what is left is of a copy that ended with its
process, or of a registry that was there before.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import CheckProgress
from moorage.storage.base import StorageDriver

PHASE = "parts"
_AGE = timedelta(days=7)
"""As old as an upload may become before it is purged: until then somebody may go on."""


class PartsCheck:
    """Looks at what was begun in parts so long ago that nobody finishes it."""

    name = PHASE

    def __init__(self, storage: StorageDriver, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._storage = storage
        self._now = now

    async def run(self, progress: CheckProgress, position: str) -> None:
        """Look at all of it; *position* is always the beginning."""
        del position
        progress.hold()
        before = self._now() - _AGE
        async for parts in self._storage.unfinished_parts():
            if parts.begun_at < before:
                detail = f"begun at {parts.begun_at:%Y-%m-%dT%H:%M:%SZ}"
                progress.found(Finding(kind=FindingKind.PARTS_ABANDONED, subject=parts.path, detail=detail))
