"""Moves of projects and groups with their images: all or nothing. ``move_steps`` has what comes after a beginning.

The registry is asked by a dry run. Then the move is written down, with the new path taken for it; the registry renames;
and the records follow. Whatever is killed in between is gone on with by a job: see ADR 87.

Source: GitLab features MOV-001 to MOV-003.
"""

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from moorage.control.audit.actors import Actor
from moorage.control.images.models import DELETING, GroupDeletion, ImageMove, ImageRepository, ProjectDeletion
from moorage.control.images.move_asking import PlannedMove, has_images_to_rename
from moorage.control.images.move_steps import go_on, move_rows, witness_of
from moorage.control.images.moving_now import MOVING, lock_tops, see_that_still
from moorage.control.images.rules import is_within
from moorage.control.jobs.leases import OWNER_LENGTH
from moorage.control.namespaces.changes import reserve_path
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.refusals import refused

LEASE = timedelta(minutes=5)
"""Time that the request has for itself, before a job goes on."""


def move_project_with_images(project: Project, namespace: Namespace, path: str, *, by: Actor) -> Project:
    """Give a project the path *path* in *namespace*, and its images theirs.

    Raises:
        ChangeRefused: the path is not possible, or the registry does not rename. Nothing is changed.
        RegistryError: the registry does not answer. Nothing is changed, or a job goes on as soon as it does.
    """
    _move(PlannedMove(project, namespace, path, by))
    return project


def move_group_with_images(group: Namespace, parent: Namespace | None, path: str, *, by: Actor) -> Namespace:
    """Give a group the path *path* in *parent*, with all that is in it, and the images theirs; None: at the top.

    Raises: as :func:`move_project_with_images` does.
    """
    _move(PlannedMove(group, parent, path, by))
    return group


def _move(move: PlannedMove) -> None:
    see_that_still(move.old)
    if has_images_to_rename(move):
        go_on(_begin(move, timezone.now()), now=timezone.now())
    else:
        with transaction.atomic():
            _lock(move)
            move_rows(move.place, move.namespace, move.path, by=move.by)
    move.place.refresh_from_db()


def _begin(move: PlannedMove, now: datetime) -> ImageMove:
    """Write the move down, if all of it is possible.

    Raises:
        ChangeRefused: it is not, or something is going on with the images already.
    """
    witness = witness_of(move.old)
    with transaction.atomic():
        _lock(move)
        _see_that_none_goes(move)
        _try(move)
        reserve_path(move.path, move.namespace)
        return ImageMove.objects.create(
            project=move.place if isinstance(move.place, Project) else None,
            group=move.place if isinstance(move.place, Namespace) else None,
            namespace=move.namespace,
            path=move.path,
            old_path=move.old,
            new_path=move.new,
            witness_name=witness.path if witness else "",
            witness_digest=witness.digest if witness else "",
            actor_id=move.by.user_id,
            actor_name=move.by.name,
            due_at=now + LEASE,
            owner=secrets.token_hex(OWNER_LENGTH // 2),
        )


def _lock(move: PlannedMove) -> None:
    """See that nothing else is moved there, and that nothing else begins to be before this transaction ends.

    Raises:
        ChangeRefused: something is, or was since the request began.
    """
    inside = move.place.namespace if isinstance(move.place, Project) else move.place
    lock_tops(inside, *([move.namespace] if move.namespace else []))
    see_that_still(move.old)
    see_that_still(move.new)
    ends: list[Project | Namespace] = [move.place, *([move.namespace] if move.namespace else [])]
    if any(_fresh(end).full_path != end.full_path for end in ends):
        raise refused("base", MOVING)


def _see_that_none_goes(move: PlannedMove) -> None:
    """See that no images are being deleted: the job would find none at the old path, and be content."""
    going = ImageRepository.objects.filter(project__in=move.projects, status__in=DELETING)
    if going.exists() or ProjectDeletion.objects.filter(project__in=move.projects).exists():
        raise refused("base", "images in it are being deleted; try again later")
    if any(is_within(move.old, one.group.full_path.lower()) for one in GroupDeletion.objects.select_related("group")):
        raise refused("base", "is being deleted")


def _try(move: PlannedMove) -> None:
    """Do with the records what will be done in the end, and take it back.

    Raises:
        ChangeRefused: it cannot be done.
    """
    with transaction.atomic():
        move_rows(_fresh(move.place), move.namespace, move.path, by=move.by)
        transaction.set_rollback(True)


def _fresh(place: Project | Namespace) -> Project | Namespace:
    """The place as it is now."""
    if isinstance(place, Project):
        return Project.objects.select_related("namespace").get(pk=place.pk)
    return Namespace.objects.get(pk=place.pk)
