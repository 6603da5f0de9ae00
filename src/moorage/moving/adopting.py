"""Takes repositories over from link files while the registry serves them: ``docs/adr/0098-*.md``.

A repository is taken over as a whole, by whoever has claimed its row, and compared with its link files before the row
says that it is taken. Nothing is written to either side meanwhile, so all of it may be ended and done again.
"""

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.cache.remembered import Remembered
from moorage.errors import BackendError, DatabaseContended, StorageUnavailable
from moorage.metadata.adopting import Adopter
from moorage.metadata.adoptions import AdoptionLedger, AdoptionStates, LeftBehind, TakenOver
from moorage.metadata.exports import ExportStore
from moorage.metadata.imports import ImportStore
from moorage.moving.link_comparison import LinkComparison
from moorage.moving.outcome import LeftOut, LeftOutKind, Teller
from moorage.moving.repository_import import NAME_REASON, RepositoryImport, can_be_taken
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.walk import folders_from
from moorage.telemetry import get_log
from moorage.work.reports import WorkReports
from moorage.work.text_pipe import TextPipe

LEASE = timedelta(seconds=20)
"""So long a claim is good; it is renewed all the time, unless its process is gone or stands still."""

_PATIENCE_S = 20.0
"""Seconds that a write waits for its repository; a client that is told to come again then finds it further."""
_PAUSE_S = 0.1
_READY_LIMIT = 65_536
_FIRST_LEFT_OUT = 20
_WISHED_LIMIT = 1000
_WISHED_AGE = timedelta(seconds=30)
"""So long no other reader of a repository wishes for it again: it is on its way, or has failed."""

_log = get_log("adoption")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionStores:
    """The ports of an adoption."""

    states: AdoptionStates
    ledger: AdoptionLedger
    exports: ExportStore
    imports: Callable[[str], ImportStore]
    """Makes what may write for the holder of a claim."""


class Adoption(Adopter):
    """One process's part in it."""

    def __init__(
        self,
        storage: StorageDriver,
        stores: AdoptionStores,
        *,
        wishes: TextPipe | None = None,
        patience_s: float = _PATIENCE_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take these parts.

        Args:
            storage: has the link files.
            stores: the rows of the adoption, and what writes for it.
            wishes: hears which repositories are read, for the walk; None: nobody does.
            patience_s: seconds that a write waits.
            now: the clock of claims.
        """
        self._storage = storage
        self._stores = stores
        self._wishes = wishes
        self._patience_s = patience_s
        self._now = now
        self._ready: Remembered[str, bool] = Remembered(_READY_LIMIT, is_kept_by_use=True)
        self._linked: Remembered[str, bool] = Remembered(_READY_LIMIT, is_kept_by_use=True)
        """Those that have link files, which stay until the end."""
        self._wished: Remembered[str, bool] = Remembered(_WISHED_LIMIT, age=_WISHED_AGE)
        self._tasks: dict[str, asyncio.Task[bool]] = {}
        self._has_ended = False

    async def is_ready(self, name: RepositoryName) -> bool:
        if not can_be_taken(name):
            return await self.taken_until() is None
        if await self._is_taken(name):
            return True
        if self._wishes is not None and not self._wished.get(name.text):
            self._wished.put(name.text, True)
            self._wishes.tell(name.text)
        return False

    async def ready(self, name: RepositoryName) -> None:
        if not can_be_taken(name):
            return
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while not await self._is_taken(name):
            try:
                async with asyncio.timeout_at(deadline):
                    if not await asyncio.shield(self._task(name)):
                        await asyncio.sleep(_PAUSE_S)  # Another process is at it.
            except TimeoutError:
                msg = f"{name.text} is being taken over from link files; what is in it can be pulled meanwhile"
                raise DatabaseContended(msg) from None

    async def leave_out(self, name: RepositoryName) -> None:
        path = paths.repository(name)
        _log.warning("left out", kind=LeftOutKind.NAME.value, path=path, reason=NAME_REASON)
        # No database takes a byte that is no UTF-8; whoever reads the list is to see it all the same.
        row = RepositoryName(paths.readable(name.text))
        found = _behind(LeftOut(LeftOutKind.NAME, path, NAME_REASON))
        holder, now = secrets.token_hex(8), self._now()
        if await self._stores.states.claim(row, holder, now=now, until=now + LEASE):
            await self._stores.states.take(row, holder, TakenOver(left_out=1, first_left_out=(found,)))

    async def ready_below(self, name: RepositoryName) -> None:
        if self._has_ended or self._ready.get(_below(name)):
            return
        async for each in self._folders(name):
            await self.ready(each)
        self._ready.put(_below(name), True)

    async def has_below(self, name: RepositoryName) -> bool:
        async for each in self._folders(name):
            if await self._has_link_files(each):
                return True
        return False

    async def waiting(self, names: Sequence[RepositoryName]) -> Sequence[RepositoryName]:
        taken = await self._stores.states.taken([name.text for name in names])
        return [name for name in names if name.text not in taken]

    async def taken_until(self) -> str | None:
        if not self._has_ended:
            self._has_ended = await self._stores.ledger.is_ended()
        return None if self._has_ended else await self._stores.ledger.taken_until()

    async def close(self) -> None:
        """End what is under way; others go on with it at once."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_taken(self, name: RepositoryName) -> bool:
        if self._has_ended or self._ready.get(name.text):
            return True
        state = await self._stores.states.state(name)
        # No link file can come any more: who has none and no row is new, and in the database alone.
        if state == "taken" or (state is None and not await self._has_link_files(name)):
            self._ready.put(name.text, True)
            return True
        return False

    async def _has_link_files(self, name: RepositoryName) -> bool:
        if self._linked.get(name.text):
            return True
        found = await self._storage.exists(paths.manifests(name)) or await self._storage.exists(paths.layers(name))
        if found:
            self._linked.put(name.text, True)
        return found

    async def _folders(self, name: RepositoryName) -> AsyncIterator[RepositoryName]:
        async for each in folders_from(self._storage, name):
            if can_be_taken(each):
                yield each

    def _task(self, name: RepositoryName) -> "asyncio.Task[bool]":
        """The taking of a repository, which goes on when nobody waits for it any more."""
        task = self._tasks.get(name.text)
        if task is None:
            task = asyncio.create_task(self._take(name), name=f"adoption of {name.text}")
            self._tasks[name.text] = task
            task.add_done_callback(lambda done: self._forget(name, done))
        return task

    def _forget(self, name: RepositoryName, task: "asyncio.Task[bool]") -> None:
        self._tasks.pop(name.text, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("a repository cannot be taken over", repository=name.text, error=str(fault))

    async def _take(self, name: RepositoryName) -> bool:
        """Take a repository over; False: another process is at it, or has been."""
        holder, began = secrets.token_hex(8), self._now()
        states = self._stores.states
        if not await states.claim(name, holder, now=began, until=began + LEASE):
            return False
        keeping = asyncio.create_task(self._keep(name, holder))
        try:
            result = await self._take_over(name, holder)
        except BackendError as exc:
            # Whoever was too slow may have looked at what clients have changed since: that is no fault.
            is_contended = isinstance(exc, DatabaseContended)
            if not await self._give_back(name, holder, "" if is_contended else str(exc)) or is_contended:
                return False
            raise
        except asyncio.CancelledError:
            await self._give_back(name, holder, "")
            raise
        finally:
            keeping.cancel()
        if not await states.take(name, holder, result):
            return False
        self._ready.put(name.text, True)
        seconds = round((self._now() - began).total_seconds(), 3)
        counts = {"tags": result.tags, "manifests": result.manifests, "left_out": result.left_out}
        _log.info("repository taken over", repository=name.text, **counts, seconds=seconds)
        return True

    async def _keep(self, name: RepositoryName, holder: str) -> None:
        """Renew a claim while nothing is written, as when a large repository is compared."""
        lasts = True
        while lasts:
            await asyncio.sleep(LEASE.total_seconds() / 4)
            with contextlib.suppress(BackendError):
                lasts = await self._stores.states.renew(name, holder, until=self._now() + LEASE)

    async def _give_back(self, name: RepositoryName, holder: str, error: str) -> bool:
        """Let others try at once; False if somebody else holds it already."""
        try:
            return await self._stores.states.give_back(name, holder, error=error)
        except BackendError:
            return True  # Its time will be over.

    async def _take_over(self, name: RepositoryName, holder: str) -> TakenOver:
        kinds = Counter[LeftOutKind]()

        def left_out(found: LeftOut) -> None:
            kinds[found.kind] += 1
            _log.warning("left out", kind=found.kind.value, path=found.path, reason=found.reason)

        teller = Teller(WorkReports(), left_out=left_out)
        work = RepositoryImport(self._storage, self._stores.imports(holder), name, teller)
        await work.run(with_tags=True, goes_on=False)
        compared = await LinkComparison(self._storage, self._stores.exports, name).run()
        differences = compared.but(kinds)
        if differences:
            msg = f"{name.text} is not the same in link files and in the database: {', '.join(differences)}"
            raise StorageUnavailable(msg)
        outcome = teller.outcome
        first = [_behind(found) for found in outcome.left_out.first[:_FIRST_LEFT_OUT]]
        return TakenOver(
            tags=outcome.tags, manifests=outcome.manifests, left_out=outcome.left_out.count, first_left_out=first
        )


def _below(name: RepositoryName) -> str:
    return f"{name.text}/"


def _behind(found: LeftOut) -> LeftBehind:
    """The same, told in characters: names in storage may have bytes that are none."""
    return LeftBehind(found.kind.value, paths.readable(found.path), paths.readable(found.reason))
