"""Questions about an adoption, and the agreement to what it left out: to the database that a configuration names."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from moorage.config import Config
from moorage.metadata.adoptions import AdoptionFindings, AdoptionLedger, AdoptionProgress
from moorage.metadata.schema import schema_version
from moorage.starting.database_choice import present_database
from moorage.wiring.adopting import ledger_of
from moorage.wiring.databases import opened_database


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """The progress of an adoption, and what somebody has to look at."""

    progress: AdoptionProgress
    findings: AdoptionFindings


async def report_adoption(config: Config, *, limit: int) -> AdoptionReport | None:
    """Return how far the adoption is, with the first *limit* findings; None: there is none and was none.

    Raises:
        ConfigurationError: the database cannot be used.
        DatabaseUnavailable: it does not answer.
    """
    async with _ledger(config) as ledger:
        progress = await ledger.progress()
        return None if progress is None else AdoptionReport(progress, await ledger.findings(limit=limit))


async def accept_left_out(config: Config) -> AdoptionProgress | None:
    """Agree to what was left out, and return how far the adoption is; None: there is none.

    Raises: as :func:`report_adoption` does.
    """
    async with _ledger(config) as ledger:
        await ledger.accept()
        return await ledger.progress()


@contextlib.asynccontextmanager
async def _ledger(config: Config) -> AsyncIterator[AdoptionLedger]:
    place = present_database(config.database)
    async with opened_database(place, directly=True) as database:
        (await schema_version.check(database)).refuse()
        yield ledger_of(database)
