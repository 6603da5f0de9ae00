"""The interface to counts of rows, for metrics."""

from abc import ABC, abstractmethod
from collections.abc import Mapping


class RowCountStore(ABC):
    """Counts of some kinds of rows in a database."""

    @abstractmethod
    async def count(self) -> Mapping[str, int]:
        """Count, by GitLab's name for each kind. Reads both review queues. Source: GitLab features MET-024."""
