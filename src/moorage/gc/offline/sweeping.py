"""Dead objects of an offline collection, and its sweep stage: links first, then the bytes that they led to.

Each step leaves what the next run takes up. A manifest's revision link, by which it is found, goes last of what it
has; a blob goes when no link leads to it any more. So an end at any moment leaves nothing that looks alive and is not.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice

from moorage.gc.offline.marks import DeadBlob, Repository
from moorage.gc.offline.offline_run import LINKS_BATCH, OfflineRun, batched, digests_in, in_parallel
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import Capability, Stat
from moorage.storage.repository_marks import keep_repository
from moorage.storage.walk import Place, blob_folders, digest_at, pages_of, path_at

FOLDERS = "mark: folders of blobs"
SWEPT_REPOSITORIES = "sweep: repositories"
SWEPT_BLOBS = "sweep: blobs"
"""Parts of the work, for people."""

_DELETE_PARALLEL = 4
_NAMED = 8
"""Of so many that storage refuses in one request the log has the paths."""


async def find_dead_blobs(run: OfflineRun) -> None:
    """Note every blob that nobody marked."""
    folders = [place async for place in blob_folders(run.storage) if place[0] in run.algorithms]
    run.reports.begins(FOLDERS, len(folders))

    is_flat = Capability.FLAT_LISTS in run.storage.capabilities

    async def look(folder: Place) -> None:
        await (_look_flat if is_flat else _look)(run, folder)
        run.reports.advanced(FOLDERS)

    await in_parallel(folders, look)


async def unlink(run: OfflineRun, repository: Repository) -> None:
    """Remove the manifests of a repository that go, and the links of blobs that go."""
    name = repository.name
    if run.marks.has_doomed(repository):
        await keep_repository(run.storage, name)
        await _remove(run, repository, _tag_index_links(run, repository))
        await _remove(run, repository, _referrers(run, repository))
        await _remove_revisions(run, repository)
    async for digests in digests_in(run, paths.layers(name), at_a_time=LINKS_BATCH):
        links = [paths.layer_link(name, digest) for digest in run.marks.unmarked(digests)]
        count = await run.delete(await run.old(links))
        run.totals.layer_links_deleted += count
    run.reports.advanced(SWEPT_REPOSITORIES)


async def remove_blobs(run: OfflineRun) -> None:
    """Remove the blobs that go. Before this no link leads to them; one that storage keeps spares no other."""

    async def remove(blobs: Sequence[DeadBlob]) -> None:
        sizes = {paths.blob(blob.digest): blob.size_bytes for blob in blobs}
        going = await run.old(list(sizes))
        count, failures = await run.remove(going)
        run.totals.blobs_deleted += count
        run.totals.blobs_not_deleted += len(failures)
        run.totals.freed_bytes += sum(sizes[path] for path in going if path not in failures)
        for path, failure in islice(failures.items(), _NAMED):
            run.log.warning("blob not deleted", stage="sweep", path=path, reason=str(failure), count=len(failures))
        run.log.debug("blobs deleted", stage="sweep", digests=[str(blob.digest) for blob in blobs])
        run.reports.advanced(SWEPT_BLOBS, len(blobs))

    await in_parallel(run.marks.dead(at_a_time=LINKS_BATCH), remove, limit=_DELETE_PARALLEL)


async def _look(run: OfflineRun, folder: Place) -> None:
    async for entries in pages_of(run.storage, path_at(folder)):
        for batch in batched(entries, LINKS_BATCH):
            found = [digest_at((*folder, entry.name)) for entry in batch]
            digests = [digest for digest in found if digest is not None]
            run.totals.blobs += len(digests)
            unmarked = run.marks.unmarked(digests)
            stats = await run.storage.stat_each([paths.blob(digest) for digest in unmarked])
            _note_dead(run, zip(unmarked, stats, strict=True))


async def _look_flat(run: OfflineRun, folder: Place) -> None:
    """Look where a list tells of a thousand blobs in one request how large and how old they are."""
    async for page in run.storage.all_below(path_at(folder)):
        for batch in batched(page, LINKS_BATCH):
            found: dict[Digest, Stat] = {}
            for path, stat in batch:
                digest = digest_at((*folder, path.split("/")[-2]))
                if digest is not None and path == paths.blob(digest):
                    found[digest] = stat
            run.totals.blobs += len(found)
            _note_dead(run, ((digest, found[digest]) for digest in run.marks.unmarked(found)))


def _note_dead(run: OfflineRun, found: Iterable[tuple[Digest, Stat | None]]) -> None:
    young, dead = [], []
    for digest, stat in found:
        if run.is_young(stat):
            young.append(digest)
            continue
        # Without its bytes it is the folder that an end in the middle of a sweep has left.
        dead.append(DeadBlob(digest, 0 if stat is None else stat.size_bytes))
        if stat is not None:
            run.totals.blobs_to_delete += 1
            run.totals.storage_use_estimate_bytes += stat.size_bytes
    run.marks.mark(young)
    run.marks.add_dead(dead)


async def _tag_index_links(run: OfflineRun, repository: Repository) -> AsyncIterator[tuple[str, Digest]]:
    async for entries in pages_of(run.storage, paths.tags(repository.name)):
        for entry in entries:
            tag = Tag(entry.name)
            async for digests in digests_in(run, paths.tag_index(repository.name, tag)):
                for digest in digests:
                    yield paths.tag_index_link(repository.name, tag, digest), digest


async def _referrers(run: OfflineRun, repository: Repository) -> AsyncIterator[tuple[str, Digest]]:
    async for subjects in digests_in(run, paths.subjects(repository.name)):
        for subject in subjects:
            async for digests in digests_in(run, paths.referrers(repository.name, subject)):
                for digest in digests:
                    yield paths.referrer(repository.name, subject, digest), digest


async def _remove(run: OfflineRun, repository: Repository, found: AsyncIterator[tuple[str, Digest]]) -> None:
    """Remove those objects that belong to manifests that go."""
    going = []
    async for path, digest in found:
        if run.marks.is_doomed(repository, digest):
            going.append((path, digest))
        if len(going) == LINKS_BATCH:
            await _remove_old(run, repository, going)
            going = []
    await _remove_old(run, repository, going)


async def _remove_old(run: OfflineRun, repository: Repository, going: Sequence[tuple[str, Digest]]) -> None:
    links = {paths.revision_link(repository.name, digest) for _, digest in going}
    old = set(await run.old(sorted(links)))  # The others were pushed again meanwhile.
    wanted = [path for path, digest in going if paths.revision_link(repository.name, digest) in old]
    await run.delete(wanted)


async def _remove_revisions(run: OfflineRun, repository: Repository) -> None:
    name = repository.name
    for digests in run.marks.doomed(repository):
        links = {paths.revision_link(name, digest): digest for digest in digests}
        going = [links[link] for link in await run.old(list(links))]
        # Once its link has gone nobody looks for its content type, so that goes first.
        await run.delete([paths.content_type(name, digest) for digest in going])
        count = await run.delete([paths.revision_link(name, digest) for digest in going])
        run.totals.manifests_deleted += count
        run.log.debug("manifests deleted", stage="sweep", repository=name.text, digests=[str(item) for item in going])
