"""A memory of what is in which repository, in each worker: nothing has to be asked, and other nodes are not told.

What a process of this node takes away is forgotten in all of them before it is acknowledged; what another node takes
away, after a minute at most.
"""

import time
from collections.abc import Callable
from datetime import timedelta

from moorage.cache.link_memory import LinkMemory, Mark, Value
from moorage.cache.remembered import Remembered
from moorage.cache.shared_changes import SharedChanges
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

AGE = timedelta(seconds=60)
SIZE_LIMIT = 1_000_000
"""Entries of a configuration that sets no limit."""


class KnownLinks(LinkMemory[Value]):
    """A memory of this process, whose entries one number makes void that all processes of a node share."""

    def __init__(
        self,
        limit: int,
        changes: SharedChanges | None = None,
        *,
        age: timedelta = AGE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*limit*: the most entries; 0: nothing is remembered. *changes*: shared by the processes of a node."""
        self._changes = changes or SharedChanges()
        self._entries: Remembered[tuple[RepositoryName, Digest], tuple[int, Value]] = Remembered(
            limit, age=age, is_kept_by_use=True, monotonic=monotonic
        )

    async def look(self, name: RepositoryName, digest: Digest) -> tuple[Value | None, Mark]:
        """See the interface."""
        mark, found = self._changes.mark, self._entries.get((name, digest))
        return (None if found is None or found[0] != mark else found[1]), mark

    async def keep(self, name: RepositoryName, digest: Digest, value: Value, *, mark: Mark) -> None:
        """See the interface."""
        if mark == self._changes.mark:
            self._entries.put((name, digest), (self._changes.mark, value))

    async def forget(self, name: RepositoryName, digest: Digest) -> None:
        """See the interface: in this process."""
        self._entries.pop((name, digest))

    async def take_away(self, name: RepositoryName, digest: Digest) -> None:
        """See the interface: all is void, in all processes of the node, not only this entry."""
        del name, digest
        self._changes.note()
        self._entries.clear()
