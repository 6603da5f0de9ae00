"""Questions that the registry answers about a repository: its tags, their number, its size.

Each raises RegistryError where the registry does not answer as it should.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moorage.control.images.models import ImageRepository
from moorage.control.registry.connection import the_registry
from moorage.control.registry.gitlab_api import TagSort
from moorage.control.registry.registry_values import RemoteTag, RemoteTagPage, RepositoryState


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetPage:
    """A numbered page of tags, by name."""

    names: Sequence[str]
    total: int
    """One more than were to be counted: there are more than that."""
    has_next: bool


def tags_by_offset(repository: ImageRepository, *, page: int, per_page: int, count_limit: int) -> OffsetPage:
    """Return a numbered page of tags, the first is 1; they are sorted by name.

    The registry is asked for those before it, and for as many as are to be counted, but for no more.
    """
    end = page * per_page
    names = the_registry().tag_names(repository.path, limit=max(end, count_limit) + 1)
    total = min(len(names), count_limit + 1)
    return OffsetPage(names=names[end - per_page : end], total=total, has_next=len(names) > end)


def tags_by_key(
    repository: ImageRepository,
    *,
    per_page: int,
    sort: Literal["asc", "desc"] = "asc",
    last: str = "",
    name: str = "",
) -> RemoteTagPage:
    """Return the page of tags after the tag *last*, with their details; ``.after`` is the ``last`` of the next page.

    Raises:
        RegistryIsOther: the registry has no such pages.
    """
    order: TagSort = "name" if sort == "asc" else "-name"
    return the_registry().tags(repository.path, limit=per_page, last=last, sort=order, name=name)


def tags_page(
    repository: ImageRepository,
    *,
    per_page: int,
    sort: TagSort = "name",
    last: str = "",
    before: str = "",
    name: str = "",
    has_referrers: bool = False,
) -> RemoteTagPage:
    """Return a page of tags in any order, for pages that lead both ways.

    Raises:
        RegistryIsOther: the registry has no such pages.
    """
    return the_registry().tags(
        repository.path, limit=per_page, last=last, before=before, sort=sort, name=name, has_referrers=has_referrers
    )


def tag_details(repository: ImageRepository, name: str) -> RemoteTag | None:
    """Return a tag; None: there is no such tag.

    Raises:
        TagInvalid: there can be none of this name.
    """
    return the_registry().tag(repository.path, name)


def tag_names(repository: ImageRepository) -> list[str]:
    """Return the names of all tags, sorted."""
    return the_registry().tag_names(repository.path)


def tags_count(repository: ImageRepository) -> int:
    """Return the number of tags. Source: GitLab features REP-009."""
    return len(tag_names(repository))


def state_of(repository: ImageRepository) -> RepositoryState | None:
    """Return its size and dates; None: the registry does not know it, or cannot say.

    Source: GitLab features REP-008.
    """
    return the_registry().repository(repository.path, size="self")
