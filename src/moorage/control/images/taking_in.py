"""Projects for the repositories that a registry had before it had accounts.

Nobody reaches a repository whose path has no project (GitLab features TKN-015). So whoever puts a control plane in
front of a registry that is full has them made, all at once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction

from moorage.control.accounts.models import User
from moorage.control.audit.actors import Actor
from moorage.control.images.owning import project_at
from moorage.control.images.rules import project_paths
from moorage.control.namespaces.models import Namespace
from moorage.control.namespaces.rules import path_problem
from moorage.control.projects.changes import GroupWish, ProjectWish, create_group, create_project
from moorage.control.projects.models import Project
from moorage.control.refusals import ChangeRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenIn:
    """One repository of the registry, and the project that it belongs to now."""

    repository: str
    project: str = ""
    is_new: bool = False
    """The project was made for it."""
    reason: str = ""
    """The reason why it has no project; empty: it has one."""


class TakingIn:
    """Makes the groups and projects that repositories need.

    Args:
        by: recorded as having made them.
        owner: of new groups.
        visibility: of new groups and projects; empty: the instance's settings.
        dry_run: makes nothing, and says what would be made.
    """

    def __init__(self, *, by: Actor, owner: User, visibility: str = "", dry_run: bool = False) -> None:
        self._by = by
        self._owner = owner
        self._visibility = visibility
        self._dry_run = dry_run
        self._planned: set[str] = set()
        """Paths of projects that a run without changes would have made."""

    def take_in(self, repositories: Iterable[str]) -> Iterator[TakenIn]:
        """Yield each of *repositories*, sorted as a catalogue is, after its project was made where it has none."""
        for path in repositories:
            project = self._project_of(path)
            if project:
                yield TakenIn(repository=path, project=project)
                continue
            reason = self._obstacle(path) or self._make(path)
            if reason:
                yield TakenIn(repository=path, reason=reason)
            else:
                yield TakenIn(repository=path, project=path, is_new=True)

    def _project_of(self, path: str) -> str:
        found = project_at(path)
        if found is not None:
            return found.full_path
        return next((above for above in project_paths(path.lower()) if above in self._planned), "")

    def _obstacle(self, path: str) -> str:
        """Return why *path* can be no project's; empty: it can be."""
        above, _, _ = path.rpartition("/")
        if not above:
            return "its path has one part, and a project has a group or user before its name"
        for number, part in enumerate(path.split("/")):
            problem = path_problem(part, is_top=number == 0)
            if problem:
                return f"{part!r} can be no part of a project's path: it {problem}"
        if Namespace.objects.at(path).exists():
            return "there is a group or user of this path"
        parts = above.split("/")
        for count in range(len(parts), 0, -1):
            inside = "/".join(parts[:count])
            if inside.lower() in self._planned or Project.objects.at(inside).exists():
                return f"it is too deep below the project {inside}"
        return ""

    def _make(self, path: str) -> str:
        """Make the project of *path* and the groups above it; return why that is refused, empty if it is not."""
        if self._dry_run:
            self._planned.add(path.lower())
            return ""
        above, _, name = path.rpartition("/")
        try:
            with transaction.atomic():
                namespace = self._namespace(above)
                create_project(
                    namespace, name, by=self._by, creator=None, wish=ProjectWish(visibility=self._visibility)
                )
        except ChangeRefused as exc:
            return str(exc)
        return ""

    def _namespace(self, path: str) -> Namespace:
        found = Namespace.objects.at(path).first()
        if found is not None:
            return found
        above, _, name = path.rpartition("/")
        parent = self._namespace(above) if above else None
        wish = GroupWish(visibility=self._visibility)
        return create_group(name, by=self._by, owner=self._owner, parent=parent, wish=wish)
