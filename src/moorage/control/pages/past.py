"""The past of a repository as people read it: changes by day, and its tags as they were at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from moorage.control.registry.connection import the_registry
from moorage.control.registry.moorage_values import RecordedChange

CHANGES_LIMIT = 5000
"""Changes between then and now that are looked through."""
_PAGE = 1000
ROWS = 100
_SHOWN = frozenset({"tag_create", "tag_move", "tag_delete", "manifest_delete", "repository_rename"})
"""The others are parts of a push, or of an undo, whose tag is told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThenTag:
    """A tag as it was at a time."""

    name: str
    digest: str
    now: str
    """The digest that it has now; empty: it is gone."""
    is_restorable: bool
    """False: it is as it was, or garbage collection has taken what it was."""

    @property
    def is_same(self) -> bool:
        """True if nothing has changed since, or has been changed back."""
        return self.digest == self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class TagsThen:
    """A page of the tags of a time, by name."""

    tags: Sequence[ThenTag]
    after: str = ""
    is_whole: bool = True
    """False: more has happened since than is looked through, and nothing can be said."""


def days_of(changes: Sequence[RecordedChange]) -> list[tuple[datetime | None, list[RecordedChange]]]:
    """Return the changes that people look for, by day in UTC, each day with a moment of it."""
    shown = [change for change in changes if change.action in _SHOWN]
    by_day = [(day, list(found)) for day, found in groupby(shown, key=lambda one: one.at.date() if one.at else None)]
    return [(found[0].at, found) for _day, found in by_day]


def tags_at(path: str, when: datetime, *, after: str = "") -> TagsThen:
    """Return the tags that a repository had at *when*, those whose names follow *after*.

    They are those of now with all that was done since taken back, so the work grows with what has happened since.

    Raises:
        RegistryIsOther: the registry keeps no history.
    """
    first = _first_changes(path, when)
    if first is None:
        return TagsThen(tags=(), is_whole=False)
    page = the_registry().tags(path, limit=ROWS, last=after, sort="name")
    end = page.tags[-1].name if page.after and page.tags else ""
    now = {tag.name: tag.digest for tag in page.tags}
    names = set(now) | {name for name in first if name > after and (not end or name <= end)}
    found = []
    for name in sorted(names):
        change = first.get(name)
        digest = change.before if change is not None else now.get(name, "")
        if digest:
            current = now.get(name, "")
            is_restorable = change is not None and change.is_restorable is not False and digest != current
            found.append(ThenTag(name=name, digest=digest, now=current, is_restorable=is_restorable))
    return TagsThen(tags=found, after=end)


def _first_changes(path: str, when: datetime) -> dict[str, RecordedChange] | None:
    """The first change of each tag since *when*, whose "before" it had then; None: too much has happened."""
    found: dict[str, RecordedChange] = {}
    last = ""
    for _ in range(CHANGES_LIMIT // _PAGE):
        page = the_registry().moorage.changes(path, since=when, last=last, limit=_PAGE)
        found |= {change.tag: change for change in page.changes if change.tag}  # They go backwards: the oldest stays.
        last = page.after
        if not last:
            return found
    return None
