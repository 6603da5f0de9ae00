"""Images of the registry that no record tells of: from before it had accounts, or pushed as a deletion went on.

Whoever takes the path of a project that is gone would have what was left there, so all of it goes first.
"""

from collections.abc import Iterator

from django.conf import settings

from moorage.control.audit.actors import Actor
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_record
from moorage.control.images.rules import is_within
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError


def is_known_empty(place: Project | Namespace) -> bool:
    """Return whether the registry says by one list that it has no image in a place; one that does not answer does not.

    One without GitLab's API has such a list of a project at most.
    """
    try:
        if isinstance(place, Namespace) and not _has_lists():
            return False
        return next(paths_in(place.full_path.lower()), None) is None
    except RegistryError:
        return False


def record_unrecorded(project: Project, *, by: Actor) -> None:
    """Have a record of each repository of a project in which the registry has a tag.

    Raises:
        RegistryError: the registry does not answer as it should.
    """
    known = set(ImageRepository.objects.of_project(project).values_list("name", flat=True))
    whole = project.full_path.lower()
    names = {path.removeprefix(whole).removeprefix("/") for path in paths_in(whole)}
    # Of any depth: nobody reaches those that are too deep, until something else has the path.
    for name in sorted(names - known):
        ensure_record(project, name, by=by)


def record_if_there(gone: ImageRepository, *, by: Actor) -> None:
    """Have a record again of a repository whose record is gone, if the registry has a tag in it.

    Raises:
        RegistryError: the registry does not say.
    """
    if the_registry().tag_names(gone.path, limit=1):
        ensure_record(gone.project, gone.name, by=by)


def _has_lists() -> bool:
    return not settings.MOORAGE.configuration.registry.enabled or the_registry().info().has_gitlab_api


def paths_in(path: str) -> Iterator[str]:
    """The repositories with a tag at *path*, and below it where the registry has such a list.

    Source: GitLab features RDL-010.
    """
    if not settings.MOORAGE.configuration.registry.enabled:
        return
    registry = the_registry()
    if registry.info().has_gitlab_api:
        yield from (found.path for found in registry.all_repositories(path) if is_within(found.path, path))
    elif registry.tag_names(path, limit=1):
        yield path
