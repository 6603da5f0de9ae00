"""Changes of policies, and requests for runs. Who may is decided by callers: maintainers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.models import ImageRepository
from moorage.control.policies.models import BulkDeletion, CleanupPolicy
from moorage.control.policies.rules import CADENCES, PolicySelection, interval_of, policy_problems
from moorage.control.projects.models import Project
from moorage.control.projects.rules import FeatureLevel
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused, refused
from moorage.errors import Refused

BULK_INTERVAL = timedelta(hours=1)
"""Source: GitLab features RST-009, TDL-005."""
KEEP_LIMIT = 1_000_000

_CHANGEABLE = frozenset({"enabled", "cadence", "keep_n", "older_than", "name_regex", "name_regex_keep"})


class BulkTooSoon(Refused):
    """A deletion of many tags was asked for in the same repository less than an hour ago."""


def policy_of(project: Project) -> CleanupPolicy:
    """Return a project's policy: one that is off, with GitLab's defaults, if none was ever saved."""
    found, _ = CleanupPolicy.objects.get_or_create(project=project)
    return found


@transaction.atomic
def change_policy(project: Project, *, by: Actor, now: datetime | None = None, **values: object) -> CleanupPolicy:
    """Change a project's policy; its next run is then one interval away, unless one is due already.

    A run that is due, or that somebody has asked for, is not put off: it goes by the new rules. A save that changes
    nothing puts nothing off either, as a tool that saves the same every day would keep the policy from ever running.

    *values* are ``enabled``, ``cadence``, ``keep_n``, ``older_than``, ``name_regex`` and ``name_regex_keep``.

    Raises:
        ChangeRefused: a value is not possible.

    Source: GitLab features CPD-003 to CPD-008.
    """
    unknown = values.keys() - _CHANGEABLE
    if unknown:
        raise ChangeRefused({name: ["is no value of a policy"] for name in unknown})
    CleanupPolicy.objects.get_or_create(project=project)
    policy = CleanupPolicy.objects.select_for_update().get(project=project)
    changed = {name: [getattr(policy, name), value] for name, value in values.items() if getattr(policy, name) != value}
    for name, value in values.items():
        setattr(policy, name, value)
    _check(policy)
    _plan(policy, changed, now or timezone.now())
    policy.save()
    if changed:
        record("cleanup_policy_changed", policy, by=by, **changed)
    return policy


def _plan(policy: CleanupPolicy, changed: Mapping[str, object], now: datetime) -> None:
    is_due = (
        policy.enabled and "enabled" not in changed and policy.next_run_at is not None and policy.next_run_at <= now
    )
    if policy.next_run_at is None or (changed and not is_due):
        policy.next_run_at = now + interval_of(policy.cadence)


@transaction.atomic
def run_now(project: Project, *, by: Actor, now: datetime | None = None) -> None:
    """Have a project's policy run as soon as a worker is free. Source: requirement S-078.

    Raises:
        ChangeRefused: the policy is off, or the registry of the project.
    """
    if project.feature is FeatureLevel.DISABLED:
        raise refused("base", "the registry of this project is off, and its policy rests until it is on again")
    changed = CleanupPolicy.objects.filter(project=project, enabled=True).update(next_run_at=now or timezone.now())
    if not changed:
        raise refused("enabled", "is off, and only a policy that is on runs; switch it on, or look at its preview")
    record("cleanup_run_requested", policy_of(project), by=by)


@transaction.atomic
def request_bulk_deletion(
    repository: ImageRepository,
    *,
    by: Actor,
    person: Person | None,
    name_regex_delete: str,
    name_regex_keep: str = "",
    keep_n: int | None = None,
    older_than: str = "",
    now: datetime | None = None,
) -> BulkDeletion:
    """Ask for the deletion of many tags; a job does it. ``latest`` stays, and so does what rules keep from *person*.

    Raises:
        ChangeRefused: a value is not possible.
        BulkTooSoon: it was asked for less than an hour ago.

    Source: GitLab features TDL-005, RST-009, RST-010.
    """
    moment = now or timezone.now()
    _check_bulk(name_regex_delete, name_regex_keep, keep_n, older_than)
    is_free = Q(bulk_deletion_at=None) | Q(bulk_deletion_at__lte=moment - BULK_INTERVAL)
    if not ImageRepository.objects.filter(is_free, pk=repository.pk).update(bulk_deletion_at=moment):
        msg = (
            "This request has already been made. You can run this at most once an hour for a given container repository"
        )
        raise BulkTooSoon(msg)
    made = BulkDeletion.objects.create(
        repository=repository,
        name_regex=name_regex_delete,
        name_regex_keep=name_regex_keep,
        keep_n=keep_n,
        older_than=older_than,
        requested_by=by.name,
        role=None if person is None else person.role,
        is_admin=person is not None and person.is_admin,
        due_at=moment,
    )
    record("container_repository_bulk_deletion_requested", repository, by=by, name_regex_delete=name_regex_delete)
    return made


def _check(policy: CleanupPolicy) -> None:
    problems = policy_problems(
        cadence=policy.cadence,
        keep_n=policy.keep_n,
        older_than=policy.older_than,
        name_regex=policy.name_regex,
        name_regex_keep=policy.name_regex_keep,
    )
    if not policy.enabled:
        # A policy that is off may have patterns that cannot be used yet.
        problems = {field: said for field, said in problems.items() if not field.startswith("name_regex")}
    if problems:
        raise ChangeRefused(problems)


def _check_bulk(name_regex: str, name_regex_keep: str, keep_n: int | None, older_than: str) -> None:
    selection = PolicySelection.stored(
        delete=name_regex, keep=name_regex_keep, keep_count=keep_n, older_than=older_than
    )
    problems: dict[str, Sequence[str]] = {
        {"name_regex": "name_regex_delete"}.get(field, field): said for field, said in selection.problems().items()
    }
    if keep_n is not None and keep_n > KEEP_LIMIT:
        problems["keep_n"] = [f"must be less than or equal to {KEEP_LIMIT}"]
    if problems:
        raise ChangeRefused(problems)


def cadences() -> Mapping[str, str]:
    """Return the intervals that there are, with their names."""
    return CADENCES
