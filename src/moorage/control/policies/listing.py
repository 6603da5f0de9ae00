"""The tags of a repository as policies judge them, with the rules that protect them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.control.images.models import ImageRepository
from moorage.control.policies.rules import CleanupTag, Guard, PolicySelection, PolicyVerdict, TagVerdict, judge
from moorage.control.protection.questions import tag_rules
from moorage.control.protection.rules import Person, ProtectionObstacle, delete_obstacle
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_values import RemoteTag

_VERDICTS = {
    ProtectionObstacle.PROTECTED: PolicyVerdict.PROTECTED,
    ProtectionObstacle.IMMUTABLE: PolicyVerdict.IMMUTABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTag:
    """All tags of a repository, each with its verdict."""

    verdicts: Sequence[TagVerdict]
    digests: dict[str, str]
    """The manifest of each tag, as far as it is known."""
    original_size: int
    is_whole: bool = True
    """False: the list was too long for a registry that is asked for each tag; the rest is left to a later run."""

    @property
    def deleted(self) -> list[TagVerdict]:
        """Those that go, oldest first."""
        going = [item for item in self.verdicts if item.is_deleted]
        return sorted(going, key=lambda item: (item.moment is not None, item.moment, item.name))

    @property
    def kept(self) -> dict[str, int]:
        """The number of tags that each rule keeps."""
        counts: dict[str, int] = {}
        for item in self.verdicts:
            if not item.is_deleted:
                counts[item.verdict.value] = counts.get(item.verdict.value, 0) + 1
        return counts


def judge_repository(
    repository: ImageRepository,
    selection: PolicySelection,
    *,
    now: datetime,
    person: Person | None = None,
    list_limit: int = 0,
) -> JudgedTag:
    """Return what *selection* would do to a repository at this moment.

    Args:
        repository: its tags are asked for.
        selection: what is chosen.
        now: the moment that ages are counted from.
        person: whose role rules are held against; None: every rule counts.
        list_limit: tags that a registry without GitLab's API is asked for; 0: any number.

    Raises:
        RegistryError: the registry does not answer as it should.
        PatternUnusable: a pattern of the selection cannot be used.
    """
    registry = the_registry()
    tags = list(registry.all_tags(repository.path))
    guard = guard_of(repository, person)
    if registry.info().has_gitlab_api:
        known = [_as_judged(tag, has_details=True) for tag in tags]
        verdicts = judge(known, selection, now=now, guard=guard)
        return JudgedTag(verdicts=verdicts, digests={tag.name: tag.digest for tag in tags}, original_size=len(tags))
    return _asked_one_by_one(repository, tags, selection, now=now, guard=guard, limit=list_limit)


def guard_of(repository: ImageRepository, person: Person | None = None) -> Guard:
    """Return what protects the tags of a repository, held against *person*; None: every rule counts."""
    rules = tag_rules(repository.project)

    def guard(name: str) -> PolicyVerdict | None:
        obstacle = delete_obstacle(rules, name, person) if rules else None
        return None if obstacle is None else _VERDICTS[obstacle]

    return guard


def _asked_one_by_one(
    repository: ImageRepository,
    tags: Sequence[RemoteTag],
    selection: PolicySelection,
    *,
    now: datetime,
    guard: Guard,
    limit: int,
) -> JudgedTag:
    """Ask for each tag that names leave; where those are too many, for some of them, by lot.

    The newest of all tags are the newest of any choice that has them, so that none of them goes.

    Source: GitLab features CPA-010.
    """
    by_name = PolicySelection(
        delete_pattern=selection.delete_pattern,
        keep_pattern=selection.keep_pattern,
        keeps_latest=selection.keeps_latest,
    )
    first = {found.name: found for found in judge([CleanupTag(name=tag.name) for tag in tags], by_name, now=now)}
    names = [name for name, found in first.items() if found.is_deleted]
    most = limit + (selection.keep_count or 0)
    is_whole = not limit or len(names) <= most
    if not is_whole:
        names = random.sample(names, most)
    asked = [the_registry().tag(repository.path, name) for name in names]
    found = [tag for tag in asked if tag is not None]
    verdicts = judge([_as_judged(tag, has_details=True) for tag in found], selection, now=now, guard=guard)
    kept = [item for item in first.values() if not item.is_deleted]
    return JudgedTag(
        verdicts=[*kept, *verdicts],
        digests={tag.name: tag.digest for tag in found},
        original_size=len(tags),
        is_whole=is_whole,
    )


def _as_judged(tag: RemoteTag, *, has_details: bool) -> CleanupTag:
    return CleanupTag(name=tag.name, moment=tag.moment, has_manifest=bool(tag.digest) or not has_details)
