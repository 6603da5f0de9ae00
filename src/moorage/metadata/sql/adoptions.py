"""The rows of an adoption, in a database."""

import json
from collections.abc import Collection
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from moorage.errors import DatabaseContended
from moorage.metadata.adoptions import (
    AdoptionFault,
    AdoptionFindings,
    AdoptionLedger,
    AdoptionProgress,
    AdoptionState,
    AdoptionStates,
    LeftBehind,
    TakenOver,
)
from moorage.metadata.sql.digest_keys import PORTION
from moorage.metadata.sql.journal_rows import now as wall_clock
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, Transaction, maybe_moment, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "adoptions")


@dataclass(frozen=True, slots=True)
class AdoptionClaim:
    """The right to write what link files say into one repository, for as long as nobody else has taken it."""

    holder: str
    lasts: timedelta

    async def hold(self, transaction: Transaction, name: RepositoryName) -> None:
        """Make sure of the right until the transaction ends, and renew it.

        Raises:
            DatabaseContended: another worker has it now, and may have finished: nothing may be written any more.
        """
        until = wall_clock() + self.lasts
        if await transaction.first(_QUERIES["hold"], name.text, self.holder, until) is None:
            msg = f"{name.text} is being taken over by another process"
            raise DatabaseContended(msg)


class SqlAdoptionStates(AdoptionStates):
    """``adoptions``. All reads are the primary's: a replica could still say that link files are the truth."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, name: RepositoryName) -> AdoptionState | None:
        row = await self._database.first(_QUERIES["state"], name.text)
        return None if row is None else row[0]

    async def taken(self, names: Collection[str]) -> set[str]:
        wanted, found = list(names), set[str]()
        for start in range(0, len(wanted), PORTION):
            rows = await self._database.all(_QUERIES["taken"], wanted[start : start + PORTION])
            found |= {row[0] for row in rows}
        return found

    async def claim(self, name: RepositoryName, holder: str, *, now: datetime, until: datetime) -> bool:
        return bool(await self._database.write(_QUERIES["claim"], name.text, holder, until, now))

    async def renew(self, name: RepositoryName, holder: str, *, until: datetime) -> bool:
        return bool(await self._database.write(_QUERIES["hold"], name.text, holder, until))

    async def take(self, name: RepositoryName, holder: str, result: TakenOver) -> bool:
        shown = json.dumps([astuple(found) for found in result.first_left_out])
        counts = (result.tags, result.manifests, result.left_out, shown)
        rows = await self._database.write(
            _QUERIES["take"], name.text, holder, wall_clock(), *counts, repository=name.text
        )
        return bool(rows)

    async def give_back(self, name: RepositoryName, holder: str, *, error: str) -> bool:
        return bool(await self._database.write(_QUERIES["give_back"], name.text, holder, error, wall_clock()))


class SqlAdoptionLedger(AdoptionLedger):
    """``adoption_progress``, which has one row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self) -> None:
        await self._database.write(_QUERIES["begin"], wall_clock())

    async def progress(self) -> AdoptionProgress | None:
        row = await self._database.first(_QUERIES["progress"])
        if row is None:
            return None
        return AdoptionProgress(
            began_at=moment(row[0]),
            repositories=row[1],
            taken_until=row[2],
            accepted_at=maybe_moment(row[3]),
            ended_at=maybe_moment(row[4]),
            taken=int(row[5]),
            taking=int(row[6]),
            tags=int(row[7]),
            manifests=int(row[8]),
            left_out=int(row[9]),
            faults=int(row[10]),
        )

    async def is_ended(self) -> bool:
        return await self._database.first(_QUERIES["ended"]) is not None

    async def taken_until(self) -> str:
        row = await self._database.first(_QUERIES["taken_until"])
        return "" if row is None else str(row[0])

    async def count(self, repositories: int) -> None:
        await self._database.write(_QUERIES["count"], repositories)

    async def advance(self, until: str) -> None:
        await self._database.write(_QUERIES["advance"], until)

    async def accept(self) -> None:
        await self._database.write(_QUERIES["accept"], wall_clock())

    async def end(self) -> bool:
        return bool(await self._database.write(_QUERIES["end"], wall_clock()))

    async def findings(self, *, limit: int) -> AdoptionFindings:
        left_out: list[LeftBehind] = []
        for row in await self._database.all(_QUERIES["left_out"], limit):
            left_out += [LeftBehind(*found) for found in json.loads(row[0])]
        rows = await self._database.all(_QUERIES["faults"], limit)
        return AdoptionFindings(left_out[:limit], [AdoptionFault(row[0], row[1]) for row in rows])
