"""Steps of a move that has begun, for the request that asked for it, and for the job that goes on after a crash.

Each step can be done again. Where it is not known whether the registry has renamed, a dry run tells: it would do it
still, or there is nothing at the old path any more; or a witness is looked for, a manifest that was there before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.models import ImageMove
from moorage.control.images.rules import rename_wish
from moorage.control.jobs.loop import Turn
from moorage.control.namespaces.changes import free_path
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_group, move_project
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.registry.registry_values import RenameAnswer, RenameResult

LEASE = timedelta(minutes=5)
RETRY_WAIT = timedelta(minutes=1)
REASON_LIMIT = 1000

_LOG = structlog.get_logger("moorage.control.images")


@dataclass(frozen=True, slots=True)
class MoveWitness:
    """A manifest that is at an old path: where it is after a rename, the images are."""

    path: str
    """Its repository, below the old path; empty: the old path itself."""
    digest: str


class ImageMoves:
    """The worker of moves that were left."""

    name = "image_move"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Go on with the next move, or put it off."""
        now = turn.now
        rows = ImageMove.objects.select_related("project__namespace", "group", "namespace")
        row = ImageMove.LEASE.take(rows, now=now, until=now + LEASE)
        if row is None:
            return False
        try:
            _resume(row, now=now)
        except (RegistryError, ChangeRefused) as exc:
            _LOG.warning("move not finished", old=row.old_path, new=row.new_path, reason=str(exc)[:REASON_LIMIT])
        return True


def move_rows(
    place: Project | Namespace, namespace: Namespace | None, path: str, *, by: Actor, has_begun: bool = False
) -> None:
    """Give a project or a group its new path, in the caller's transaction.

    Raises:
        ChangeRefused: it cannot have it.
    """
    if isinstance(place, Namespace):
        move_group(place, namespace, path, by=by, has_begun=has_begun)
    elif namespace is None:
        raise refused("namespace", "is needed: a project is in one")
    else:
        move_project(place, namespace, path, by=by, has_begun=has_begun)


def witness_of(path: str) -> MoveWitness | None:
    """Return a manifest at *path* or below it; None: there is no tag."""
    registry = the_registry()
    for found in registry.repositories(path, limit=1).repositories:
        for tag in registry.tags(found.path, limit=1).tags:
            return MoveWitness(found.path.removeprefix(path).removeprefix("/"), tag.digest)
    return None


def go_on(row: ImageMove, *, now: datetime) -> None:
    """Have the registry rename, and then the records follow.

    Raises:
        ChangeRefused: it does not rename. Nothing is changed.
        RegistryError: it does not say whether it has. A job asks again.
    """
    found = _asked(row, now=now, is_dry_run=False)
    if found.answer.is_good or found.answer is RenameAnswer.NOT_FOUND:
        finish(row)
    else:
        _cancel(row, found)


def finish(row: ImageMove) -> None:
    """Give the records their new paths: the images have theirs."""
    with transaction.atomic():
        if not ImageMove.LEASE.own(row).delete()[0]:
            return  # Another goes on with it.
        free_path(row.new_path)
        move_rows(row.place, row.namespace, row.path, by=row.actor, has_begun=True)
    _LOG.info("moved with images", old=row.old_path, new=row.new_path)


def _resume(row: ImageMove, *, now: datetime) -> None:
    """Find out how far it came, and do the rest."""
    try:
        # A registry that has lost its database would say that there is nothing.
        the_registry().info(is_fresh=True)
        found = _asked(row, now=now, is_dry_run=True)
        has_moved = found.answer is RenameAnswer.NOT_FOUND or (not found.answer.is_good and _is_there(row))
    except RegistryError as exc:
        _put_off(row, now=now, reason=str(exc))
        raise
    if has_moved:
        if found.answer is not RenameAnswer.NOT_FOUND:
            _LOG.warning("pushed to a path that was left", path=row.old_path, moved_to=row.new_path)
        _finish_or_put_off(row, now=now)
    elif found.answer.is_good:
        go_on(row, now=now)
    else:
        _cancel(row, found)


def _finish_or_put_off(row: ImageMove, *, now: datetime) -> None:
    try:
        finish(row)
    except ChangeRefused as exc:
        _put_off(row, now=now, reason=str(exc))
        raise


def _asked(row: ImageMove, *, now: datetime, is_dry_run: bool) -> RenameResult:
    try:
        found = the_registry().rename(row.old_path, is_dry_run=is_dry_run, **rename_wish(row.old_path, row.new_path))
    except RegistryError as exc:
        _put_off(row, now=now, reason=str(exc))
        raise
    # A token that is not accepted says nothing of what was done before.
    if found.answer is RenameAnswer.FAILED or (is_dry_run and found.answer is RenameAnswer.UNAUTHORIZED):
        _put_off(row, now=now, reason=found.message)
        raise RegistryError(found.message)
    return found


def _is_there(row: ImageMove) -> bool:
    if not row.witness_digest:
        return False
    path = "/".join(part for part in (row.new_path, row.witness_name) if part)
    return the_registry().manifest(path, row.witness_digest) is not None


def _put_off(row: ImageMove, *, now: datetime, reason: str) -> None:
    ImageMove.LEASE.settle(row, due_at=now + RETRY_WAIT, last_failure=reason[:REASON_LIMIT])


def _cancel(row: ImageMove, found: RenameResult) -> None:
    """Leave everything where it is, and say why.

    Raises:
        ChangeRefused: always.
    """
    with transaction.atomic():
        if ImageMove.LEASE.own(row).delete()[0]:
            free_path(row.new_path)
            reason = f"{found.answer}: {found.message}"[:REASON_LIMIT]
            record(f"{row.place.audit_kind}_move_refused", row.place, by=row.actor, to=row.new_path, reason=reason)
    raise refused("base", f"the container registry does not rename it: {found.answer}: {found.message}")
