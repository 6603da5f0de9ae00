"""Garbage collection among clients, in random order, killed at random: see ``docs/explanation``."""

import os
import random

import pytest

from contract.metadata.stores import OpenSql, quick_folder, postgres_opener, sqlite_opener
from property.collection.simulation import Plan, Simulation
from support.postgres import Postgres

QUICK = 3000


def chosen_seed() -> int:
    """The seed of a run: ``MOORAGE_GC_SEED``, or a new one."""
    return int(os.environ.get("MOORAGE_GC_SEED", random.SystemRandom().getrandbits(32)))


async def simulate(open_sql: OpenSql, steps: int) -> None:
    seed = chosen_seed()
    print(f"MOORAGE_GC_SEED={seed} MOORAGE_GC_STEPS={steps}")
    async with open_sql() as store:
        await Simulation(Plan(seed=seed, steps=steps), store.database).run()


async def test_on_sqlite() -> None:
    with quick_folder() as folder:
        await simulate(sqlite_opener(folder), int(os.environ.get("MOORAGE_GC_STEPS", QUICK)))


async def test_on_postgresql(postgres: Postgres) -> None:
    await simulate(postgres_opener(postgres), int(os.environ.get("MOORAGE_GC_STEPS", QUICK)))
