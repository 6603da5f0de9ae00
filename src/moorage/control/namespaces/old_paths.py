"""Old paths of groups and projects: remembered when one moves, forgotten when another takes them.

Source: GitLab ``app/models/redirect_route.rb``, ``app/models/route.rb``.
"""

from collections.abc import Iterable, Sequence

from moorage.control.namespaces.choosing import below
from moorage.control.namespaces.models import OldPath, PlaceKind


def remember_old_paths(kind: PlaceKind, moved: Iterable[tuple[str, str, int]]) -> None:
    """Remember where places were, each by its old path, its new one and its id, in the caller's transaction."""
    rows = [
        OldPath(path=old.lower(), kind=kind, place_id=place_id)
        for old, new, place_id in moved
        if old.lower() != new.lower()
    ]
    OldPath.objects.bulk_create(rows, update_conflicts=True, unique_fields=["path"], update_fields=["kind", "place_id"])


def forget_paths_below(full_path: str) -> None:
    """Forget what was at a path and below it: something else has it now."""
    path = full_path.lower()
    OldPath.objects.filter(path=path).delete()
    OldPath.objects.filter(below(f"{path}/", "path").asked).delete()


def forget_paths_of(kind: PlaceKind, place_id: int) -> None:
    """Forget where a place was that is deleted."""
    OldPath.objects.filter(kind=kind, place_id=place_id).delete()


def project_once_at(path: str) -> int | None:
    """Return the id of the project that was at *path*; None: none was, or something else was since."""
    found = OldPath.objects.filter(path=path.lower(), kind=PlaceKind.PROJECT).first()
    return found.place_id if found else None


def places_once_at(paths: Sequence[str]) -> list[OldPath]:
    """Return what was at some of *paths*, the longest first."""
    found = OldPath.objects.filter(path__in=[path.lower() for path in paths])
    return sorted(found, key=lambda row: len(row.path), reverse=True)
