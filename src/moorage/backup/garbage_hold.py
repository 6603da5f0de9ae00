"""Holds garbage collection for as long as a backup copies: what the backup lists stays until it has it.

The lease is written first and claims are looked for afterwards; a collector claims first and looks for the lease
afterwards, before it removes anything. So of the two at least one sees the other, and waits. A backup that is killed
leaves its lease, which ends by itself some minutes later.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from moorage.backup.backup_folder import BackupRefused
from moorage.errors import BackendError
from moorage.sql import clock
from moorage.sql.base import Database, NamedQuery
from moorage.sql.database_place import DatabasePlace
from moorage.storage.base import StorageDriver
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.wiring.databases import opened_database

_TEXT = "SELECT 1 FROM gc_blob_review_queue WHERE claimed_until > $1 LIMIT 1"
_CLAIMS = NamedQuery("claims_under_way", _TEXT, _TEXT)
_PAUSE_S = 0.2
CLAIMS_DEADLINE = timedelta(minutes=10)
"""A claim lasts a minute, and longer only while storage is slow."""


@contextlib.asynccontextmanager
async def garbage_held(storage: StorageDriver) -> AsyncIterator[Announcement]:
    """Keep everything in storage until the block ends; ``check`` of what is given says if that still holds.

    Raises:
        BackupRefused: garbage is being collected offline.
        StorageFull, StorageUnavailable: storage cannot be told.
    """
    lease = await announce(storage, Activity.BACKING_UP)
    try:
        collectors = await others_at_work(storage, Activity.COLLECTING)
        if collectors:
            msg = f"garbage is being collected offline by {', '.join(map(str, collectors))}; begin when it has ended"
            raise BackupRefused(msg)
        yield lease
    finally:
        with contextlib.suppress(BackendError):
            await lease.close()


async def claims_ended(place: DatabasePlace) -> None:
    """Wait until no collector that began before us removes anything.

    Raises:
        BackupRefused: one goes on and on.
        DatabaseUnavailable: the database does not answer.
    """
    async with opened_database(place, directly=True) as database:
        try:
            async with asyncio.timeout(CLAIMS_DEADLINE.total_seconds()):
                while await _is_claimed(database):  # noqa: ASYNC110 - another process ends it
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError as exc:
            msg = "garbage collection has not let go of what it removes; moorage gc status shows how it stands"
            raise BackupRefused(msg) from exc


async def _is_claimed(database: Database) -> bool:
    return await database.first(_CLAIMS, await clock.now(database)) is not None
