"""Link files of a registry without a database, as lines of one file.

A tag is read first and the manifest that it names afterwards, and written the other way round: a push that comes in
between brings a manifest without its tag, and never a tag without its manifest. A tag whose manifest somebody has
deleted in between is left out, as he has deleted it too. Layers' links come last: what a manifest names is linked
before the manifest is.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from moorage.backup.backup_folder import BackupBlob, BackupRefused
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.integrity.walking import Stored, UnreadablePlace, stored_blobs
from moorage.oci.digests import digest_or_none
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.remote.remote_driver import each
from moorage.storage.walk import entries_of, pages_of, repository_folders

_NAME_OF_LINK = "link"
_AT_ONCE = 16
_CHUNK = 256
"""Tags, manifests or blobs whose links are held before they are written."""

_Link = tuple[str, bytes]
"""A path in storage, and what is there."""


class LinkFilesOut:
    """Copies link files from storage into one file."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage
        # A file is read at once. Of objects each is a request, and the time goes into waiting for its answer.
        self._at_once = 1 if keeps_files(storage) else _AT_ONCE
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
        await self._each_in(paths.tags(name), partial(self._tag, name), out)
        for folder in (paths.revisions(name), paths.subjects(name)):
            await self._each_digest(folder, out)
        self._write(await self._one(paths.kept(name)), out)
        await self._each_digest(paths.layers(name), out)

    async def _each_digest(self, folder: str, out: TextIOWrapper) -> None:
        async for entry in entries_of(self._storage, folder):
            await self._each_in(f"{folder}/{entry.name}", self._all_below, out)

    async def _each_in(
        self, folder: str, read: Callable[[str], Awaitable[Sequence[_Link]]], out: TextIOWrapper
    ) -> None:
        """Write in their order the links that *read* finds in each folder there, of some at a time."""
        async for entries in pages_of(self._storage, folder):
            for start in range(0, len(entries), _CHUNK):
                found = [f"{folder}/{entry.name}" for entry in entries[start : start + _CHUNK] if entry.is_folder]
                for links in await each(found, read, at_once=self._at_once):
                    self._write(links, out)

    async def _tag(self, name: RepositoryName, folder: str) -> Sequence[_Link]:
        (current,) = await self._one(f"{folder}/current/{_NAME_OF_LINK}") or (None,)
        if current is None:
            return ()  # Deleted, or a folder that is left of one.
        digest = digest_or_none(current[1].decode("ascii", "replace").strip())
        revision = () if digest is None else await self._one(paths.revision_link(name, digest))
        if digest is None or not revision:
            return ()
        kind = await self._one(paths.content_type(name, digest))
        return [*revision, *kind, current, *await self._all_below(f"{folder}/index")]

    async def _all_below(self, folder: str) -> Sequence[_Link]:
        return [link async for path in _files_below(self._storage, folder) for link in await self._one(path)]

    async def _one(self, path: str) -> Sequence[_Link]:
        try:
            return ((path, await self._storage.get(path)),)
        except PathUnknown:
            return ()

    def _write(self, links: Sequence[_Link], out: TextIOWrapper) -> None:
        self.count += len(links)
        out.writelines(json.dumps([path, content.decode("latin-1")]) + "\n" for path, content in links)


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
