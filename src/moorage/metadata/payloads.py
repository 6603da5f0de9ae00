"""Manifest payloads kept in memory: they never change, so the only question is room."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.cache.remembered import Remembered
from moorage.oci.digests import Digest

LIMIT_BYTES = 16 << 20
"""Of a worker: some ten thousand manifests of usual size, and still any single one."""
ENTRY_BYTES = 480
"""Taken beside the payload by its digest, its media type and its place in memory; a test compares it."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes of a manifest, and the media type that they show."""

    content: bytes
    media_type: str
    is_declared: bool
    """True if the bytes name the type; if not, the manifest may have been pushed as something else."""


class PayloadCache(Remembered[Digest, Payload]):
    """The payloads used last, by digest, up to a number of bytes with all that keeps them."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        super().__init__(limit_bytes, is_kept_by_use=True, size_of=lambda payload: len(payload.content) + ENTRY_BYTES)
        self._largest_bytes = limit_bytes // 4

    def put(self, key: Digest, value: Payload, *, age_s: float | None = None) -> Sequence[Payload]:
        """Keep a payload, and let go of those not used for longest; one that needs too much of the room is not kept."""
        return super().put(key, value, age_s=age_s) if len(value.content) <= self._largest_bytes else (value,)
