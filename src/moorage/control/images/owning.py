"""The project that a repository belongs to, by their paths."""

from collections.abc import Sequence

from moorage.control.images.rules import DEPTH_LIMIT
from moorage.control.projects.models import Project


def owner_paths(path: str) -> Sequence[str]:
    """Return the paths at which the project of the repository at *path* can be, the longest first.

    Source: GitLab features TKN-015.
    """
    found = [path]
    for _ in range(DEPTH_LIMIT):
        found.append(found[-1].rpartition("/")[0])
    return [each for each in found if each]


def project_at(path: str) -> Project | None:
    """Return the project of the repository at *path*: of that path, or of one at most two levels above.

    Source: GitLab features TKN-015.
    """
    for candidate in owner_paths(path):
        found = Project.objects.select_related("namespace").at(candidate).first()
        if found is not None:
            return found
    return None
