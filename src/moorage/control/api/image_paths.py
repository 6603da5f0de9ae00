"""Paths of images that hold a project or group where it is: an image is pulled by the path of its project."""

from moorage.control.images.models import ImageRepository
from moorage.control.images.questions import tag_names
from moorage.control.projects.models import Projects
from moorage.control.refusals import refused


def see_that_no_tags(projects: Projects, what: str) -> None:
    """See that no image is pulled by the paths of *projects*; *what* begins the refusal.

    Raises:
        ChangeRefused: there are tags.
        RegistryError: the registry does not say.

    Source: GitLab features MOV-001 to MOV-003, for registries that do not rename.
    """
    for repository in ImageRepository.objects.of_projects(projects):
        if tag_names(repository):
            raise refused("base", f"{what} because it contains container registry tags!")
