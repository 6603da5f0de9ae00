"""Roles of one user in many places, from one question to the database. ``standings`` asks for one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Q

from moorage.control.accounts.models import User
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel


@dataclass(frozen=True, slots=True)
class RolesHeld:
    """The roles of a user in the places that were asked for, and in the groups above those. 0: none."""

    projects: Mapping[int, int]
    """By a project's id, without what is inherited."""
    groups: Mapping[int, int]
    """By a group's id, without what is inherited."""

    def in_group(self, group: Namespace) -> int:
        """Return the highest role in *group*, its own or inherited."""
        return max(self.groups.get(pk, 0) for pk in group.lineage_ids)

    def in_project(self, project: Project) -> int:
        """Return the highest role in *project*, its own or inherited."""
        return max(self.in_project_alone(project), self.in_group(project.namespace))

    def in_project_alone(self, project: Project) -> int:
        """Return the role in *project* itself."""
        return self.projects.get(project.pk, 0)


def roles_of(
    user: User, today: date, *, projects: Sequence[Project] = (), groups: Sequence[Namespace] = ()
) -> RolesHeld:
    """Return the roles of *user* in *projects* and *groups*."""
    namespaces = [*groups, *(project.namespace for project in projects)]
    rows = Membership.objects.valid(today).filter(
        Q(project__in=[project.pk for project in projects])
        | Q(namespace__in={pk for namespace in namespaces for pk in namespace.lineage_ids}),
        user=user,
    )
    in_projects: dict[int, int] = {}
    in_groups: dict[int, int] = {}
    for row in rows:
        if row.project_id is not None:
            in_projects[row.project_id] = row.access_level
        elif row.namespace_id is not None:
            in_groups[row.namespace_id] = row.access_level
    # Whoever has a place of their own owns what is in it, without a row that says so.
    own = [project.pk for project in projects if project.namespace_id == user.namespace_id]
    return RolesHeld(in_projects | dict.fromkeys(own, AccessLevel.OWNER), in_groups)
