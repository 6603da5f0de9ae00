"""Runs of a plan: rule by rule, copies first, and then what is gone from the source, where that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from moorage.client.registry import CommandFailed
from moorage.errors import MoorageError
from moorage.oci.names import RepositoryName, Tag
from moorage.relaying.blob_copies import RepositoryPair, TargetHomes
from moorage.relaying.image_copies import ImageWish
from moorage.relaying.relay_outcome import RelayedReference, RelayOutcome, RelayResult
from moorage.relaying.relay_run import RelayRun, relay_run
from moorage.relaying.sync_plan import SyncPlan, SyncRule
from moorage.work.reports import WorkReports


@dataclass(slots=True)
class SyncRun:
    """One run of a plan."""

    plan: SyncPlan
    outcome: RelayOutcome
    jobs: int = 4
    dry_run: bool = False
    reports: WorkReports | None = None

    async def run(self) -> None:
        """Do all rules; what fails is in the outcome, and stops no other rule."""
        homes: dict[str, TargetHomes] = {}
        for rule in self.plan.rules:
            wish = ImageWish(
                platform=rule.platform,
                with_referrers=rule.with_referrers,
                overwrites=rule.overwrites,
                dry_run=self.dry_run,
                jobs=self.jobs,
            )
            source, target = self.plan.registries[rule.source.url], self.plan.registries[rule.target.url]
            known = homes.setdefault(rule.target.url, TargetHomes())
            async with relay_run(source, target, wish, self.outcome, reports=self.reports, homes=known) as copies:
                await self._do(rule, copies)

    async def _do(self, rule: SyncRule, copies: RelayRun) -> None:
        try:
            names: Sequence[RepositoryName] = [RepositoryName.parse_stored(rule.source.repository)]
        except MoorageError:
            names = ()
        if rule.is_pattern:
            try:
                names = [name for name in await copies.ends.source.repositories() if rule.is_about(name)]
            except MoorageError as exc:
                self._failed(rule, rule.source.repository, exc)
                return
            if not names:
                source = self.plan.registries[rule.source.url]
                self.outcome.note(f"{rule.path}: no repository of {source.host} matches {rule.source.repository}")
        for name in names:
            try:
                await self._one(rule, rule.pair(name), copies)
            except MoorageError as exc:
                self._failed(rule, name.text, exc)

    async def _one(self, rule: SyncRule, pair: RepositoryPair, copies: RelayRun) -> None:
        failed_before = self.outcome.counts[RelayResult.FAILED]
        tags = await copies.copy_tags(pair, rule.choice)
        if tags and not rule.is_pattern and not rule.choice.means_any(tags):
            self.outcome.note(f"{rule.path}: no tag of {pair.source} is meant, of {len(tags):,}")
        if not rule.deletes:
            return
        if self.outcome.counts[RelayResult.FAILED] > failed_before:
            self.outcome.note(f"nothing was deleted from {pair.target}, as not all of {pair.source} could be copied")
        elif not tags:
            self.outcome.note(f"nothing was deleted from {pair.target}, as {pair.source} has no tags at all")
        else:
            await self._delete(rule, pair, copies, frozenset(tags))

    async def _delete(self, rule: SyncRule, pair: RepositoryPair, copies: RelayRun, kept: frozenset[Tag]) -> None:
        """Delete the tags that the rule is about and that the source does not have.

        Its list may be hours old, as all of them were copied since: each is asked for once more.
        """
        target = copies.ends.target
        try:
            there = await target.tags(pair.target)
        except CommandFailed as exc:
            if exc.code != HTTPStatus.NOT_FOUND:
                raise
            return
        for tag in there:
            if tag in kept or not rule.choice.matches(tag):
                continue
            result, why = RelayResult.TO_DELETE, ""
            try:
                if await copies.ends.source.find(pair.source, tag) is not None:
                    continue  # The next run copies it.
                if not self.dry_run:
                    await target.delete_tag(pair.target, tag)
                    result = RelayResult.DELETED
            except MoorageError as exc:
                result, why = RelayResult.FAILED, f"it cannot be deleted: {exc}"
            self.outcome.became(RelayedReference("", f"{target.remote.host}/{pair.target}:{tag}", result, why=why))

    def _failed(self, rule: SyncRule, repository: str, exc: MoorageError) -> None:
        source, target = self.plan.registries[rule.source.url], self.plan.registries[rule.target.url]
        there = f"{target.host}/{rule.target.repository}"
        self.outcome.became(RelayedReference(f"{source.host}/{repository}", there, RelayResult.FAILED, why=str(exc)))
