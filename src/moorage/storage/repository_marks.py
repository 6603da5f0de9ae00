"""Repositories that stay when nothing is in them any more."""

import contextlib

from moorage.errors import StorageFull
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import keeps_files


async def keep_repository(storage: StorageDriver, name: RepositoryName) -> None:
    """Let a repository be there when its last manifest has gone: on a file system its empty folder does that.

    An object store has no empty folders, so an object that nobody else reads lies there instead. Where there is no
    room left for it the repository goes with its last manifest: what makes room must not need any.

    Raises:
        StorageUnavailable: it cannot be written.
    """
    if not keeps_files(storage):
        with contextlib.suppress(StorageFull):
            await storage.put_if_absent(paths.kept(name), b"")
