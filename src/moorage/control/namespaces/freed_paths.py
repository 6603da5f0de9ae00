"""Paths that were left, by a deletion or a move: the registry remembers by the path what was there.

A move leaves that behind where the registry has no tag to rename, and what is pushed by a token from before.
"""

from django.db.models import Q

from moorage.control.namespaces.choosing import below
from moorage.control.namespaces.models import FreedPath


def note_freed_path(path: str) -> None:
    """Write down that a project is no longer at *path*, or a group, in the caller's transaction."""
    FreedPath.objects.get_or_create(path=path.lower())


def was_somebody_elses(path: str) -> bool:
    """Return whether repositories of a place at *path* may have been those of one that was there."""
    parts = path.lower().split("/")
    # It had this path, or one above, however far: a registry may have repositories that lie too deep; or it was below.
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return FreedPath.objects.filter(Q(path__in=above) | below(f"{path.lower()}/", "path").asked).exists()


def move_freed_paths(old: str, new: str) -> None:
    """Have the paths of projects that were deleted in a group follow it, as the registry's history does."""
    rows = FreedPath.objects.filter(below(f"{old.lower()}/", "path").asked)
    paths = list(rows.values_list("path", flat=True))
    rows.delete()
    for path in paths:
        note_freed_path(new + path[len(old) :])
