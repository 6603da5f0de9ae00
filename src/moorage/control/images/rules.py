"""Decisions about repositories: names of records, and when a deletion is tried again. No I/O.

Source: GitLab features REP-002 to REP-005, RDL-007.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypedDict

RETRIES_LIMIT = 10
"""After the first attempt. Source: GitLab features RDL-007."""
DEPTH_LIMIT = 2
"""Levels of a name below its project. Source: GitLab features TKN-015."""
_PROJECT_PARTS = 2
"""A project's path has so many parts at least: its group or user, and its name."""


class RenameWish(TypedDict, total=False):
    """One of the two things that a rename of the registry changes."""

    name: str
    namespace: str


def retry_wait(failures: int) -> timedelta | None:
    """Return the wait after a failure, with *failures* before it: 1, 2, 4 … 512 minutes; None: it was the last try."""
    return timedelta(minutes=1 << failures) if failures < RETRIES_LIMIT else None


def project_paths(path: str) -> Sequence[str]:
    """Return the paths at which the project of the repository at *path* can be, the longest first.

    Source: GitLab features TKN-015.
    """
    parts = path.split("/")
    shortest = max(_PROJECT_PARTS, len(parts) - DEPTH_LIMIT)
    return ["/".join(parts[:count]) for count in range(len(parts), shortest - 1, -1)]


def name_below(project_path: str, path: str) -> str | None:
    """Return the name that the repository at *path* has in a project: empty for the project's own path.

    None: it is not the project's, or too deep below it.
    """
    project, whole = project_path.lower(), path.lower()
    if whole == project:
        return ""
    rest = whole.removeprefix(f"{project}/")
    if rest == whole or not all(rest.split("/")) or rest.count("/") >= DEPTH_LIMIT:
        return None
    return rest


def is_within(path: str, above: str) -> bool:
    """Return whether *path* is *above*, or below it."""
    return path == above or path.startswith(f"{above}/")


def meet(one: str, other: str) -> bool:
    """Return whether one of two paths is the other, or below it."""
    return is_within(one, other) or is_within(other, one)


def rename_wish(old: str, new: str) -> RenameWish:
    """Return the parts of a path that change, as the registry's rename names them."""
    above, _, name = new.rpartition("/")
    before, _, last = old.rpartition("/")
    wish: RenameWish = {}
    if name != last:
        wish["name"] = name
    if above != before:
        wish["namespace"] = above
    return wish
