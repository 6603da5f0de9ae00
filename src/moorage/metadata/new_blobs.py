"""The port by which a copy of the storage learns which blobs have come, without a list of all of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.oci.digests import Digest


@dataclass(frozen=True, slots=True)
class NumberedBlob:
    """A blob with its number: later ones have larger numbers, but for those that come at the same time."""

    number: int
    digest: Digest


class NewBlobStore(ABC):
    """Reads blobs in the order in which they have come."""

    @abstractmethod
    async def last_number(self) -> int:
        """Return the number of the blob that came last; 0 if there is none.

        Raises:
            DatabaseUnavailable: it cannot be read.
        """

    @abstractmethod
    async def after(self, number: int, *, limit: int) -> Sequence[NumberedBlob]:
        """Return the blobs with larger numbers, in their order, at most *limit*.

        Raises:
            DatabaseUnavailable: they cannot be read.
        """
