"""Places that are being moved or deleted now: asked by everything that must not begin there meanwhile."""

from moorage.control.images.models import GroupDeletion, ImageMove, ImageRepository, ProjectDeletion
from moorage.control.images.rules import meet, name_below
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.refusals import ChangeRefused, refused

MOVING = "is being moved; try again in a moment"


class MoveUnderWay(ChangeRefused):
    """Something cannot be done as its place is being moved, or was since it began."""

    def __init__(self) -> None:
        super().__init__({"base": [MOVING]})


def is_being_moved(path: str) -> bool:
    """Return whether something at *path*, below it or above it is being moved, from there or to there."""
    path = path.lower()
    moves = ImageMove.objects.values_list("old_path", "new_path")
    return any(meet(path, end) for ends in moves for end in ends)


def see_that_still(path: str) -> None:
    """See that nothing at *path*, below it or above it is being moved.

    Raises:
        MoveUnderWay: something is.
    """
    if is_being_moved(path):
        raise MoveUnderWay


def see_in_place(repository: ImageRepository) -> None:
    """See that the images of a repository are at the path that is known of it.

    Raises:
        MoveUnderWay: they are being moved, or were moved.
    """
    see_that_still(repository.path)
    found = ImageRepository.objects.select_related("project").filter(pk=repository.pk).first()
    if found is not None and found.path != repository.path:
        raise MoveUnderWay


def is_being_deleted(project: Project, path: str) -> bool:
    """Return whether the repository at *path* is being deleted, by itself or with its project."""
    name = name_below(project.full_path, path)
    if ImageRepository.objects.to_delete().filter(project=project, name=name).exists():
        return True
    return ProjectDeletion.objects.filter(project=project).exists()


def see_that_stays(repository: ImageRepository) -> None:
    """See that a repository is not being deleted: what is brought back into it would go too.

    Raises:
        ChangeRefused: it is.
    """
    if is_being_deleted(repository.project, repository.path):
        raise refused("base", "the repository is being deleted: what came back would go too")


def refuse_what_goes(*, namespace: Namespace, **_: object) -> None:
    """Let nothing come into a group that is being deleted. It hears of each entry into a namespace.

    Raises:
        ChangeRefused: the group, or one above it, is.
    """
    if GroupDeletion.objects.filter(group__in=namespace.lineage_ids).exists():
        raise refused("base", "the group that it would be in is being deleted")


def lock_tops(*namespaces: Namespace) -> None:
    """Have no move and no deletion begin in the same top-level namespaces before the caller's transaction ends."""
    tops = {namespace.lineage_ids[0] for namespace in namespaces}
    list(Namespace.objects.filter(pk__in=tops).order_by("pk").select_for_update())
