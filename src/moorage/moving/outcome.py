"""Results of an import or export: counts, and what was left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Self

from moorage.work.noted import Noted
from moorage.work.reports import WorkReports


class LeftOutKind(Enum):
    """Reasons to leave something out; the value is for scripts."""

    NAME = "name-invalid"
    LINK = "link-broken"
    BLOB = "blob-missing"
    MANIFEST_MISSING = "manifest-missing"
    MANIFEST_DAMAGED = "manifest-damaged"
    SCHEMA1 = "manifest-of-schema-1"
    TAG = "tag-dangling"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A thing that could not be moved."""

    kind: LeftOutKind
    path: str
    """Its place in storage."""
    reason: str

    def in_words(self) -> str:
        """Return the line that people are shown."""
        return f"  {self.kind.value}  {self.path}  {self.reason}"

    def to_json(self) -> Mapping[str, str]:
        """As reports have it."""
        return {"kind": self.kind.value, "path": self.path, "reason": self.reason}


@dataclass(slots=True)
class Outcome:
    """Counts of what was looked at and what is new, and the things that were left out."""

    repositories: int = 0
    blobs: int = 0
    manifests: int = 0
    tags: int = 0
    new_blobs: int = 0
    new_manifests: int = 0
    removed: int = 0
    """Tags, manifests and blobs that were there and have gone since an earlier run."""
    skipped_repositories: int = 0
    """Of an earlier run that was ended, and not looked at again."""
    common_blobs: int = 0
    """Bytes in common storage."""
    common_blobs_size_bytes: int = 0
    unneeded_blobs: int = 0
    """Those of them that garbage collection is going to look at."""
    left_out: Noted[LeftOut] = field(default_factory=Noted)
    """The log has all of them."""

    def copy(self) -> Self:
        """Return the same counts, which do not change with these."""
        return replace(self, left_out=self.left_out.copy())

    def become(self, other: Self) -> None:
        """Count as *other* does."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))
        self.left_out = other.left_out.copy()


def _unheard(_: object) -> None:
    """Tell nobody."""


class Teller:
    """Tells of work as it goes on: counts for people, and for the log each thing that was left out or went wrong."""

    def __init__(
        self,
        reports: WorkReports,
        *,
        left_out: Callable[[LeftOut], object] = _unheard,
        done: Callable[[str], object] = _unheard,
        warned: Callable[[str], object] = _unheard,
    ) -> None:
        """Take who is told.

        Args:
            reports: hears how far the work is.
            left_out: hears of each thing that is left out.
            done: hears of each repository that is done.
            warned: hears of what went wrong without an image being left out.
        """
        self.outcome = Outcome()
        self.reports = reports
        self._log = left_out
        self.done = done
        self.warned = warned

    def leave_out(self, kind: LeftOutKind, path: str, reason: str) -> None:
        """Note a thing that cannot be moved; the work goes on without it."""
        found = LeftOut(kind, path, reason)
        self.outcome.left_out.add(found)
        self._log(found)

    def leave_out_each(self, kind: LeftOutKind, paths: Sequence[str], reason: str) -> None:
        """As :meth:`leave_out`, for several of one kind."""
        for path in paths:
            self.leave_out(kind, path, reason)
