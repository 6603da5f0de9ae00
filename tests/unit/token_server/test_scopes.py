"""Scopes as clients write them. Source: Docker token authentication specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.token_server.scopes import SCOPES_LIMIT, Scope, ScopeInvalid, parse_scopes


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        (["", " "], []),
        (["repository:samalba/my-app:pull,push"], [("repository", "samalba/my-app", ("pull", "push"))]),
        (["repository(plugin):a/b:pull"], [("repository", "a/b", ("pull",))]),
        (["repository:host.example:5000/a/b:pull"], [("repository", "host.example:5000/a/b", ("pull",))]),
        (["registry:catalog:*"], [("registry", "catalog", ("*",))]),
        (["repository:a:pull repository:b:pull"], [("repository", "a", ("pull",)), ("repository", "b", ("pull",))]),
        (
            ["repository:a:pull", "repository:b:pull,push"],
            [("repository", "a", ("pull",)), ("repository", "b", ("pull", "push"))],
        ),
        (["repository:a:pull", "repository:a:push,pull"], [("repository", "a", ("pull", "push"))]),
        (["repository:a:"], [("repository", "a", ())]),
        (["repository:a/*:pull"], [("repository", "a/*", ("pull",))]),
        (["something:else:do"], [("something", "else", ("do",))]),
    ],
)
def test_scopes_are_read_from_one_parameter_and_from_several(
    values: list[str], found: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    assert parse_scopes(values) == tuple(Scope(*each) for each in found)


@pytest.mark.parametrize(
    "value",
    ["repository", "repository:a", "repository::pull", ":a:pull", "Repository:a:pull", "repository:a:PULL", "a:b:c;d"],
)
def test_what_is_no_scope_is_told(value: str) -> None:
    with pytest.raises(ScopeInvalid, match="is no scope; it is kind:name:actions"):
        parse_scopes([value])


def test_more_scopes_than_a_token_holds_are_refused() -> None:
    names = [f"repository:a{number}:pull" for number in range(SCOPES_LIMIT)]
    assert len(parse_scopes(names)) == SCOPES_LIMIT
    with pytest.raises(ScopeInvalid, match=f"{SCOPES_LIMIT} scopes at most"):
        parse_scopes([*names, "repository:b:pull"])


@given(st.lists(st.text(max_size=80), max_size=5))
def test_anything_is_read_or_refused(values: list[str]) -> None:
    try:
        found = parse_scopes(values)
    except ScopeInvalid:
        return
    assert parse_scopes(map(str, found)) == found
