"""Link files of a registry without a database, as lines of one file.

A tag is read first and the manifest that it names afterwards, and written the other way round: a push that comes in
between brings a manifest without its tag, and never a tag without its manifest. A tag whose manifest somebody has
deleted in between is left out, as he has deleted it too. Layers' links come last: what a manifest names is linked
before the manifest is.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from io import TextIOWrapper
from pathlib import Path

from moorage.backup.backup_folder import BackupBlob, BackupRefused
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.integrity.walking import Stored, UnreadablePlace, stored_blobs
from moorage.oci.digests import digest_or_none
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.walk import entries_of, repository_folders

_NAME_OF_LINK = "link"


class LinkFilesOut:
    """Copies link files from storage into one file."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage
        self.count = 0

    async def copy(self, target: Path) -> None:
        """Write the link files of all repositories.

        Raises:
            OSError: the file cannot be written.
            StorageUnavailable: a link file cannot be read.
        """
        with target.open("x", encoding="ascii") as out:
            async for name in repository_folders(self._storage):
                await self._repository(name, out)

    async def _repository(self, name: RepositoryName, out: TextIOWrapper) -> None:
        tags = f"{paths.manifests(name)}/tags"
        async for entry in entries_of(self._storage, tags):
            await self._tag(name, f"{tags}/{entry.name}", out)
        for folder in (paths.revisions(name), paths.subjects(name)):
            await self._all_below(folder, out)
        await self._one(paths.kept(name), out)
        await self._all_below(paths.layers(name), out)

    async def _tag(self, name: RepositoryName, folder: str, out: TextIOWrapper) -> None:
        try:
            content = await self._storage.get(f"{folder}/current/{_NAME_OF_LINK}")
        except PathUnknown:
            return  # Deleted, or a folder that is left of one.
        digest = digest_or_none(content.decode("ascii", "replace").strip())
        if digest is None or not await self._one(paths.revision_link(name, digest), out):
            return
        await self._one(paths.content_type(name, digest), out)
        self._write(f"{folder}/current/{_NAME_OF_LINK}", content, out)
        await self._all_below(f"{folder}/index", out)

    async def _all_below(self, folder: str, out: TextIOWrapper) -> None:
        async for path in _files_below(self._storage, folder):
            await self._one(path, out)

    async def _one(self, path: str, out: TextIOWrapper) -> bool:
        try:
            content = await self._storage.get(path)
        except PathUnknown:
            return False
        self._write(path, content, out)
        return True

    def _write(self, path: str, content: bytes, out: TextIOWrapper) -> None:
        self.count += 1
        out.write(json.dumps([path, content.decode("latin-1")]) + "\n")


def link_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield paths in storage and contents from such a file, in its order.

    Raises:
        BackupRefused: a line is no such thing.
    """
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            try:
                found, content = json.loads(line)
                link = str(found), content.encode("latin-1")
            except (ValueError, TypeError, AttributeError) as exc:
                msg = f"not a line of links.jsonl: {line[:100]!r}"
                raise BackupRefused(msg) from exc
            if not link[0].startswith(f"{paths.REPOSITORIES}/"):
                msg = f"links.jsonl names {link[0][:100]!r}, which is no link file"
                raise BackupRefused(msg)
            yield link


async def blobs_in_storage(storage: StorageDriver) -> AsyncIterator[BackupBlob]:
    """Yield every blob that storage has: whatever a link file names is among them.

    Raises:
        StorageUnavailable: storage does not tell of some of them.
    """
    with contextlib.suppress(PathUnknown):
        async for found in stored_blobs(storage):
            if isinstance(found, Stored):
                yield BackupBlob(found.digest, found.stat.size_bytes)
            elif isinstance(found, UnreadablePlace):
                raise StorageUnavailable(found.reason)


async def _files_below(storage: StorageDriver, folder: str) -> AsyncIterator[str]:
    async for entry in entries_of(storage, folder):
        path = f"{folder}/{entry.name}"
        if entry.is_folder:
            async for below in _files_below(storage, path):
                yield below
        else:
            yield path
