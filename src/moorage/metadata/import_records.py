"""The interface to the records of imports: when each of their phases was, what it counted, why it failed.

Source: GitLab features V1A-029.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class ImportPhase(Enum):
    """Parts of an import, by the names that GitLab's statistics have for them."""

    PRE_IMPORT = "pre_import"
    TAG_IMPORT = "tag_import"
    BLOB_IMPORT = "blob_import"


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """A phase that was begun."""

    started_at: datetime
    finished_at: datetime | None = None
    """The moment at which it was done or failed; None: it goes on, or was killed."""
    error: str = ""
    """The reason for which it failed; empty: it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """One run of an import."""

    storage_driver: str
    started_at: datetime
    finished_at: datetime | None = None
    """None: it goes on, or was killed."""
    phases: Mapping[ImportPhase, PhaseRecord] = field(default_factory=dict)
    """Those that were begun."""
    repositories: int = 0
    tags: int = 0
    manifests: int = 0
    blobs: int = 0
    """All that lie in storage, also those that nothing refers to. Counted in the import of blobs only."""
    blobs_size_bytes: int = 0


class ImportRecords(ABC):
    """Records of imports in the order in which they were begun."""

    @abstractmethod
    async def begin(self, record: ImportRecord) -> int:
        """Note a run that begins, and return its number."""

    @abstractmethod
    async def write(self, number: int, record: ImportRecord) -> None:
        """Note how far the run of that number is."""

    @abstractmethod
    async def newest(self, limit: int) -> Sequence[tuple[int, ImportRecord]]:
        """Return the last *limit* runs with their numbers, the oldest of them first."""
