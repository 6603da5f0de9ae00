"""Walks over storage that are the same for every backend."""

from collections.abc import AsyncIterator

from moorage.errors import PathUnknown
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver


async def repository_folders(storage: StorageDriver, *, after: str = "") -> AsyncIterator[RepositoryName]:
    """Every folder that is or could be a repository, in the byte order of the names, those after *after*.

    A folder that only holds others (``group`` of ``group/app``) is among them: what is in it tells.
    """
    async for folder in _walk(storage, "", after):
        yield RepositoryName(folder)


async def _walk(storage: StorageDriver, folder: str, after: str) -> AsyncIterator[str]:
    prefix = f"{folder}/" if folder else ""
    try:
        entries = await storage.list(f"{paths.REPOSITORIES}/{folder}" if folder else paths.REPOSITORIES)
    except PathUnknown:
        return
    names = [entry.name for entry in entries if entry.is_folder and not entry.name.startswith("_")]
    # A folder stands in the order twice, for itself and, with its slash, for what is below it: a, a-b, a/b.
    for key in sorted([*names, *(f"{name}/" for name in names)]):
        path = prefix + key
        if not key.endswith("/"):
            if path > after:
                yield path
        elif path > after or after.startswith(path):
            async for below in _walk(storage, path[:-1], after):
                yield below
