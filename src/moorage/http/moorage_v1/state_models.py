"""The registry's own state in ``/moorage/v1/``, as it is shown."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from moorage import __version__
from moorage.api.state_answers import (
    AdoptionAnswer,
    AdoptionFaultAnswer,
    CheckAnswer,
    DifferenceAnswer,
    DifferenceCount,
    IntegrityAnswer,
    LeftOutAnswer,
    MigrationAnswer,
    MigrationsAnswer,
    MigrationWord,
    NodeAnswer,
    PartAnswer,
    StatusAnswer,
)
from moorage.http.node_status import StatusFound
from moorage.integrity.progress import KnownChecks, State
from moorage.metadata.adoptions import AdoptionFindings, AdoptionProgress
from moorage.metadata.background.background_migrations import MigrationProgress
from moorage.storage.paths import readable

SHOWN = 100
"""Findings that are shown one by one."""


def status(found: StatusFound) -> StatusAnswer:
    """Show how a registry stands."""
    return StatusAnswer(
        version=__version__,
        node=found.node,
        started_at=found.started_at,
        metadata=found.metadata,
        read_only=found.is_read_only,
        state=found.state,
        parts=[
            PartAnswer(
                name=seen.part.name,
                kind=seen.part.kind,
                state=seen.found.state,
                since=seen.since,
                said=seen.found.said,
                next_step=seen.found.next_step,
            )
            for seen in found.parts
        ],
        nodes=[NodeAnswer(name=name, processes=count) for name, count in found.nodes.items()],
    )


def integrity(found: KnownChecks) -> IntegrityAnswer:
    """Show the checks that are known."""
    last = None if found.last is None else _check(found.last)
    begun = None if found.begun is None else _check(found.begun)
    return IntegrityAnswer(
        state="unfinished" if begun is not None else "none" if last is None else "ended", last=last, unfinished=begun
    )


def migrations(found: Sequence[MigrationProgress], *, migrates: bool) -> MigrationsAnswer:
    """Show how background migrations stand."""
    return MigrationsAnswer(migrates=migrates, migrations=[_migration(item) for item in found])


def adoption(progress: AdoptionProgress | None, findings: AdoptionFindings, *, now: datetime) -> AdoptionAnswer:
    """Show how far link files are taken over."""
    return AdoptionAnswer(
        state="none" if progress is None else progress.stage,
        began_at=None if progress is None else progress.began_at,
        ended_at=None if progress is None else progress.ended_at,
        done_at=None if progress is None else progress.done_at(now),
        repositories=None if progress is None else progress.repositories,
        taken=0 if progress is None else progress.taken,
        tags=0 if progress is None else progress.tags,
        manifests=0 if progress is None else progress.manifests,
        left_out=0 if progress is None else progress.left_out,
        accepted=progress is not None and progress.accepted_at is not None,
        first_left_out=[LeftOutAnswer(kind=one.kind, path=one.path, reason=one.reason) for one in findings.left_out],
        faults=0 if progress is None else progress.faults,
        first_faults=[AdoptionFaultAnswer(path=one.path, error=one.error) for one in findings.faults],
    )


def _check(found: State) -> CheckAnswer:
    tally = found.tally
    return CheckAnswer(
        started_at=found.started_at,
        ended_at=found.ended_at,
        saved_at=found.saved_at,
        verified_digests=found.verifies,
        repaired=found.repairs,
        phase=found.phase,
        share=_share(found.share),
        blobs=tally.blobs,
        size_bytes=tally.stored_bytes,
        manifests=tally.manifests,
        differences=[
            DifferenceCount(
                kind=kind.value,
                meaning=kind.meaning,
                count=count.number,
                size_bytes=count.size_bytes,
                repaired=count.repaired,
            )
            for kind, count in tally.differences.items()
        ],
        first=[
            DifferenceAnswer(
                kind=one.kind.value,
                subject=readable(one.subject),
                repository=readable(one.repository),
                size_bytes=one.size_bytes,
                detail=readable(one.detail),
                repair=readable(one.repair),
            )
            for one in tally.noted.first[:SHOWN]
        ],
    )


def _migration(item: MigrationProgress) -> MigrationAnswer:
    migration = item.migration
    return MigrationAnswer(
        name=migration.name,
        status=cast("MigrationWord", migration.status.name.lower()),
        share=_share(item.done),
        finished_jobs=item.finished_jobs,
        failed_jobs=item.failed_jobs,
        failure=None if migration.failure is None else migration.failure.name.lower(),
    )


def _share(value: float) -> float:
    """So many digits that a bar moves, cut and not rounded: what is not done is never shown as 1."""
    return math.floor(value * 10_000) / 10_000
