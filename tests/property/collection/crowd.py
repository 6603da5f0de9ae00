"""The same clients and collectors without a scheduler: at the same time, in several tasks or processes.

``python -m property.collection.crowd`` is one process of a crowd over SQLite; it works until it is killed.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from contract.metadata.passing import pass_in
from moorage.errors import DatabaseContended
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.reviews import CLAIM
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews, SqlReviewDelay
from moorage.sql.base import Database
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from property.collection.clients import Client, Services
from property.collection.gates import Actor, Scheduler
from property.collection.habits import WEIGHTS, Habits
from property.collection.ledger import Ledger
from property.collection.snapshots import take

DELAY = timedelta(seconds=2)
"""So long that nobody is so slow between expecting a blob and linking it, however busy the machine is."""
_DRAINED_S = 60.0


_ALONE = {what: weight for what, weight in WEIGHTS.items() if what != "delete_manifest"}
"""Of a process that does not see the others' ledgers: who deletes a manifest takes their tags with it."""


async def behave(
    name: str,
    seed: str,
    database: Database,
    storage: StorageDriver,
    *,
    ledger: Ledger,
    weights: Mapping[str, int] = WEIGHTS,
) -> None:
    """Be a client, for ever."""
    actor = Actor(name, random.Random(seed))
    client = Client(actor, ledger, Services.over(database, storage), {}, life=f"/{seed}")
    habits = Habits(client, Scheduler(actor.rng, None), weights)
    while True:
        await habits.act()


async def collect(database: Database, storage: StorageDriver, rng: random.Random) -> None:
    """Be a collector, for ever."""
    blobs = BlobCollector(SqlBlobReviews(database), storage, Deadlines())
    manifests = ManifestCollector(SqlManifestReviews(database), Deadlines())
    while True:
        with contextlib.suppress(DatabaseContended):
            await blobs.round(limit=rng.randint(1, 5))
            await manifests.round(limit=rng.randint(1, 5))
        await asyncio.sleep(rng.uniform(0, 0.02))


async def afterwards(database: Database, storage: StorageDriver) -> Sequence[str]:
    """Collect the rest; what is wrong then. Everybody else has ended."""
    faults = list((await take(database, storage)).faults(()))
    await SqlReviewDelay(database).set(timedelta(0))
    blobs, manifests = SqlBlobReviews(database), SqlManifestReviews(database)
    await Services.over(database, storage).purge()
    await pass_in(database, CLAIM)  # Claims of those that were killed end after so long, and nobody else is there.
    async with asyncio.timeout(_DRAINED_S):
        while [await blobs.next_at(), await manifests.next_at()] != [None, None]:
            await BlobCollector(blobs, storage, Deadlines()).round()
            await ManifestCollector(manifests, Deadlines()).round()
            await asyncio.sleep(0.02)
    now = await take(database, storage)
    return [*faults, *now.faults(()), *now.leftovers(())]


async def main(folder: Path, kind: str, seed: str) -> None:
    """Be one process of a crowd over SQLite."""
    database = await SqliteDatabase.open(folder / "moorage.db")
    storage = FilesystemDriver(folder / "blobs", fsync=False)
    if kind == "collector":
        await collect(database, storage, random.Random(seed))
    await behave(kind, seed, database, storage, ledger=Ledger(delay_s=0), weights=_ALONE)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
