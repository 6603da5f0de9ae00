"""An import of the database of GitLab's own registry: what its tables say, where the bytes are in storage.

Link files have no part in it. Until the end ``filesystem-in-use`` is there, so that no registry starts with a half of
the images; whatever ends it, the same command finishes it.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from moorage.errors import ManifestInvalid
from moorage.metadata.gitlab_tables import GitLabManifest, GitLabRepository, GitLabTables
from moorage.metadata.imports import FoundBlob, FoundManifest, FoundTag, ImportStore
from moorage.moving.adoption_note import AdoptionNote
from moorage.moving.alone import keep_others_away
from moorage.moving.import_note import ImportNote
from moorage.moving.importing import REPOSITORIES, ImportRefused
from moorage.moving.outcome import LeftOutKind, Teller
from moorage.moving.repository_import import MANIFESTS, TAGS
from moorage.moving.stored_manifests import manifest_of
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest
from moorage.oci.names import RepositoryName
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import forget_note
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, announce, others_at_work
from moorage.storage.restore_note import RestoreNote


class GitLabImport:
    """One run."""

    def __init__(
        self, storage: StorageDriver, tables: GitLabTables, database: ImportStore, teller: Teller, *, name: str
    ) -> None:
        """*name*: that of the database which is filled."""
        self._storage = storage
        self._tables = tables
        self._database = database
        self._teller = teller
        self._outcome = teller.outcome
        self._name = name

    async def run(self, *, dry_run: bool) -> None:
        """Take everything over; *dry_run*: only read it, and find what would be left out.

        Raises:
            ImportRefused: it would mix two registries.
            BackendError: storage or the database failed; what was done until then is kept.
        """
        await self._refuse()
        async with contextlib.AsyncExitStack() as stack:
            if not dry_run:
                await keep_others_away(stack, self._storage, refused=ImportRefused)
                ours = await announce(self._storage, Activity.COLLECTING)
                stack.push_async_callback(ours.close)
                await self._refuse_writers()
                await locks.write(self._storage, Lock.FILESYSTEM)
                await ImportNote(database=self._name, takes_tags=True).write(self._storage)
            for part, total in ((REPOSITORIES, float(await self._tables.count())), (MANIFESTS, None), (TAGS, None)):
                self._teller.reports.begins(part, total)
            async for repositories in self._tables.repositories():
                for repository in repositories:
                    await self._repository(repository)
            if not dry_run:
                ours.check()
                await identity.write(self._storage, self._name)
                await locks.write(self._storage, Lock.DATABASE)
                await locks.remove(self._storage, Lock.FILESYSTEM)
                await forget_note(self._storage, paths.IMPORT)

    async def _refuse(self) -> None:
        restore = await RestoreNote.read(self._storage)
        if restore is not None:
            raise ImportRefused(restore.said)
        found, note = await locks.read(self._storage), await ImportNote.read(self._storage)
        goes_on = note is not None and note.database == self._name and note.takes_tags
        if await AdoptionNote.read(self._storage) is not None or (found.filesystem and not goes_on):
            msg = (
                "storage says that its images are in link files: take them over by an import without "
                "--from-gitlab-database"
            )
            raise ImportRefused(msg)
        noted = await identity.read(self._storage)
        if noted is not None and noted != identity.content_of(self._name):
            msg = f"{paths.IDENTITY.lstrip('/')} says that the storage belongs to another database of Moorage"
            raise ImportRefused(msg)
        if not goes_on and await self._database.has_tags():
            msg = "the database that is to be filled has tags already: name one that is empty"
            raise ImportRefused(msg)

    async def _refuse_writers(self) -> None:
        writers = await others_at_work(self._storage, Activity.WRITING)
        if writers:
            msg = f"a registry that takes pushes is at work on this storage: {', '.join(map(str, writers))}; stop it"
            raise ImportRefused(msg)

    async def _repository(self, repository: GitLabRepository) -> None:
        name = repository.name
        if not name.can_be_read:
            self._teller.leave_out(LeftOutKind.NAME, name.text, "no client can ask for a repository of that name")
            return
        await self._database.take_repository(name, is_populated=repository.has_manifests)
        async for blobs in self._tables.blobs(repository):
            there = await self._there(name, [blob.digest for blob in blobs])
            found = [
                FoundBlob(digest=blob.digest, size_bytes=there[blob.digest], linked_at=blob.linked_at)
                for blob in blobs
                if blob.digest in there
            ]
            await self._database.take_blobs(name, found)
            self._outcome.blobs += len(found)
        async for manifests in self._tables.manifests(repository):
            read = await asyncio.to_thread(self._read, name, manifests)
            await self._database.take_manifests(name, read)
            self._outcome.manifests += len(read)
            self._teller.reports.advanced(MANIFESTS, len(manifests))
        await self._tags(repository)
        self._outcome.repositories += 1
        self._teller.reports.advanced(REPOSITORIES)
        self._teller.done(name.text)

    async def _there(self, name: RepositoryName, digests: Sequence[Digest]) -> dict[Digest, int]:
        """The sizes of those whose bytes are in storage."""
        stats = await self._storage.stat_each([paths.blob(digest) for digest in digests])
        gone = [paths.blob(digest) for digest, stat in zip(digests, stats, strict=True) if stat is None]
        self._teller.leave_out_each(LeftOutKind.BLOB, gone, f"the blob's bytes are not in storage, for {name.text}")
        return {digest: stat.size_bytes for digest, stat in zip(digests, stats, strict=True) if stat is not None}

    def _read(self, name: RepositoryName, manifests: Sequence[GitLabManifest]) -> Sequence[FoundManifest]:
        found = []
        for each in manifests:
            place = paths.revision_link(name, each.digest)
            if each.media_type in mediatypes.SCHEMA1:
                reason = "Docker image manifests of schema 1 are not supported"
                self._teller.leave_out(LeftOutKind.SCHEMA1, place, reason)
                continue
            actual = Digest.of(each.payload, each.digest.algorithm)
            try:
                manifest = manifest_of(each.payload, each.media_type)
            except ManifestInvalid as exc:
                self._teller.leave_out(LeftOutKind.MANIFEST_DAMAGED, place, str(exc))
                continue
            if actual != each.digest:
                self._teller.leave_out(LeftOutKind.MANIFEST_DAMAGED, place, f"its bytes are {actual}")
                continue
            stored = StoredManifest(each.digest, each.media_type, each.payload)
            found.append(
                FoundManifest(
                    stored=stored, manifest=manifest, configuration=each.configuration, linked_at=each.created_at
                )
            )
        return found

    async def _tags(self, repository: GitLabRepository) -> None:
        name = repository.name
        async for tags in self._tables.tags(repository):
            found = [FoundTag(name=tag.name, digest=tag.digest, linked_at=tag.pointed_at) for tag in tags]
            left = await self._database.take_tags(name, found)
            for tag in left:
                reason = f"it points to {tag.digest}, which was left out"
                self._teller.leave_out(LeftOutKind.TAG, f"{paths.tags(name)}/{tag.name}", reason)
            self._outcome.tags += len(found) - len(left)
            self._teller.reports.advanced(TAGS, len(found))
