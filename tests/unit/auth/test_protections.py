"""Protected and immutable tags: GitLab's rules, case by case."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.auth.protections import PATTERN_COUNT_LIMIT, PATTERN_LENGTH_LIMIT, UNPROTECTED, Protection
from moorage.errors import PatternRefused, Protected, Refused
from moorage.oci.names import Tag

V1 = Tag("v1")
CHECKS: dict[str, Callable[[Protection, Tag], None]] = {
    "push": Protection.check_push,
    "overwrite": Protection.check_overwrite,
    "delete": Protection.check_delete,
    "change": Protection.check_change,
}


def reason(protection: Protection, check: str, tag: Tag = V1) -> object:
    """GitLab's code of the refusal; None if there is none."""
    try:
        CHECKS[check](protection, tag)
    except Refused as exc:
        return exc.detail["reason"]
    return None


@pytest.mark.parametrize(
    ("protection", "reasons"),
    [
        (UNPROTECTED, (None, None, None, None)),
        (Protection(deny_push=("^v",)), ("PROTECTED_TAG", None, None, "PROTECTED_TAG")),
        (Protection(deny_delete=("^v",)), (None, None, "PROTECTED_TAG", "PROTECTED_TAG")),
        (Protection(immutable=("^v",)), (None, "IMMUTABLE_TAG", "IMMUTABLE_TAG", "IMMUTABLE_TAG")),
        (
            Protection(deny_delete=("1",), immutable=("v",)),
            (None, "IMMUTABLE_TAG", "PROTECTED_TAG", "PROTECTED_TAG"),
        ),
        (Protection(deny_push=("^w", "x"), deny_delete=("v2",), immutable=("^1",)), (None, None, None, None)),
    ],
)
def test_each_rule_is_about_its_own_action(protection: Protection, reasons: tuple[str | None, ...]) -> None:
    assert tuple(reason(protection, check) for check in CHECKS) == reasons
    assert protection.keeps(V1) is (reasons[2] is not None)


@pytest.mark.parametrize(
    ("pattern", "tag", "matches"),
    [
        ("v", "1.v", True),
        ("^v$", "v1", False),
        (r"^v\d+\.\d+$", "v1.20", True),
        ("(?i)^LATEST$", "latest", True),
        ("", "anything", True),
        ("release|^v", "my-release-1", True),
        (r"\.", "v1", False),
    ],
)
def test_a_pattern_matches_anywhere_in_the_tag(pattern: str, tag: str, *, matches: bool) -> None:
    """V2M-024: unanchored."""
    assert (reason(Protection(deny_push=(pattern,)), "push", Tag(tag)) is not None) is matches


@pytest.mark.parametrize(
    "pattern", ["(", "a**", r"(?=v)", r"(a)\1", "[z-a]", "a" * 101, "é" * 51, "(?:a{1000}){1000}", "\ud800"]
)
def test_a_pattern_that_cannot_be_used_refuses_what_it_is_about(pattern: str) -> None:
    """V2M-028."""
    assert reason(Protection(deny_push=(pattern,)), "push") == "TAG_PROTECTION_PATTERN_INVALID"
    assert reason(Protection(deny_delete=(pattern,)), "delete") == "TAG_PROTECTION_PATTERN_INVALID"
    assert reason(Protection(immutable=(pattern,)), "delete") == "TAG_IMMUTABILITY_PATTERN_INVALID"
    assert reason(Protection(immutable=(pattern,)), "overwrite") == "TAG_IMMUTABILITY_PATTERN_INVALID"
    with pytest.raises(PatternRefused):
        Protection(deny_delete=(pattern,)).keeps(V1)


def test_the_longest_pattern_is_taken() -> None:
    assert reason(Protection(deny_push=("v" * PATTERN_LENGTH_LIMIT,)), "push") is None


def test_the_first_pattern_that_says_something_is_the_one_that_is_told() -> None:
    """As GitLab goes through them: one behind a match is not looked at."""
    assert reason(Protection(deny_push=("^v", "(")), "push") == "PROTECTED_TAG"
    assert reason(Protection(deny_push=("(", "^v")), "push") == "TAG_PROTECTION_PATTERN_INVALID"


def test_there_are_five_patterns_for_an_action_at_most() -> None:
    """V2M-028: those that forbid it and those of immutable tags together, before any of them is tried."""
    many = tuple("abcdefgh")
    five = Protection(deny_push=many[:3], deny_delete=many[:4], immutable=("x", "y"))
    assert reason(five, "push") is None
    assert reason(five, "delete") == "TAG_PATTERN_COUNT_LIMIT_EXCEEDED"
    assert reason(Protection(deny_push=many[:PATTERN_COUNT_LIMIT]), "push") is None
    assert (
        reason(Protection(deny_push=("v", *many[:PATTERN_COUNT_LIMIT])), "push") == "TAG_PATTERN_COUNT_LIMIT_EXCEEDED"
    )


@pytest.mark.parametrize(
    ("protection", "is_refused"),
    [
        (UNPROTECTED, False),
        (Protection(deny_push=("v",)), False),
        (Protection(deny_delete=("no tag is called so",)), True),
        (Protection(immutable=("no tag is called so",)), True),
    ],
)
def test_a_manifest_is_deleted_only_where_every_tag_may_be(protection: Protection, *, is_refused: bool) -> None:
    """V2M-029: matching or not."""
    if is_refused:
        with pytest.raises(Protected) as caught:
            protection.check_content()
        assert caught.value.detail["reason"] == "PROTECTED_MANIFEST"
    else:
        protection.check_content()


PATTERNS = st.lists(st.sampled_from(["^v", "1$", "x", "", "("]), max_size=3, unique=True).map(tuple)
PROTECTIONS = st.builds(Protection, deny_push=PATTERNS, deny_delete=PATTERNS, immutable=PATTERNS)


@given(first=PROTECTIONS, second=PROTECTIONS, tag=st.sampled_from(["v1", "x", "latest"]))
def test_two_together_forbid_what_either_does(first: Protection, second: Protection, tag: str) -> None:
    for check in CHECKS:
        alone = [reason(protection, check, Tag(tag)) for protection in (first, second)]
        if any(alone):
            assert reason(first.joined(second), check, Tag(tag)) is not None


@given(pattern=st.text(max_size=40))
def test_any_text_is_a_pattern_or_is_refused(pattern: str) -> None:
    assert reason(Protection(deny_push=(pattern,)), "push") in (None, "PROTECTED_TAG", "TAG_PROTECTION_PATTERN_INVALID")


def test_a_pattern_that_would_hang_another_engine_takes_no_time() -> None:
    """PROJQUAY-10573. Python's own engine is shown to be one of them, on a tag that is short enough to wait for."""
    pattern, tag = "^(a+)+$", "a" * 127 + "b"
    assert reason(Protection(deny_push=(pattern,)), "push", Tag(tag)) is None
    assert re.search(pattern, tag[-12:]) is None
