"""Choice of tags: by globs, patterns and versions, without some, and the latest only."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from moorage.oci.names import Tag
from moorage.oci.tag_patterns import TagPattern
from moorage.relaying.versions import TagVersion, VersionRange

_OF_REFERRERS = re.compile(r"sha(?:256|512)-[0-9a-f]{64}(?:\.\w+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChoice:
    """Rules for tags; without any it is all of them."""

    globs: Sequence[str] = ()
    patterns: Sequence[TagPattern] = ()
    """A tag has to match one of the globs or of the patterns, if there are any."""
    versions: VersionRange | None = None
    excluded: Sequence[str] = ()
    """Globs of those that are not meant."""
    latest: int | None = None
    """Only so many, of the highest versions; what is no version is not among them."""

    def matches(self, tag: Tag) -> bool:
        """Return whether a tag is meant, whichever are the latest."""
        return not is_of_referrers(tag) and self._is_meant(tag)

    def chosen(self, tags: Iterable[Tag]) -> Sequence[Tag]:
        """Return those that are meant, sorted; with ``latest`` the highest version first."""
        found = [tag for tag in tags if self.matches(tag)]
        if self.latest is None:
            return sorted(found)
        versions = [(version, tag) for tag in found if (version := TagVersion.of(tag.text)) is not None]
        return [tag for _, tag in sorted(versions, reverse=True)[: self.latest]]

    def chosen_of_referrers(self, tags: Iterable[Tag]) -> Sequence[Tag]:
        """Return those that are meant, and called like tags of what refers to a manifest: most go along with that."""
        if self.latest is not None:
            return []
        return sorted(tag for tag in tags if is_of_referrers(tag) and self._is_meant(tag))

    def means_any(self, tags: Collection[Tag]) -> bool:
        """Return whether any of them is meant, also those that are called like tags of what refers to a manifest."""
        return bool(self.chosen(tags) or self.chosen_of_referrers(tags))

    def _is_meant(self, tag: Tag) -> bool:
        if any(fnmatchcase(tag.text, glob) for glob in self.excluded):
            return False
        is_named = not (self.globs or self.patterns)
        is_named = is_named or any(fnmatchcase(tag.text, glob) for glob in self.globs)
        is_named = is_named or any(pattern.matches(tag) for pattern in self.patterns)
        return is_named and (self.versions is None or self.versions.has(tag))


def is_of_referrers(tag: Tag) -> bool:
    """Return whether a tag is one under which clients keep what refers to a manifest: that goes with the manifest."""
    return _OF_REFERRERS.fullmatch(tag.text) is not None
