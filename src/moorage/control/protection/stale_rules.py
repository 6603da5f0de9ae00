"""Rules about repositories that were left at a path that their project had before, and where they belong now.

The audit row of a rule's last change has the path that its project had then. A pattern was only taken if it began
there: so what it was about at that path is about the same images at the present one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.models import AuditEntry
from moorage.control.protection.changes import change_repository_rule
from moorage.control.protection.models import RepositoryProtection
from moorage.control.protection.rules import RepositoryRule, moved_pattern
from moorage.control.refusals import refused

_CHANGES = tuple(f"{RepositoryProtection.audit_kind}_{happened}" for happened in ("created", "changed"))


@dataclass(frozen=True, slots=True)
class StaleRule:
    """A rule that protects nothing, and the pattern that it would have to have."""

    row: RepositoryProtection
    pattern: str = ""
    """Empty: it is not certain."""
    why: str = ""
    """The reason for which it is not."""


def stale_rules() -> Iterator[StaleRule]:
    """Yield the rules of all projects that protect nothing, as no repository of their project has such a path."""
    rows = RepositoryProtection.objects.select_related("project").order_by("project_id", "id")
    return (_judged(row) for row in rows.iterator(chunk_size=1000) if row.leads_nowhere)


@transaction.atomic
def move_stale_rule(found: StaleRule, *, by: Actor) -> RepositoryProtection:
    """Have a rule protect at its project's present path what it protected before.

    Raises:
        ChangeRefused: where it belongs is not certain; or it was changed since, or its project was moved.
    """
    row = (
        RepositoryProtection.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=found.row.pk, repository_path_pattern=found.row.repository_path_pattern)
        .first()
    )
    if row is None:
        raise refused("base", "was changed or taken away meanwhile")
    now = _judged(row)
    if not found.pattern or now.pattern != found.pattern:
        raise refused("base", now.why or "was moved meanwhile: look at it again")
    return change_repository_rule(row, by=by, repository_path_pattern=found.pattern)


def _judged(row: RepositoryProtection) -> StaleRule:
    path, then = row.project.full_path, _path_then(row)
    if not then:
        return StaleRule(row, why="the audit log does not say where the project was when the rule was made")
    pattern = moved_pattern(row.repository_path_pattern, then, path)
    if RepositoryRule(pattern=pattern).leads_nowhere(path):
        return StaleRule(row, why=f"it protected nothing at {then} either")
    if RepositoryProtection.objects.filter(project=row.project, repository_path_pattern=pattern).exists():
        return StaleRule(row, why=f"the project has a rule {pattern} already: compare the levels, and take one away")
    return StaleRule(row, pattern)


def _path_then(row: RepositoryProtection) -> str:
    """The path of the project when the pattern was written; empty if it is not known."""
    entries = AuditEntry.objects.filter(
        action__in=_CHANGES, target_kind=row.audit_kind, target_id=row.pk, target_name=row.audit_name
    )
    entry = entries.filter(entity_id=row.project_id).first()
    details: Mapping[str, object] = entry.details if entry else {}
    then = details.get("project", "")
    return then if isinstance(then, str) and row.repository_path_pattern.startswith(then.lower()) else ""
