"""The jobs that run policies when they are due, and deletions of many tags that somebody has asked for.

Source: GitLab features CPS-002 to CPS-011, TDL-005.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from moorage.control.audit.actors import SYSTEM
from moorage.control.audit.changes import record
from moorage.control.images.models import (
    DELETING,
    CleanupStatus,
    ImageRepositories,
    ImageRepository,
    ProjectDeletion,
)
from moorage.control.instance.models import ApplicationSettings
from moorage.control.jobs.loop import Turn
from moorage.control.namespaces.choosing import beyond
from moorage.control.policies.cleaning import RunLimits, clean, start_run
from moorage.control.policies.models import BulkDeletion, CleanupPolicy, CleanupRun, RunKind, RunOutcome
from moorage.control.policies.rules import interval_of
from moorage.control.protection.rules import Person
from moorage.control.registry.registry_errors import RegistryReadOnly

LEASE = timedelta(minutes=30)
"""Made longer after each few tags. Source: GitLab features CPS-002."""
FAILURE_WAIT = timedelta(minutes=10)
"""Until a cleanup that failed is taken again."""
BULK_RETRIES = 3
"""Source: GitLab features TDL-005."""

_IDLE = (CleanupStatus.SCHEDULED, CleanupStatus.UNSCHEDULED)
"""In the order in which they are taken."""
_BEGUN = (CleanupStatus.UNFINISHED, CleanupStatus.ONGOING)
_LOOKED_AT_ONCE = 100


class PolicyCleanup:
    """The worker of policies."""

    name = "policy_cleanup"
    slots = 2

    def step(self, turn: Turn) -> bool:
        """Clean the next repository whose policy is due, or go on with one that was not finished."""
        row = _take(turn.now)
        if row is None:
            return False
        policy = CleanupPolicy.objects.filter(project_id=row.project_id).select_related("project").first()
        if policy is None or not policy.enabled or policy.is_resting:
            _settle(row, CleanupStatus.UNSCHEDULED)
            return True
        if policy.selection.problems():
            _end_invalid(policy, row, turn)
            return True
        _run(policy, row, turn)
        _plan_next(policy, turn.now)
        return True


class BulkTagDeletion:
    """The worker of deletions of many tags."""

    name = "bulk_deletion"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Do the next one, or a part of it."""
        now = turn.now
        row = BulkDeletion.LEASE.take(BulkDeletion.objects.all(), now=now, until=now + LEASE)
        if row is None:
            return False
        person = None if row.role is None else Person(row.role, is_admin=row.is_admin)
        run = start_run(row.repository, row.selection, turn, kind=RunKind.BULK, requested_by=row.requested_by)
        try:
            outcome = clean(
                run,
                row.selection,
                turn,
                limits=_limits(),
                person=person,
                is_still_ours=lambda: BulkDeletion.LEASE.renew(row, until=turn.now + LEASE),
            )
        except RegistryReadOnly:  # It has been accepted, and waits for the end of the maintenance.
            BulkDeletion.LEASE.settle(row, due_at=turn.now + FAILURE_WAIT)
            return True
        if outcome is RunOutcome.FINISHED or (outcome is RunOutcome.FAILED and row.failures >= BULK_RETRIES):
            BulkDeletion.LEASE.own(row).delete()
        elif outcome is RunOutcome.FAILED:
            wait = timedelta(minutes=1 << row.failures)
            BulkDeletion.LEASE.settle(row, due_at=turn.now + wait, failures=row.failures + 1)
        else:
            BulkDeletion.LEASE.settle(row, due_at=turn.now)
        return True


def _disable_idle(policy: CleanupPolicy) -> None:
    """Switch a policy off whose project has no repositories. Source: GitLab features CPS-003."""
    with transaction.atomic():
        if CleanupPolicy.objects.filter(pk=policy.pk, enabled=True).update(enabled=False):
            record("cleanup_policy_disabled", policy, by=SYSTEM, reason="the project has no repositories")


def _put_off(policy: CleanupPolicy, now: datetime) -> None:
    """Have a policy that rests look again an interval later, so that what was kept does not go at once after that."""
    later = now + interval_of(policy.cadence)
    CleanupPolicy.objects.filter(pk=policy.pk, next_run_at=policy.next_run_at).update(next_run_at=later)


def _take(now: datetime) -> ImageRepository | None:
    """Take a repository, and mark it as being cleaned. Source: GitLab features CPS-005, CPS-006."""
    is_any = CleanupPolicy.objects.due(now).exists() or any(rows.exists() for rows in _begun(now))
    if not is_any:
        return None
    ApplicationSettings.objects.get_or_create(pk=1)
    with transaction.atomic():
        # The row is the lock that all nodes count under: two that counted at once would both start one.
        settings = ApplicationSettings.objects.select_for_update().get(pk=1)
        return _take_within(settings.container_registry_expiration_policies_worker_capacity, now)


def _take_within(capacity: int, now: datetime) -> ImageRepository | None:
    going_on = ImageRepository.objects.filter(
        expiration_policy_cleanup_status=CleanupStatus.ONGOING, cleanup_due_at__gt=now
    )
    if going_on.count() >= capacity:
        return None
    row = _take_due(now)
    for rows in _begun(now):
        row = row or ImageRepository.CLEANUP.take(rows, now=now, until=now + LEASE, is_due_without=True)
    if row is not None:
        ImageRepository.CLEANUP.own(row).update(
            expiration_policy_cleanup_status=CleanupStatus.ONGOING,
            expiration_policy_started_at=now,
            last_cleanup_deleted_tags_count=None,
        )
    return row


def _take_due(now: datetime) -> ImageRepository | None:
    """Take the first repository of the policy that has been due for longest, without a look at any other."""
    policies, last, idle = CleanupPolicy.objects.due(now).select_related("project"), Q(), 0
    policies = policies.order_by("next_run_at", "pk")
    while idle < _LOOKED_AT_ONCE:  # The rest the next time: others wait for this transaction.
        some = list(policies.filter(last)[:_LOOKED_AT_ONCE])
        deletions = ProjectDeletion.objects.filter(project__in=[policy.pk for policy in some])
        going = set(deletions.values_list("project_id", flat=True))
        for policy in some:
            if policy.pk in going:
                continue
            if policy.is_resting:
                _put_off(policy, now)
                idle += 1
                continue
            if not ImageRepository.objects.filter(project_id=policy.pk).exists():
                _disable_idle(policy)
                idle += 1
                continue
            for rows in _due(policy):
                row = ImageRepository.CLEANUP.take(rows, now=now, until=now + LEASE, is_due_without=True)
                if row is not None:
                    return row
        if len(some) < _LOOKED_AT_ONCE:
            return None
        last = beyond("next_run_at", some[-1].next_run_at, some[-1].pk, is_down=False, is_pk_down=False)
    return None


def _due(policy: CleanupPolicy) -> list[ImageRepositories]:
    """The repositories of a policy that is due, but for those that were cleaned since; each part by an index."""
    rows = ImageRepository.objects.filter(project_id=policy.pk).exclude(status__in=DELETING)
    since = "expiration_policy_started_at"
    return [
        rows.filter(part, expiration_policy_cleanup_status=status).order_by(since, "pk")
        for status in _IDLE
        for part in (Q(**{since: None}), Q(**{f"{since}__lt": policy.next_run_at}))
    ]


def _begun(now: datetime) -> list[ImageRepositories]:
    """Those that were not finished, or whose process was killed, that nobody holds; the longest due first."""
    rows = ImageRepository.objects.exclude(status__in=DELETING)
    return [
        rows.filter(part, expiration_policy_cleanup_status=status).order_by("cleanup_due_at", "pk")
        for status in _BEGUN
        for part in (Q(cleanup_due_at=None), Q(cleanup_due_at__lte=now))
    ]


def _run(policy: CleanupPolicy, row: ImageRepository, turn: Turn) -> None:
    run = start_run(row, policy.selection, turn, kind=RunKind.POLICY)
    try:
        outcome = clean(
            run,
            policy.selection,
            turn,
            limits=_limits(),
            # Who switches it off, or keeps more, does not wait for a run's end: the next one goes by what is saved.
            is_still_ours=lambda: ImageRepository.CLEANUP.renew(row, until=turn.now + LEASE) and _is_as_it_was(policy),
        )
    except RegistryReadOnly:
        outcome = RunOutcome.FAILED
    count = {"last_cleanup_deleted_tags_count": run.deleted_size}
    if outcome is RunOutcome.FINISHED:
        _settle(row, CleanupStatus.UNSCHEDULED, expiration_policy_completed_at=turn.now, **count)
    else:
        wait = FAILURE_WAIT if outcome is RunOutcome.FAILED else timedelta()
        _settle(row, CleanupStatus.UNFINISHED, cleanup_due_at=turn.now + wait, **count)


def _is_as_it_was(policy: CleanupPolicy) -> bool:
    now = CleanupPolicy.objects.filter(pk=policy.pk, enabled=True).select_related("project").first()
    return now is not None and not now.is_resting and now.selection == policy.selection


def _end_invalid(policy: CleanupPolicy, row: ImageRepository, turn: Turn) -> None:
    """Switch a policy off that cannot be used. Source: GitLab features CPS-008."""
    problems = dict(policy.selection.problems())
    with transaction.atomic():
        if CleanupPolicy.objects.filter(pk=policy.pk, enabled=True).update(enabled=False):
            record("cleanup_policy_disabled", policy, by=SYSTEM, reason="invalid policy", problems=problems)
    run = start_run(row, policy.selection, turn, kind=RunKind.POLICY)
    CleanupRun.objects.filter(pk=run.pk).update(
        outcome=RunOutcome.FAILED, message=f"invalid policy: {problems}", finished_at=turn.now
    )
    _settle(row, CleanupStatus.UNSCHEDULED)


def _settle(row: ImageRepository, status: CleanupStatus, **changes: object) -> None:
    values = {"cleanup_due_at": None, "expiration_policy_cleanup_status": status, **changes}
    ImageRepository.CLEANUP.settle(row, **values)


def _plan_next(policy: CleanupPolicy, now: datetime) -> None:
    """Set the next run when no repository of the project has this one still before it. Source: CPS-009."""
    if policy.next_run_at is None or policy.next_run_at > now:
        return
    if not any(rows.exists() for rows in _due(policy)):
        CleanupPolicy.objects.filter(pk=policy.pk, next_run_at=policy.next_run_at).update(
            next_run_at=now + interval_of(policy.cadence)
        )


def _limits() -> RunLimits:
    found = ApplicationSettings.now()
    return RunLimits(
        seconds=found.container_registry_delete_tags_service_timeout,
        list_size=found.container_registry_cleanup_tags_service_max_list_size,
    )
