"""Changes of groups and projects: each is whole or not at all, with its audit row. Who may is decided by callers."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.instance.models import ApplicationSettings
from moorage.control.namespaces.changes import create_namespace, delete_namespace, free_path, take_path
from moorage.control.namespaces.entering import enter, hold
from moorage.control.namespaces.freed_paths import note_freed_path, was_somebody_elses
from moorage.control.namespaces.models import Namespace, NamespaceKind, PlaceKind
from moorage.control.namespaces.old_paths import forget_paths_of
from moorage.control.projects.members import add_member, delete_bots_of
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel, FeatureLevel, Visibility, is_possible_below
from moorage.control.refusals import refused


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWish:
    """Values of a new group; those that are empty have their defaults."""

    name: str = ""
    description: str = ""
    visibility: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectWish:
    """Values of a new project; those that are empty have their defaults."""

    name: str = ""
    description: str = ""
    visibility: str = ""
    container_registry_access_level: str = ""


@transaction.atomic
def create_group(
    path: str, *, by: Actor, owner: User | None, parent: Namespace | None = None, wish: GroupWish = GroupWish()
) -> Namespace:
    """Make a group, with *owner* as its first member; *parent*: the group that it is in.

    Raises:
        ChangeRefused: a value is not possible, or the path is taken.
    """
    if parent is not None and not parent.is_group:
        raise refused("parent", "is not a group")
    visibility = _visibility(wish.visibility or ApplicationSettings.now().default_group_visibility, parent)
    group = create_namespace(
        NamespaceKind.GROUP,
        path,
        by=by,
        name=wish.name,
        parent=parent,
        visibility=visibility,
        description=wish.description,
    )
    if owner is not None:
        add_member(group, owner, AccessLevel.OWNER, by=by)
    return group


@transaction.atomic
def delete_group(group: Namespace, *, by: Actor) -> None:
    """Delete a group in which nothing is left.

    Raises:
        ChangeRefused: there are groups or projects in it, or something is coming into it.
    """
    hold(group)
    if group.projects.exists():
        raise refused("base", "there are projects in it")
    delete_bots_of(group, by=by)
    delete_namespace(group, by=by)


@transaction.atomic
def change_group(group: Namespace, *, by: Actor, **values: str) -> Namespace:
    """Change a group's ``name``, ``description`` or ``visibility``.

    Raises:
        ChangeRefused: a value is not possible, or something in the group is shown to more than it would be.
    """
    hold(group)
    if "visibility" in values:
        _visibility(values["visibility"], group.parent)
        if values["visibility"] != group.visibility:
            _see_that_holds(group, Visibility(values["visibility"]))
    changed = _changed(group, {"name", "description", "visibility"}, values)
    if changed:
        group.save(update_fields=[*changed, "updated_at"])
        record("group_changed", group, by=by, **changed)
    return group


@transaction.atomic
def create_project(
    namespace: Namespace, path: str, *, by: Actor, creator: User | None, wish: ProjectWish = ProjectWish()
) -> Project:
    """Make a project in a group, or in a user's own namespace.

    Raises:
        ChangeRefused: a value is not possible, or the path is taken; or the namespace is about to go.
    """
    enter(namespace)
    defaults = ApplicationSettings.now()
    usual = FeatureLevel.ENABLED if defaults.has_registry_by_default else FeatureLevel.DISABLED
    full_path = take_path(path, namespace)
    project = Project.objects.create(
        namespace=namespace,
        name=wish.name or path,
        path=path,
        full_path=full_path,
        history_since=timezone.now() if was_somebody_elses(full_path) else None,
        description=wish.description,
        visibility=_visibility(
            wish.visibility or defaults.default_project_visibility, namespace if namespace.is_group else None
        ),
        container_registry_access_level=_feature(wish.container_registry_access_level or usual),
        creator=creator,
    )
    record("project_created", project, by=by, visibility=project.visibility)
    return project


@transaction.atomic
def change_project(project: Project, *, by: Actor, **values: str) -> Project:
    """Change a project's ``name``, ``description``, ``visibility`` or ``container_registry_access_level``.

    Raises:
        ChangeRefused: a value is not possible.
    """
    if "visibility" in values:
        hold(project.namespace)
        _visibility(values["visibility"], project.namespace if project.namespace.is_group else None)
    if "container_registry_access_level" in values:
        _feature(values["container_registry_access_level"])
    changed = _changed(project, {"name", "description", "visibility", "container_registry_access_level"}, values)
    if changed:
        project.save(update_fields=[*changed, "updated_at"])
        record("project_changed", project, by=by, **changed)
    return project


@transaction.atomic
def allow_jobs_of(project: Project, other: Project, *, by: Actor) -> None:
    """Let the jobs of *other* pull from *project*."""
    project.job_token_allowed.add(other)
    record("job_tokens_allowed", project, by=by, of=other.full_path)


@transaction.atomic
def delete_project(project: Project, *, by: Actor) -> None:
    """Delete the record of a project. Its images are the caller's to delete first."""
    record("project_deleted", project, by=by)
    delete_bots_of(project, by=by)
    free_path(project.full_path)
    forget_paths_of(PlaceKind.PROJECT, project.pk)
    note_freed_path(project.full_path)
    project.delete()


def _changed(target: Project | Namespace, possible: set[str], values: dict[str, str]) -> dict[str, list[str]]:
    """Set *values*; return those that differ, each with what it was before."""
    changed = {}
    for field, value in values.items():
        if field not in possible:
            raise refused(field, "cannot be changed")
        if getattr(target, field) != value:
            changed[field] = [getattr(target, field), value]
            setattr(target, field, value)
    return changed


def _visibility(word: str, above: Namespace | None) -> str:
    if word not in set(Visibility):
        raise refused("visibility", f"must be one of {', '.join(Visibility)}")
    if above is not None and not is_possible_below(Visibility(word), Visibility(above.visibility)):
        raise refused("visibility", f"{word} is not allowed in a {above.visibility} group")
    return word


def _see_that_holds(group: Namespace, word: Visibility) -> None:
    """See that nothing in *group* is shown to more than *word* says. Source: GitLab ``app/models/group.rb``."""
    wider = [one for one in Visibility if not is_possible_below(one, word)]
    if Project.objects.within(group).filter(visibility__in=wider).exists():
        raise refused("visibility", f"{word} is not allowed since this group contains projects with higher visibility")
    if Namespace.objects.within(group).exclude(pk=group.pk).filter(visibility__in=wider).exists():
        raise refused("visibility", f"{word} is not allowed since there are sub-groups with higher visibility")


def _feature(word: str) -> str:
    if word not in set(FeatureLevel):
        raise refused("container_registry_access_level", f"must be one of {', '.join(FeatureLevel)}")
    return word
