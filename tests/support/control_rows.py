"""Users, groups, projects and tokens for tests of the control plane, made by the rooms' own changes.

Names are new for each call where none is given.
"""

from collections.abc import Sequence
from itertools import count

from moorage.control.accounts.changes import create_user
from moorage.control.accounts.models import User
from moorage.control.accounts.token_changes import IssuedToken, create_token
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.changes import GroupWish, ProjectWish, create_group, create_project
from moorage.control.projects.members import add_member
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.token_changes import (
    AccessTokenWish,
    DeployTokenWish,
    IssuedDeployToken,
    IssuedJobToken,
    create_access_token,
    create_deploy_token,
    create_job_token,
)

PASSWORD = "Tr0ub4dor-of-tests"

_numbers = count(1)


def new_user(username: str = "", *, is_admin: bool = False, password: str | None = None) -> User:
    """A user; without a password unless one is given, as hashing takes a while."""
    username = username or f"user{next(_numbers)}"
    return create_user(username, by=COMMAND_LINE, password=password, email=f"{username}@example.com", is_admin=is_admin)


def new_group(
    path: str = "", *, owner: User | None = None, parent: Namespace | None = None, visibility: str = "public"
) -> Namespace:
    """A group; public, so that any project can be in it."""
    path = path or f"group{next(_numbers)}"
    return create_group(path, by=COMMAND_LINE, owner=owner, parent=parent, wish=GroupWish(visibility=visibility))


def new_project(
    place: User | Namespace | None = None, path: str = "", *, visibility: str = "private", feature: str = "enabled"
) -> Project:
    """A project in a group, or in a user's own namespace; None: in a new group."""
    namespace = place.namespace if isinstance(place, User) else place or new_group()
    assert namespace is not None
    wish = ProjectWish(visibility=visibility, container_registry_access_level=feature)
    return create_project(namespace, path or f"app{next(_numbers)}", by=COMMAND_LINE, creator=None, wish=wish)


def new_member(place: Project | Namespace, level: AccessLevel, user: User | None = None) -> Membership:
    """A member of *place*; a new user if none is given."""
    return add_member(place, user or new_user(), level, by=COMMAND_LINE)


def new_token(user: User, *scopes: str) -> IssuedToken:
    """A personal access token of *user*; ``.secret`` is what clients send."""
    return create_token(user, "test", scopes or ["api"], by=COMMAND_LINE)


def new_bot_token(
    place: Project | Namespace, level: AccessLevel = AccessLevel.MAINTAINER, scopes: Sequence[str] = ("api",)
) -> IssuedToken:
    """An access token of a project or group."""
    return create_access_token(place, AccessTokenWish(name="bot", scopes=scopes, access_level=level), by=COMMAND_LINE)


def new_deploy_token(place: Project | Namespace, *scopes: str, username: str = "") -> IssuedDeployToken:
    """A deploy token of a project or group."""
    wish = DeployTokenWish(name="deploy", scopes=scopes or ["read_registry"], username=username)
    return create_deploy_token(place, wish, by=COMMAND_LINE)


def new_job_token(project: Project, user: User | None = None) -> IssuedJobToken:
    """A token of a job in *project*."""
    return create_job_token(project, user or new_member(project, AccessLevel.DEVELOPER).user, by=COMMAND_LINE)
