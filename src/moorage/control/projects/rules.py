"""Permissions: who may do what with a project and with its images, as functions of values. No I/O.

Source: features PRJ-002 to PRJ-012, TKN-017 to TKN-021. The table of GitLab's pages is a table in the tests.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from moorage.control.accounts.rules import TokenScope


class Visibility(StrEnum):
    """The circle that sees a project or a group."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class FeatureLevel(StrEnum):
    """A project's switch for its registry, ``container_registry_access_level``."""

    DISABLED = "disabled"
    PRIVATE = "private"
    ENABLED = "enabled"


class AccessLevel(IntEnum):
    """A role, by GitLab's numbers. Each can do what those below it can."""

    NONE = 0
    MINIMAL = 5
    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


class ImageRight(StrEnum):
    """Something that can be done with the images of a project."""

    READ = "read"
    PUSH = "push"
    DELETE = "delete"
    """A tag, or an image by its digest."""
    ADMINISTER = "administer"
    """The settings and rules of the registry, and a whole repository."""


class CredentialKind(StrEnum):
    """A kind of credential, by the words that tokens for the registry have as ``auth_type``."""

    NONE = "none"
    PASSWORD = "gitlab_or_ldap"  # noqa: S105 - GitLab's word
    SESSION = "session"
    PERSONAL_TOKEN = "personal_access_token"  # noqa: S105 - GitLab's word
    DEPLOY_TOKEN = "deploy_token"  # noqa: S105 - GitLab's word
    JOB_TOKEN = "build"  # noqa: S105 - GitLab's word


ALL_RIGHTS = frozenset(ImageRight)
NO_RIGHTS: frozenset[ImageRight] = frozenset()

_READ_ONLY = frozenset({ImageRight.READ})
_OF_SCOPE = {
    TokenScope.API: ALL_RIGHTS,
    TokenScope.READ_API: _READ_ONLY,
    TokenScope.READ_REGISTRY: _READ_ONLY,
    TokenScope.WRITE_REGISTRY: frozenset({ImageRight.PUSH}),
}
_OF_JOB = frozenset({ImageRight.READ, ImageRight.PUSH, ImageRight.DELETE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Someone as one project sees them: a role in it, and the credential that they came with."""

    credential: CredentialKind = CredentialKind.NONE
    scopes: frozenset[TokenScope] | None = None
    """Scopes of the token; None: the credential has none and allows all that the person may do."""
    role: AccessLevel = AccessLevel.NONE
    """The highest, inherited ones with it."""
    is_admin: bool = False
    is_of_project: bool = False
    """For a deploy token: its project, or a project of its group. For a job token: the job's own project."""
    runs_jobs: bool = False
    """For a job token of the project: its user is a developer still, or an administrator, as when it was made."""
    is_let_in: bool = False
    """For a job token: the project has allowed the job's project."""

    @property
    def is_user(self) -> bool:
        """True if a user is behind it, so that internal projects are seen."""
        return self.credential not in (CredentialKind.NONE, CredentialKind.DEPLOY_TOKEN)


ANONYMOUS = Standing()


def rights_of_scopes(scopes: Collection[TokenScope] | None) -> frozenset[ImageRight]:
    """Return the rights that a token's scopes leave; None: a credential without scopes leaves all."""
    if scopes is None:
        return ALL_RIGHTS
    return NO_RIGHTS.union(*(_OF_SCOPE.get(scope, NO_RIGHTS) for scope in scopes))


def image_rights(feature: FeatureLevel, visibility: Visibility, who: Standing) -> frozenset[ImageRight]:
    """Return all that *who* may do with the images of a project."""
    if feature is FeatureLevel.DISABLED:
        return NO_RIGHTS
    if who.credential is CredentialKind.DEPLOY_TOKEN:
        possible = rights_of_scopes(who.scopes) & {ImageRight.READ, ImageRight.PUSH}
        return possible if who.is_of_project else possible & _open_to_all(feature, visibility)
    if who.credential is CredentialKind.JOB_TOKEN:
        return _of_job(feature, visibility, who)
    return _of_role(feature, visibility, who) & rights_of_scopes(who.scopes)


def may_see_project(visibility: Visibility, who: Standing) -> bool:
    """Return whether *who* is told that a project exists."""
    if visibility is Visibility.PUBLIC or who.is_of_project:
        return True
    if visibility is Visibility.INTERNAL and who.is_user:
        return True
    return who.is_admin or who.role >= AccessLevel.GUEST


def may_change_project(who: Standing) -> bool:
    """Return whether *who* may change a project's settings and its members."""
    return who.is_admin or who.role >= AccessLevel.MAINTAINER


def may_own(who: Standing) -> bool:
    """Return whether *who* may delete, rename or move a project or a group."""
    return who.is_admin or who.role >= AccessLevel.OWNER


def may_create_in(who: Standing) -> bool:
    """Return whether *who* may make projects in a group."""
    return who.is_admin or who.role >= AccessLevel.DEVELOPER


def level_problem(asked: int, *, own: AccessLevel, is_admin: bool) -> str:
    """Return what is wrong with a role that is given away: none can give more than their own."""
    if asked not in {level.value for level in AccessLevel} - {AccessLevel.NONE.value}:
        return "is not included in the list"
    if not is_admin and asked > own:
        return "is higher than your own"
    return ""


def is_possible_below(visibility: Visibility, above: Visibility) -> bool:
    """Return whether a group of visibility *above* may hold something that *visibility* shows."""
    order = list(Visibility)
    return order.index(visibility) <= order.index(above)


def _of_role(feature: FeatureLevel, visibility: Visibility, who: Standing) -> frozenset[ImageRight]:
    if who.is_admin:
        return ALL_RIGHTS
    rights = _open_to_all(feature, visibility)
    if feature is FeatureLevel.ENABLED and visibility is Visibility.INTERNAL and who.is_user:
        rights |= _READ_ONLY
    if who.role >= AccessLevel.REPORTER:
        rights |= _READ_ONLY
    if who.role >= AccessLevel.DEVELOPER:
        rights |= {ImageRight.PUSH, ImageRight.DELETE}
    if who.role >= AccessLevel.MAINTAINER:
        rights |= {ImageRight.ADMINISTER}
    return rights


def _of_job(feature: FeatureLevel, visibility: Visibility, who: Standing) -> frozenset[ImageRight]:
    if who.is_of_project and who.runs_jobs:
        return _OF_JOB
    if not (who.is_of_project or who.is_let_in):
        return _open_to_all(feature, visibility)
    return _of_role(feature, visibility, who) & _READ_ONLY


def _open_to_all(feature: FeatureLevel, visibility: Visibility) -> frozenset[ImageRight]:
    is_open = feature is FeatureLevel.ENABLED and visibility is Visibility.PUBLIC
    return _READ_ONLY if is_open else NO_RIGHTS
