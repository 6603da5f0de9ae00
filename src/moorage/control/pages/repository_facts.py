"""Sizes and numbers of tags of the repositories on one page, asked of the registry side by side and in bounded time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.control.images.models import ImageRepository
from moorage.control.pages.side_by_side import ask_side_by_side
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError

TAGS_COUNTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """A repository as the registry knows it; None: not known."""

    tags: int | None = None
    is_more: bool = False
    """True: there are more tags than are counted for a list."""
    size: int | None = None
    pushed_at: datetime | None = None


def facts_of(rows: Sequence[ImageRepository]) -> tuple[dict[int, RepositoryFacts], bool]:
    """Return the facts of *rows* by their ids, and whether the registry answers."""
    if not rows:
        return {}, True
    registry = the_registry()
    try:
        registry.info()
    except RegistryError:
        return {}, False
    found = ask_side_by_side([row.path for row in rows], lambda path: _facts(registry, path))
    return {row.pk: facts or RepositoryFacts() for row, facts in zip(rows, found, strict=True)}, True


def _facts(registry: ControlRegistry, path: str) -> RepositoryFacts:
    if not registry.info().has_gitlab_api:
        return RepositoryFacts(tags=len(registry.tag_names(path)))
    page, state = registry.tags(path, limit=TAGS_COUNTED), registry.repository(path, size="self")
    return RepositoryFacts(
        tags=len(page.tags),
        is_more=bool(page.after),
        size=state.size_bytes if state is not None else None,
        pushed_at=state.last_published_at if state is not None else None,
    )
