"""Rules that protect repositories and tags: who may push and delete in spite of them. No I/O.

A role is a number, as GitLab has them: 30 developer, 40 maintainer, 50 owner. Administrators are held by immutable tags
alone. Where there is no person (a policy, a job of the control plane), every rule counts.

Source: GitLab features RPR-001 to RPR-005, TPR-001 to TPR-010, TDL-003, TKC-012, TKC-013.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from moorage.auth.claims import TagPatterns
from moorage.oci.safe_patterns import PatternInvalid, compiled

REPOSITORY_PATTERN_LIMIT = 255
TAG_PATTERN_LIMIT = 100
TAG_RULES_LIMIT = 5
"""Of a project, immutable ones with them."""

_WILDCARD = "*"
_PATH_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-/*")
_MEMORY_BYTES = 1 << 20


class ProtectionLevel(StrEnum):
    """The least role that a rule lets through, by GitLab's words."""

    MAINTAINER = "maintainer"
    OWNER = "owner"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """The number of the role; an administrator's is above all roles."""
        return {ProtectionLevel.MAINTAINER: 40, ProtectionLevel.OWNER: 50, ProtectionLevel.ADMIN: 60}[self]


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who wants to push or delete: their role in the project."""

    role: int = 0
    is_admin: bool = False

    def reaches(self, level: ProtectionLevel | None) -> bool:
        """Return whether the role is high enough; no level asks for none."""
        return level is None or self.is_admin or self.role >= level.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRule:
    """A rule about the repositories whose path is as its pattern, where ``*`` stands for anything."""

    pattern: str
    push: ProtectionLevel | None = None
    """None: anybody who may push otherwise."""
    delete: ProtectionLevel | None = None

    def covers(self, path: str) -> bool:
        """Return whether it is about the repository at *path*, whatever its case."""
        return _is_like(self.pattern.lower(), path.lower())

    def leads_nowhere(self, project_path: str) -> bool:
        """Return whether no repository of the project at this path can be one that it is about."""
        path = project_path.lower()
        begun, star, _ = self.pattern.lower().partition("*")
        return not (begun == path or begun.startswith(f"{path}/") or (star and path.startswith(begun)))

    def problems(self, project_path: str) -> dict[str, list[str]]:
        """Return what is wrong with it, by GitLab's field; empty if it can be a rule of the project."""
        found: dict[str, list[str]] = {}
        pattern = self.pattern.lower()
        said = []
        if not pattern:
            said.append("can't be blank")
        if len(pattern) > REPOSITORY_PATTERN_LIMIT:
            said.append(f"is too long (maximum is {REPOSITORY_PATTERN_LIMIT} characters)")
        if not set(pattern) <= _PATH_CHARACTERS:
            said.append("should be a valid container repository path with optional wildcard characters")
        if not pattern.startswith(project_path.lower()):
            said.append("should start with the project's full path")
        if said:
            found["repository_path_pattern"] = said
        if self.push is None and self.delete is None:
            found["base"] = ["A rule must have at least a minimum access role for push or delete."]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRule:
    """A rule about the tags that its pattern matches somewhere; without levels they are immutable."""

    pattern: str
    push: ProtectionLevel | None = None
    delete: ProtectionLevel | None = None

    @property
    def is_immutable(self) -> bool:
        """Return whether its tags can be made, but neither moved nor deleted, by anybody."""
        return self.push is None and self.delete is None

    def covers(self, tag: str) -> bool:
        """Return whether it is about *tag*. A pattern that cannot be used covers all: it was meant to protect."""
        found = _compiled(self.pattern)
        return found is None or found.search(tag) is not None

    def problems(self) -> dict[str, list[str]]:
        """Return what is wrong with it, by GitLab's field; empty if it can be used."""
        found: dict[str, list[str]] = {}
        said = []
        if not self.pattern:
            said.append("can't be blank")
        if len(self.pattern) > TAG_PATTERN_LIMIT:
            said.append(f"is too long (maximum is {TAG_PATTERN_LIMIT} characters)")
        elif _compiled(self.pattern) is None:
            said.append("not valid RE2 syntax")
        if said:
            found["tag_name_pattern"] = said
        if (self.push is None) != (self.delete is None):
            found["base"] = ["Access levels should either both be present or both be nil"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TagProtection:
    """All that rules say about one tag."""

    push: ProtectionLevel | None = None
    delete: ProtectionLevel | None = None
    is_immutable: bool = False


class ProtectionObstacle(StrEnum):
    """A reason for which a tag or a repository may not be pushed or deleted."""

    PROTECTED = "protected"
    IMMUTABLE = "immutable"


def moved_pattern(pattern: str, old_path: str, new_path: str) -> str:
    """Return the pattern that covers after a move what *pattern* covered before; itself if it was of another place.

    Where that is longer than a pattern may be, it covers more, and never less.
    """
    old, new = old_path.lower(), new_path.lower()
    if not pattern.startswith(old):
        return pattern
    found = new + pattern[len(old) :]
    return found if len(found) <= REPOSITORY_PATTERN_LIMIT else found[: REPOSITORY_PATTERN_LIMIT - 1] + _WILDCARD


def is_push_protected(rules: Iterable[RepositoryRule], path: str, person: Person | None) -> bool:
    """Return whether a rule forbids to push to the repository at *path*; None: a deploy token, which none holds.

    Source: GitLab features RPR-003 to RPR-005.
    """
    return person is not None and any(rule.covers(path) and not person.reaches(rule.push) for rule in rules)


def is_delete_protected(rules: Iterable[RepositoryRule], path: str, person: Person | None) -> bool:
    """Return whether a rule forbids to delete the repository at *path*; None: no person, which every rule holds."""
    return any(
        rule.delete is not None and rule.covers(path) and not (person is not None and person.reaches(rule.delete))
        for rule in rules
    )


def protection_of(rules: Iterable[TagRule], tag: str) -> TagProtection:
    """Return what the rules together say about a tag: of several levels the highest."""
    covering = [rule for rule in rules if rule.covers(tag)]
    return TagProtection(
        push=_highest(rule.push for rule in covering),
        delete=_highest(rule.delete for rule in covering),
        is_immutable=any(rule.is_immutable for rule in covering),
    )


def push_obstacle(rules: Iterable[TagRule], tag: str, person: Person, *, is_there: bool) -> ProtectionObstacle | None:
    """Return what forbids to push *tag*: first by role, and then, if the tag is there, as it is immutable.

    Source: GitLab features TPR-008.
    """
    found = protection_of(rules, tag)
    if not person.reaches(found.push):
        return ProtectionObstacle.PROTECTED
    return ProtectionObstacle.IMMUTABLE if found.is_immutable and is_there else None


def delete_obstacle(rules: Iterable[TagRule], tag: str, person: Person | None) -> ProtectionObstacle | None:
    """Return what forbids to delete *tag*; None as *person*: nobody in particular, whom every rule holds."""
    found = protection_of(rules, tag)
    if found.delete is not None and (person is None or not person.reaches(found.delete)):
        return ProtectionObstacle.PROTECTED
    return ProtectionObstacle.IMMUTABLE if found.is_immutable else None


def deletes_any_tag(rules: Iterable[TagRule], person: Person | None) -> bool:
    """Return whether *person* may delete each tag that there could be.

    A repository with tags, and a manifest by its digest, are deleted only then.

    Source: GitLab features TPR-009, TPR-010.
    """
    return all(not rule.is_immutable and person is not None and person.reaches(rule.delete) for rule in rules)


def denied_patterns(rules: Sequence[TagRule], person: Person, actions: Collection[str]) -> TagPatterns | None:
    """Return the claim ``tag_deny_access_patterns`` for these actions; None: no claim is made.

    Source: GitLab features TKC-012.
    """
    levelled = [rule for rule in rules if not rule.is_immutable]
    wanted = {"push", "delete"} if "*" in actions else {"push", "delete"} & set(actions)
    if not levelled or not wanted:
        return None
    return TagPatterns(
        push=[rule.pattern for rule in levelled if not person.reaches(rule.push)] if "push" in wanted else None,
        delete=[rule.pattern for rule in levelled if not person.reaches(rule.delete)] if "delete" in wanted else None,
    )


def immutable_patterns(rules: Iterable[TagRule], actions: Collection[str]) -> list[str] | None:
    """Return the claim ``tag_immutable_patterns``, for anybody who changes something; None: no claim is made.

    Source: GitLab features TKC-013.
    """
    found = [rule.pattern for rule in rules if rule.is_immutable]
    return found if found and {"push", "delete", "*"} & set(actions) else None


def _highest(levels: Iterable[ProtectionLevel | None]) -> ProtectionLevel | None:
    return max((level for level in levels if level is not None), key=lambda level: level.rank, default=None)


def _is_like(pattern: str, text: str) -> bool:
    """Tell if *text* is as *pattern*, in one pass over it: each part is taken where it is found first."""
    first, *parts = pattern.split(_WILDCARD)
    if not parts:
        return text == first
    if not text.startswith(first):
        return False
    at = len(first)
    for part in parts[:-1]:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(parts[-1]) and text.endswith(parts[-1])


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    """The pattern, None if it cannot be used."""
    try:
        return compiled(pattern, memory_bytes=_MEMORY_BYTES)
    except PatternInvalid:
        return None
