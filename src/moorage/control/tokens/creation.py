"""Projects that a first push makes, where the setting allows it and the pusher may make projects.

Source: ADR 0075.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models.functions import Lower

from moorage.control.instance.models import ApplicationSettings
from moorage.control.namespaces.models import Namespace
from moorage.control.namespaces.rules import path_problem
from moorage.control.projects.changes import ProjectWish, create_project
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import ANONYMOUS, AccessLevel, FeatureLevel, Standing, Visibility, is_possible_below
from moorage.control.projects.standings import standing_in_namespace
from moorage.control.refusals import ChangeRefused
from moorage.control.tokens.rules import NOT_THERE, denial


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """A project that is not there, and whether a push makes it."""

    reason: str = ""
    """The reason not to make it; empty: it is made."""
    namespace: Namespace | None = None
    path: str = ""
    """Of the project in the namespace."""
    who: Standing = ANONYMOUS
    """The pusher, as the namespace sees them."""

    @property
    def shown(self) -> str:
        """The reason as the pusher may hear it: who has no part in a namespace is not told whether it is there."""
        has_part = self.who.is_admin or self.who.role >= AccessLevel.GUEST
        return self.reason if has_part else NOT_THERE


def new_project(who: Requester, paths: Sequence[str]) -> NewProject:
    """Return what a push makes to a repository whose project could be at *paths*, the longest first.

    Nothing is made yet.
    """
    namespace = namespace_above(paths)
    if namespace is None:
        return NewProject(reason="there is no project at this path, and no group or user that it could be made in")
    path = paths[0].split("/")[namespace.full_path.count("/") + 1]
    standing = standing_in_namespace(who, namespace)
    reason = _obstacle(path, standing)
    if reason:
        reason = f"there is no project at this path, and a push does not make {namespace}/{path}: {reason}"
    return NewProject(reason=reason, namespace=namespace, path=path, who=standing)


def namespace_above(paths: Sequence[str]) -> Namespace | None:
    """Return the group, or the user's own namespace, that a project at *paths* would be in; None: it is not there."""
    parts = paths[0].split("/")
    above = ["/".join(parts[:count]) for count in range(paths[-1].count("/"), len(parts))]
    found = Namespace.objects.alias(lowered=Lower("full_path")).filter(lowered__in=above)
    return max(found, key=lambda one: len(one.full_path), default=None)


def make_project(new: NewProject, who: Requester) -> Project:
    """Make the project.

    Raises:
        ChangeRefused: it cannot be made after all, or is there meanwhile.
    """
    if new.namespace is None or new.reason:
        raise ChangeRefused({"base": [new.reason]})
    usual, visibility = ApplicationSettings.now().default_project_visibility, new.namespace.visibility
    if new.namespace.is_group and not is_possible_below(Visibility(usual), Visibility(visibility)):
        usual = visibility
    return create_project(
        new.namespace, new.path, by=who.as_actor(), creator=who.user, wish=ProjectWish(visibility=usual)
    )


def _obstacle(path: str, standing: Standing) -> str:
    # As if the project were there: whoever may push to any project of a group may make one.
    denied = denial("push", feature=FeatureLevel.ENABLED, visibility=Visibility.PRIVATE, who=standing)
    if denied:
        return (
            denied.replace("in the project", "there") if denied != NOT_THERE else "these credentials have no role there"
        )
    settings = ApplicationSettings.now()
    if not settings.create_project_on_push:
        return "create_project_on_push is off"
    if not settings.has_registry_by_default:
        return "new projects have no container registry here"
    problem = path_problem(path, is_top=False)
    return f"the path {problem}" if problem else ""
