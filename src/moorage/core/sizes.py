"""Sizes of repositories: measured, remembered while nothing changes, estimated where measuring takes too long."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol

from moorage.cache.remembered import Remembered
from moorage.errors import DatabaseUnavailable
from moorage.metadata.details import SizeStore
from moorage.oci.names import RepositoryName

DEADLINE_S = 5.0
"""Seconds that measuring a repository with all below it may take."""

REMEMBERED_S = 300.0
"""Seconds for which a size is given again without measuring, if nothing changed. Source: GitLab features V1A-008."""

GIVEN_UP_S = 24 * 3600.0
"""Seconds for which a repository that took too long is only estimated. Source: GitLab features V1A-008."""

_REMEMBERED_LIMIT = 1024

_Asked = tuple[str, bool]
"""A repository, and whether all below it counts."""


class Precision(Enum):
    """The content that a size counts."""

    DEFAULT = "default"
    """Layers that tagged manifests need."""
    UNTAGGED = "untagged"
    """Everything that is there: an upper bound."""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a repository."""

    size_bytes: int
    precision: Precision


class SizeMemory(Protocol):
    """Sizes that this process and others have measured. It does not fail: what it cannot say it does not know."""

    async def find(self, repository: str, *, with_descendants: bool, last_change: int) -> Size | None:
        """Return a size that was measured when the repository was as it is now; None: there is none."""

    async def keep(self, repository: str, size: Size, *, with_descendants: bool, last_change: int) -> None:
        """Tell others of a size."""


class Sizes:
    """Answers how much repositories need. What it remembers is this process's own, but for what is *shared*."""

    def __init__(
        self,
        store: SizeStore,
        *,
        shared: SizeMemory | None = None,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*clock* tells seconds."""
        self._store = store
        self._shared = shared
        self._deadline_s = deadline_s
        self._sizes: Remembered[_Asked, tuple[int, Size]] = Remembered(
            _REMEMBERED_LIMIT, age=timedelta(seconds=REMEMBERED_S), monotonic=clock
        )
        self._given_up: Remembered[_Asked, bool] = Remembered(
            _REMEMBERED_LIMIT, age=timedelta(seconds=GIVEN_UP_S), monotonic=clock
        )

    async def of(self, name: RepositoryName, *, with_descendants: bool) -> Size:
        """The size of a repository, or of it and all below it.

        A top-level repository with all below it is estimated if measuring takes longer than the deadline.

        Raises:
            DatabaseUnavailable: it takes too long, and the repository is not a top-level one.
        """
        key = (name.text, with_descendants)
        last_change = await self._store.last_change(name, with_descendants=with_descendants)
        remembered = self._sizes.get(key)
        if remembered is not None and remembered[0] == last_change:
            return remembered[1]
        size = await self._told_or_measured(name, with_descendants=with_descendants, last_change=last_change)
        self._sizes.put(key, (last_change, size))
        return size

    async def _told_or_measured(self, name: RepositoryName, *, with_descendants: bool, last_change: int) -> Size:
        if self._shared is None:
            return await self._size(name, with_descendants=with_descendants)
        told = await self._shared.find(name.text, with_descendants=with_descendants, last_change=last_change)
        if told is not None:
            return told
        size = await self._size(name, with_descendants=with_descendants)
        if size.precision is Precision.DEFAULT:
            await self._shared.keep(name.text, size, with_descendants=with_descendants, last_change=last_change)
        return size

    async def _size(self, name: RepositoryName, *, with_descendants: bool) -> Size:
        key = (name.text, with_descendants)
        can_estimate = with_descendants and "/" not in name.text
        if can_estimate and self._given_up.get(key):
            return Size(await self._store.estimate(name), Precision.UNTAGGED)
        try:
            async with asyncio.timeout(self._deadline_s):
                measured = await self._store.measure(name, with_descendants=with_descendants)
        except TimeoutError:
            if not can_estimate:
                msg = "measuring the repository takes too long"
                raise DatabaseUnavailable(msg) from None
            self._given_up.put(key, value=True)
            return Size(await self._store.estimate(name), Precision.UNTAGGED)
        return Size(measured, Precision.DEFAULT)
