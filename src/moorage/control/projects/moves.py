"""Moves of projects and groups: another path, or another place. Callers decide who may, and look after images."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.changes import free_path, take_path
from moorage.control.namespaces.entering import enter
from moorage.control.namespaces.freed_paths import move_freed_paths, note_freed_path, was_somebody_elses
from moorage.control.namespaces.models import Namespace, PlaceKind, TakenPath
from moorage.control.namespaces.old_paths import project_once_at, remember_old_paths
from moorage.control.namespaces.rules import DEPTH_LIMIT, PATH_LENGTH_LIMIT, joined
from moorage.control.projects.models import Project, Projects
from moorage.control.projects.rules import Visibility, is_possible_below
from moorage.control.refusals import refused

PLACE_MOVED = Signal()
"""Sent in the transaction of a move, with a ``PlaceMove``; who hears of it may refuse one that has not begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceMove:
    """A move of a project, or of a group with all that is in it, as it was done to the rows."""

    place: Project | Namespace
    """As it is now."""
    old_path: str
    new_path: str
    left_ids: Collection[int]
    """Namespaces that have less by it."""
    entered_ids: Collection[int]
    """Namespaces that have more by it."""
    has_begun: bool
    """True: its images are there already, so that it is too late to refuse it."""
    by: Actor

    @property
    def projects(self) -> Projects:
        """The projects that have another path by it."""
        if isinstance(self.place, Project):
            return Project.objects.filter(pk=self.place.pk)
        return Project.objects.within(self.place)


@transaction.atomic
def move_project(project: Project, namespace: Namespace, path: str, *, by: Actor, has_begun: bool = False) -> Project:
    """Give a project the path *path* in *namespace*.

    Args:
        project: it.
        namespace: where it will be.
        path: the last part of its path.
        by: who wants it.
        has_begun: its images are there already: who sees the group was asked before, and matters no more.

    Raises:
        ChangeRefused: the path is taken or not possible, or the group shows less than the project or is about to go.
    """
    if not has_begun:
        enter(namespace)
    old, old_ids = project.full_path, set(project.namespace.lineage_ids)
    if namespace.is_group and not has_begun:
        _see_that_shown(project.shown_to, namespace)
    free_path(old)
    if not has_begun:
        _begin_pasts([project], joined(namespace.full_path, path), lambda _: joined(namespace.full_path, path))
    project.full_path = take_path(path, namespace)
    _note_left(old, project.full_path)
    remember_old_paths(PlaceKind.PROJECT, [(old, project.full_path, project.pk)])
    project.namespace, project.path = namespace, path
    project.save(update_fields=["namespace", "path", "full_path", "history_since", "updated_at"])
    record("project_moved", project, by=by, full_path=[old, project.full_path])
    _tell(project, (old, project.full_path), (old_ids, set(namespace.lineage_ids)), has_begun=has_begun, by=by)
    return project


@transaction.atomic
def move_group(
    group: Namespace, parent: Namespace | None, path: str, *, by: Actor, has_begun: bool = False
) -> Namespace:
    """Give a group the path *path* in *parent*, with all that is in it; None: at the top.

    With *has_begun*, its images are there already: who sees *parent* was asked before, and matters no more.

    Raises:
        ChangeRefused: the path is taken or not possible, it would be in itself, too deep, or seen by fewer; or
            *parent* is about to go.
    """
    if parent is not None and not has_begun:
        enter(parent)
    old, old_lineage, old_ids = group.full_path, group.lineage, set(group.lineage_ids)
    if parent is not None:
        if not parent.is_group:
            raise refused("parent", "is not a group")
        if parent.lineage.startswith(old_lineage):
            raise refused("parent", "is the group itself, or in it")
        if not has_begun:
            _see_that_shown(Visibility(group.visibility), parent)
    # Held, so that nothing comes into one of them by its old path meanwhile.
    groups = [row for row in Namespace.objects.within(group).select_for_update().order_by("pk") if row.pk != group.pk]
    projects = list(Project.objects.within(group))
    free_path(old)
    whole = joined(parent.full_path if parent else "", path)
    if not has_begun:
        _begin_pasts(projects, whole, lambda project: whole + project.full_path[len(old) :])
    group.full_path = take_path(path, parent)
    group.path, group.parent = path, parent
    group.lineage = f"{parent.lineage if parent else ''}{group.pk}/"
    group.save(update_fields=["path", "full_path", "parent", "lineage", "updated_at"])
    for row in groups:
        row.lineage = group.lineage + row.lineage.removeprefix(old_lineage)
    _follow([*groups, *projects], old, group.full_path)
    for kind, rows in ((PlaceKind.GROUP, [group, *groups]), (PlaceKind.PROJECT, projects)):
        new = len(group.full_path)
        remember_old_paths(kind, ((old + row.full_path[new:], row.full_path, row.pk) for row in rows))
    if any(len(row.lineage_ids) > DEPTH_LIMIT for row in [group, *groups]):
        raise refused("parent", f"would make groups more than {DEPTH_LIMIT} deep")
    Namespace.objects.bulk_update(groups, ["full_path", "lineage"])
    Project.objects.bulk_update(projects, ["full_path", "history_since"])
    move_freed_paths(old, group.full_path)
    _note_left(old, group.full_path)
    record("group_moved", group, by=by, full_path=[old, group.full_path])
    _tell(group, (old, group.full_path), (old_ids, set(group.lineage_ids)), has_begun=has_begun, by=by)
    return group


def _begin_pasts(projects: list[Project], path: str, path_of: Callable[[Project], str]) -> None:
    """Have the past of projects that come without images begin now, where others had their new paths.

    Images that come along are renamed only to where the registry has nothing. *path*: the one that is taken, which all
    of *path_of* are at or below.
    """
    if not was_somebody_elses(path):
        return
    for project in projects:
        new = path_of(project)
        is_own = new.lower() == project.full_path.lower() or project_once_at(new) == project.pk
        if not is_own and was_somebody_elses(new):
            project.history_since = timezone.now()


def _note_left(old: str, new: str) -> None:
    if old.lower() != new.lower():
        note_freed_path(old)


def _tell(
    place: Project | Namespace,
    paths: tuple[str, str],
    above: tuple[set[int], set[int]],
    *,
    has_begun: bool,
    by: Actor,
) -> None:
    move = PlaceMove(
        place=place,
        old_path=paths[0],
        new_path=paths[1],
        left_ids=above[0] - above[1],
        entered_ids=above[1] - above[0],
        has_begun=has_begun,
        by=by,
    )
    PLACE_MOVED.send(type(place), move=move)


def _follow(rows: list[Namespace | Project], old: str, new: str) -> None:
    """Set the paths of what is in a group that was moved."""
    TakenPath.objects.filter(path__in=[row.full_path.lower() for row in rows]).delete()
    for row in rows:
        row.full_path = new + row.full_path[len(old) :]
        if len(row.full_path) > PATH_LENGTH_LIMIT:
            raise refused("path", f"is too long: {row.full_path}")
    TakenPath.objects.bulk_create([TakenPath(path=row.full_path.lower()) for row in rows])


def _see_that_shown(what: Visibility, above: Namespace) -> None:
    if not is_possible_below(what, Visibility(above.visibility)):
        raise refused("visibility", f"{what} is not allowed in a {above.visibility} group")
