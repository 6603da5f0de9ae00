"""Both databases as they are at one moment, so that the paths of projects are those that their images have.

Each is read as it is when it is opened. Between the two somebody may rename a group, or make one and push to it: then
the images of the one copy are at a path that belongs to nobody in the other, and whoever takes that path after a
restore has them. So both are opened before anything is copied, and the paths looked at once more afterwards. See
ADR 0188.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from moorage.backup.backup_folder import BackupRefused
from moorage.backup.postgres_copies import PostgresSnapshot, postgres_snapshot
from moorage.backup.sqlite_copies import SqliteSnapshot, sqlite_snapshot
from moorage.sql.database_place import DatabasePlace, PostgresSettings

Snapshot = SqliteSnapshot | PostgresSnapshot
"""One moment of a database."""

_TRIES = 20
_PAUSE_S = 0.2
_PATHS = "SELECT path FROM namespaces_takenpath ORDER BY path"
"""Every path that a group or a project has, also one that it is about to have: as long as these stay, owners do."""


@contextlib.asynccontextmanager
async def one_moment(
    control: DatabasePlace | None, registry: DatabasePlace | None
) -> AsyncIterator[tuple[Snapshot | None, Snapshot | None]]:
    """Open the control plane's and the registry's database, each of which may be missing, until the block ends.

    Raises:
        BackupRefused: one cannot be read, or paths change all the time.
        DatabaseUnavailable: one cannot be reached.
    """
    for _ in range(_TRIES):
        async with AsyncExitStack() as stack:
            # The control plane comes first: a move that it had begun by then is gone on with after a restore.
            of_control = await _entered(stack, control)
            of_registry = await _entered(stack, registry)
            if control is None or of_control is None or of_registry is None or await _same_paths(control, of_control):
                yield of_control, of_registry
                return
        await asyncio.sleep(_PAUSE_S)
    msg = "groups and projects change all the time: no moment was found for both databases; give the command again"
    raise BackupRefused(msg)


async def _entered(stack: AsyncExitStack, place: DatabasePlace | None) -> Snapshot | None:
    if place is None:
        return None
    if isinstance(place, PostgresSettings):
        return await stack.enter_async_context(postgres_snapshot(place))
    return stack.enter_context(sqlite_snapshot(place))


async def _same_paths(place: DatabasePlace, then: Snapshot) -> bool:
    """Return whether the paths are by now those of a snapshot."""
    async with AsyncExitStack() as stack:
        now = await _entered(stack, place)
        return now is None or await now.sum_of(_PATHS) == await then.sum_of(_PATHS)
