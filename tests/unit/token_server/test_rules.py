"""What rules allow, what they do not, and why; and files of rules that cannot be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.token_server.patterns import check_pattern, matches
from moorage.token_server.rules import Rules, RulesInvalid
from moorage.token_server.scopes import Scope

RULES = Rules.parse(
    b"""
groups:
  developers: [ada, bob]
rules:
  - {users: ["@developers"], repositories: ["team/**"], actions: [pull, push]}
  - {users: [bob], repositories: [team/app], actions: [delete]}
  - {users: ["*"], repositories: ["{user}/**"], actions: ["*"]}
  - {users: [anonymous], repositories: ["public/*"], actions: [pull]}
  - {users: [ada], registry: [catalog]}
"""
)


@pytest.mark.parametrize(
    ("pattern", "name", "user", "is_match"),
    [
        ("team/app", "team/app", None, True),
        ("team/app", "team/app2", None, False),
        ("team/app", "team/app/x", None, False),
        ("team.app", "teamxapp", None, False),
        ("team/*", "team/app", None, True),
        ("team/*", "team/app/x", None, False),
        ("team/*", "team", None, False),
        ("team/app-*", "team/app-1", None, True),
        ("team/app-*", "team/app", None, False),
        ("team/**", "team/app/x/y", None, True),
        ("team/**", "team", None, False),
        ("team/**", "teams/app", None, False),
        ("**", "anything/at/all", None, True),
        ("**/cache", "a/b/cache", None, True),
        ("**/cache", "cache", None, False),
        ("{user}/**", "ada/app", "ada", True),
        ("{user}/**", "bob/app", "ada", False),
        ("{user}/**", "ada/app", None, False),
        ("home-{user}/*", "home-ada/app", "ada", True),
        # A user's name is a name, and nothing that means something in a pattern.
        ("{user}/**", "anything/app", ".*", False),
        ("{user}/**", "a/b/c", "a/b", False),
        ("{user}/**", "**/app", "**", False),
        # What could be no repository's name.
        ("**", "Team/App", None, False),
        ("**", "../etc", None, False),
        ("**", "", None, False),
        # All that is below a name, as a rename asks for it.
        ("team/**", "team/app/*", None, True),
        ("team/**", "team/*", None, True),
        ("**", "team/*", None, True),
        ("team/*", "team/*", None, False),
        ("team/*/**", "team/*", None, False),
        ("team/app", "team/*", None, False),
        ("team/**", "*", None, False),
    ],
)
def test_a_pattern_means_these_names(pattern: str, name: str, user: str | None, *, is_match: bool) -> None:
    assert matches(check_pattern(pattern), name, user) is is_match


@pytest.mark.parametrize(
    "pattern", ["", "/a", "a/", "A", "a//b", "a**", "***", "a/{group}/b", "[ab]", "a b", "a/" * 200]
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        check_pattern(pattern)


@given(st.from_regex(r"\A[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,4}\Z"), st.integers(min_value=0, max_value=4))
def test_a_name_is_meant_by_itself_and_by_any_of_its_parents_with_everything_below(name: str, depth: int) -> None:
    assert matches(name, name, None)
    parts = name.split("/")
    parent = "/".join(parts[:depth])
    if 0 < depth < len(parts):
        assert matches(f"{parent}/**", name, None)
        assert not matches(parent, name, None)


@pytest.mark.parametrize(
    ("user", "scope", "granted"),
    [
        ("ada", ("repository", "team/app", ("pull", "push", "delete")), ("pull", "push")),
        ("bob", ("repository", "team/app", ("pull", "push", "delete")), ("pull", "push", "delete")),
        ("bob", ("repository", "team/app", ("*",)), ("*",)),
        ("bob", ("repository", "team/other", ("*",)), ("pull", "push")),
        ("eve", ("repository", "team/app", ("pull",)), ()),
        ("eve", ("repository", "eve/app", ("*",)), ("*",)),
        ("eve", ("repository", "eve/app", ("admin", "pull")), ("pull",)),
        (None, ("repository", "public/app", ("pull", "push")), ("pull",)),
        (None, ("repository", "team/app", ("pull",)), ()),
        ("eve", ("repository", "public/app", ("pull", "push")), ("pull",)),
        ("ada", ("registry", "catalog", ("*",)), ("*",)),
        ("ada", ("registry", "catalog", ("pull",)), ()),
        ("bob", ("registry", "catalog", ("*",)), ()),
        ("ada", ("registry", "statistics", ("*",)), ()),
        ("ada", ("plugin", "team/app", ("pull",)), ()),
        ("anonymous", ("repository", "anonymous/app", ("pull",)), ("pull",)),
        ("@developers", ("repository", "team/app", ("pull",)), ()),
        ("*", ("repository", "team/app", ("pull",)), ()),
    ],
)
def test_who_asks_gets_what_the_rules_allow_of_it(
    user: str | None, scope: tuple[str, str, tuple[str, ...]], granted: tuple[str, ...]
) -> None:
    assert RULES.granted(user, Scope(*scope)) == granted


def test_each_decision_says_which_rule_or_what_is_missing() -> None:
    scope = Scope("repository", "team/app", ("pull", "delete"))
    assert [verdict.reason for verdict in RULES.explain("ada", scope)] == [
        "rule 1: @developers, team/**",
        "no rule gives delete to ada on team/app; rule 1 gives pull, push",
    ]
    (denied,) = RULES.explain(None, Scope("repository", "team/app", ("pull",)))
    assert denied.reason == "no rule gives pull to somebody without a password on team/app"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("", {"rules": "is needed"}),
        ("rules: {}", {"rules": "a list is needed"}),
        ("rules: [{users: [a]}]", {"rules[0]": "allows nothing; give repositories with actions, or registry"}),
        (
            "rules: [{users: [a], repositories: [b]}]",
            {"rules[0]": "allows nothing; give repositories with actions, or registry"},
        ),
        ("rules: [{users: a, registry: [catalog]}]", {"rules[0].users": "a list is needed"}),
        (
            "rules: [{users: [a], repositories: [A/b], actions: [pul]}, {user: [a], registry: [catalog]}]",
            {
                "rules[0].repositories[0]": "'A/b' is no pattern; it is a repository's name, with * in a part, "
                "** for any parts, or {user}",
                "rules[0].actions[0]": "should be 'pull', 'push', 'delete' or '*'",
                "rules[1].users": "is needed",
                "rules[1].user": "unknown key; did you mean users?",
            },
        ),
        (
            "groups: {developers: [a]}\nrules: [{users: ['@developer'], registry: [catalog]}]",
            {"rules[0].users": "there is no group 'developer'; did you mean @developers?"},
        ),
        ("rules: [", {"line 1": "not YAML: expected the node content, but found '<stream end>'"}),
    ],
)
def test_every_mistake_of_a_file_is_named_with_its_place(text: str, mistakes: dict[str, str]) -> None:
    with pytest.raises(RulesInvalid) as raised:
        Rules.parse(text.encode())
    assert {mistake.path: mistake.message for mistake in raised.value.mistakes} == mistakes


def test_a_number_as_a_users_name_is_told() -> None:
    with pytest.raises(RulesInvalid, match=r"rules\[0\]\.users\[0\]: text is needed"):
        Rules.parse(b"rules: [{users: [007], registry: [catalog]}]")


def test_a_user_whose_name_is_another_rules_place_is_named() -> None:
    assert list(RULES.concerns(["ada", "team", "public"])) == [
        "the user 'team' has by {user} of rule 3 what another calls team/**",
        "the user 'team' has by {user} of rule 3 what another calls team/app",
        "the user 'public' has by {user} of rule 3 what another calls public/*",
    ]
    assert (
        list(
            Rules.parse(
                b"rules: [{users: ['*'], repositories: ['home/{user}/**', 'team/**'], actions: [pull]}]"
            ).concerns(["team"])
        )
        == []
    )
