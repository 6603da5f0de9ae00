"""Projects, groups and namespaces as the API shows them."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Schema
from pydantic import Field

from moorage.control.accounts.models import User
from moorage.control.api.policy_shapes import PolicyShape, policy_or_defaults
from moorage.control.api.shapes import Moment, left_out
from moorage.control.api.site_address import site_url
from moorage.control.api.user_shapes import UserSummary, user_summary
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.roles_held import RolesHeld, roles_of
from moorage.control.projects.rules import AccessLevel, FeatureLevel
from moorage.control.usage.questions import sizes_of_projects

NOTIFICATION_LEVEL = 3
"""GitLab's word for "global", which its clients expect beside a role."""


class StatisticsShape(Schema):
    """Room that something takes, by GitLab's names: what Moorage has none of is 0."""

    commit_count: int = 0
    storage_size: int
    repository_size: int = 0
    wiki_size: int = 0
    lfs_objects_size: int = 0
    job_artifacts_size: int = 0
    pipeline_artifacts_size: int = 0
    packages_size: int = 0
    snippets_size: int = 0
    uploads_size: int = 0
    container_registry_size: int


class NamespaceShape(Schema):
    """A group, or the place of a user's own projects."""

    id: int
    name: str
    path: str
    kind: str
    full_path: str
    parent_id: int | None
    avatar_url: str | None = None
    web_url: str


class NamespaceDetailsShape(NamespaceShape):
    """A namespace by itself."""

    statistics: StatisticsShape | None = left_out()


class AccessShape(Schema):
    """A role."""

    access_level: int
    notification_level: int = NOTIFICATION_LEVEL


class PermissionsShape(Schema):
    """The caller's roles: in the project itself, and the highest in a group above it."""

    project_access: AccessShape | None
    group_access: AccessShape | None


class ProjectSummary(Schema):
    """A project in short."""

    id: int
    description: str
    name: str
    name_with_namespace: str
    path: str
    path_with_namespace: str
    created_at: Moment
    last_activity_at: Moment
    default_branch: str | None = None
    topics: list[str] = Field(default_factory=list)
    tag_list: list[str] = Field(default_factory=list)
    web_url: str
    readme_url: str | None = None
    avatar_url: str | None = None
    forks_count: int = 0
    star_count: int = 0
    namespace: NamespaceShape


class ProjectShape(ProjectSummary):
    """A project."""

    visibility: str | None = left_out()
    archived: bool | None = left_out()
    empty_repo: bool | None = left_out()
    owner: UserSummary | None = left_out()
    creator_id: int | None = left_out()
    updated_at: Moment | None = left_out()
    container_registry_enabled: bool | None = left_out()
    container_registry_access_level: str | None = left_out()
    container_registry_image_prefix: str | None = left_out()
    container_expiration_policy: PolicyShape | None = left_out()
    permissions: PermissionsShape | None = left_out()
    statistics: StatisticsShape | None = left_out()


class GroupShape(Schema):
    """A group."""

    id: int
    web_url: str
    name: str
    path: str
    description: str
    visibility: str
    full_name: str
    full_path: str
    parent_id: int | None
    avatar_url: str | None = None
    created_at: Moment
    projects: list[ProjectShape] | None = left_out()
    statistics: StatisticsShape | None = left_out()


def show_namespace(namespace: Namespace, request: HttpRequest) -> dict[str, Any]:
    """Show a namespace."""
    prefix = "groups/" if namespace.is_group else ""
    return {
        "id": namespace.pk,
        "name": namespace.name,
        "path": namespace.path,
        "kind": namespace.kind,
        "full_path": namespace.full_path,
        "parent_id": namespace.parent_id,
        "web_url": f"{site_url(request)}/{prefix}{namespace.full_path}",
    }


def show_group(group: Namespace, request: HttpRequest) -> dict[str, Any]:
    """Show a group."""
    return {
        "id": group.pk,
        "web_url": f"{site_url(request)}/groups/{group.full_path}",
        "name": group.name,
        "path": group.path,
        "description": group.description,
        "visibility": group.visibility,
        "full_name": group.full_path.replace("/", " / "),
        "full_path": group.full_path,
        "parent_id": group.parent_id,
        "created_at": group.created_at,
    }


def show_projects(
    projects: Sequence[Project],
    request: HttpRequest,
    *,
    user: User | None,
    is_simple: bool = False,
    has_statistics: bool = False,
) -> list[dict[str, Any]]:
    """Show projects, with the roles that *user* has in each; one question for all of them.

    With *has_statistics*, those where *user* is reporter or more have their sizes too.
    """
    if is_simple:
        return [_summary(project, request) for project in projects]
    roles = roles_of(user, timezone.now().date(), projects=projects) if user is not None else None
    shown = [_summary(project, request) | _more(project, request, roles) for project in projects]
    if has_statistics and user is not None:
        sizes = sizes_of_projects(list(projects))
        for one in shown:
            if user.is_admin or _highest_role(one["permissions"]) >= AccessLevel.REPORTER:
                one["statistics"] = show_statistics(sizes.get(one["id"]))
    return shown


def show_project(
    project: Project, request: HttpRequest, *, user: User | None, has_statistics: bool = False
) -> dict[str, Any]:
    """Show a project, with the roles that *user* has."""
    return show_projects([project], request, user=user, has_statistics=has_statistics)[0]


def _highest_role(permissions: dict[str, dict[str, int] | None]) -> int:
    return max((one["access_level"] for one in permissions.values() if one is not None), default=0)


def _summary(project: Project, request: HttpRequest) -> dict[str, Any]:
    namespace = project.namespace
    return {
        "id": project.pk,
        "description": project.description,
        "name": project.name,
        "name_with_namespace": f"{namespace.name} / {project.name}",
        "path": project.path,
        "path_with_namespace": project.full_path,
        "created_at": project.created_at,
        "last_activity_at": project.updated_at,
        "web_url": f"{site_url(request)}/{project.full_path}",
        "namespace": show_namespace(namespace, request),
    }


def _more(project: Project, request: HttpRequest, roles: RolesHeld | None) -> dict[str, Any]:
    registry = settings.MOORAGE.configuration.registry
    shown: dict[str, Any] = {
        "visibility": project.visibility,
        "archived": False,
        "empty_repo": True,
        "creator_id": project.creator_id,
        "updated_at": project.updated_at,
        "container_registry_enabled": project.feature is not FeatureLevel.DISABLED,
        "container_registry_access_level": project.container_registry_access_level,
        "container_registry_image_prefix": f"{registry.host_port}/{project.full_path.lower()}",
        "container_expiration_policy": policy_or_defaults(project),
    }
    if not project.namespace.is_group and project.creator is not None:
        shown["owner"] = user_summary(project.creator, request)
    if roles is not None:
        shown["permissions"] = {
            "project_access": _access(roles.in_project_alone(project)),
            "group_access": _access(roles.in_group(project.namespace)),
        }
    return shown


def _access(level: int) -> dict[str, int] | None:
    return {"access_level": level} if level else None


def show_statistics(size_bytes: int | None) -> dict[str, int]:
    """Show a size as GitLab's statistics; None, which is not measured yet, as 0."""
    return {"storage_size": size_bytes or 0, "container_registry_size": size_bytes or 0}
