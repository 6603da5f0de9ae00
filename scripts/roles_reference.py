"""The page of roles, from the function that decides: what each may do with a project and its images."""

from collections.abc import Iterable, Iterator, Sequence

from moorage.control.accounts.rules import TokenScope
from moorage.control.projects.rules import (
    AccessLevel,
    CredentialKind,
    FeatureLevel,
    ImageRight,
    Standing,
    Visibility,
    image_rights,
    may_change_project,
    may_create_in,
    may_own,
    may_see_project,
    rights_of_scopes,
)

Row = Sequence[str]

_RIGHTS = {
    ImageRight.READ: "pull",
    ImageRight.PUSH: "push",
    ImageRight.DELETE: "delete tags",
    ImageRight.ADMINISTER: "policies, rules, whole repositories",
}
_PEOPLE = {
    "not signed in": Standing(),
    "signed in": Standing(credential=CredentialKind.PASSWORD),
    "guest, planner": Standing(credential=CredentialKind.PASSWORD, role=AccessLevel.GUEST),
    "reporter and above": Standing(credential=CredentialKind.PASSWORD, role=AccessLevel.REPORTER),
}


def roles_lines() -> Iterator[str]:
    """Yield what each role may, who pulls from which project, and what the scopes of a token leave of it."""
    yield from (
        "# Roles",
        "",
        "A user has a role in a project, or in a group and so in all that is in it; the highest counts.",
        "Owners of a namespace are owners of its projects, and administrators may do everything everywhere.",
        "A role can have a last day; it ends with it.",
        "",
        "## Each role in a private project",
        "",
    )
    names = [*_RIGHTS.values(), "settings, members, tokens", "rename, move, delete"]
    yield from _table(["role", "number", *names, "make projects, in a group"], map(_of_role, list(AccessLevel)[1:]))
    yield from (
        "",
        "A registry's client, such as `skopeo delete`, deletes for maintainers, the pages and the API for developers.",
        "Nobody gives a role above their own.",
        "[Rules](../how-to/protected-repositories-and-tags.md) can ask for more than a role that is here.",
        "",
        "## Whose images are pulled by whom",
        "",
        "By the project's visibility, and by its `container_registry_access_level`.",
        "Pushing and deleting is as above in all of them.",
        "",
    )
    yield from _table(["visibility", "registry", *_PEOPLE], _of_projects())
    yield from (
        "",
        "With `disabled`, nobody does anything, administrators neither, and every image stays.",
        "",
        "## What the scopes of a token leave",
        "",
        "A token never does more than whose it is.",
        "A push pulls too, so it needs both scopes of the registry.",
        "",
    )
    yield from _table(["scope", *_RIGHTS.values()], (_of_scope(scope) for scope in TokenScope))
    yield from ("", "[Tokens of every kind](../how-to/tokens-and-ci-systems.md) has deploy tokens and those of jobs.")


def _of_role(role: AccessLevel) -> Row:
    who = Standing(credential=CredentialKind.PASSWORD, role=role)
    rights = image_rights(FeatureLevel.ENABLED, Visibility.PRIVATE, who)
    allowed = [*(right in rights for right in _RIGHTS), may_change_project(who), may_own(who), may_create_in(who)]
    return [role.name.lower(), str(role.value), *map(_mark, allowed)]


def _of_projects() -> Iterator[Row]:
    for visibility in Visibility:
        for feature in FeatureLevel:
            cells = [
                _mark(ImageRight.READ in image_rights(feature, visibility, who))
                or ("sees the project" if may_see_project(visibility, who) else "")
                for who in _PEOPLE.values()
            ]
            yield visibility, feature, *cells


def _of_scope(scope: TokenScope) -> Row:
    rights = rights_of_scopes([scope])
    return [f"`{scope}`", *(_mark(right in rights) for right in _RIGHTS)]


def _mark(is_allowed: bool) -> str:  # noqa: FBT001 - it is a cell
    return "yes" if is_allowed else ""


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"
