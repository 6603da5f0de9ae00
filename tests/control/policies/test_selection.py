"""The choice of tags that a policy deletes: GitLab's worked example, its rules one by one, and what always holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.control.policies.durations import parse_duration
from moorage.control.policies.patterns import PatternUnusable
from moorage.control.policies.rules import (
    ALL_TAGS,
    CADENCES,
    EXPLANATIONS,
    CleanupTag,
    PolicySelection,
    PolicyVerdict,
    interval_of,
    judge,
    policy_problems,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def aged(name: str, **age: float) -> CleanupTag:
    return CleanupTag(name=name, moment=NOW - timedelta(**age))


EXAMPLE = [
    aged("latest", hours=2),
    aged("production-v44", days=3),
    aged("production-v43", days=6),
    aged("production-v42", days=11),
    aged("dev-v44", days=2),
    aged("dev-v43", days=5),
    aged("dev-v42", days=10),
    aged("v44", days=1),
    aged("v43", days=12),
    aged("v42", days=20),
]


def verdicts(tags: list[CleanupTag], **selection: object) -> dict[str, str]:
    chosen = PolicySelection(**selection)  # type: ignore[arg-type] # as the table has it
    return {found.name: found.verdict.value for found in judge(tags, chosen, now=NOW)}


def test_gitlab_s_worked_example_comes_out_the_same_and_says_why() -> None:
    found = verdicts(EXAMPLE, keep_count=1, keep_pattern="production-.*", older_than=timedelta(days=7))
    assert found == {
        "latest": "latest",
        "production-v44": "kept_name",
        "production-v43": "kept_name",
        "production-v42": "kept_name",
        "dev-v44": "young",
        "dev-v43": "young",
        "dev-v42": "deleted",
        "v44": "newest",
        "v43": "deleted",
        "v42": "deleted",
    }


def test_every_verdict_has_words() -> None:
    assert set(EXPLANATIONS) == set(PolicyVerdict)


def test_a_deleted_repository_loses_latest_too() -> None:
    assert all(found.is_deleted for found in judge(EXAMPLE, ALL_TAGS, now=NOW))


def test_the_newest_are_counted_over_the_whole_repository() -> None:
    many = [aged(f"v{number}", days=number) for number in range(2500)]
    found = verdicts(many, keep_count=10)
    assert [name for name, verdict in found.items() if verdict == "newest"] == [f"v{number}" for number in range(10)]
    assert list(found.values()).count("deleted") == 2490


def test_a_tag_of_unknown_age_counts_as_new_and_is_not_old_enough() -> None:
    unknown = CleanupTag(name="unknown")
    assert verdicts([unknown, aged("a", days=1)], keep_count=1) == {"unknown": "newest", "a": "deleted"}
    assert verdicts([unknown], older_than=timedelta(days=1)) == {"unknown": "no_date"}
    assert verdicts([unknown]) == {"unknown": "deleted"}


def test_a_tag_without_its_manifest_is_kept_and_counts_for_nothing() -> None:
    gone = CleanupTag(name="gone", moment=NOW, has_manifest=False)
    assert verdicts([gone, aged("a", days=1)], keep_count=1) == {"gone": "no_manifest", "a": "newest"}


def test_a_tag_is_old_enough_only_past_the_age() -> None:
    week = timedelta(days=7)
    assert verdicts([aged("exactly", days=7)], older_than=week) == {"exactly": "young"}
    assert verdicts([aged("past", days=7, seconds=1)], older_than=week) == {"past": "deleted"}


def test_protected_and_immutable_tags_are_kept_after_all_else() -> None:
    guards = {"a": PolicyVerdict.PROTECTED, "b": PolicyVerdict.IMMUTABLE}
    tags = [aged("a", days=9), aged("b", days=9), aged("c", days=9), aged("new", days=1)]
    found = judge(tags, PolicySelection(older_than=timedelta(days=2)), now=NOW, guard=guards.get)
    assert [item.verdict.value for item in found] == ["protected", "immutable", "deleted", "young"]


@pytest.mark.parametrize(
    ("pattern", "name", "verdict"),
    [
        ("dev", "dev", "deleted"),
        ("dev", "dev-1", "other_name"),
        ("dev", "my-dev", "other_name"),
        ("dev.*", "dev-1", "deleted"),
        # GitLab deletes both of these, as its anchors hold one side each.
        ("dev|test", "dev-1", "other_name"),
        ("dev|test", "my-test", "other_name"),
        ("dev|test", "test", "deleted"),
        ("(?i)DEV", "dev", "deleted"),
        ("", "dev", "other_name"),
    ],
)
def test_a_pattern_of_deletion_means_whole_names(pattern: str, name: str, verdict: str) -> None:
    assert verdicts([aged(name, days=1)], delete_pattern=pattern) == {name: verdict}


@pytest.mark.parametrize(
    ("pattern", "name", "verdict"),
    [
        ("release", "release", "kept_name"),
        ("release", "release-1", "deleted"),
        # As GitLab keeps both of these, so do we.
        ("release|v.*", "release-1", "kept_name"),
        ("release|main", "old-main", "kept_name"),
        ("release|main", "main", "kept_name"),
        ("", "anything", "deleted"),
    ],
)
def test_a_pattern_of_keeping_is_read_in_the_way_that_keeps_more(pattern: str, name: str, verdict: str) -> None:
    assert verdicts([aged(name, days=1)], keep_pattern=pattern) == {name: verdict}


def test_what_is_wrong_with_a_pattern_is_said_without_the_quotes_of_bytes() -> None:
    problems = PolicySelection(delete_pattern="*é").problems()
    assert problems["name_regex"] == ["not valid RE2 syntax: no argument for repetition operator: *"]
    assert PolicySelection(delete_pattern="é(").problems()["name_regex"] == ["not valid RE2 syntax: missing ): é("]


@pytest.mark.parametrize("pattern", ["(", "[a", r"(a)\1", "(?=a)", "a{1001}"])
def test_what_is_not_re2_is_a_problem_of_its_field(pattern: str) -> None:
    assert "not valid RE2 syntax" in PolicySelection(delete_pattern=pattern).problems()["name_regex"][0]
    assert list(PolicySelection(keep_pattern=pattern).problems()) == ["name_regex_keep"]
    with pytest.raises(PatternUnusable):
        judge([aged("a", days=1)], PolicySelection(delete_pattern=pattern), now=NOW)


def test_a_policy_says_all_that_is_wrong_with_it() -> None:
    assert policy_problems(cadence="1d", keep_n=10, older_than="90d", name_regex=".*", name_regex_keep=None) == {}
    found = policy_problems(cadence="2d", keep_n=3, older_than="8d", name_regex="", name_regex_keep="a" * 256)
    assert sorted(found) == ["cadence", "keep_n", "name_regex", "name_regex_keep", "older_than"]
    assert found["name_regex_keep"] == ["is too long (maximum is 255 characters)"]


def test_the_cadences_are_these_times() -> None:
    assert [interval_of(cadence).days for cadence in CADENCES] == [1, 7, 14, 30, 90]
    with pytest.raises(ValueError, match="a cadence is one of"):
        interval_of("2d")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("1d", 86_400),
        ("1month", 30 * 86_400),
        ("3months", 90 * 86_400),
        ("1h 30min", 5400),
        ("2 weeks, 1 day", 15 * 86_400),
        ("90s", 90),
        ("0d", 0),
    ],
)
def test_lengths_of_time_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "d", "1", "1x", "-1d", "1d!", "1.5d", "101years", "999999999y", "1d" * 60, "١d"])
def test_what_is_no_length_of_time_is_none(text: str) -> None:
    assert parse_duration(text) is None


NAMES = st.text("ab1-", min_size=1, max_size=3)
TAGS = st.lists(
    st.builds(
        CleanupTag,
        name=NAMES,
        moment=st.none() | st.integers(0, 20).map(lambda days: NOW - timedelta(days=days)),
        has_manifest=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda tag: tag.name,
)
SELECTIONS = st.builds(
    PolicySelection,
    delete_pattern=st.sampled_from([".*", "a.*", "b|a", ""]),
    keep_pattern=st.sampled_from(["", "a", "b.*", "a|b"]),
    keep_count=st.none() | st.integers(0, 4),
    older_than=st.none() | st.integers(0, 20).map(lambda days: timedelta(days=days)),
    keeps_latest=st.booleans(),
)


def deleted(tags: list[CleanupTag], selection: PolicySelection) -> set[str]:
    return {found.name for found in judge(tags, selection, now=NOW) if found.is_deleted}


@given(TAGS, SELECTIONS, st.randoms(use_true_random=False))
def test_the_order_of_the_list_changes_nothing(
    tags: list[CleanupTag], selection: PolicySelection, random: object
) -> None:
    shuffled = list(tags)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    assert deleted(shuffled, selection) == deleted(tags, selection)


@given(TAGS, SELECTIONS)
def test_a_second_run_at_once_finds_nothing_more(tags: list[CleanupTag], selection: PolicySelection) -> None:
    gone = deleted(tags, selection)
    assert deleted([tag for tag in tags if tag.name not in gone], selection) == set()


@given(TAGS, SELECTIONS)
def test_what_goes_is_older_than_what_is_kept_as_newest(tags: list[CleanupTag], selection: PolicySelection) -> None:
    found = judge(tags, selection, now=NOW)
    newest = [item.moment or NOW for item in found if item.verdict is PolicyVerdict.NEWEST]
    gone = [item.moment or NOW for item in found if item.is_deleted]
    assert len(newest) <= (selection.keep_count or 0)
    assert not newest or not gone or max(gone) <= min(newest)


@given(TAGS, SELECTIONS, st.integers(0, 5))
def test_keeping_more_never_deletes_more(tags: list[CleanupTag], selection: PolicySelection, more: int) -> None:
    wider = PolicySelection(
        delete_pattern=selection.delete_pattern,
        keep_pattern=selection.keep_pattern,
        keep_count=(selection.keep_count or 0) + more,
        older_than=(selection.older_than or timedelta()) + timedelta(days=more),
        keeps_latest=True,
    )
    assert deleted(tags, wider) <= deleted(tags, selection)
