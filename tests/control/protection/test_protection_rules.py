"""Rules of protection: tables of GitLab's documentation, and a slow matcher beside the fast one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.protections import Protection
from moorage.control.protection.rules import (
    Person,
    ProtectionLevel,
    ProtectionObstacle,
    RepositoryRule,
    TagProtection,
    TagRule,
    delete_obstacle,
    deletes_any_tag,
    denied_patterns,
    immutable_patterns,
    is_delete_protected,
    is_push_protected,
    protection_of,
    push_obstacle,
)
from moorage.errors import Protected
from moorage.oci.names import Tag

DEVELOPER, MAINTAINER, OWNER = Person(30), Person(40), Person(50)
ADMIN = Person(0, is_admin=True)
LEVELS = {level.value: level for level in ProtectionLevel}


@pytest.mark.parametrize(
    ("pattern", "path", "is_covered"),
    [
        ("group/app", "group/app", True),
        ("group/app", "group/app/x", False),
        ("group/app*", "group/app", True),
        ("group/app*", "group/app/x", True),
        ("group/app/*", "group/app", False),
        ("Group/App", "group/APP", True),
        ("group/app/*-prod", "group/app/web-prod", True),
        ("group/app/*-prod", "group/app/web-prod-2", False),
        ("group/app/*a*b", "group/app/xaxab", True),
        ("group/app/ab*ba", "group/app/aba", False),
        ("group/app/a.b", "group/app/axb", False),
        ("group/app/a_b", "group/app/axb", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(pattern: str, path: str, *, is_covered: bool) -> None:
    assert RepositoryRule(pattern=pattern, push=ProtectionLevel.OWNER).covers(path) is is_covered


@given(st.text("ab*/", max_size=8), st.text("ab/", max_size=10))
def test_a_pattern_is_a_star_pattern(pattern: str, path: str) -> None:
    slow = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    assert RepositoryRule(pattern=pattern).covers(path) is (slow.fullmatch(path) is not None)


def test_a_pattern_of_stars_costs_no_more_than_its_length() -> None:
    assert not RepositoryRule(pattern="*a" * 120 + "b").covers("a" * 5000)


@pytest.mark.parametrize(
    ("level", "reaching"),
    [
        (None, "developer maintainer owner admin"),
        ("maintainer", "maintainer owner admin"),
        ("owner", "owner admin"),
        ("admin", "admin"),
    ],
)
def test_the_least_role_of_a_rule_is_asked_for(level: str | None, reaching: str) -> None:
    people = {"developer": DEVELOPER, "maintainer": MAINTAINER, "owner": OWNER, "admin": ADMIN}
    found = LEVELS.get(level or "")
    rules = [RepositoryRule(pattern="g/p*", push=found, delete=found)]
    assert [name for name, who in people.items() if not is_push_protected(rules, "g/p/a", who)] == reaching.split()
    assert [name for name, who in people.items() if not is_delete_protected(rules, "g/p/a", who)] == reaching.split()
    assert not is_push_protected(rules, "g/other", DEVELOPER)


def test_one_rule_that_matches_is_enough() -> None:
    lax = RepositoryRule(pattern="g/p*", push=ProtectionLevel.MAINTAINER)
    strict = RepositoryRule(pattern="g/p/a", push=ProtectionLevel.ADMIN)
    assert is_push_protected([lax, strict], "g/p/a", OWNER)
    assert not is_push_protected([lax, strict], "g/p/b", OWNER)


def test_a_deploy_token_pushes_to_a_protected_repository_and_deletes_none() -> None:
    rules = [RepositoryRule(pattern="g/p", push=ProtectionLevel.ADMIN, delete=ProtectionLevel.MAINTAINER)]
    assert not is_push_protected(rules, "g/p", None)
    assert is_delete_protected(rules, "g/p", None)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (RepositoryRule(pattern="g/p/a*", push=ProtectionLevel.OWNER), []),
        (RepositoryRule(pattern="G/P", delete=ProtectionLevel.OWNER), []),
        (RepositoryRule(pattern="g/p"), ["base"]),
        (RepositoryRule(pattern="", push=ProtectionLevel.OWNER), ["repository_path_pattern"]),
        (RepositoryRule(pattern="g/other", push=ProtectionLevel.OWNER), ["repository_path_pattern"]),
        (RepositoryRule(pattern="*", push=ProtectionLevel.OWNER), ["repository_path_pattern"]),
        (RepositoryRule(pattern="g/p/[a]", push=ProtectionLevel.OWNER), ["repository_path_pattern"]),
        (RepositoryRule(pattern=f"g/p/{'a' * 252}", push=ProtectionLevel.OWNER), ["repository_path_pattern"]),
    ],
)
def test_a_rule_of_repositories_is_checked(rule: RepositoryRule, fields: list[str]) -> None:
    assert list(rule.problems("g/p")) == fields


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        (TagRule(pattern="v.*", push=ProtectionLevel.OWNER, delete=ProtectionLevel.MAINTAINER), []),
        (TagRule(pattern="v.*"), []),
        (TagRule(pattern="v.*", push=ProtectionLevel.OWNER), ["base"]),
        (TagRule(pattern="v.*", delete=ProtectionLevel.OWNER), ["base"]),
        (TagRule(pattern=""), ["tag_name_pattern"]),
        (TagRule(pattern="("), ["tag_name_pattern"]),
        (TagRule(pattern=r"(a)\1"), ["tag_name_pattern"]),
        (TagRule(pattern="a" * 100), []),
        (TagRule(pattern="a" * 101), ["tag_name_pattern"]),
    ],
)
def test_a_rule_of_tags_is_checked(rule: TagRule, fields: list[str]) -> None:
    assert list(rule.problems()) == fields


RULES = [
    TagRule(pattern="^v", push=ProtectionLevel.MAINTAINER, delete=ProtectionLevel.OWNER),
    TagRule(pattern="1", push=ProtectionLevel.OWNER, delete=ProtectionLevel.MAINTAINER),
    TagRule(pattern="final$"),
]


def test_of_several_rules_the_highest_level_counts() -> None:
    assert protection_of(RULES, "v1") == TagProtection(push=ProtectionLevel.OWNER, delete=ProtectionLevel.OWNER)
    assert protection_of(RULES, "v2").push is ProtectionLevel.MAINTAINER
    assert protection_of(RULES, "v1-final").is_immutable
    assert protection_of(RULES, "other") == TagProtection()


@pytest.mark.parametrize(
    ("tag", "who", "is_there", "obstacle"),
    [
        ("v2", DEVELOPER, False, "protected"),
        ("v2", MAINTAINER, True, None),
        ("v1", MAINTAINER, True, "protected"),
        ("v1", ADMIN, True, None),
        ("final", DEVELOPER, False, None),
        ("final", ADMIN, True, "immutable"),
        # First the role, then whether it is there.
        ("v-final", DEVELOPER, True, "protected"),
        ("v-final", MAINTAINER, True, "immutable"),
        ("other", DEVELOPER, True, None),
    ],
)
def test_a_push_is_checked_by_role_and_then_by_immutability(
    tag: str, who: Person, *, is_there: bool, obstacle: str | None
) -> None:
    assert push_obstacle(RULES, tag, who, is_there=is_there) == obstacle


@pytest.mark.parametrize(
    ("tag", "who", "obstacle"),
    [
        ("v2", MAINTAINER, "protected"),
        ("v2", OWNER, None),
        ("v2", ADMIN, None),
        ("v2", None, "protected"),
        ("final", ADMIN, "immutable"),
        ("final", None, "immutable"),
        ("other", None, None),
    ],
)
def test_a_deletion_is_checked_and_without_a_person_every_rule_counts(
    tag: str, who: Person | None, obstacle: str | None
) -> None:
    assert delete_obstacle(RULES, tag, who) == obstacle


def test_a_rule_whose_pattern_cannot_be_used_protects_everything() -> None:
    assert delete_obstacle([TagRule(pattern="(")], "any", ADMIN) is ProtectionObstacle.IMMUTABLE


def test_whole_repositories_are_deleted_only_by_who_may_delete_each_tag() -> None:
    levelled = RULES[:1]
    assert [deletes_any_tag(levelled, who) for who in (MAINTAINER, OWNER, ADMIN, None)] == [False, True, True, False]
    assert [deletes_any_tag(RULES, who) for who in (OWNER, ADMIN)] == [False, False]
    assert deletes_any_tag([], None)


def test_a_token_has_the_patterns_above_its_user() -> None:
    found = denied_patterns(RULES, MAINTAINER, ["pull", "push"])
    assert found is not None
    assert (found.push, found.delete) == (["1"], None)
    found = denied_patterns(RULES, DEVELOPER, ["*"])
    assert found is not None
    assert (found.push, found.delete) == (["^v", "1"], ["^v", "1"])
    found = denied_patterns(RULES, ADMIN, ["push", "delete"])
    assert found is not None
    assert (found.push, found.delete) == ([], [])
    assert denied_patterns(RULES, DEVELOPER, ["pull"]) is None
    assert denied_patterns(RULES[2:], DEVELOPER, ["push"]) is None


def test_a_token_has_the_patterns_of_immutable_tags_if_it_changes_something() -> None:
    assert immutable_patterns(RULES, ["pull"]) is None
    assert immutable_patterns(RULES[:2], ["push"]) is None
    for actions in (["push"], ["delete"], ["*"]):
        assert immutable_patterns(RULES, actions) == ["final$"]


@given(st.sampled_from(["v1", "v2", "final", "v1-final", "other", "1"]), st.sampled_from([30, 40, 50]))
def test_the_registry_decides_by_the_claims_as_the_rules_do(tag: str, role: int) -> None:
    who = Person(role)
    denied = denied_patterns(RULES, who, ["*"])
    assert denied is not None
    claims = Protection(
        deny_push=tuple(denied.push or ()),
        deny_delete=tuple(denied.delete or ()),
        immutable=tuple(immutable_patterns(RULES, ["*"]) or ()),
    )
    assert refused(lambda: claims.check_push(Tag(tag))) == (push_obstacle(RULES, tag, who, is_there=False) is not None)
    assert refused(lambda: claims.check_delete(Tag(tag))) == (delete_obstacle(RULES, tag, who) is not None)


def refused(check: object) -> bool:
    try:
        check()  # type: ignore[operator] # a function
    except Protected:
        return True
    return False


def test_a_rule_that_can_cover_no_repository_of_its_project_is_known() -> None:
    there = ("a/b", "A/b/c", "a/b*", "a/*", "*", "a/b/*/x")
    nowhere = ("a/bc*", "a/bc", "a", "old/b/*")
    assert [text for text in (*there, *nowhere) if RepositoryRule(pattern=text).leads_nowhere("a/B")] == list(nowhere)
