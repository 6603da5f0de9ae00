"""Sizes of a repository in the past, and those that it would have had under a policy: from the registry's history.

The tags of now are walked back along the journal, so that each tag has its lives: which digest, from when until when.
Then the policy is held against the tags of each day, and what it deletes stays away until the tag is pushed again.
A size counts each manifest, configuration and layer once. See ADR 0133.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.control.images.contents import ManifestContents, TooManyManifests
from moorage.control.images.models import ImageRepository
from moorage.control.policies.listing import guard_of
from moorage.control.policies.rules import CleanupTag, Guard, PolicySelection, judge, unguarded
from moorage.control.registry.connection import the_registry
from moorage.control.registry.moorage_values import RecordedChange
from moorage.control.registry.registry_values import RemoteTag

DAYS = 60
CHANGES_LIMIT = 5000
"""Entries of the journal that are read of a repository; where there are more, the past begins with the last of them."""
IMAGES_LIMIT = 300
"""Images of a repository whose manifests are read for a picture."""
_PAGE = 1000
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLife:
    """A time for which a tag pointed to one digest."""

    name: str
    digest: str
    since: datetime | None
    """None: since before all that is known."""
    until: datetime | None
    """None: it does so now."""

    def holds_at(self, moment: datetime) -> bool:
        """Return whether it was so at a moment."""
        return (self.since is None or self.since <= moment) and (self.until is None or self.until > moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSize:
    """The size of a repository at a moment, and the one that it would have had."""

    at: datetime
    size_bytes: int
    policy_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSizes:
    """The past of a repository."""

    sizes: Sequence[PastSize]
    """The oldest first; empty: nothing is known of more than a day."""
    forgotten: int = 0
    """The number of images whose size is not known any more, so that they count as nothing."""


def past_sizes(repository: ImageRepository, selection: PolicySelection, *, now: datetime) -> PastSizes | None:
    """Return the past of a repository under *selection*, day by day; None: it has too many images for a picture.

    Raises:
        RegistryIsOther: the registry keeps no history.
        RegistryError: it does not answer as it should.
        PatternUnusable: a pattern of the selection cannot be used.
    """
    first = max(now - timedelta(days=DAYS), repository.project.history_since or _EVER)
    changes, first = _changes(repository.path, since=first)
    lives = lives_of(list(the_registry().all_tags(repository.path)), changes)
    moments = [life.since for life in lives if life.since is not None]
    if not any(life.since is None for life in lives):
        first = max(first, min(moments, default=now))
    digests = {life.digest for life in lives}
    if len(digests) > IMAGES_LIMIT:
        return None
    contents = ManifestContents(repository.path)
    try:
        needed = {digest: contents.of([digest]) for digest in digests}
    except TooManyManifests:
        return None
    parts = {digest: found.manifests | found.blobs for digest, found in needed.items()}
    sizes = sizes_under(lives, selection, days_from(first, now), parts, guard=guard_of(repository))
    return PastSizes(sizes=sizes, forgotten=sum(1 for found in parts.values() if not found))


def lives_of(tags: Sequence[RemoteTag], changes: Sequence[RecordedChange]) -> list[TagLife]:
    """Return the lives of tags: *tags* are those of now, and *changes* go back from now."""
    held: dict[str, tuple[str, datetime | None]] = {tag.name: (tag.digest, None) for tag in tags}
    moments = {tag.name: tag.moment for tag in tags}
    found = []
    for change in changes:
        if not change.tag or change.at is None:
            continue
        if change.after and change.tag in held:
            digest, until = held.pop(change.tag)
            found.append(TagLife(name=change.tag, digest=digest, since=change.at, until=until))
        if change.before:
            held[change.tag] = (change.before, change.at)
    for name, (digest, until) in held.items():
        since = moments.get(name) if until is None else None
        found.append(TagLife(name=name, digest=digest, since=since, until=until))
    return [life for life in found if life.digest]


def sizes_under(
    lives: Sequence[TagLife],
    selection: PolicySelection,
    days: Sequence[datetime],
    parts: Mapping[str, Mapping[str, int]],
    *,
    guard: Guard = unguarded,
) -> list[PastSize]:
    """Return both sizes at each of *days*, as if the policy had run on each; *parts*: what each digest needs."""
    gone: set[int] = set()
    found = []
    for day in days:
        there = {number: life for number, life in enumerate(lives) if life.holds_at(day)}
        left = {number: life for number, life in there.items() if number not in gone}
        by_name = {life.name: number for number, life in left.items()}
        listed = [CleanupTag(name=life.name, moment=life.since or days[0]) for life in left.values()]
        gone |= {by_name[one.name] for one in judge(listed, selection, now=day, guard=guard) if one.is_deleted}
        staying = {life.digest for number, life in left.items() if number not in gone}
        before = _size({life.digest for life in there.values()}, parts)
        found.append(PastSize(at=day, size_bytes=before, policy_bytes=_size(staying, parts)))
    return found


def days_from(first: datetime, now: datetime) -> list[datetime]:
    """Return the moments of a picture: a day apart, the last is *now*; none if it is less than a day."""
    count = (now - first).days
    return [now - timedelta(days=day) for day in range(count, -1, -1)] if count else []


def _size(digests: Collection[str], parts: Mapping[str, Mapping[str, int]]) -> int:
    needed: dict[str, int] = {}
    for digest in digests:
        needed.update(parts.get(digest, {}))
    return sum(needed.values())


def _changes(path: str, *, since: datetime) -> tuple[list[RecordedChange], datetime]:
    """Return what changed, newest first, and from when on all of it is known."""
    found, last = list[RecordedChange](), ""
    while len(found) < CHANGES_LIMIT:
        page = the_registry().moorage.changes(path, since=since, last=last, limit=_PAGE)
        found += page.changes
        last = page.after
        if not last:
            return found, since
    return found, found[-1].at or since
