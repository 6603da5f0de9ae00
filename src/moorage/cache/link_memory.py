"""The port for a memory of what is in which repository, where each look at a link is a request to an object store."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

Value = TypeVar("Value")

Mark = int | bytes | None
"""Says whether something was taken away since; None: nothing is to be remembered."""


class LinkMemory(ABC, Generic[Value]):
    """Facts about blobs or manifests, by repository and digest.

    Only what is there is remembered, never that something is not. What was taken away through a memory is in it no
    more once :meth:`take_away` has returned, whatever storage was asked before. A memory that fails has nothing; none
    of its methods raises for that.
    """

    @abstractmethod
    async def look(self, name: RepositoryName, digest: Digest) -> tuple[Value | None, Mark]:
        """Return what is known, if it still may be so, and else a mark: storage is asked next, see :meth:`keep`."""

    @abstractmethod
    async def keep(self, name: RepositoryName, digest: Digest, value: Value, *, mark: Mark) -> None:
        """Remember what storage said after *mark* was given out, unless something was taken away since."""

    @abstractmethod
    async def forget(self, name: RepositoryName, digest: Digest) -> None:
        """Forget one entry, as it turned out wrong."""

    @abstractmethod
    async def take_away(self, name: RepositoryName, digest: Digest) -> None:
        """Make void what is remembered of something that has just been taken away from storage."""
