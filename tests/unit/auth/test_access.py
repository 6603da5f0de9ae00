"""A grant never allows more than it was given."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.access import CATALOGUE, EVERYTHING, Access, Action, Grant
from moorage.oci.names import RepositoryName

KINDS = st.sampled_from(["repository", "registry"])
ACCESS = st.builds(Access, KINDS, st.sampled_from(["a", "a/b", "catalog", "*"]), st.sampled_from(Action))
ACCESSES = st.frozensets(ACCESS, max_size=6)


@given(given_=ACCESSES, wanted=st.lists(ACCESS, max_size=6))
def test_it_allows_what_was_given_and_nothing_else(given_: frozenset[Access], wanted: list[Access]) -> None:
    covered = given_ | {
        Access(kind, name, action) for kind, name, granted in given_ if granted is Action.ALL for action in Action
    }
    assert Grant("somebody", given_).allows(wanted) is (set(wanted) <= covered)


@given(given_=ACCESSES, more=ACCESSES, wanted=st.lists(ACCESS, max_size=6))
def test_more_never_allows_less(given_: frozenset[Access], more: frozenset[Access], wanted: list[Access]) -> None:
    if Grant("", given_).allows(wanted):
        assert Grant("", given_ | more).allows(wanted)


@given(wanted=st.lists(ACCESS, min_size=1))
def test_nothing_allows_nothing_and_everything_all(wanted: list[Access]) -> None:
    assert not Grant("somebody", frozenset()).allows(wanted)
    assert EVERYTHING.allows(wanted)


def test_an_action_on_one_repository_says_nothing_of_its_neighbours() -> None:
    grant = Grant("", frozenset(Access.repository(RepositoryName("group/app"), Action.ALL)))
    for other in ("group", "group/app/sub", "group/app2", "group/ap"):
        assert not grant.allows(Access.repository(RepositoryName(other), Action.PULL))
    assert not grant.allows([CATALOGUE])
    assert grant.allows(Access.repository(RepositoryName("group/app"), Action.PULL, Action.DELETE))
