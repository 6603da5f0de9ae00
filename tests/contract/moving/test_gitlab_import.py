"""An import from GitLab's tables that is ended: nobody starts with a half of it, and the same work finishes it."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from contract.metadata.pushing import NAME, OTHER, push_blob
from contract.moving.movers import Mover
from moorage.errors import StorageUnavailable
from moorage.metadata.gitlab_tables import GitLabBlob, GitLabManifest, GitLabRepository, GitLabTables, GitLabTag
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.gitlab_import import GitLabImport
from moorage.moving.outcome import Teller
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import locks
from moorage.storage.locks import Locks
from moorage.work.reports import WorkReports
from support.images import image

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Tables(GitLabTables):
    """Two repositories with the same image."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails
        self.image = image("a")

    async def count(self) -> int:
        return 2

    async def repositories(self) -> AsyncIterator[Sequence[GitLabRepository]]:
        yield [GitLabRepository(number, 1, name, has_manifests=True) for number, name in enumerate((NAME, OTHER))]

    async def blobs(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabBlob]]:
        if self.fails and repository.name == OTHER:
            raise StorageUnavailable
        yield [GitLabBlob(Digest.parse(each.digest), len(each.body), _NOW) for each in self.image.blobs]

    async def manifests(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabManifest]]:
        del repository
        made = self.image.manifest
        yield [GitLabManifest(Digest.parse(made.digest), made.media_type, made.body, None, _NOW)]

    async def tags(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabTag]]:
        del repository
        yield [GitLabTag("v1", Digest.parse(self.image.manifest.digest), _NOW)]


async def test_what_was_ended_is_finished_by_the_same_work_and_not_served_before(mover: Mover) -> None:
    storage = mover.links.storage
    for each in image("a").blobs:
        await push_blob(mover.links, each.body)

    async def run(*, fails: bool) -> None:
        into = SqlImports(mover.sql.database)
        await GitLabImport(storage, Tables(fails=fails), into, Teller(WorkReports()), name="ours").run(dry_run=False)

    with pytest.raises(StorageUnavailable):
        await run(fails=True)
    assert (await locks.read(storage)).filesystem
    await run(fails=False)
    assert await locks.read(storage) == Locks(filesystem=False, database=True)
    for name in (NAME, OTHER):
        assert (await mover.sql.manifests.find(name, Tag("v1"))).payload == image("a").manifest.body
