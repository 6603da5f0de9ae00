"""Ends of a copy: where it comes from and where it goes to, and how fast."""

from dataclasses import dataclass

from moorage.copying.shared_work import BytePace
from moorage.storage.base import StorageDriver


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEnds:
    """Two storages, and what may be done."""

    source: StorageDriver
    target: StorageDriver
    pace: BytePace
    changes: bool = True
    """False: it is only found out what would be copied."""
