"""Runs of copies between two registries: of one reference, or of the tags of a repository that are chosen."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from moorage.copying.shared_work import BytePace, many_at_once
from moorage.oci.names import Reference, Tag
from moorage.relaying.blob_copies import BlobCopies, RepositoryPair, TargetHomes
from moorage.relaying.dry_target import DryTarget
from moorage.relaying.image_copies import CopyJob, ImageCopies, ImageWish
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.registry_side import RegistrySide, RelayEnds
from moorage.relaying.relay_outcome import RelayOutcome
from moorage.relaying.tag_choice import TagChoice
from moorage.work.reports import WorkReports


class RelayRun:
    """A run of copies between two registries."""

    def __init__(self, ends: RelayEnds, copies: ImageCopies, wish: ImageWish, outcome: RelayOutcome) -> None:
        self.ends = ends
        self._copies = copies
        self._wish = wish
        self._outcome = outcome

    async def copy_one(self, pair: RepositoryPair, reference: Reference, tag: Tag | None) -> None:
        """Copy one reference to a tag, or without one. What becomes of it is in the outcome."""
        await self._copies.copy(CopyJob(pair, reference, tag))

    async def copy_tags(self, pair: RepositoryPair, choice: TagChoice) -> Sequence[Tag]:
        """Copy the tags that are chosen, and return all of the source.

        Raises:
            CommandFailed: the tags of the source cannot be listed.
        """
        tags = await self.ends.source.tags(pair.source)
        known = frozenset(tags)
        async with many_at_once(self._wish.jobs) as works:
            for tag in choice.chosen(tags):
                job = CopyJob(pair, tag, tag, known)
                await works.begin(lambda job=job: self._copies.copy(job))  # type: ignore[misc] # mypy sees no default
        if self._wish.with_referrers:
            async with many_at_once(self._wish.jobs) as works:
                for tag in choice.chosen_of_referrers(tags):
                    job = CopyJob(pair, tag, tag, known)
                    await works.begin(lambda job=job: self._copies.copy_if_left(job))  # type: ignore[misc] # as above
        return tags


@contextlib.asynccontextmanager
async def relay_run(
    source: RegistryAccess,
    target: RegistryAccess,
    wish: ImageWish,
    outcome: RelayOutcome,
    *,
    reports: WorkReports | None = None,
    homes: TargetHomes | None = None,
) -> AsyncIterator[RelayRun]:
    """Give a run between two registries, which are left again at the end of the block.

    *homes* are what earlier runs to the same target know of it.

    Raises:
        CommandFailed: one of them can be none.
    """
    limits = [access.bytes_per_s for access in (source, target) if access.bytes_per_s is not None]
    async with source.opened(wish.jobs) as from_remote, target.opened(wish.jobs, pushes=not wish.dry_run) as to_remote:
        side = DryTarget(to_remote, outcome.note) if wish.dry_run else RegistrySide(to_remote)
        ends = RelayEnds(RegistrySide(from_remote), side)
        pace = BytePace(min(limits) if limits else None)
        blobs = BlobCopies(ends, outcome, pace=pace, reports=reports, homes=homes, jobs=wish.jobs, dry_run=wish.dry_run)
        yield RelayRun(ends, ImageCopies(ends, blobs, wish, outcome), wish, outcome)
