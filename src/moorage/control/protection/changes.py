"""Changes of protection rules, each with its audit row.

Who may is decided by callers: maintainers, and owners for immutable tags.
"""

from typing import TypeVar

from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.projects.models import Project
from moorage.control.projects.moves import PlaceMove
from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection
from moorage.control.protection.rules import TAG_RULES_LIMIT, ProtectionLevel, moved_pattern
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.registry.connection import the_registry
from moorage.control.written_once import checked_again

_LEVEL_FIELDS = ("minimum_access_level_for_push", "minimum_access_level_for_delete")

AnyRule = TypeVar("AnyRule", RepositoryProtection, ProtectedTagPattern)


def create_repository_rule(
    project: Project,
    repository_path_pattern: str,
    *,
    by: Actor,
    minimum_access_level_for_push: str = "",
    minimum_access_level_for_delete: str = "",
) -> RepositoryProtection:
    """Protect the repositories of *project* whose path is as the pattern. An empty level asks for none.

    Raises:
        ChangeRefused: a value is not possible, or the pattern has a rule already.
    """
    row = RepositoryProtection(
        project=project,
        repository_path_pattern=repository_path_pattern.lower(),
        minimum_access_level_for_push=minimum_access_level_for_push,
        minimum_access_level_for_delete=minimum_access_level_for_delete,
    )
    _check_levels(row)
    _check(row.rule.problems(project.full_path))
    return _save(row, "created", by=by)


def change_repository_rule(row: RepositoryProtection, *, by: Actor, **values: str) -> RepositoryProtection:
    """Change a rule's ``repository_path_pattern`` and its levels; an empty level unsets it.

    Raises:
        ChangeRefused: a value is not possible, or the pattern has a rule already.
    """
    _set(row, values)
    row.repository_path_pattern = row.repository_path_pattern.lower()
    _check_levels(row)
    _check(row.rule.problems(row.project.full_path))
    return _save(row, "changed", by=by)


def create_tag_rule(
    project: Project,
    tag_name_pattern: str,
    *,
    by: Actor,
    minimum_access_level_for_push: str = "",
    minimum_access_level_for_delete: str = "",
) -> ProtectedTagPattern:
    """Protect the tags of *project* that the pattern matches; without levels they become immutable.

    Raises:
        ChangeRefused: a value is not possible, the pattern has a rule already, or the project has five rules.
        RegistryError: the registry does not say whether it can protect tags.

    Source: GitLab features TPR-001 to TPR-003.
    """
    row = ProtectedTagPattern(
        project=project,
        tag_name_pattern=tag_name_pattern,
        minimum_access_level_for_push=minimum_access_level_for_push,
        minimum_access_level_for_delete=minimum_access_level_for_delete,
    )
    _check_levels(row)
    _check(row.rule.problems())
    if not the_registry().info().has_gitlab_api:
        raise refused("base", "GitLab container registry API not supported")
    with transaction.atomic():
        # Held, so that two who add the last rule at once do not both do so.
        Project.objects.select_for_update().get(pk=project.pk)
        if ProtectedTagPattern.objects.filter(project=project).count() >= TAG_RULES_LIMIT:
            raise refused("base", "Maximum number of protection rules have been reached.")
        return _save(row, "created", by=by)


def change_tag_rule(row: ProtectedTagPattern, *, by: Actor, **values: str) -> ProtectedTagPattern:
    """Change a rule's ``tag_name_pattern`` and its levels. Rules of immutable tags do not change, and none becomes one.

    Raises:
        ChangeRefused: a value is not possible, or the pattern has a rule already.

    Source: GitLab features TPR-006.
    """
    if row.is_immutable:
        raise refused("base", "a rule of immutable tags cannot be changed, only deleted")
    _set(row, values)
    _check_levels(row)
    _check(row.rule.problems())
    if row.is_immutable:
        raise refused("base", "Access levels should either both be present or both be nil")
    return _save(row, "changed", by=by)


@transaction.atomic
def delete_rule(row: RepositoryProtection | ProtectedTagPattern, *, by: Actor) -> None:
    """Delete a rule of either kind."""
    record(f"{row.audit_kind}_deleted", row, by=by, project=row.project.full_path, **_levels(row))
    row.delete()


def follow_move(*, move: PlaceMove, **_: object) -> None:
    """Have rules about repositories cover these at their new path as they did at the old one. It hears of each move."""
    rows = RepositoryProtection.objects.filter(project__in=move.projects).select_related("project")
    # From the far end, so that none takes the pattern of one that has yet to go.
    is_longer = len(move.new_path) > len(move.old_path)
    for row in sorted(rows, key=lambda row: len(row.repository_path_pattern), reverse=is_longer):
        pattern = moved_pattern(row.repository_path_pattern, move.old_path, move.new_path)
        if pattern == row.repository_path_pattern:
            continue
        # One of this pattern was of a place that the project left before rules followed: it covered nothing.
        RepositoryProtection.objects.filter(project=row.project, repository_path_pattern=pattern).delete()
        row.repository_path_pattern = pattern
        _save(row, "changed", by=move.by)


def _set(row: RepositoryProtection | ProtectedTagPattern, values: dict[str, str]) -> None:
    unknown = values.keys() - {row.pattern_field, *_LEVEL_FIELDS}
    if unknown:
        raise ChangeRefused({name: ["is no value that can be changed"] for name in unknown})
    for name, value in values.items():
        setattr(row, name, value)


def _check_levels(row: RepositoryProtection | ProtectedTagPattern) -> None:
    words = {"", *ProtectionLevel}
    _check({name: ["is not included in the list"] for name in _LEVEL_FIELDS if getattr(row, name) not in words})


def _check(problems: dict[str, list[str]]) -> None:
    if problems:
        raise ChangeRefused(problems)


def _save(row: AnyRule, happened: str, *, by: Actor) -> AnyRule:
    with checked_again(lambda: _see_that_free(row)):
        # One that was deleted meanwhile does not come back.
        row.save(force_update=row.pk is not None)
        record(f"{row.audit_kind}_{happened}", row, by=by, project=row.project.full_path, **_levels(row))
    return row


def _see_that_free(row: RepositoryProtection | ProtectedTagPattern) -> None:
    same = {"project": row.project_id, row.pattern_field: getattr(row, row.pattern_field)}
    if type(row).objects.filter(**same).exclude(pk=row.pk).exists():
        raise refused(row.pattern_field, "has already been taken")


def _levels(row: RepositoryProtection | ProtectedTagPattern) -> dict[str, str]:
    return {name: getattr(row, name) for name in _LEVEL_FIELDS}
