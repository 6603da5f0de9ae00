"""An export of a database into link files, so that a registry without a database serves the same.

What a database has is written, and what it does not have any more is removed; what is right already is left alone. So
it may be ended at any moment and done again, and while the registry goes on serving it can be brought up to date:
``docs/adr/0097-*.md``.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from moorage.errors import MoorageError
from moorage.metadata.exports import ExportStore
from moorage.moving.adoption_note import AdoptionNote
from moorage.moving.alone import keep_others_away
from moorage.moving.link_writing import LinkWriter
from moorage.moving.outcome import Teller
from moorage.moving.repository_export import TAGS, RepositoryExport
from moorage.oci.names import RepositoryName
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, announce, others_at_work
from moorage.storage.restore_note import RestoreNote
from moorage.storage.walk import repository_folders

REPOSITORIES = "repositories"

_BATCH = 500


class ExportRefused(MoorageError):
    """An export that would overwrite something. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The wishes for an export."""

    dry_run: bool = False
    verifies: bool = False
    """True if everything is compared once more at the end."""
    switches: bool = False
    """True if storage is to say at the end that its images are in link files."""
    database: str = ""
    """The name of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The result of an export."""

    writer: LinkWriter
    verified: LinkWriter | None = None
    """The differences that were left; None: nobody looked."""
    is_switched: bool = False


class Export:
    """One run."""

    def __init__(self, storage: StorageDriver, database: ExportStore, options: ExportOptions, teller: Teller) -> None:
        self._storage = storage
        self._database = database
        self._options = options
        self._teller = teller
        self._check: Callable[[], None] = lambda: None

    async def run(self) -> Exported:
        """Export, and do what else is wished for.

        Raises:
            ExportRefused: it would not be safe.
            BackendError: storage or the database failed; what was done until then is kept.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not self._options.dry_run:
                self._check = await keep_others_away(stack, self._storage, refused=ExportRefused)
            await self._refuse()
            if self._options.switches and not self._options.dry_run:
                ours = await announce(self._storage, Activity.COLLECTING)
                stack.push_async_callback(ours.close)
                await self._refuse_writers()
            writer = await self._pass(changes=not self._options.dry_run)
            if keeps_files(self._storage) and writer.counts.written and not self._options.dry_run:
                await asyncio.to_thread(os.sync)
            verified = await self._pass(changes=False) if self._options.verifies else None
            is_switched = self._options.switches and not self._options.dry_run
            is_switched = is_switched and not (verified is not None and verified.counts.changes)
            if is_switched:
                ours.check()
                await locks.write(self._storage, Lock.FILESYSTEM)
                await locks.remove(self._storage, Lock.DATABASE)
        return Exported(writer=writer, verified=verified, is_switched=is_switched)

    async def _refuse(self) -> None:
        """Refuse a database that is not that of the storage: the link files of others would be removed."""
        restore = await RestoreNote.read(self._storage)
        if restore is not None:
            raise ExportRefused(restore.said)
        if await AdoptionNote.read(self._storage) is not None:
            msg = (
                f"{paths.ADOPTION.lstrip('/')} says that the database is still taking over these link files: an export "
                "would remove those that it has not; 'moorage database adopt status' says how far it is"
            )
            raise ExportRefused(msg)
        found, noted = await locks.read(self._storage), await identity.read(self._storage)
        if found.filesystem and not found.database:
            msg = "storage says that its images are in link files already: they are newer than the database"
            raise ExportRefused(msg)
        if noted != identity.content_of(self._options.database):
            msg = (
                f"{paths.IDENTITY.lstrip('/')} does not say that the storage belongs to this database; start a "
                "registry with both once, or name the right folder and the right database"
            )
            raise ExportRefused(msg)

    async def _refuse_writers(self) -> None:
        writers = await others_at_work(self._storage, Activity.WRITING)
        if writers:
            msg = (
                f"a registry that takes pushes is at work on this storage: {', '.join(map(str, writers))}; before the "
                "switch it has to be stopped, or in read-only mode; without --switch an export may run beside it"
            )
            raise ExportRefused(msg)

    async def _pass(self, *, changes: bool) -> LinkWriter:
        writer = LinkWriter(self._storage, changes=changes)
        for part in (REPOSITORIES, TAGS):
            self._teller.reports.begins(part if changes else f"{part}, compared", None)
        async for name in self._names():
            self._check()
            await RepositoryExport(self._storage, self._database, name, self._teller).run(writer)
            writer.counts.repositories += 1
            self._teller.reports.advanced(REPOSITORIES)
            self._teller.done(name.text)
        await self._remove_repositories(writer)
        return writer

    async def _names(self) -> AsyncIterator[RepositoryName]:
        after = ""
        while found := await self._database.page_of_repositories(after=after, limit=_BATCH):
            for text in found:
                yield RepositoryName(text)
            after = found[-1]

    async def _remove_repositories(self, writer: LinkWriter) -> None:
        """Remove what link files say of repositories that the database does not have, or has under another name."""
        batch: list[RepositoryName] = []
        async for name in repository_folders(self._storage):
            batch.append(name)
            if len(batch) == _BATCH:
                await self._remove_unknown(writer, batch)
                batch = []
        await self._remove_unknown(writer, batch)

    async def _remove_unknown(self, writer: LinkWriter, names: Sequence[RepositoryName]) -> None:
        self._check()
        known = await self._database.are_repositories([name.text for name in names])
        unknown = [name for name in names if name.text not in known]
        folders = [folder(name) for name in unknown for folder in (paths.manifests, paths.layers)]
        stats = await self._storage.stat_each(folders, folder=True)
        await writer.remove([folder for folder, stat in zip(folders, stats, strict=True) if stat is not None])
