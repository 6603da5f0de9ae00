"""Parts of a driver that are the same for every vendor: many objects at once, the health check, the start."""

import asyncio
import secrets
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import Capability, Stat, StorageDriver
from moorage.storage.remote.bucket_rules import BucketRules
from moorage.storage.remote.store_watch import StoreWatch

if TYPE_CHECKING:
    # aiohttp's client comes with it, and a registry on a folder asks only if its storage is remote.
    from moorage.storage.remote.exchange import Exchange

AT_ONCE = 16
"""Requests of one caller that are under way together."""
MOST_PART_BYTES = 64 << 20
"""The largest part: two are in memory while a third is received, in each of many uploads."""
PASSING_AT_ONCE = 2
"""Parts that pass through this process in all copies of a driver together, where the store does not copy them.

They are in no budget: an upload that is committed has sent all that it held, and a crowd commits at once.
"""
_NOTE_BYTES = 64 << 10
PROBES = "/docker/registry/moorage/probes"

_T = TypeVar("_T")
_U = TypeVar("_U")


async def each(items: Sequence[_T], work: Callable[[_T], Awaitable[_U]], *, at_once: int = AT_ONCE) -> list[_U]:
    """Do *work* for all *items*, some at a time, and return the results in their order.

    The first error ends all that is under way, and is raised.
    """
    waiting = iter(enumerate(items))
    found: dict[int, _U] = {}

    async def go_on() -> None:
        for number, item in waiting:
            found[number] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(go_on())
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None
    return [found[number] for number in range(len(items))]


class RemoteDriver(StorageDriver):
    """A driver of objects behind HTTP."""

    capabilities = frozenset(
        {
            Capability.SHARED,
            Capability.CONDITIONAL_PUT,
            Capability.FLAT_LISTS,
            Capability.PARTS,
            Capability.SIGNED_URLS,
        }
    )

    @property
    @abstractmethod
    def exchange(self) -> "Exchange":
        """The line on which all requests go."""

    @abstractmethod
    async def examine(self, *, can_write: bool = True) -> None:
        """See at a start that the store is there and does what a registry needs; *can_write* False: that it is read.

        What it cannot do and can be done otherwise is logged, once a start.

        Raises:
            ConfigurationError: it cannot be used; one sentence, with what to set or to grant.
            StorageUnavailable: it does not answer.
        """

    async def shortcomings(self) -> Sequence[str]:
        """Return what this store cannot do that others can, a sentence each; :meth:`examine` logs the same.

        Raises:
            StorageUnavailable: that cannot be found out.
        """
        return ()

    async def rules(self) -> BucketRules:
        """Return the rules by which the service itself removes or keeps objects of this registry, as far as it tells.

        Raises:
            StorageUnavailable: it does not answer.
        """
        return BucketRules()

    def watch(self, path: str, content: bytes | None) -> None:
        """See the interface. Reads that find something are refused too, and all is looked at no oftener than needed.

        A bucket that nothing is in has nothing to be known by.
        """
        if content is None:
            return

        async def is_right() -> bool:
            try:
                return await self.get(path, limit_bytes=_NOTE_BYTES) == content
            except PathUnknown:
                return False

        self.exchange.watch(StoreWatch(path, is_right))

    async def get_each(
        self, paths: Sequence[str], use: Callable[[int, bytes], _T], *, limit_bytes: int = 4 << 20
    ) -> Sequence[_T | None]:
        """See the interface. Contents come several at once; each is used, and let go of, as it comes."""

        async def get(numbered: tuple[int, str]) -> _T | None:
            number, path = numbered
            try:
                return use(number, await self.get(path, limit_bytes=limit_bytes))
            except PathUnknown:
                return None

        return await each(list(enumerate(paths)), get)

    async def stat_each(self, paths: Sequence[str], *, folder: bool = False) -> Sequence[Stat | None]:
        """See the interface."""

        async def stat(path: str) -> Stat | None:
            try:
                return await self.stat(path, folder=folder)
            except PathUnknown:
                return None

        return await each(paths, stat)

    async def delete_each(self, paths: Sequence[str]) -> int:
        """See the interface. Folders that nothing is left in are gone by themselves."""
        stats = await self.stat_each(paths)
        there = [path for path, stat in zip(paths, stats, strict=True) if stat is not None]
        for failure in (await self.remove(there, until=float("inf"))).values():
            raise failure
        return len(there)

    async def probe(self) -> None:
        """See the interface."""
        path = f"{PROBES}/{secrets.token_hex(8)}"
        await self.put(path, b"probe")
        try:
            if await self.get(path) != b"probe":
                msg = "storage gives other bytes than it was given"
                raise StorageUnavailable(msg)
        except PathUnknown:
            msg = "storage does not have what it was given a moment ago"
            raise StorageUnavailable(msg) from None
        finally:
            await self.delete(path)
