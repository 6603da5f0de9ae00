"""Outcome of copies between registries: what became of each reference, and what was moved for it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from moorage.work.noted import Noted


class RelayResult(Enum):
    """Ends of one reference; the value is its name in reports."""

    COPIED = "copied"
    PRESENT = "present"
    TO_COPY = "to-copy"
    KEPT = "kept"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"
    TO_DELETE = "to-delete"


@dataclass(frozen=True, slots=True)
class RelayedReference:
    """A reference of the source, and what became of it on the target."""

    source: str
    target: str
    result: RelayResult
    digest: str = ""
    why: str = ""

    def to_json(self) -> Mapping[str, str]:
        """As reports have it."""
        shown = {"source": self.source, "target": self.target, "result": self.result.value}
        return {**shown, **({"digest": self.digest} if self.digest else {}), **({"why": self.why} if self.why else {})}


class BlobWay(Enum):
    """Ways in which a blob came to be in a repository of the target."""

    PRESENT = "present"
    MOUNTED = "mounted"
    COPIED = "copied"
    TO_COPY = "to-copy"


@dataclass(slots=True)
class RelayOutcome:
    """Running account of copies."""

    references: list[RelayedReference] = field(default_factory=list)
    counts: Counter[RelayResult] = field(default_factory=Counter)
    """The references by what became of them."""
    blobs: Counter[BlobWay] = field(default_factory=Counter)
    blob_bytes: Counter[BlobWay] = field(default_factory=Counter)
    manifests: int = 0
    referrers: int = 0
    notes: Noted[str] = field(default_factory=Noted)
    """Things that somebody should know although nothing failed."""
    told: Callable[[RelayedReference], object] = lambda _reference: None
    stopped_by: dict[str, str] = field(default_factory=dict)
    """Targets to which nothing more is copied, such as a full one, each with the reason."""

    def became(self, reference: RelayedReference) -> None:
        """Take note of what became of a reference."""
        self.references.append(reference)
        self.counts[reference.result] += 1
        self.told(reference)

    def note(self, text: str) -> None:
        """Take note of something, once."""
        if text not in self.notes.first:
            self.notes.add(text)

    def did_blob(self, way: BlobWay, size_bytes: int) -> None:
        """Take note of a blob that is where it should be."""
        self.blobs[way] += 1
        self.blob_bytes[way] += size_bytes

    @property
    def has_failed(self) -> bool:
        """True if something could not be done."""
        return self.counts[RelayResult.FAILED] > 0
