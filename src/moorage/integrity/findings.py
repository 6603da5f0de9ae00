"""Kinds of findings of a check, and the count of them."""

from dataclasses import dataclass, field
from enum import Enum

from moorage.work.noted import Noted

FIRST_FINDINGS = 1000
"""So many differences are kept; all of them are counted, and go to the report file if there is one."""


class FindingKind(Enum):
    """A kind of difference between what is known and what is there. The value is its name for scripts."""

    BYTES_MISSING = "bytes-missing"
    SIZE_DIFFERS = "size-differs"
    DIGEST_DIFFERS = "digest-differs"
    UNREADABLE = "unreadable"
    BYTES_UNKNOWN = "bytes-unknown"
    BYTES_LINKED = "bytes-linked"
    MARKED_IN_VAIN = "marked-in-vain"
    BLOB_UNREVIEWED = "blob-unreviewed"
    FOREIGN = "foreign"
    MANIFEST_DAMAGED = "manifest-damaged"
    MANIFEST_INCOMPLETE = "manifest-incomplete"
    MANIFEST_UNREVIEWED = "manifest-unreviewed"
    LINK_INVALID = "link-invalid"
    LAYER_DANGLING = "layer-dangling"
    REVISION_DANGLING = "revision-dangling"
    TAG_DANGLING = "tag-dangling"
    PARTS_ABANDONED = "parts-abandoned"

    @property
    def meaning(self) -> str:
        """The meaning, for people."""
        return _MEANINGS[self]


_MEANINGS = {
    FindingKind.BYTES_MISSING: "blobs whose bytes are not in storage",
    FindingKind.SIZE_DIFFERS: "blobs whose bytes are more or fewer than the database or a manifest says",
    FindingKind.DIGEST_DIFFERS: "blobs whose bytes are damaged: they have another digest",
    FindingKind.UNREADABLE: "objects that storage cannot read",
    FindingKind.BYTES_UNKNOWN: "bytes that the database does not know",
    FindingKind.BYTES_LINKED: "bytes that link files refer to and the database does not: of another registry?",
    FindingKind.MARKED_IN_VAIN: "blobs marked as missing whose bytes are right",
    FindingKind.BLOB_UNREVIEWED: "unused blobs that garbage collection does not know of",
    FindingKind.FOREIGN: "files among the blobs that are none",
    FindingKind.MANIFEST_DAMAGED: "manifests whose payload is damaged",
    FindingKind.MANIFEST_INCOMPLETE: "manifests that need more than is noted of them",
    FindingKind.MANIFEST_UNREVIEWED: "unused manifests that garbage collection does not know of",
    FindingKind.LINK_INVALID: "link files that are empty or hold something else than their digest",
    FindingKind.LAYER_DANGLING: "links to blobs whose bytes are not in storage",
    FindingKind.REVISION_DANGLING: "links to manifests whose bytes are not in storage",
    FindingKind.TAG_DANGLING: "tags that point to a manifest that is not in their repository",
    FindingKind.PARTS_ABANDONED: "objects begun in parts more than a week ago, never completed, and paid for",
}


class Note(Enum):
    """Things that are counted and are no difference."""

    AWAITING_REVIEW = "awaiting-review"
    UNREFERENCED = "unreferenced"
    PAYLOAD = "payload"

    @property
    def meaning(self) -> str:
        """The meaning, for people."""
        return _MEANINGS_OF_NOTES[self]


_MEANINGS_OF_NOTES = {
    Note.AWAITING_REVIEW: "bytes that are being pushed, or that garbage collection is going to remove",
    Note.UNREFERENCED: "bytes that nothing refers to: garbage collection would free them",
    Note.PAYLOAD: "manifests that the database has too: an import leaves them, for the way back to link files",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference."""

    kind: FindingKind
    subject: str
    """A digest, or a path in storage, or a tag: what the kind is about."""
    size_bytes: int = 0
    """Bytes that it is about, as storage has them, or else as the metadata says."""
    repository: str = ""
    detail: str = ""
    repair: str = ""
    """The repair that was made; empty: none."""


@dataclass(slots=True)
class Count:
    """A number of findings, and their bytes."""

    number: int = 0
    size_bytes: int = 0
    repaired: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of what a check has looked at and found so far."""

    blobs: int = 0
    stored_bytes: int = 0
    """Of the blobs that were looked at."""
    hashed_bytes: int = 0
    manifests: int = 0
    differences: dict[FindingKind, Count] = field(default_factory=dict)
    notes: dict[Note, Count] = field(default_factory=dict)
    noted: Noted[Finding] = field(default_factory=lambda: Noted(FIRST_FINDINGS))

    def add(self, finding: Finding) -> None:
        """Count a difference."""
        count = self.differences.setdefault(finding.kind, Count())
        count.number += 1
        count.size_bytes += finding.size_bytes
        count.repaired += bool(finding.repair)
        self.noted.add(finding)

    def note(self, note: Note, size_bytes: int) -> None:
        """Count something that is no difference."""
        count = self.notes.setdefault(note, Count())
        count.number += 1
        count.size_bytes += size_bytes
