"""Link files are adopted while clients use the registry and nodes die: nobody ever sees anything but the truth.

``MOORAGE_ADOPTION_SEED`` repeats a run, and ``MOORAGE_ADOPTION_STEPS`` makes it longer.
"""

import os
import random

import pytest

from contract.metadata.stores import OpenSql, layout_opener, postgres_opener, quick_folder, sqlite_opener
from property.adoption.simulation import Simulation
from support.postgres import Postgres


def seed_of_run() -> int:
    """The one that was asked for, or a new one."""
    return int(os.environ.get("MOORAGE_ADOPTION_SEED") or random.SystemRandom().getrandbits(32))


async def run(opener: OpenSql, seed: int, *, rounds: int, steps: int, kind: str = "layout-inmemory") -> None:
    print(f"MOORAGE_ADOPTION_SEED={seed}")  # noqa: T201 - shown if it fails
    steps = int(os.environ.get("MOORAGE_ADOPTION_STEPS") or steps)
    for number in range(rounds):
        with quick_folder() as folder:
            async with layout_opener(kind, folder / "links")() as links, opener() as first, opener() as second:
                world = Simulation(seed + number, links, (first, second))
                await world.begin(pushes=4)
                for _ in range(steps):
                    await world.step()
                await world.finish()


@pytest.mark.parametrize("number", range(30))
async def test_two_nodes_that_die_adopt_link_files_and_show_only_the_truth(number: int) -> None:
    with quick_folder() as folder:
        await run(sqlite_opener(folder), seed_of_run() + number, rounds=1, steps=25)


async def test_it_is_so_with_postgresql(postgres: Postgres) -> None:
    await run(postgres_opener(postgres), seed_of_run(), rounds=1, steps=60)
