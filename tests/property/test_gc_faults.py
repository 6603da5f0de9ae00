"""Whether the simulator would find out: faults are planted in the collector, and each is found."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import postgres_settings, quick_folder, sqlite_opener
from moorage.sql.base import Database
from moorage.sql.postgres.postgres_database import PostgresDatabase
from property.collection.duel import duel
from property.collection.faults import FAULTS, Fault
from property.collection.gates import Violation
from property.collection.simulation import Plan, Simulation
from support.postgres import Postgres, migrated

RUNS = 30
STEPS = 4000


async def is_found(fault: Fault, database: Database, seed: int) -> bool:
    plan = Plan(seed=seed, steps=STEPS, crash=0.01, passing=fault.passing, quiet_every=120, weights=fault.weights)
    async with fault.planted(database):
        try:
            await Simulation(plan, database).run()
        except Violation as exc:
            print(f"seed {seed}: {exc}"[:600])  # noqa: T201 - what found it
            return True
    return False


async def _on_sqlite(fault: Fault, folder: Path, seed: int) -> bool:
    async with sqlite_opener(folder)() as store:
        return await is_found(fault, store.database, seed)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "sqlite" in fault.on], ids=lambda fault: fault.name)
async def test_a_planted_fault_is_found_on_sqlite(fault: Fault) -> None:
    for seed in range(RUNS):
        with quick_folder() as folder:
            if await _on_sqlite(fault, folder, seed):
                return
    pytest.fail(f"not found in {RUNS} runs of {STEPS} steps: {fault.what}")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "sqlite" not in fault.on], ids=lambda fault: fault.name)
async def test_a_planted_fault_is_found_on_postgresql(fault: Fault, postgres: Postgres) -> None:
    for seed in range(RUNS):
        async with _new_database(postgres) as database:
            if fault.is_met:
                async with fault.planted(database):
                    with pytest.raises(Violation):
                        await duel(database)
                return
            if await is_found(fault, database, seed):
                return
    pytest.fail(f"not found in {RUNS} runs of {STEPS} steps: {fault.what}")


async def test_the_meeting_ends_well_without_a_fault(postgres: Postgres) -> None:
    async with _new_database(postgres) as database:
        await duel(database)


@contextlib.asynccontextmanager
async def _new_database(postgres: Postgres) -> AsyncIterator[Database]:
    database = await PostgresDatabase.open(postgres_settings(postgres, migrated(postgres)))
    try:
        yield database
    finally:
        await database.close()
