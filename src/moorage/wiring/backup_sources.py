"""Backends, as backups see them: connections to PostgreSQL past any pool, and digests as columns keep them."""

import dataclasses
from datetime import timedelta
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.metadata.sql.digest_keys import digest_of as digest_of
from moorage.sql.database_place import PostgresSettings
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.filesystem.opening import open_file

if TYPE_CHECKING:
    import asyncpg

_LONG = timedelta(days=2)
"""One statement copies a whole table."""


async def postgres_connection(settings: PostgresSettings) -> "asyncpg.Connection":
    """Connect to the server of *settings*, at ``database.primary`` if that is named.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    from moorage.sql.postgres.postgres_connect import Connector  # noqa: PLC0415 - a use of SQLite need not wait for it

    return await Connector(dataclasses.replace(settings.of_primary(), statement_deadline=_LONG)).connect()


def folder_as_storage(root: Path) -> StorageDriver:
    """Return a folder of this machine as storage."""
    return FilesystemDriver(root)


def open_at_once(path: Path) -> FileIO:
    """Open what is at *path*, and do not wait for whoever might write into a pipe there."""
    return open_file(str(path))
