"""Groups and projects that a token reaches. Source: GitLab ``lib/api/entities/project_association_details.rb``."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Schema

from moorage.control.accounts.models import User
from moorage.control.api.place_shapes import NamespaceShape, show_group, show_projects
from moorage.control.api.shapes import Moment
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.roles_held import roles_of

ORGANIZATION_ID = 1
"""Of GitLab's default organization: there is no other here."""


class ReachedGroup(Schema):
    """A group that a token reaches."""

    id: int
    web_url: str
    name: str
    parent_id: int | None
    organization_id: int = ORGANIZATION_ID
    access_levels: int | None
    visibility: str


class ReachedLevels(Schema):
    """The roles of a token's user in a project: in itself, and the highest in a group above it."""

    project_access_level: int | None
    group_access_level: int | None


class ReachedProject(Schema):
    """A project that a token reaches."""

    id: int
    description: str
    name: str
    name_with_namespace: str
    path: str
    path_with_namespace: str
    created_at: Moment
    access_levels: ReachedLevels
    visibility: str
    web_url: str
    namespace: NamespaceShape


class AssociationsShape(Schema):
    """The groups and projects that a token reaches."""

    groups: list[ReachedGroup]
    projects: list[ReachedProject]


def show_associations(
    groups: Sequence[Namespace], projects: Sequence[Project], request: HttpRequest, *, user: User
) -> dict[str, Any]:
    """Show groups and projects with the roles that *user* has in them."""
    roles = roles_of(user, timezone.now().date(), groups=groups)
    shown = show_projects(projects, request, user=user)
    return {
        "groups": [show_group(group, request) | {"access_levels": roles.in_group(group) or None} for group in groups],
        "projects": [one | {"access_levels": _levels(one["permissions"])} for one in shown],
    }


def _levels(permissions: dict[str, dict[str, int] | None]) -> dict[str, int | None]:
    return {f"{word}_level": one["access_level"] if one else None for word, one in permissions.items()}
