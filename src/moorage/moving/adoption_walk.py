"""Takes over, one after the other, all repositories that nobody writes to, and ends the adoption."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from moorage.errors import BackendError, DatabaseContended
from moorage.metadata.adopting import Adopter
from moorage.metadata.adoptions import AdoptionLedger
from moorage.moving.repository_import import can_be_taken
from moorage.oci.names import RepositoryName
from moorage.storage import locks, paths
from moorage.storage.base import StorageDriver, clock
from moorage.storage.json_notes import forget_note
from moorage.storage.locks import Lock
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log
from moorage.work.text_pipe import TextPipe

_REST = 1.0
"""After each repository a pause of so many times the work: half of the time is for those who pull and push."""
_NOTE_EVERY_S = 2.0
_AGAIN_S = 30.0

_log = get_log("adoption")


class AdoptionWalk:
    """One node's walk. Several nodes may walk at once: claims keep them apart."""

    def __init__(
        self,
        storage: StorageDriver,
        adopter: Adopter,
        ledger: AdoptionLedger,
        *,
        wishes: TextPipe | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """*wishes*: names of repositories that somebody reads, which come first. *sleep*: pauses for seconds."""
        self._storage = storage
        self._adopter = adopter
        self._ledger = ledger
        self._wishes = wishes
        self._sleep = sleep

    async def run(self) -> None:
        """Go on until the adoption has ended."""
        while True:
            try:
                if await self.round():
                    return
            except BackendError as exc:
                _log.error("the adoption waits", error=str(exc))
            await self._sleep(_AGAIN_S)

    async def round(self) -> bool:
        """Take over what is left, and end the adoption; False if something stands in the way."""
        if not await self._ledger.is_ended():
            await self._count()
            if not await self._take_rest():
                return False
            if not await self._ledger.end() and not await self._ledger.is_ended():  # Another node may have been first.
                _log.warning(
                    "everything is taken over, but something was left out: garbage collection stays off until "
                    "somebody has looked at 'moorage database adopt status' and agrees by 'moorage database adopt "
                    "accept'"
                )
                return False
            _log.info("the adoption has ended: everything is in the database")
        await end_in_storage(self._storage)
        return True

    async def _count(self) -> None:
        progress = await self._ledger.progress()
        if progress is None or progress.repositories is None:
            count = 0
            async for _ in self._repositories(""):
                count += 1
            await self._ledger.count(count)

    async def _take_rest(self) -> bool:
        is_whole, noted_at, last = True, clock(), ""
        async for name in self._repositories(await self._ledger.taken_until()):
            await self.take_wished()
            is_whole = await self._take(name) and is_whole
            if is_whole and can_be_taken(name):
                last = name.text
                if clock() - noted_at > _NOTE_EVERY_S:
                    await self._ledger.advance(last)
                    noted_at = clock()
        if last:
            await self._ledger.advance(last)
        return is_whole

    async def take_wished(self) -> None:
        """Take over what somebody has read since the last time."""
        for text in () if self._wishes is None else self._wishes.take():
            await self._take(RepositoryName(text))

    async def _take(self, name: RepositoryName) -> bool:
        """Take a repository over, and rest; return whether it is taken."""
        began, is_taken = clock(), False
        try:
            await (self._ready(name) if can_be_taken(name) else self._adopter.leave_out(name))
            is_taken = True
        except BackendError as exc:
            _log.error("a repository is left for later", repository=name.text, error=str(exc))
        await self._sleep((clock() - began) * _REST)
        return is_taken

    async def _ready(self, name: RepositoryName) -> None:
        """Wait until a repository is taken over; a large one takes longer than anybody else would wait."""
        while True:
            try:
                return await self._adopter.ready(name)
            except DatabaseContended:
                await self._sleep(1.0)

    async def _repositories(self, after: str) -> AsyncIterator[RepositoryName]:
        async for name in repository_folders(self._storage, after=after):
            if await self._storage.exists(paths.manifests(name)) or await self._storage.exists(paths.layers(name)):
                yield name


async def end_in_storage(storage: StorageDriver) -> None:
    """Let storage say that its images are in the database; to be done again after a kill."""
    await locks.remove(storage, Lock.FILESYSTEM)
    await forget_note(storage, paths.ADOPTION)
