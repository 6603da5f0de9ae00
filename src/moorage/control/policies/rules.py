"""Choice of the tags that a cleanup policy deletes: a function of values, and each tag with the rule that decides.

The preview, the job and the bulk deletion of the API all ask here. ``keep_n`` counts over the whole repository; GitLab
counts again for each page of 1,000 tags, so that there more stay the more there are.

Source: GitLab features CPA-003 to CPA-015; ADR 0078.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from moorage.control.policies import patterns
from moorage.control.policies.durations import parse_duration

CADENCES: Mapping[str, str] = {
    "1d": "every day",
    "7d": "every week",
    "14d": "every two weeks",
    "1month": "every month",
    "3month": "every three months",
}
KEEP_COUNTS = (1, 5, 10, 25, 50, 100)
AGES = ("7d", "14d", "30d", "60d", "90d")
EVERYTHING = ".*"
LATEST = "latest"

_NOT_LISTED = "is not included in the list"


class PolicyVerdict(StrEnum):
    """The rule that keeps a tag, or that it goes, as no rule keeps it."""

    DELETED = "deleted"
    LATEST = "latest"
    """It is named ``latest``."""
    OTHER_NAME = "other_name"
    """The pattern of what is deleted does not match."""
    KEPT_NAME = "kept_name"
    """The pattern of what is kept matches."""
    NO_MANIFEST = "no_manifest"
    """Its manifest is gone, so that nothing says how old it is."""
    NEWEST = "newest"
    """It is one of the newest that are kept."""
    YOUNG = "young"
    """It is not old enough."""
    NO_DATE = "no_date"
    """Its age is not known, and the policy asks for one."""
    PROTECTED = "protected"
    IMMUTABLE = "immutable"


EXPLANATIONS: Mapping[PolicyVerdict, str] = {
    PolicyVerdict.DELETED: "no rule keeps it",
    PolicyVerdict.LATEST: "the tag latest is always kept",
    PolicyVerdict.OTHER_NAME: "its name is not one of those that are removed",
    PolicyVerdict.KEPT_NAME: "its name is one of those that are kept",
    PolicyVerdict.NO_MANIFEST: "its manifest is missing",
    PolicyVerdict.NEWEST: "it is one of the most recent",
    PolicyVerdict.YOUNG: "it is not old enough",
    PolicyVerdict.NO_DATE: "its age is not known",
    PolicyVerdict.PROTECTED: "a protection rule covers it",
    PolicyVerdict.IMMUTABLE: "it is immutable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySelection:
    """The part of a policy that chooses tags."""

    delete_pattern: str = EVERYTHING
    keep_pattern: str = ""
    """Empty: no name is kept for itself."""
    keep_count: int | None = None
    """Newest tags that stay, of those that the patterns leave; None: none."""
    older_than: timedelta | None = None
    """None: tags of any age go."""
    has_unknown_age: bool = False
    """True: there is a text that says no age. Passed over, it would have tags of any age go."""
    keeps_latest: bool = True

    @classmethod
    def stored(cls, *, delete: str, keep: str | None, keep_count: int | None, older_than: str | None) -> Self:
        """Return the choice that fields say; *older_than*: a length of time in words, or nothing."""
        age = parse_duration(older_than) if older_than else None
        return cls(
            delete_pattern=delete,
            keep_pattern=keep or "",
            keep_count=keep_count,
            older_than=age,
            has_unknown_age=bool(older_than) and age is None,
        )

    def problems(self) -> Mapping[str, Sequence[str]]:
        """Return what is wrong, by GitLab's field; empty if it can be used."""
        found: dict[str, Sequence[str]] = {}
        for field, pattern in (("name_regex", self.delete_pattern), ("name_regex_keep", self.keep_pattern)):
            try:
                patterns.check_pattern(pattern)
            except patterns.PatternUnusable as exc:
                found[field] = [str(exc)]
        if not self.delete_pattern:
            found["name_regex"] = ["can't be blank"]
        if self.keep_count is not None and self.keep_count < 0:
            found["keep_n"] = ["must be greater than or equal to 0"]
        if self.has_unknown_age:
            found["older_than"] = ["is invalid"]
        return found


ALL_TAGS = PolicySelection(keeps_latest=False)
"""Everything in a repository that is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupTag:
    """A tag as far as a policy looks at it."""

    name: str
    moment: datetime | None = None
    """The time of its publication; None: nobody knows."""
    has_manifest: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TagVerdict:
    """A tag with the rule that keeps or deletes it."""

    name: str
    moment: datetime | None
    verdict: PolicyVerdict

    @property
    def is_deleted(self) -> bool:
        """Return whether the tag goes."""
        return self.verdict is PolicyVerdict.DELETED

    @property
    def explanation(self) -> str:
        """The rule in words."""
        return EXPLANATIONS[self.verdict]


Guard = Callable[[str], PolicyVerdict | None]
"""Says whether a tag is protected or immutable; None: neither."""


def unguarded(name: str) -> PolicyVerdict | None:
    """Protect nothing."""
    del name
    return None


def judge(
    tags: Iterable[CleanupTag], selection: PolicySelection, *, now: datetime, guard: Guard = unguarded
) -> list[TagVerdict]:
    """Return each tag with its verdict, in the order in which they came.

    Raises:
        PatternUnusable: a pattern of the selection cannot be used.
    """
    listed = list(tags)
    found: dict[str, PolicyVerdict] = {tag.name: _by_name(tag, selection) for tag in listed}
    rest = [tag for tag in listed if found[tag.name] is PolicyVerdict.DELETED]
    # A tag of unknown age counts as new. Of two that are equally old, names decide: each run has to keep the same.
    rest.sort(key=lambda tag: (-(tag.moment or now).timestamp(), tag.name))
    kept = selection.keep_count or 0
    for tag in rest[:kept]:
        found[tag.name] = PolicyVerdict.NEWEST
    for tag in rest[kept:]:
        found[tag.name] = _by_age(tag, selection.older_than, now) or guard(tag.name) or PolicyVerdict.DELETED
    return [TagVerdict(name=tag.name, moment=tag.moment, verdict=found[tag.name]) for tag in listed]


def policy_problems(
    *, cadence: str, keep_n: int | None, older_than: str | None, name_regex: str | None, name_regex_keep: str | None
) -> Mapping[str, Sequence[str]]:
    """Return what is wrong with a policy's fields, by field; empty if it can be enabled.

    Source: GitLab features CPD-003 to CPD-007.
    """
    choice = PolicySelection(delete_pattern=name_regex or "", keep_pattern=name_regex_keep or "")
    found = dict(choice.problems())
    if cadence not in CADENCES:
        found["cadence"] = [_NOT_LISTED]
    if keep_n is not None and keep_n not in KEEP_COUNTS:
        found["keep_n"] = [_NOT_LISTED]
    if older_than is not None and older_than not in AGES:
        found["older_than"] = [_NOT_LISTED]
    return found


def interval_of(cadence: str) -> timedelta:
    """Return the time between two runs.

    Raises:
        ValueError: it is not one of :data:`CADENCES`.
    """
    found = parse_duration(cadence) if cadence in CADENCES else None
    if found is None:
        msg = f"a cadence is one of {', '.join(CADENCES)}"
        raise ValueError(msg)
    return found


def _by_name(tag: CleanupTag, selection: PolicySelection) -> PolicyVerdict:
    if selection.keeps_latest and tag.name == LATEST:
        return PolicyVerdict.LATEST
    if not patterns.deletes(selection.delete_pattern, tag.name):
        return PolicyVerdict.OTHER_NAME
    if selection.keep_pattern and patterns.keeps(selection.keep_pattern, tag.name):
        return PolicyVerdict.KEPT_NAME
    return PolicyVerdict.DELETED if tag.has_manifest else PolicyVerdict.NO_MANIFEST


def _by_age(tag: CleanupTag, older_than: timedelta | None, now: datetime) -> PolicyVerdict | None:
    if older_than is None:
        return None
    if tag.moment is None:
        return PolicyVerdict.NO_DATE
    return None if tag.moment < now - older_than else PolicyVerdict.YOUNG
