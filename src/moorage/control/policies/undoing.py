"""The way back from a run: the tags that it deleted are pointed to what they were, while that is still there.

It goes a portion at a time, as each tag takes up to four requests: whoever asks waits for the first one, and a job
does the rest (``undo_job.py``).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.images.moving_now import see_in_place, see_that_stays
from moorage.control.policies.models import CleanupRun, RunUndo
from moorage.control.protection.questions import repository_rules, tag_rules
from moorage.control.protection.rules import Person, is_push_protected, push_obstacle
from moorage.control.refusals import refused
from moorage.control.registry.connection import the_registry

PORTION = 200
"""Tags that are looked at while somebody waits; no more are read or written in the log at once either."""
PORTION_S = 10.0


@dataclass(slots=True)
class UndoneTags:
    """The tags of a run, or of a portion of them, by what became of them."""

    restored: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    """They are there again already, and were left as they are."""
    gone: list[str] = field(default_factory=list)
    """Garbage collection has taken what they pointed to, or nobody knows what that was."""
    protected: list[str] = field(default_factory=list)
    """A rule forbids the person to push them."""
    position: int = 0
    """The key of the last one that was looked at."""
    left: int = 0
    """The number of tags that were not looked at."""

    @property
    def seen(self) -> int:
        """The number of tags that were looked at."""
        return sum(map(len, (self.restored, self.there, self.gone, self.protected)))

    @property
    def counts(self) -> dict[str, int]:
        """The numbers that a row of the job keeps."""
        return {
            "position": self.position,
            "restored": len(self.restored),
            "there": len(self.there),
            "gone": len(self.gone),
            "protected": len(self.protected),
        }


def undo_run(run: CleanupRun, *, by: Actor, person: Person) -> UndoneTags:
    """Bring back the first tags that *run* deleted, and have a job go on with those that are ``left``.

    Asked twice, the second time finds them there; while a job is at it, nothing is begun.

    To point a tag is a push: rules are held against the role of *person* as they are then.

    Raises:
        ChangeRefused: the repository is gone, or is being deleted.
        ImageProtected: a rule forbids the person to push to the repository.
        MoveUnderWay: the repository is being moved. Some tags may be back already.
        RegistryError: the registry does not go on. Some tags may be back already.
    """
    going = RunUndo.objects.filter(run=run, finished_at=None).first()
    if going is not None:
        return UndoneTags(position=going.position, left=_left(run, going.position))
    found = UndoneTags()
    undo_portion(run, found, by=by, person=person)
    if found.left:
        now = timezone.now()
        values = {
            "requested_by": by.name,
            "role": person.role,
            "is_admin": person.is_admin,
            "total": run.deleted_tags.count(),
            "failures": 0,
            "message": "",
            "started_at": now,
            "finished_at": None,
            "due_at": now,
            "owner": "",
        }
        RunUndo.objects.update_or_create(run=run, defaults=values | found.counts)
    return found


def undo_portion(
    run: CleanupRun,
    found: UndoneTags,
    *,
    by: Actor,
    person: Person,
    may_go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Bring back the tags that come after the last one of *found*, and add them to it: at most :data:`PORTION`.

    It ends sooner after ten seconds, or if it may not go on. What was done before an error is in *found*, too.

    Raises:
        ChangeRefused, ImageProtected, MoveUnderWay, RegistryError: as for :func:`undo_run`.
    """
    repository, until = run.repository, time.monotonic() + PORTION_S
    if repository is None:
        raise refused("base", "the repository is gone")
    registry, path, before = the_registry(), repository.path, len(found.restored)
    see_that_stays(repository)
    if is_push_protected(repository_rules(repository.project), path, person):
        msg = "Pushing to protected repository path forbidden"
        raise ImageProtected(msg)
    rules = tag_rules(repository.project)
    try:
        for row in run.deleted_tags.filter(pk__gt=found.position)[:PORTION]:
            # Of a place that is left nothing is there any more, and what is pushed to it would be left.
            see_in_place(repository)
            if registry.tag_digest(path, row.name):
                found.there.append(row.name)
            elif push_obstacle(rules, row.name, person, is_there=False) is not None:
                found.protected.append(row.name)
            else:
                manifest = registry.manifest(path, row.digest) if row.digest else None
                if manifest is None:
                    found.gone.append(row.name)
                else:
                    is_made = registry.make_tag(path, row.name, manifest)
                    (found.restored if is_made else found.there).append(row.name)
            found.position = row.pk
            if time.monotonic() > until or not may_go_on():
                break
    finally:
        found.left = _left(run, found.position)
        if restored := found.restored[before:]:
            with transaction.atomic():
                record("cleanup_run_undone", repository, by=by, run=run.pk, tags=restored)


def _left(run: CleanupRun, position: int) -> int:
    return run.deleted_tags.filter(pk__gt=position).count()
