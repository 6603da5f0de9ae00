"""Changes of quotas and of sizes. Who may ask for them is decided by callers: administrators."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from moorage.control.audit.actors import SYSTEM, Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.moves import PlaceMove
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.usage.models import DailyUsage, UsagePlace
from moorage.control.usage.questions import move_obstacle
from moorage.control.usage.rules import QuotaState

SETTLE = timedelta(seconds=10)
"""Between the first of some events and the measurement, so that one push is measured once."""

_CHANGEABLE = frozenset({"soft_bytes", "hard_bytes", "warning_percent"})


def ensure_place(place: Project | Namespace) -> UsagePlace:
    """Return the row of a project or namespace, made if there is none: it is measured at once."""
    values = {"project": place} if isinstance(place, Project) else {"namespace": place}
    found, _ = UsagePlace.objects.get_or_create(**values, defaults={"due_at": timezone.now()})
    return found


@transaction.atomic
def change_quota(place: Project | Namespace, *, by: Actor, **values: int | None) -> UsagePlace:
    """Change the quotas of a project or namespace.

    *values* are ``soft_bytes`` and ``hard_bytes``, None for no quota, and ``warning_percent``.

    Raises:
        ChangeRefused: a value is not possible.
    """
    unknown = values.keys() - _CHANGEABLE
    if unknown:
        raise ChangeRefused({name: ["is no value of a quota"] for name in unknown})
    row = UsagePlace.objects.select_for_update(of=("self",)).get(pk=ensure_place(place).pk)
    changed = {name: [getattr(row, name), value] for name, value in values.items() if getattr(row, name) != value}
    for name, value in values.items():
        setattr(row, name, value)
    problems = row.limits.problems()
    if problems:
        raise ChangeRefused(problems)
    row.quota_state = row.state
    row.save(update_fields=[*values, "quota_state"])
    if changed:
        record("quota_changed", row, by=by, **changed)
    return row


def note_change(project: Project, *, now: datetime | None = None) -> None:
    """Have a project and all namespaces above it measured soon: something was pushed there or deleted."""
    moment = now or timezone.now()
    ensure_places_of(project)
    rows = UsagePlace.objects.of_project(project)
    rows.update(changed_at=moment)
    # A row that has an owner is being measured: whoever does that looks at changed_at in the end.
    is_later = Q(due_at=None) | Q(due_at__gt=moment + SETTLE)
    rows.filter(is_later, owner="").update(due_at=moment + SETTLE)


def note_move(*, move: PlaceMove, **_: object) -> None:
    """Have namespaces measured at once: something has left them, or come to them. It hears of each move.

    Raises:
        ChangeRefused: what is moved would take more room there than a hard quota leaves.
    """
    if not move.has_begun and (reason := move_obstacle(move.place, move.entered_ids)):
        raise refused("base", reason)
    namespace_ids = [*move.left_ids, *move.entered_ids]
    for namespace in Namespace.objects.filter(pk__in=namespace_ids, usage=None):
        ensure_place(namespace)
    _have_measured(namespace_ids)


def note_deletion(*, instance: Project, **_: object) -> None:
    """Have the namespaces measured at once that a project was in: events of its images come too late to find it."""
    _have_measured(instance.namespace.lineage_ids)


def request_measurement(place: Project | Namespace) -> None:
    """Have a place measured as soon as a worker is free."""
    row, now = ensure_place(place), timezone.now()
    UsagePlace.objects.filter(pk=row.pk).update(changed_at=now)
    UsagePlace.objects.filter(pk=row.pk, owner="").update(due_at=now)


def _have_measured(namespace_ids: Collection[int]) -> None:
    now, rows = timezone.now(), UsagePlace.objects.filter(namespace__in=namespace_ids)
    rows.update(changed_at=now)
    rows.filter(owner="").update(due_at=now)


def ensure_places_of(project: Project) -> None:
    """Have a row of a project, and of each namespace above it."""
    wanted = set(project.namespace.lineage_ids)
    rows = UsagePlace.objects.of_project(project).values_list("project_id", "namespace_id")
    known = list(rows)
    if not any(project_id is not None for project_id, _ in known):
        ensure_place(project)
    missing = wanted - {namespace_id for _, namespace_id in known}
    for namespace in Namespace.objects.filter(pk__in=missing):
        ensure_place(namespace)


@transaction.atomic
def keep_size(row: UsagePlace, size_bytes: int, precision: str, *, started: datetime, again: datetime) -> bool:
    """Keep what was measured of a leased row, and tell of a quota that is reached; False: another has the row.

    Args:
        row: the row, with the caller's lease.
        size_bytes: the size.
        precision: the registry's word about it.
        started: when it was asked for; what has changed since then is measured again at once.
        again: when it is measured next if nothing changes.
    """
    # As it is now: quotas may have been changed meanwhile.
    held = UsagePlace.LEASE.own(row).select_for_update(of=("self",)).first()
    if held is None:
        return False
    state = held.limits.state_at(size_bytes)
    has_changed = held.changed_at is not None and held.changed_at >= started
    UsagePlace.LEASE.settle(
        row,
        size_bytes=size_bytes,
        precision=precision,
        measured_at=started,
        last_failure="",
        quota_state=state,
        due_at=started + SETTLE if has_changed else again,
    )
    DailyUsage.objects.update_or_create(place=held, day=started.date(), defaults={"size_bytes": size_bytes})
    if state != held.quota_state:
        _tell(held, state, size_bytes)
    return True


def _tell(row: UsagePlace, state: QuotaState, size_bytes: int) -> None:
    record(
        "quota_state_changed",
        row,
        by=SYSTEM,
        state=[row.quota_state, state.value],
        size_bytes=size_bytes,
        soft_bytes=row.soft_bytes,
        hard_bytes=row.hard_bytes,
    )
