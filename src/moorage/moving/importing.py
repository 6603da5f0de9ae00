"""An import of link files into a database, in GitLab's three steps.

The first takes over blobs and manifests, and may run while the registry is in use; the second takes what is missing
and all tags, while nobody writes; the third looks for bytes that nothing refers to, so that garbage collection sees
them. Whatever ends a step, the same command finishes it: ``docs/adr/0096-*.md``.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from moorage.errors import DatabaseUnavailable, MoorageError, PathUnknown
from moorage.integrity.references import References
from moorage.integrity.walking import Stored, share_of, stored_blobs
from moorage.metadata.import_records import ImportPhase, ImportRecords
from moorage.metadata.imports import ImportStore
from moorage.moving.adoption_note import AdoptionNote
from moorage.moving.alone import keep_others_away
from moorage.moving.import_note import ImportNote
from moorage.moving.import_recording import ImportRecording
from moorage.moving.outcome import LeftOutKind, Teller
from moorage.moving.repository_import import MANIFESTS, NAME_REASON, TAGS, RepositoryImport, can_be_taken
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver, clock
from moorage.storage.json_notes import forget_note
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.storage.restore_note import RestoreNote
from moorage.storage.walk import lies_at, repository_folders

REPOSITORIES = "repositories"
BLOBS = "blobs"

_BATCH = 500
_NOTE_EVERY_S = 2.0
_PATIENCE_S = 60.0
"""Source: GitLab features IMP-016."""
_PAUSE_S = 1.0


class Step(Enum):
    """The steps of an import, by GitLab's names."""

    PRE_IMPORT = "pre-import"
    ALL_REPOSITORIES = "all-repositories"
    COMMON_BLOBS = "common-blobs"


ALL_STEPS: Sequence[Step] = (Step.ALL_REPOSITORIES, Step.COMMON_BLOBS)
"""A full import: the second step does what the first one does, if that was not done before."""


_PHASES: Mapping[Step, ImportPhase] = {
    Step.PRE_IMPORT: ImportPhase.PRE_IMPORT,
    Step.ALL_REPOSITORIES: ImportPhase.TAG_IMPORT,
    Step.COMMON_BLOBS: ImportPhase.BLOB_IMPORT,
}


class ImportRefused(MoorageError):
    """An import that would mix two registries or lose something. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The wishes for an import."""

    steps: Sequence[Step] = ALL_STEPS
    dry_run: bool = False
    skip_recent: timedelta = timedelta(hours=72)
    """A pre-import that was ended goes on where it was, if it began less than this ago."""
    database: str = ""
    """The name of the database."""
    is_recorded: bool = True
    storage_driver: str = ""
    """The name of the driver, for the record of this run."""


class Import:
    """One run."""

    def __init__(
        self,
        storage: StorageDriver,
        database: ImportStore,
        options: ImportOptions,
        teller: Teller,
        *,
        records: ImportRecords | None = None,
    ) -> None:
        """*records*: the place where this run is noted, unless it is dry or *options* say otherwise."""
        self._storage = storage
        self._database = database
        self._options = options
        self._teller = teller
        self._outcome = teller.outcome
        written = records if options.is_recorded and not options.dry_run else None
        self._recording = ImportRecording(written, teller, options.storage_driver)
        self._note = ImportNote(database=options.database)
        self._goes_on = False
        self._check = _unannounced

    async def run(self) -> None:
        """Do the steps that are wished for.

        Raises:
            ImportRefused: it would not be safe.
            BackendError: storage or the database failed; what was done until then is kept.
        """
        async with contextlib.AsyncExitStack() as stack:
            if not self._options.dry_run:
                self._check = await keep_others_away(stack, self._storage, refused=ImportRefused)
            await self._run()

    async def _run(self) -> None:
        noted = await ImportNote.read(self._storage)
        if noted is not None and noted.database == self._options.database:
            self._note, self._goes_on = noted, True
        await self._refuse()
        async with self._recording.whole():
            for step in self._options.steps:
                async with self._recording.phases(*self._phases_of(step)):
                    await self._step(step)

    async def _step(self, step: Step) -> None:
        if step is Step.PRE_IMPORT:
            await self._pre_import()
        elif step is Step.ALL_REPOSITORIES:
            await self._all_repositories()
        else:
            await self._common_blobs()

    def _phases_of(self, step: Step) -> Sequence[ImportPhase]:
        """Return what GitLab calls the work of a step: of a full import, one pass is its first two phases."""
        if step is Step.ALL_REPOSITORIES and self._options.steps == ALL_STEPS:
            return (ImportPhase.PRE_IMPORT, ImportPhase.TAG_IMPORT)
        return (_PHASES[step],)

    async def _refuse(self) -> None:
        """Refuse what GitLab refuses, in its words where scripts look for them."""
        restore = await RestoreNote.read(self._storage)
        if restore is not None:
            raise ImportRefused(restore.said)
        if await AdoptionNote.read(self._storage) is not None:
            msg = (
                f"{paths.ADOPTION.lstrip('/')} says that a registry is taking over these link files while it serves "
                "them: there is nothing to import; 'moorage database adopt status' says how far it is"
            )
            raise ImportRefused(msg)
        if self._options.steps == (Step.COMMON_BLOBS,):
            return
        found = await locks.read(self._storage)
        # Both locks are there if an import was ended just before its end; without the first one, it was at its end, and
        # the database may have been used since then.
        if found.database and not (found.filesystem and self._note.takes_tags):
            if self._options.dry_run:
                msg = "could not restore lockfiles: database-in-use lockfile exists"
                raise ImportRefused(msg)
            msg = (
                "database-in-use lockfile exists: the images of this storage are in a database already, and its link "
                "files are out of date"
            )
            raise ImportRefused(msg)
        is_all = Step.ALL_REPOSITORIES in self._options.steps
        if is_all and not self._note.takes_tags and await self._database.has_tags():
            msg = (
                "cannot import all repositories while the tags table has entries, you must truncate the table manually "
                "before retrying: this may be a database that is in use; name another one, or one that is empty"
            )
            raise ImportRefused(msg)

    async def _pre_import(self) -> None:
        after = self._note.until_if_recent(self._options.skip_recent)
        if not after:
            self._note = replace(self._note, pre_import_began_at=datetime.now(UTC).isoformat())
        noted_at = clock()
        for name in await self._names(after):
            await self._repository(name, with_tags=False)
            self._note = replace(self._note, pre_imported_until=name.text)
            if clock() - noted_at > _NOTE_EVERY_S:
                await self._write_note()
                noted_at = clock()
        self._note = replace(self._note, pre_import_began_at="", pre_imported_until="")
        await self._write_note()

    async def _all_repositories(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            if not self._options.dry_run:
                ours = await announce(self._storage, Activity.COLLECTING)
                stack.push_async_callback(ours.close)
                await self._refuse_company(ours)
                # From here on the database has some of the images: nobody is to serve it before it has all.
                await self._begin_with_tags()
                self._check = ours.check
            for name in await self._names(""):
                await self._repository(name, with_tags=True)
            if self._goes_on:
                await self._leave_repositories()
            if not self._options.dry_run:
                self._check()
                await identity.write(self._storage, self._options.database)
                await locks.write(self._storage, Lock.DATABASE)
                await locks.remove(self._storage, Lock.FILESYSTEM)
                await forget_note(self._storage, paths.IMPORT)

    async def _refuse_company(self, ours: Announcement) -> None:
        writers = await others_at_work(self._storage, Activity.WRITING)
        others = await others_at_work(self._storage, Activity.COLLECTING, but=ours)
        if writers:
            msg = (
                f"a registry that takes pushes is at work on this storage: {', '.join(map(str, writers))}; for this "
                "step of the import it has to be stopped, or in read-only mode, by "
                "storage.maintenance.readonly.enabled: true; --step-one may run beside it before"
            )
            raise ImportRefused(msg)
        if others:
            msg = f"a garbage collection or another import is at work on this storage: {', '.join(map(str, others))}"
            raise ImportRefused(msg)

    async def _begin_with_tags(self) -> None:
        found = await locks.read(self._storage)
        if not found.database:  # If it is there, an import was ended between its last two steps.
            await locks.write(self._storage, Lock.FILESYSTEM)
        self._note = replace(self._note, takes_tags=True)
        await self._write_note()

    async def _names(self, after: str) -> Sequence[RepositoryName]:
        """Find the repositories, so that somebody can be told how many there are."""
        found: list[RepositoryName] = []
        async for name in repository_folders(self._storage):
            if not await self._storage.exists(paths.manifests(name)) and not await self._storage.exists(
                paths.layers(name)
            ):
                continue
            if not can_be_taken(name):
                self._teller.leave_out(LeftOutKind.NAME, paths.repository(name), NAME_REASON)
            elif name.text <= after:
                self._outcome.skipped_repositories += 1
            else:
                found.append(name)
        for part, total in ((REPOSITORIES, float(len(found))), (MANIFESTS, None), (TAGS, None)):
            self._teller.reports.begins(part, total)
        return found

    async def _repository(self, name: RepositoryName, *, with_tags: bool) -> None:
        """Take over a repository; again, for a minute, if the database fails, as it is all the same."""
        until = clock() + _PATIENCE_S
        before = self._outcome.copy()
        while True:
            self._check()
            try:
                work = RepositoryImport(self._storage, self._database, name, self._teller)
                await work.run(with_tags=with_tags, goes_on=self._goes_on)
                break
            except DatabaseUnavailable:
                if clock() > until:
                    raise
                self._outcome.become(before)
                await asyncio.sleep(_PAUSE_S)
        self._outcome.repositories += 1
        self._teller.reports.advanced(REPOSITORIES)
        self._teller.done(name.text)

    async def _leave_repositories(self) -> None:
        """Take out what an earlier import has found of repositories that are not there any more."""
        after = ""
        while names := await self._database.page_of_repositories(after=after, limit=_BATCH):
            folders = [f"{paths.REPOSITORIES}/{name}" for name in names]
            stats = await self._storage.stat_each(folders, folder=True)
            for name, folder, stat in zip(names, folders, stats, strict=True):
                if stat is None and await lies_at(self._storage, folder):
                    self._teller.leave_out(LeftOutKind.NAME, folder, "what lies there is no folder")
                elif stat is None:
                    await RepositoryImport(self._storage, self._database, RepositoryName(name), self._teller).leave()
            after = names[-1]

    async def _common_blobs(self) -> None:
        """Give bytes that nothing needs to garbage collection; none of them if something could not be taken over.

        What was left out may need them: with a run of this step alone somebody says that it does not.
        """
        reviews = not self._options.dry_run and (
            not self._outcome.left_out.count or self._options.steps == (Step.COMMON_BLOBS,)
        )
        self._teller.reports.begins(BLOBS, 1.0)
        with References() as payloads:
            await self._note_payloads(payloads)
            batch: list[Digest] = []
            try:
                async for found in stored_blobs(self._storage):
                    if not isinstance(found, Stored):
                        continue
                    self._outcome.common_blobs += 1
                    self._outcome.common_blobs_size_bytes += found.stat.size_bytes
                    if not payloads.has(found.digest):
                        batch.append(found.digest)
                    if len(batch) == _BATCH:
                        await self._review(batch, reviews=reviews)
                        batch = []
                        self._teller.reports.moved(BLOBS, share_of(found.place))
            except PathUnknown:
                return
            await self._review(batch, reviews=reviews)
        self._teller.reports.moved(BLOBS, 1.0)

    async def _note_payloads(self, payloads: References) -> None:
        """Note the digests of manifests: link files need their bytes, if ever somebody goes back to them."""
        after = 0
        while rows := await self._database.page_of_digests(after=after, limit=_BATCH):
            for _, digest in rows:
                payloads.add(digest)
            after = rows[-1][0]

    async def _review(self, digests: Sequence[Digest], *, reviews: bool) -> None:
        unneeded = set(digests) - await self._database.needed(digests)
        self._outcome.unneeded_blobs += len(unneeded)
        if unneeded and reviews:
            await self._database.review(unneeded)

    async def _write_note(self) -> None:
        if not self._options.dry_run:
            await self._note.write(self._storage)


def _unannounced() -> None:
    """Do nothing: nobody relies on this run to be alone."""
