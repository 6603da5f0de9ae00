"""Paths at which projects were deleted: the registry remembers by the path what was there, for whoever has it next."""

from django.db.models import Q

from moorage.control.namespaces.choosing import below
from moorage.control.namespaces.models import FreedPath

_DEPTH = 2
"""Levels of a repository below its project."""


def note_freed_path(path: str) -> None:
    """Write down that a project was deleted at *path*, in the caller's transaction."""
    FreedPath.objects.get_or_create(path=path.lower())


def was_somebody_elses(path: str) -> bool:
    """Return whether repositories of a project at *path* may have been those of one that is deleted."""
    parts = path.lower().split("/")
    # It had this path, or one so near above that a repository of it could have had this one; or it was below.
    above = ["/".join(parts[:count]) for count in range(max(1, len(parts) - _DEPTH), len(parts) + 1)]
    return FreedPath.objects.filter(Q(path__in=above) | below(f"{path.lower()}/", "path").asked).exists()


def move_freed_paths(old: str, new: str) -> None:
    """Have the paths of projects that were deleted in a group follow it, as the registry's history does."""
    rows = FreedPath.objects.filter(below(f"{old.lower()}/", "path").asked)
    paths = list(rows.values_list("path", flat=True))
    rows.delete()
    for path in paths:
        note_freed_path(new + path[len(old) :])
