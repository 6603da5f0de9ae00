"""One run over one repository: tags are judged and deleted, and a report of it stays.

What is about to go is written down first, with its digest, so that a run whose process is killed can be undone too. A
tag that was pushed again since it was judged stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import transaction

from moorage.control.audit.actors import SYSTEM, Actor
from moorage.control.audit.changes import record
from moorage.control.images.models import ImageRepository
from moorage.control.images.moving_now import see_in_place
from moorage.control.jobs.loop import Turn
from moorage.control.policies.listing import JudgedTag, guard_of, judge_repository
from moorage.control.policies.models import CleanedTag, CleanupRun, RunKind, RunOutcome, shown
from moorage.control.policies.patterns import PatternUnusable
from moorage.control.policies.rules import PolicySelection, TagVerdict
from moorage.control.protection.rules import Person
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError, RegistryReadOnly
from moorage.errors import Refused

BATCH = 20

_LOG = structlog.get_logger("moorage.control.policies")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """The bounds of a run."""

    seconds: int = 0
    """0: any time."""
    list_size: int = 0
    """Tags that a registry without GitLab's API is asked for; 0: any number."""


def start_run(
    repository: ImageRepository, selection: PolicySelection, turn: Turn, *, kind: RunKind, requested_by: str = ""
) -> CleanupRun:
    """Begin the report of a run; one of the same repository that was never ended is ended as unfinished."""
    left = CleanupRun.objects.filter(repository=repository, kind=kind, outcome=RunOutcome.ONGOING)
    left.update(outcome=RunOutcome.UNFINISHED, message="its process ended", finished_at=turn.now)
    return CleanupRun.objects.create(
        kind=kind,
        project=repository.project,
        repository=repository,
        repository_path=repository.path,
        requested_by=requested_by,
        selection=shown(selection),
        started_at=turn.now,
    )


def clean(
    run: CleanupRun,
    selection: PolicySelection,
    turn: Turn,
    *,
    limits: RunLimits,
    person: Person | None = None,
    is_still_ours: Callable[[], bool] = lambda: True,
) -> RunOutcome:
    """Delete what *selection* chooses, and end the report.

    Args:
        run: the report, of a repository that is there.
        selection: what is chosen.
        turn: a process that is stopping ends the run, unfinished.
        limits: of time, and of the list.
        person: whose role rules are held against; None: every rule counts.
        is_still_ours: asked after each few tags; False: another has the work.

    Raises:
        RegistryReadOnly: the registry takes no changes now. The report says so, and that a later run goes on.
    """
    repository = run.repository
    if repository is None:
        return _end(run, turn, RunOutcome.FAILED, "the repository is gone")
    deadline = turn.now + timedelta(seconds=limits.seconds) if limits.seconds else None

    def may_go_on() -> bool:
        is_late = deadline is not None and turn.now > deadline
        if is_late or turn.stopping.is_set() or not is_still_ours():
            return False
        see_in_place(repository)
        return True

    try:
        see_in_place(repository)
        judged = judge_repository(repository, selection, now=turn.now, person=person, list_limit=limits.list_size)
        _note(run, judged)
        is_done = _delete(run, repository, judged, may_go_on, person=person)
        # Of a path that was left meanwhile nothing goes, and nothing is said to.
        see_in_place(repository)
    except RegistryReadOnly as exc:
        _end(run, turn, RunOutcome.UNFINISHED, str(exc))
        raise
    except (RegistryError, Refused, PatternUnusable) as exc:
        return _end(run, turn, RunOutcome.FAILED, str(exc))
    if not is_done:
        return _end(run, turn, RunOutcome.UNFINISHED, "it was not done in time")
    if not judged.is_whole:
        return _end(run, turn, RunOutcome.UNFINISHED, "the list of tags was too long for one run")
    return _end(run, turn, RunOutcome.FINISHED, "")


def _note(run: CleanupRun, judged: JudgedTag) -> None:
    run.original_size = judged.original_size
    run.before_delete_size = len(judged.deleted)
    run.kept = judged.kept
    # Not the whole row: the repository may be gone by now, and its row says so.
    run.save(update_fields=["original_size", "before_delete_size", "kept"])


def _delete(
    run: CleanupRun,
    repository: ImageRepository,
    judged: JudgedTag,
    may_go_on: Callable[[], bool],
    *,
    person: Person | None,
) -> bool:
    """Delete; False: it was not to go on."""
    path = repository.path
    for chosen in _batches(judged.deleted):
        if not may_go_on():
            return False
        guard = guard_of(repository, person)  # As rules are now: whoever protects a tag does not wait for this to end.
        batch = [item for item in chosen if guard(item.name) is None]
        written = CleanedTag.objects.bulk_create(
            CleanedTag(run=run, name=item.name, digest=judged.digests.get(item.name, ""), published_at=item.moment)
            for item in batch
        )
        gone = [row for row in written if _delete_one(path, row)]
        stayed = {row.pk for row in written} - {row.pk for row in gone}
        CleanedTag.objects.filter(pk__in=stayed).delete()
        run.deleted_size += len(gone)
        run.save(update_fields=["deleted_size"])
    return True


def _delete_one(path: str, row: CleanedTag) -> bool:
    """Delete a tag that is still what it was when it was judged."""
    return the_registry().delete_tag(path, row.name, seen=row.digest)


def _end(run: CleanupRun, turn: Turn, outcome: RunOutcome, message: str) -> RunOutcome:
    run.outcome, run.message, run.finished_at = outcome, message, turn.now
    with transaction.atomic():
        run.save(update_fields=["outcome", "message", "finished_at"])
        if run.deleted_size and run.repository is not None:
            actor = Actor(name=run.requested_by, credential=run.kind) if run.requested_by else SYSTEM
            record("container_repository_cleaned", run.repository, by=actor, run=run.pk, tags=run.deleted_size)
    _LOG.info(
        "cleanup ended",
        repository=run.repository_path,
        outcome=outcome.value,
        original_size=run.original_size,
        before_delete_size=run.before_delete_size,
        deleted_size=run.deleted_size,
        message=message,
    )
    return outcome


def _batches(items: Sequence[TagVerdict]) -> list[Sequence[TagVerdict]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
