"""A memory of what is in which repository, where link files say so: each look at one is a request to an object store.

Only what is there is remembered, never that something is not. What a process of this node takes away is forgotten in
all of them before it is acknowledged; what another node takes away, after a minute at most.
"""

from datetime import timedelta
from typing import Generic, TypeVar

from moorage.cache.remembered import Remembered
from moorage.cache.shared_changes import SharedChanges
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

AGE = timedelta(seconds=60)
SIZE_LIMIT = 1_000_000
"""Entries of a configuration that sets no limit."""

Value = TypeVar("Value")


class KnownLinks(Generic[Value]):
    """Facts about blobs or manifests, by repository and digest."""

    def __init__(self, limit: int, changes: SharedChanges | None = None, *, age: timedelta = AGE) -> None:
        """*limit*: the most entries; 0: nothing is remembered. *changes*: shared by the processes of a node."""
        self._changes = changes or SharedChanges()
        self._entries = Remembered[tuple[RepositoryName, Digest], tuple[int, Value]](
            limit, age=age, is_kept_by_use=True
        )

    @property
    def mark(self) -> int:
        """To be taken before storage is asked, and given to :meth:`put` with what it said."""
        return self._changes.mark

    def get(self, name: RepositoryName, digest: Digest) -> Value | None:
        """Return what is known, if it still may be so."""
        found = self._entries.get((name, digest))
        if found is None or found[0] != self._changes.mark:
            return None
        return found[1]

    def put(self, name: RepositoryName, digest: Digest, value: Value, *, mark: int) -> None:
        """Remember what storage said, unless something was taken away since *mark*."""
        if mark == self._changes.mark:
            self._entries.put((name, digest), (mark, value))

    def forget(self, name: RepositoryName, digest: Digest) -> None:
        """Forget one entry, in this process, as it turned out wrong."""
        self._entries.pop((name, digest))

    def forget_all(self) -> None:
        """Make all void, in all processes of the node: something was taken away."""
        self._changes.note()
        self._entries.clear()
