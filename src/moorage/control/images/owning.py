"""The project that a repository belongs to, by their paths."""

from moorage.control.images.rules import project_paths
from moorage.control.projects.models import Project


def project_at(path: str) -> Project | None:
    """Return the project of the repository at *path*: of that path, or of one at most two levels above.

    Source: GitLab features TKN-015.
    """
    for candidate in project_paths(path):
        found = Project.objects.select_related("namespace").at(candidate).first()
        if found is not None:
            return found
    return None
