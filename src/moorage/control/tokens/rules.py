"""Decisions of the token endpoint as functions of values: which project a path is of, which action is allowed. No I/O.

An action that is not allowed comes with its reason, in words for the person who has to mend it.

Source: GitLab features TKN-007, TKN-015 to TKN-021; ADR 0074.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum

from moorage.control.accounts.rules import TokenScope
from moorage.control.images.rules import project_paths
from moorage.control.projects.rules import (
    AccessLevel,
    CredentialKind,
    FeatureLevel,
    ImageRight,
    Standing,
    Visibility,
    image_rights,
    may_see_project,
    rights_of_scopes,
)
from moorage.oci.names import RepositoryName

PARTS_LIMIT = 23
"""Of a path: twenty groups, the project, and two below it."""
NOT_THERE = "there is no project at this path, or these credentials are not told of it"

_RIGHTS = {
    "pull": ImageRight.READ,
    "push": ImageRight.PUSH,
    "delete": ImageRight.ADMINISTER,
    "*": ImageRight.ADMINISTER,
}
_ROLES = {
    ImageRight.READ: AccessLevel.REPORTER,
    ImageRight.PUSH: AccessLevel.DEVELOPER,
    ImageRight.DELETE: AccessLevel.DEVELOPER,
    ImageRight.ADMINISTER: AccessLevel.MAINTAINER,
}
_SCOPES = {
    ImageRight.READ: "read_registry, read_api or api",
    ImageRight.PUSH: "write_registry or api",
    ImageRight.DELETE: "api",
    ImageRight.ADMINISTER: "api",
}


class DecisionStep(StrEnum):
    """A step of the decision about an action, in the order in which they are taken."""

    NAME = "name"
    """The name and the action can be."""
    PROJECT = "project"
    """There is a project, and these credentials are told of it."""
    FEATURE = "feature"
    """The registry is switched on in it."""
    CREDENTIALS = "credentials"
    """Credentials came."""
    SCOPE = "scope"
    """The token's own limits."""
    ROLE = "role"
    QUOTA = "quota"
    RULE = "rule"
    """Protected repositories and tags, immutable tags."""


def asked_project_paths(name: str) -> Sequence[str]:
    """Return the paths at which the project of a repository can be, the longest first; none: the name is not possible.

    *name*: as a client asks for it.
    """
    path = name.lower()
    is_possible = RepositoryName.is_valid(path) and path.count("/") < PARTS_LIMIT
    return project_paths(path) if is_possible else ()


def has_registry_ability(scopes: Collection[TokenScope] | None) -> bool:
    """Return whether a credential with these scopes can do anything in the registry.

    Source: GitLab features TKN-007.
    """
    return bool(rights_of_scopes(scopes))


def denial(action: str, *, feature: FeatureLevel, visibility: Visibility, who: Standing) -> str:
    """Return why *who* may not do *action* in a project; empty: they may.

    Source: GitLab features TKN-017 to TKN-021.
    """
    right = _right_of(action, who)
    if right is not None and right in image_rights(feature, visibility, who):
        return ""
    if not may_see_project(visibility, who):
        return NOT_THERE
    if right is None:
        return f"{action} is no action of a repository; there are pull, push, delete and *"
    return _denial_of(action, right, feature, who)


def denied_step(action: str, *, feature: FeatureLevel, visibility: Visibility, who: Standing) -> DecisionStep:
    """Return the step at which an action that :func:`denial` has a reason for is denied."""
    right = _right_of(action, who)
    if not may_see_project(visibility, who):
        return DecisionStep.PROJECT
    if right is None:
        return DecisionStep.NAME
    if feature is FeatureLevel.DISABLED:
        return DecisionStep.FEATURE
    if who.credential is CredentialKind.NONE:
        return DecisionStep.CREDENTIALS
    is_limited = who.credential in (CredentialKind.DEPLOY_TOKEN, CredentialKind.JOB_TOKEN)
    return DecisionStep.SCOPE if is_limited or right not in rights_of_scopes(who.scopes) else DecisionStep.ROLE


def _denial_of(action: str, right: ImageRight, feature: FeatureLevel, who: Standing) -> str:
    if feature is FeatureLevel.DISABLED:
        return "the container registry is switched off in this project"
    if who.credential is CredentialKind.DEPLOY_TOKEN:
        return _denial_of_deploy_token(action, right, who)
    if who.credential is CredentialKind.JOB_TOKEN:
        return _denial_of_job(action, who)
    if right not in rights_of_scopes(who.scopes):
        return f"the token's scopes are {_listed(who.scopes)}; {action} needs {_SCOPES[right]}"
    return _denial_of_role(action, right, feature, who)


def _right_of(action: str, who: Standing) -> ImageRight | None:
    # A job deletes in its own project, while users need the right to administer. Source: GitLab features TKN-019.
    if action == "delete" and who.credential is CredentialKind.JOB_TOKEN:
        return ImageRight.DELETE
    return _RIGHTS.get(action)


def _denial_of_deploy_token(action: str, right: ImageRight, who: Standing) -> str:
    if not who.is_of_project:
        return "the deploy token is of another project or group"
    if right not in (ImageRight.READ, ImageRight.PUSH):
        return f"deploy tokens pull and push; {action} is for users and jobs"
    return f"the deploy token's scopes are {_listed(who.scopes)}; {action} needs {_SCOPES[right].split(',')[0]}"


def _denial_of_job(action: str, who: Standing) -> str:
    if action == "*":
        return "a job may pull, push and delete; * is for users"
    if action != "pull" and not who.is_of_project:
        return f"a job may {action} in its own project only"
    if who.is_of_project:
        least = AccessLevel.REPORTER if action == "pull" else AccessLevel.DEVELOPER
        return f"the user of the job is {_role(who.role)} here, and {action} needs {_role(least)}"
    if not who.is_let_in:
        return "the project does not let jobs of other projects in, or not those of this one"
    return f"the user of the job is {_role(who.role)} here, and pull needs {_role(AccessLevel.REPORTER)}"


def _denial_of_role(action: str, right: ImageRight, feature: FeatureLevel, who: Standing) -> str:
    needed = _role(_ROLES[right])
    if who.credential is CredentialKind.NONE:
        if right is ImageRight.READ and feature is FeatureLevel.PRIVATE:
            return "only members see the images of this project, and no credentials were sent"
        return f"no credentials were sent, and {action} needs the role {needed}"
    return f"the role of this user in the project is {_role(who.role)}, and {action} needs {needed}"


def _role(level: AccessLevel) -> str:
    return level.name.lower()


def _listed(scopes: Collection[TokenScope] | None) -> str:
    return ", ".join(sorted(scopes or ())) or "none"
