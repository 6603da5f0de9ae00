"""The interface to what a check asks of a database: what should be in storage, and what a repair changes.

A check goes on while others push and collect. So each method says at which moment its answer holds: what a check
concludes from two answers and a look at storage in between is in ``integrity/confirming.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRow:
    """The database's row of a blob."""

    id: int
    created_at: datetime
    """With the id: another one if the blob was collected and pushed again."""
    size_bytes: int
    is_marked: bool
    """Its bytes were found missing or damaged; it is as good as not there until it is pushed again."""
    is_needed: bool
    """True if something refers to it, in the sense of garbage collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRecord:
    """All that the database knows of a digest, at one moment."""

    digest: Digest
    row: BlobRow | None
    """None: no blob, but a review of it is to come: a client is pushing it, or its bytes are being collected."""
    is_queued: bool
    """True if garbage collection is going to review it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRecord:
    """A manifest as it is kept."""

    id: int
    created_at: datetime
    """With the id, as for a blob."""
    repository: str
    digest: Digest
    media_type: str
    payload: bytes
    is_needed: bool
    is_queued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """Digests that a manifest's payload says it needs, and that no row has."""

    config: Digest | None = None
    blobs: Collection[Digest] = ()
    children: Collection[Digest] = ()
    """Those that may be either are in both."""


class BlobRecordStore(ABC):
    """Blobs, as the database knows them."""

    @abstractmethod
    async def page(self, *, after: Digest | None, limit: int) -> Sequence[BlobRecord]:
        """The next blobs with a row, in the order of their digests."""

    @abstractmethod
    async def look(self, digests: Collection[Digest]) -> Mapping[Digest, BlobRecord]:
        """Return the records of *digests*, all of the same moment; digests of which nothing is known are left out."""


class BlobRepairStore(ABC):
    """Changes to blobs. What touches bytes is done while they are claimed: no push and no collection comes between."""

    @abstractmethod
    async def claim(self, digest: Digest) -> bool:
        """Claim the bytes of a digest for :data:`~moorage.metadata.reviews.CLAIM`; again: for as long from now on.

        A digest that was in no queue is in it from then on, to be reviewed after the usual delay: so what is released
        is needed, or goes the way of all that is not.

        False: somebody else has it.
        """

    @abstractmethod
    async def release(self, digest: Digest) -> None:
        """Let go of a claimed digest."""

    @abstractmethod
    async def mark(self, digest: Digest) -> bool:
        """Say that the bytes of a claimed blob are missing: nobody can see it until it is pushed. False: no claim."""

    @abstractmethod
    async def unmark(self, digest: Digest) -> bool:
        """Say that the bytes of a claimed blob are there. False: it is not claimed any more."""

    @abstractmethod
    async def resize(self, digest: Digest, size_bytes: int) -> bool:
        """Correct the size of a claimed blob. False: it is not claimed any more."""

    @abstractmethod
    async def review(self, digest: Digest) -> None:
        """Have a blob reviewed by garbage collection, after the usual delay, unless it is going to be anyway."""


class ManifestRecordStore(ABC):
    """Manifests, as the database knows them."""

    @abstractmethod
    async def page(self, *, after: int, limit: int, limit_bytes: int) -> Sequence[ManifestRecord]:
        """The next manifests, in the order of their ids; no more once their payloads have *limit_bytes*."""

    @abstractmethod
    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        """The ids and digests of the next manifests, in the order of their ids."""

    @abstractmethod
    async def look(self, ids: Collection[int]) -> Mapping[int, ManifestRecord]:
        """These manifests, those of them that are there."""

    @abstractmethod
    async def relations(self, ids: Collection[int]) -> Mapping[int, Collection[Digest]]:
        """Return what each is noted to need, all at the same moment: blobs, manifests, and what has yet to come."""


class ManifestRepairStore(ABC):
    """Changes to manifests."""

    @abstractmethod
    async def relate(self, manifest: int, wanted: Relations) -> bool:
        """Note what a manifest needs, as a push would have. False: it is gone, or something changed meanwhile."""

    @abstractmethod
    async def review(self, manifest: int) -> None:
        """As :meth:`BlobRepairStore.review`."""
