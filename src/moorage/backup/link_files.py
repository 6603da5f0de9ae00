"""Link files of a registry without a database, as lines of one file.

Others push and delete meanwhile, and there is no moment to hold on to. So what points is read before what it points to,
which is linked before it: tags, then manifests, then layers. What comes in between is a manifest without its tag, and
never a tag without its manifest or a manifest without its layers.

What may be missed in that order is looked for again. A tag whose manifest is not there may have been moved, or a
deletion is about to give the manifest back. An index that has come after what it lists would have been read is a reason
to read all manifests' names once more, until none has come.
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
_LOOKS = 20
"""Times that new manifests are looked for; each is shorter than the one before, so two or three are enough."""

_Link = tuple[str, bytes]
"""A path in storage, and what is there."""
_Read = Callable[[str], Awaitable[Sequence[_Link]]]
"""Reads the links in a folder."""


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
        without_manifest: list[str] = []
        read = partial(self._tag, name, without_manifest)
        await self._each_in(paths.tags(name), read, out)
        known: set[str] = set()
        await self._manifests(name, known, out)
        if without_manifest and await self._some(without_manifest.copy(), read, out):
            await self._manifests(name, known, out)
        await self._each_digest(paths.subjects(name), self._all_below, out)
        self._write(await self._one(paths.kept(name)), out)
        await self._each_digest(paths.layers(name), self._all_below, out)

    async def _manifests(self, name: RepositoryName, known: set[str], out: TextIOWrapper) -> None:
        """Write what is there of manifests, but of those that are *known*, until there is no other one."""
        read = partial(self._revision, known)
        for _ in range(_LOOKS):
            if not await self._each_digest(paths.revisions(name), read, out):
                return

    async def _each_digest(self, folder: str, read: _Read, out: TextIOWrapper) -> int:
        entries = entries_of(self._storage, folder)
        return sum([await self._each_in(f"{folder}/{entry.name}", read, out) async for entry in entries])

    async def _each_in(self, folder: str, read: _Read, out: TextIOWrapper) -> int:
        """Write in their order the links that *read* finds in each folder there; return how many."""
        count = 0
        async for entries in pages_of(self._storage, folder):
            count += await self._some([f"{folder}/{entry.name}" for entry in entries if entry.is_folder], read, out)
        return count

    async def _some(self, folders: Sequence[str], read: _Read, out: TextIOWrapper) -> int:
        before = self.count
        for start in range(0, len(folders), _CHUNK):
            for links in await each(folders[start : start + _CHUNK], read, at_once=self._at_once):
                self._write(links, out)
        return self.count - before

    async def _revision(self, known: set[str], folder: str) -> Sequence[_Link]:
        digest = folder.rpartition("/")[2]
        if digest in known:
            return ()
        links = await self._all_below(folder)
        if not any(path == f"{folder}/{_NAME_OF_LINK}" for path, _ in links):
            return ()  # Deleted, or not whole yet: then it is looked at again.
        known.add(digest)
        return links

    async def _tag(self, name: RepositoryName, without_manifest: list[str], folder: str) -> Sequence[_Link]:
        before: Sequence[_Link] = ()
        for _ in range(_LOOKS):
            current = await self._one(f"{folder}/current/{_NAME_OF_LINK}")
            if not current:
                return ()  # Deleted, or a folder that is left of one.
            digest = digest_or_none(current[0][1].decode("ascii", "replace").strip())
            revision = () if digest is None else await self._one(paths.revision_link(name, digest))
            if digest is not None and revision:
                kind = await self._one(paths.content_type(name, digest))
                return [*revision, *kind, *current, *await self._all_below(f"{folder}/index")]
            if current == before:  # Else it was moved, and what it pointed to was deleted.
                break
            before = current
        without_manifest.append(folder)
        return ()

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
