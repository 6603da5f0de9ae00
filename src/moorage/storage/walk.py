"""Walks over storage that are the same for every backend."""

from collections.abc import AsyncIterator, Sequence

from moorage.errors import PathUnknown
from moorage.oci.digests import Digest, digest_or_none
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import FolderEntry, StorageDriver
from moorage.storage.file_storage import keeps_files

PAGE = 10_000
"""Names of a folder that are held together."""
MOST_HELD = 1 << 16
"""Names of a file system's folder that are held together, if it is a large one: about 10 MiB."""
GROWTH = 4
"""Times as many as before are read at once of such a folder, because each time the whole of it is gone through.

With that, a folder of a million names is gone through about 20 times; by a thousand at a time, it would be 1,000 times.
"""

Place = tuple[str, ...]
"""Parts of a path below ``blobs``, as a place in a walk over the blobs: their order is that of the walk."""


async def pages_of(
    storage: StorageDriver, folder: str, *, after: str = "", page: int | None = None
) -> AsyncIterator[Sequence[FolderEntry]]:
    """Yield what is in a folder and comes after a name, in order, page by page; nothing if it is not there.

    *page*: how many names at a time; None: :data:`PAGE`. A file system is asked for more and more at once.
    """
    limit = PAGE if page is None else page
    asked = limit
    while True:
        try:
            entries = await storage.list(folder, after=after, limit=asked)
        except PathUnknown:
            return  # It was never there, or it went while we were on our way.
        for start in range(0, max(1, len(entries)), limit):
            yield entries[start : start + limit]
        if len(entries) < asked:
            return
        after = entries[-1].name
        if keeps_files(storage):
            asked = max(asked, min(GROWTH * asked, MOST_HELD))


async def entries_of(storage: StorageDriver, folder: str) -> AsyncIterator[FolderEntry]:
    """Yield what is in a folder, one by one, with no more than a page in memory; nothing if it is not there."""
    async for entries in pages_of(storage, folder):
        for entry in entries:
            yield entry


async def lies_at(storage: StorageDriver, path: str) -> bool:
    """Return whether something has the name of an object that is not there, or of a folder above it.

    On a file system that is a symbolic link that leads nowhere, a pipe, a socket, or a file in place of a folder.
    """
    while keeps_files(storage) and path.count("/") > 1:
        folder, _, name = path.rpartition("/")
        try:
            return any(entry.name == name for entry in await storage.list(folder))
        except PathUnknown:
            path = folder
    return False


def place_of(digest: Digest) -> Place:
    """Return the place of a digest in a walk."""
    return digest.algorithm, digest.encoded[:2], digest.encoded


def digest_at(place: Place) -> Digest | None:
    """Return the digest whose place it is; None if it is the place of none."""
    digest = digest_or_none(f"{place[0]}:{place[-1]}")
    return digest if digest is not None and place_of(digest) == place else None


def path_at(place: Place) -> str:
    """Return the storage path of a place."""
    return "/".join((paths.BLOBS, *place))


async def blob_folders(storage: StorageDriver) -> AsyncIterator[Place]:
    """Yield the places of the folders named by an algorithm and the first digits of digests: these share all evenly."""
    async for algorithm in entries_of(storage, paths.BLOBS):
        if algorithm.is_folder:
            async for start in entries_of(storage, path_at((algorithm.name,))):
                if start.is_folder:
                    yield algorithm.name, start.name


async def repository_folders(storage: StorageDriver, *, after: str = "") -> AsyncIterator[RepositoryName]:
    """Every folder that is or could be a repository, in the byte order of the names, those after *after*.

    A folder that only holds others (``group`` of ``group/app``) is among them: what is in it tells.
    """
    async for folder in _walk(storage, "", after):
        yield RepositoryName(folder)


async def folders_from(storage: StorageDriver, name: RepositoryName) -> AsyncIterator[RepositoryName]:
    """*name*, whether or not it is there, and every folder below it that is or could be a repository, in order."""
    yield name
    async for folder in _walk(storage, name.text, ""):
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
