"""Findings of a trial of a backup."""

from dataclasses import dataclass, field
from typing import NamedTuple

from moorage.work.noted import Noted


class SampledTag(NamedTuple):
    """A tag of the backup, and what it points to."""

    repository: str
    tag: str
    digest: str


@dataclass(slots=True, kw_only=True)
class VerifyReport:
    """Findings of a trial."""

    backup: str
    seconds: float = 0.0
    files: int = 0
    blobs: int = 0
    hashed_bytes: int = 0
    hashing_s: float = 0.0
    manifests: int = 0
    images: int = 0
    pulled_blobs: int = 0
    pulled_bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Notes on what could not be tried, and why."""
    problems: Noted[str] = field(default_factory=Noted)
