"""The metadata store that a start has chosen, opened."""

from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cache.shared_changes import SharedChanges
from moorage.config import Config
from moorage.errors import DatabaseUnavailable
from moorage.metadata.sql.database_name import name_of
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.base import StorageDriver
from moorage.wiring.opened_metadata import Metadata
from moorage.wiring.stores import DatabaseStore, LayoutStore, Store

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis


async def open_metadata(
    config: Config,
    store: Store,
    storage: StorageDriver,
    changes: SharedChanges | None = None,
    *,
    redis: "GuardedRedis | None" = None,
) -> Metadata:
    """Open the store; a PostgreSQL server need not be there yet.

    *changes*: shared by the processes of the node, so that what one takes away no other one remembers.
    *redis*: where all nodes remember, if the configuration wants it.

    Raises:
        DatabaseUnavailable: the SQLite file cannot be used, or is not the one that the start has found.
    """
    match store:
        case LayoutStore(must_claim=must_claim):
            from moorage.wiring.layout_metadata import layout_metadata  # noqa: PLC0415 - who has a database need not wait for it

            return layout_metadata(config, storage, changes, redis=redis, must_claim=must_claim)
        case DatabaseStore(place=Path() as path, identity=identity, wishes=wishes):
            from moorage.wiring.sql_metadata import sql_metadata  # noqa: PLC0415 - who has link files need not wait for it

            return sql_metadata(await _opened(path, identity), config, storage, wishes)
        case DatabaseStore(wishes=wishes):
            from moorage.wiring.postgres import open_postgres  # noqa: PLC0415 - a start on SQLite need not wait for it
            from moorage.wiring.sql_metadata import sql_metadata  # noqa: PLC0415 - as above

            return sql_metadata(await open_postgres(config), config, storage, wishes)


async def _opened(path: Path, identity: str) -> SqliteDatabase:
    """Open the file that the start has found. A worker that begins later may find none, or another one in its place."""
    if _is_empty(path):
        msg = f"{path} is empty, and was not at the start: bring back what was there"
        raise DatabaseUnavailable(msg)
    database = await SqliteDatabase.open(path, keeps_reserve=True)
    if identity and await name_of(database) != identity:
        await database.close()
        msg = f"{path} is another database than at the start: bring that back, or restart the registry with this one"
        raise DatabaseUnavailable(msg)
    return database


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:  # To open it says more.
        return False
