"""The interface to the marks of a storage: those that a database has set there, and if another one has set some.

Only a registry with a database has this. See ADR 0180.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from datetime import timedelta


class StorageMarks(ABC):
    """The latest marks of this database, and its memory of marks that are not its own; shared by its nodes."""

    @abstractmethod
    async def known(self) -> Collection[str]:
        """Return the latest marks, of all nodes. Whoever compares one that is in storage reads that one first."""

    @abstractmethod
    async def add(self, mark: str, *, every: timedelta) -> bool:
        """Add a mark, which is durable on return; False, and nothing happens: the last one is younger than *every*."""

    @abstractmethod
    async def hold(self, length: timedelta) -> bool:
        """Remember for so long from now that there are two databases; return whether that was news."""

    @abstractmethod
    async def is_held(self) -> bool:
        """Return whether it is remembered that there are two databases."""
