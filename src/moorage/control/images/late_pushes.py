"""Late pushes to a path that its project has left, by tokens from before: they go when those tokens have ended.

Nobody reaches them there and no quota of a project counts them, until something has the path again and them with it.
"""

from collections.abc import Iterable
from datetime import timedelta

import structlog
from django.utils import timezone

from moorage.control.audit.actors import SYSTEM
from moorage.control.images.models import LeftPath
from moorage.control.images.moving_now import see_that_still
from moorage.control.images.owning import project_at
from moorage.control.images.recording import ensure_repository
from moorage.control.images.unrecorded import paths_in
from moorage.control.instance.models import ApplicationSettings
from moorage.control.jobs.loop import Turn
from moorage.control.namespaces.choosing import below
from moorage.control.projects.models import Project
from moorage.control.projects.moves import PlaceMove
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.errors import Refused

LEASE = timedelta(minutes=10)
AGAIN = timedelta(minutes=10)
"""Until a path is looked at again, after a failure or while something is being moved there."""
MARGIN = timedelta(minutes=10)
"""A token is looked at when a request begins, and what it brings may take a while."""
_REASON_LIMIT = 500
_RENEWED_EACH = 100

_LOG = structlog.get_logger("moorage.control.images")


class LatePushes:
    """The worker that looks once at each path that was left."""

    name = "late_pushes"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Look at the next path that is due."""
        row = LeftPath.LEASE.take(LeftPath.objects.all(), now=turn.now, until=turn.now + LEASE)
        if row is None:
            return False
        try:
            is_done = _clear(row, turn)
        except (RegistryError, Refused) as exc:
            _LOG.warning("a path that was left waits", path=row.path, reason=str(exc)[:_REASON_LIMIT])
            LeftPath.LEASE.settle(row, due_at=turn.now + AGAIN)
            return True
        if is_done:
            LeftPath.LEASE.own(row).delete()
        else:
            LeftPath.LEASE.settle(row, due_at=turn.now)
        return True


def note_move(*, move: PlaceMove, **_: object) -> None:
    """Have the old paths of what has moved looked at. It hears of each move.

    What was pushed late in a group that moves goes along, as the registry renames all that is below.
    """
    old, new = move.old_path.lower(), move.new_path.lower()
    if old == new:
        return
    came = [path.lower() for path in move.projects.values_list("full_path", flat=True)]
    left = list(LeftPath.objects.filter(below(f"{old}/", "path").asked).values_list("path", flat=True))
    _note({*(old + path[len(new) :] for path in came), *(new + path[len(old) :] for path in left)} - set(came))


def note_deletion(*, instance: Project, **_: object) -> None:
    """Have the path of a project that is deleted looked at. It hears of each deletion."""
    _note([instance.full_path.lower()])


def _note(paths: Iterable[str]) -> None:
    lifetime = timedelta(minutes=ApplicationSettings.now().container_registry_token_expire_delay)
    due_at = timezone.now() + lifetime + MARGIN
    rows = [LeftPath(path=path, due_at=due_at) for path in paths]
    LeftPath.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["path"], update_fields=["due_at", "owner"], batch_size=500
    )


def _clear(row: LeftPath, turn: Turn) -> bool:
    """Delete what is at a path and of no project; False: the process is stopping, or another has the row.

    What is of a project again gets a record, so that its people see it: it cannot be told from their own.

    Raises:
        MoveUnderWay: images are coming there, or going.
        RegistryError: the registry does not go on.
    """
    registry, number = the_registry(), 0
    see_that_still(row.path)
    for path in list(paths_in(row.path)):
        if _is_taken(path):
            continue
        # All tags before the next look at the records: what a move brings meanwhile is not among them.
        tags = list(registry.all_tags(path))
        for tag in tags:
            number += 1
            if turn.stopping.is_set() or (number % _RENEWED_EACH == 0 and not _renew(row, turn)):
                return False
            see_that_still(row.path)
            if _is_taken(path):
                break
            registry.delete_tag(path, tag.name, seen=tag.digest)
        else:
            _LOG.warning("deleted what was pushed to a path that its project had left", repository=path, tags=len(tags))
    return True


def _is_taken(path: str) -> bool:
    """Return whether a repository is of a project, which then has a record of it."""
    project = project_at(path)
    if project is not None:
        ensure_repository(project, path, by=SYSTEM)
    return project is not None


def _renew(row: LeftPath, turn: Turn) -> bool:
    return LeftPath.LEASE.renew(row, until=turn.now + LEASE)
