"""Outcome of a copy: what was copied, what was found wrong on the way, and what both sides have at the end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from moorage.copying.kinds import COPIED, ObjectKind
from moorage.copying.objects import KindCounts
from moorage.work.noted import Noted


class CopyFinding(Enum):
    """Kinds of what is not as it should be; the value is its name in reports."""

    EMPTY_LINK = "empty-link"
    LINK_DAMAGED = "link-damaged"
    BLOB_DAMAGED = "blob-damaged"
    BLOB_MISSING = "blob-missing"
    FOREIGN = "foreign"
    NO_FILE = "no-file"
    VANISHED = "vanished"
    NOT_COPIED = "not-copied"

    @property
    def meaning(self) -> str:
        """Words for people."""
        return _MEANINGS[self]


_MEANINGS = {
    CopyFinding.EMPTY_LINK: "links that say nothing: no client sees them, and they are not copied",
    CopyFinding.LINK_DAMAGED: "links that do not say what their place says: not copied",
    CopyFinding.BLOB_DAMAGED: "blobs whose bytes have another digest: not copied",
    CopyFinding.BLOB_MISSING: "digests that something of the source names and the source does not have",
    CopyFinding.FOREIGN: "objects that no registry has put there: not copied",
    CopyFinding.NO_FILE: "names that are neither a file nor a folder, such as a link to nowhere or a pipe: not copied",
    CopyFinding.VANISHED: "objects that were removed from the source while it was copied",
    CopyFinding.NOT_COPIED: "objects that could not be read or written: the same command tries them again",
}
FAILURES = frozenset({CopyFinding.LINK_DAMAGED, CopyFinding.BLOB_DAMAGED, CopyFinding.NO_FILE, CopyFinding.NOT_COPIED})
"""Those after which the target does not have all that the source has."""


@dataclass(slots=True)
class CopyOutcome:
    """Running account of a copy."""

    copied: Counter[ObjectKind] = field(default_factory=Counter)
    copied_bytes: Counter[ObjectKind] = field(default_factory=Counter)
    deleted: Counter[ObjectKind] = field(default_factory=Counter)
    findings: Counter[CopyFinding] = field(default_factory=Counter)
    noted: Noted[tuple[CopyFinding, str, str]] = field(default_factory=Noted)
    """Each finding with its path and why."""
    rounds: int = 0
    last_round_s: float = 0.0
    """Seconds that the last round took: with ``--follow``, the time that a registry has to be read-only."""
    source: KindCounts = field(default_factory=KindCounts)
    target: KindCounts = field(default_factory=KindCounts)
    told: Callable[[CopyFinding, str, str], object] = lambda _finding, _path, _why: None

    def found(self, finding: CopyFinding, path: str, why: str = "") -> None:
        """Take note of something that is not as it should be; of one path only once while it is among the first."""
        if (finding, path, why) in self.noted.first:
            return
        self.findings[finding] += 1
        self.noted.add((finding, path, why))
        self.told(finding, path, why)

    def forget_findings(self) -> None:
        """Forget what was found: everything is going to be looked at again."""
        self.findings.clear()
        self.noted.clear()

    def did_copy(self, kind: ObjectKind, size_bytes: int) -> None:
        """Take note of an object that is on the target now."""
        self.copied[kind] += 1
        self.copied_bytes[kind] += size_bytes

    @property
    def differing(self) -> list[ObjectKind]:
        """The kinds of which the two sides do not have as many objects and bytes."""
        return [
            kind
            for kind in COPIED
            if self.source.objects[kind] != self.target.objects[kind]
            or self.source.size_bytes[kind] != self.target.size_bytes[kind]
        ]

    @property
    def has_failed(self) -> bool:
        """True if something that the source has could not be copied."""
        return any(self.findings[finding] for finding in FAILURES)
