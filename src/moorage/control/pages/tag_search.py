"""Search for tags by a part of their name, and for images by the beginning of their digest.

The control plane has no list of tags: the registry is asked, about a bounded number of repositories in bounded time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.control.images.models import ImageRepositories, ImageRepository
from moorage.control.pages.side_by_side import ask_side_by_side
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.registry.registry_values import RemoteTag

REPOSITORIES_LIMIT = 50
"""The repositories that changed last are looked through."""
TAGS_EACH = 5
DIGESTS_LOOKED_THROUGH = 1000
"""Tags of each repository that a digest is looked for among, the newest."""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{7,64})", re.ASCII)
_TAG_PART = re.compile(r"[\w.-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MatchedTag:
    """A tag that was looked for."""

    repository: ImageRepository
    tag: RemoteTag


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSearch:
    """The result of a search."""

    tags: Sequence[MatchedTag] = ()
    is_whole: bool = True
    """False: there are more repositories than were looked through, or not all answered."""
    is_possible: bool = True
    """False: the registry does not answer, or has no API for it."""


def search_tags(rows: ImageRepositories, text: str) -> TagSearch:
    """Look for *text* among the tags of *rows*."""
    digest = _DIGEST.fullmatch(text)
    if digest is None and _TAG_PART.fullmatch(text) is None:
        return TagSearch()
    try:
        if not the_registry().info().has_gitlab_api:
            return TagSearch(is_possible=False)
    except RegistryError:
        return TagSearch(is_possible=False)
    looked = list(rows.order_by("-updated_at", "-pk")[: REPOSITORIES_LIMIT + 1])
    repositories = looked[:REPOSITORIES_LIMIT]
    prefix = digest[1] if digest is not None else ""
    answers = ask_side_by_side([row.path for row in repositories], lambda path: _tags(path, text, prefix))
    found = [MatchedTag(row, tag) for row, tags in zip(repositories, answers, strict=True) for tag in tags or ()]
    is_whole = len(looked) <= REPOSITORIES_LIMIT and None not in answers
    return TagSearch(tags=found, is_whole=is_whole)


def _tags(path: str, text: str, prefix: str) -> list[RemoteTag]:
    found: list[RemoteTag] = []
    if not text.startswith("sha256:"):
        found += the_registry().tags(path, limit=TAGS_EACH, name=text, sort="-published_at").tags
    if prefix:
        newest = the_registry().tags(path, limit=DIGESTS_LOOKED_THROUGH, sort="-published_at").tags
        known = {tag.name for tag in found}
        found += [tag for tag in newest if _has_digest(tag, prefix) and tag.name not in known][:TAGS_EACH]
    return found


def _has_digest(tag: RemoteTag, prefix: str) -> bool:
    return any(digest.partition(":")[2].startswith(prefix) for digest in (tag.digest, tag.config_digest))
