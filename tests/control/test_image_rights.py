"""PRJ-004 to PRJ-010: the table of who may do what with a project's images, all rows by all credentials."""

import itertools

import pytest

from moorage.control.accounts.rules import TokenScope
from moorage.control.projects.rules import (
    ALL_RIGHTS,
    ANONYMOUS,
    AccessLevel,
    CredentialKind,
    FeatureLevel,
    ImageRight,
    Standing,
    Visibility,
    image_rights,
    may_see_project,
)

READ = frozenset({ImageRight.READ})
CHANGE = READ | {ImageRight.PUSH, ImageRight.DELETE}
NOTHING: frozenset[ImageRight] = frozenset()
Row = tuple[str, str, frozenset[ImageRight], frozenset[ImageRight], frozenset[ImageRight]]
SCOPES = {scope: frozenset({scope}) for scope in TokenScope}
REGISTRY = frozenset({TokenScope.READ_REGISTRY, TokenScope.WRITE_REGISTRY})


def signed_in(role: AccessLevel, scopes: frozenset[TokenScope] | None = None) -> Standing:
    kind = CredentialKind.PASSWORD if scopes is None else CredentialKind.PERSONAL_TOKEN
    return Standing(credential=kind, role=role, scopes=scopes)


# Source: GitLab doc/user/packages/container_registry "Container registry visibility permissions".
TABLE: list[Row] = [
    # visibility, switch, anonymous, guest, reporter
    ("public", "enabled", READ, READ, READ),
    ("public", "private", NOTHING, NOTHING, READ),
    ("internal", "enabled", NOTHING, READ, READ),
    ("internal", "private", NOTHING, NOTHING, READ),
    ("private", "enabled", NOTHING, NOTHING, READ),
    ("private", "private", NOTHING, NOTHING, READ),
    ("public", "disabled", NOTHING, NOTHING, NOTHING),
    ("internal", "disabled", NOTHING, NOTHING, NOTHING),
    ("private", "disabled", NOTHING, NOTHING, NOTHING),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_table_of_visibility_and_switch(row: Row) -> None:
    visibility, feature, (anonymous, guest, reporter) = Visibility(row[0]), FeatureLevel(row[1]), row[2:]

    def rights(who: Standing) -> frozenset[ImageRight]:
        return image_rights(feature, visibility, who)

    is_on = feature is not FeatureLevel.DISABLED
    assert rights(ANONYMOUS) == anonymous
    for role in (AccessLevel.NONE, AccessLevel.MINIMAL, AccessLevel.GUEST, AccessLevel.PLANNER):
        assert rights(signed_in(role)) == guest, role
    assert rights(signed_in(AccessLevel.REPORTER)) == reporter
    assert rights(signed_in(AccessLevel.DEVELOPER)) == (CHANGE if is_on else NOTHING)
    for role in (AccessLevel.MAINTAINER, AccessLevel.OWNER):
        assert rights(signed_in(role)) == (ALL_RIGHTS if is_on else NOTHING), role
    admin = Standing(credential=CredentialKind.PASSWORD, is_admin=True)
    assert rights(admin) == (ALL_RIGHTS if is_on else NOTHING)


@pytest.mark.parametrize(
    ("scopes", "left"),
    [
        (SCOPES[TokenScope.API], ALL_RIGHTS),
        (SCOPES[TokenScope.READ_API], READ),
        (SCOPES[TokenScope.READ_REGISTRY], READ),
        (SCOPES[TokenScope.WRITE_REGISTRY], frozenset({ImageRight.PUSH})),
        (REGISTRY, READ | {ImageRight.PUSH}),
        (SCOPES[TokenScope.READ_USER], NOTHING),
        (SCOPES[TokenScope.SELF_ROTATE], NOTHING),
        (frozenset(), NOTHING),
    ],
)
def test_a_token_has_no_more_than_its_scopes_and_its_user(
    scopes: frozenset[TokenScope], left: frozenset[ImageRight]
) -> None:
    for feature, visibility, role in itertools.product(FeatureLevel, Visibility, AccessLevel):
        by_role = image_rights(feature, visibility, signed_in(role))
        assert image_rights(feature, visibility, signed_in(role, scopes)) == by_role & left


@pytest.mark.parametrize(("feature", "visibility"), list(itertools.product(FeatureLevel, Visibility)))
def test_a_deploy_token_reads_and_writes_its_own_project_and_never_deletes(
    feature: FeatureLevel, visibility: Visibility
) -> None:
    def rights(scopes: frozenset[TokenScope], *, own: bool) -> frozenset[ImageRight]:
        who = Standing(credential=CredentialKind.DEPLOY_TOKEN, scopes=scopes, is_of_project=own)
        return image_rights(feature, visibility, who)

    to_all = image_rights(feature, visibility, ANONYMOUS)
    is_on = feature is not FeatureLevel.DISABLED
    assert rights(SCOPES[TokenScope.READ_REGISTRY], own=True) == (READ if is_on else NOTHING)
    assert rights(REGISTRY, own=True) == (READ | {ImageRight.PUSH} if is_on else NOTHING)
    assert rights(SCOPES[TokenScope.WRITE_REGISTRY], own=True) == ({ImageRight.PUSH} if is_on else NOTHING)
    assert rights(REGISTRY, own=False) == to_all


@pytest.mark.parametrize(("feature", "visibility"), list(itertools.product(FeatureLevel, Visibility)))
def test_a_job_changes_its_own_project_and_pulls_where_it_is_let_in(
    feature: FeatureLevel, visibility: Visibility
) -> None:
    job = CredentialKind.JOB_TOKEN

    def rights(
        role: AccessLevel, *, own: bool = False, runs: bool = False, let_in: bool = False
    ) -> frozenset[ImageRight]:
        who = Standing(credential=job, role=role, is_of_project=own, runs_jobs=runs, is_let_in=let_in)
        return image_rights(feature, visibility, who)

    to_all = image_rights(feature, visibility, ANONYMOUS)
    for role in AccessLevel:
        by_role = image_rights(feature, visibility, signed_in(role)) & READ
        assert rights(role, own=True, runs=True) == (NOTHING if feature is FeatureLevel.DISABLED else CHANGE)
        assert rights(role, own=True) == by_role
        assert rights(role) == to_all
        assert rights(role, let_in=True) == by_role


def test_a_project_is_known_to_those_who_may_see_it() -> None:
    guest, nobody = signed_in(AccessLevel.GUEST), signed_in(AccessLevel.NONE)
    seen = [[may_see_project(shown, who) for who in (ANONYMOUS, nobody, guest)] for shown in Visibility]
    assert seen == [[False, False, True], [False, True, True], [True, True, True]]
