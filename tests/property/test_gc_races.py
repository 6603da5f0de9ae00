"""Garbage collection among clients, in random order, killed at random: see docs/explanation.

``MOORAGE_GC_SEED`` and ``MOORAGE_GC_STEPS`` repeat a run, or make it longer.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from contract.metadata.stores import postgres_settings, quick_folder, sqlite_opener
from moorage.sql.base import Database
from moorage.sql.postgres.postgres_database import PostgresDatabase
from property.collection.habits import WEIGHTS
from property.collection.simulation import Plan, Simulation
from support.postgres import Postgres, migrated

PART = 20_000
"""Steps of one run of the long test: a new database and another seed for each."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What the world is like."""

    name: str
    crash: float = 0.004
    failing: float = 0.02
    passing: float = 0.03
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)


CALM = Weather(name="calm")
ROUGH = Weather(name="rough", crash=0.02, failing=0.15, passing=0.1)
BLOBS = Weather(
    name="blobs only",
    crash=0.02,
    failing=0.15,
    passing=0.1,
    weights={"push_blob": 10, "mount": 3, "head_blob": 3, "delete_blob": 1},
)
WEATHERS = (CALM, ROUGH, BLOBS)
weathers = pytest.mark.parametrize("weather", WEATHERS, ids=lambda weather: weather.name)


def seed_of_run() -> int:
    """The one that was asked for, or a new one."""
    return int(os.environ.get("MOORAGE_GC_SEED") or random.SystemRandom().getrandbits(32))


def steps_of_run(steps: int) -> int:
    """As many as were asked for, or *steps*."""
    return int(os.environ.get("MOORAGE_GC_STEPS") or steps)


def plan(weather: Weather, seed: int, steps: int) -> Plan:
    print(f"{weather.name}: MOORAGE_GC_SEED={seed} MOORAGE_GC_STEPS={steps}")  # noqa: T201 - shown if it fails
    return Plan(
        seed=seed,
        steps=steps,
        crash=weather.crash,
        failing=weather.failing,
        passing=weather.passing,
        weights=weather.weights,
    )


async def on_sqlite(made: Plan) -> None:
    with quick_folder() as folder:
        async with sqlite_opener(folder)() as store:
            await Simulation(made, store.database).run()


async def on_postgres(made: Plan, postgres: Postgres) -> None:
    database: Database = await PostgresDatabase.open(postgres_settings(postgres, migrated(postgres)))
    try:
        await Simulation(made, database).run()
    finally:
        await database.close()


@weathers
async def test_sqlite_keeps_every_promise(weather: Weather) -> None:
    await on_sqlite(plan(weather, seed_of_run(), steps_of_run(5000)))


@weathers
async def test_postgresql_keeps_every_promise(weather: Weather, postgres: Postgres) -> None:
    await on_postgres(plan(weather, seed_of_run(), steps_of_run(2500)), postgres)


@pytest.mark.long
@pytest.mark.timeout(7200)
@weathers
async def test_sqlite_keeps_every_promise_for_long(weather: Weather) -> None:
    seed = seed_of_run()
    for part in range(0, steps_of_run(300_000), PART):
        await on_sqlite(plan(weather, seed + part, PART))


@pytest.mark.long
@pytest.mark.timeout(7200)
@weathers
async def test_postgresql_keeps_every_promise_for_long(weather: Weather, postgres: Postgres) -> None:
    seed = seed_of_run()
    for part in range(0, steps_of_run(60_000), PART):
        await on_postgres(plan(weather, seed + part, PART), postgres)
