"""The record of a repository, which a push and an event of the registry make."""

from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.models import ImageRepository
from moorage.control.images.rules import name_below
from moorage.control.projects.models import Project
from moorage.control.refusals import refused


def ensure_repository(project: Project, path: str, *, by: Actor) -> ImageRepository:
    """Return the record of the repository at *path*, made if there is none: for a push that was allowed.

    One whose deletion is asked for is left so: what is pushed into it goes too.

    Raises:
        ChangeRefused: the path is not the project's.
    """
    name = name_below(project.full_path, path)
    if name is None:
        raise refused("path", f"is not a repository of {project.full_path}")
    found = ImageRepository.objects.filter(project=project, name=name).first()
    return found if found is not None else ensure_record(project, name, by=by)


@transaction.atomic
def ensure_record(project: Project, name: str, *, by: Actor) -> ImageRepository:
    """Return the record of the repository called *name* in a project, of whatever depth, made if there is none."""
    made, is_new = ImageRepository.objects.get_or_create(project=project, name=name)
    if is_new:
        record("container_repository_created", made, by=by)
    return made
