"""Outcomes of rounds of reviews."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.metadata.reviews import ManifestsReviewed
from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A blob whose bytes are gone."""

    digest: Digest
    size_bytes: int
    """0: nobody knew its size, as no push of it was ever finished."""
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobsReviewed:
    """The outcome of one round of blob reviews."""

    due: int = 0
    """Blobs that were looked at."""
    needed: Sequence[str] = ()
    """For each blob that something needs: the event that had put it into the queue."""
    removed: Sequence[Removed] = ()
    failed: Sequence[str] = ()
    """For each blob that could not be removed and was put off: the event that had put it into the queue."""
    dropped: int = 0
    """Rows of blobs that were removed."""
    judging_s: float = 0.0
    """Seconds that finding out and removing rows took."""
    removing_s: float = 0.0
    """Seconds that removing bytes took."""

    @property
    def removed_bytes(self) -> int:
        """The number of bytes that were given back."""
        return sum(blob.size_bytes for blob in self.removed)


Round = BlobsReviewed | ManifestsReviewed
