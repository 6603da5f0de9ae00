"""The job that deletes repositories: all tags, and then the record. A failure is tried again, ten times at most.

A worker that is killed leaves a row that comes due when its lease ends; that counts as a failure too, so that a
repository which kills its worker each time is given up as well.

Source: GitLab features RDL-002 to RDL-007; requirements S-115 to S-117.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from django.db import transaction

from moorage.control.audit.actors import SYSTEM
from moorage.control.audit.changes import record
from moorage.control.images.changes import delete_some_of_group, schedule_some
from moorage.control.images.models import (
    DELETING,
    GroupDeletion,
    ImageRepository,
    ImageStatus,
    ProjectDeletion,
    projects_that_stay,
)
from moorage.control.images.rules import retry_wait
from moorage.control.images.unrecorded import record_if_there, record_unrecorded
from moorage.control.jobs.loop import Turn
from moorage.control.projects.changes import delete_project
from moorage.control.projects.models import Project
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError, RegistryReadOnly, RegistryRefused
from moorage.errors import Refused

LEASE = timedelta(minutes=30)
"""Source: GitLab features RDL-003."""
RENEWED_EACH = 100
"""Tags after which the lease is made longer."""
EMPTYING_WAIT = timedelta(minutes=5)
READ_ONLY_WAIT = timedelta(minutes=10)
REASON_LIMIT = 1000

_Row = TypeVar("_Row", ProjectDeletion, GroupDeletion)

_LOG = structlog.get_logger("moorage.control.images")


class _NotAll(Exception):
    """The work did not come to its end: it is given back, or another has it."""


class ImageDeletion:
    """The worker of repositories that are to be deleted."""

    name = "image_deletion"
    slots = 2

    def step(self, turn: Turn) -> bool:
        """Delete the next repository, or fail to."""
        now = turn.now
        row = _take(now)
        if row is None:
            return False
        if row.status == ImageStatus.DELETE_ONGOING and not _count_crash(row, turn):
            return True
        started = {"status": ImageStatus.DELETE_ONGOING, "status_updated_at": now, "delete_started_at": now}
        if not ImageRepository.DELETION.own(row).update(**started):
            return True
        try:
            _delete_tags(row, turn)
            _finish(row, turn)
        except _NotAll:
            return True
        except RegistryReadOnly as exc:
            _wait_for_maintenance(row, turn, str(exc))
        except (RegistryError, Refused) as exc:
            _fail(row, turn, str(exc))
        return True


class ProjectsDeletion:
    """The worker of projects that go after their images."""

    name = "project_deletion"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Delete the next project if its images have gone; look again later if not."""
        return _step_when_emptied(ProjectDeletion, turn, _end_project, _wake_groups, look=_look_for_images)


class GroupsDeletion:
    """The worker of groups that go after their projects."""

    name = "group_deletion"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Delete the next group if its projects have gone; look again later if not."""
        return _step_when_emptied(GroupDeletion, turn, _end_group)


def _take(now: datetime) -> ImageRepository | None:
    # Those without a time are such whose status alone somebody has set, as GitLab's guide says (RDL-005, RDL-008).
    for is_untimed in (False, True):
        for status in DELETING:  # Each by its index: no index has the order of all.
            rows = ImageRepository.objects.filter(status=status, delete_due_at__isnull=is_untimed)
            row = ImageRepository.DELETION.take(rows, now=now, until=now + LEASE, is_due_without=is_untimed)
            if row is not None:
                return row
    return None


def _step_when_emptied(
    model: type[_Row],
    turn: Turn,
    end: Callable[[_Row, datetime], timedelta | None],
    wake: Callable[[_Row, datetime], None] | None = None,
    *,
    look: Callable[[_Row], None] = lambda _: None,
) -> bool:
    """Take the next row and *end* what it is of, unless something in it is left: then it waits. Then *wake* others.

    *look*: asks the registry before that, outside of a transaction; while it does not answer, the row waits.
    """
    now = turn.now
    row = model.LEASE.take(model.objects.all(), now=now, until=now + EMPTYING_WAIT)
    if row is None:
        return False
    try:
        look(row)
    except RegistryError as exc:
        _LOG.warning("a deletion waits for the registry", what=str(row), reason=str(exc)[:REASON_LIMIT])
        model.LEASE.settle(row, due_at=now + EMPTYING_WAIT)
        return True
    with transaction.atomic():
        wait = end(row, now)
        if wait is not None:
            model.LEASE.settle(row, due_at=now + wait)
    if wait is None and wake is not None:
        # After the commit: of two that end at once, the later one sees that nothing is left.
        wake(row, now)
    return True


def _look_for_images(row: ProjectDeletion) -> None:
    """See that the project has a record of each image, if all that it knew of have gone.

    Raises:
        RegistryError: the registry does not say.
    """
    if not row.project.repositories.exists():
        record_unrecorded(row.project, by=SYSTEM)


def _end_project(row: ProjectDeletion, now: datetime) -> timedelta | None:
    """Delete a project, or return after what time it is looked at again."""
    project = row.project
    if project.repositories.exists():
        # Those that were too many for the one who asked, or were pushed since then.
        stay = project.repositories.filter(status=ImageStatus.NORMAL)
        return timedelta() if schedule_some(stay, by=row.actor, now=now) else EMPTYING_WAIT
    delete_project(project, by=row.actor)
    return None


def _wake_groups(row: ProjectDeletion, now: datetime) -> None:
    """Have groups that *row* was in deleted soon, if it was the last: a group looks at all that is left in it."""
    for one in GroupDeletion.objects.filter(group_id__in=row.project.namespace.lineage_ids).select_related("group"):
        if not Project.objects.within(one.group).exists():
            GroupDeletion.objects.filter(pk=one.pk, owner="").update(due_at=now)


def _end_group(row: GroupDeletion, now: datetime) -> timedelta | None:
    """Delete a group, or return after what time it is looked at again."""
    if delete_some_of_group(row.group, by=row.actor, moment=now):
        return None
    return timedelta() if projects_that_stay(row.group).exists() else EMPTYING_WAIT


def _delete_tags(row: ImageRepository, turn: Turn) -> None:
    """Delete all tags of a repository: a manifest that several point to at once with them, the others one by one.

    Raises:
        _NotAll: the process is stopping, or another has the row.
    """
    registry, path = the_registry(), row.path
    number = 0
    for digest, tags in _by_manifest(path).items():
        is_gone = bool(digest) and len(tags) > 1 and _is_manifest_deleted(path, digest)
        for tag in tags[:1] if is_gone else tags:
            if turn.stopping.is_set():
                _give_back(row, turn)
            number += 1
            if number % RENEWED_EACH == 0 and not ImageRepository.DELETION.renew(row, until=turn.now + LEASE):
                raise _NotAll
            if not is_gone:
                registry.delete_tag(path, tag)
    left = registry.tag_names(path)
    if left:
        msg = f"{len(left)} tags are left, such as {left[0]}"
        raise Refused(msg)


def _by_manifest(path: str) -> Mapping[str, Sequence[str]]:
    """Tags by what they point to, as far as a list says that."""
    found: dict[str, list[str]] = {}
    for tag in the_registry().all_tags(path):
        found.setdefault(tag.digest, []).append(tag.name)
    return found


def _is_manifest_deleted(path: str, digest: str) -> bool:
    """Delete a manifest with all its tags; False: the registry does not, as it does where an index needs it."""
    try:
        return the_registry().delete_manifest(path, digest)
    except RegistryRefused as exc:
        _LOG.info("a manifest is not deleted as a whole", repository=path, digest=digest, reason=str(exc))
        return False


def _finish(row: ImageRepository, turn: Turn) -> None:
    with transaction.atomic():
        deleted, _ = ImageRepository.DELETION.own(row).delete()
        if not deleted:
            raise _NotAll
        record("container_repository_deleted", row, by=SYSTEM)
    _LOG.info("repository deleted", repository=row.path)
    with suppress(RegistryError):  # Then the next push makes the record.
        # Of what was pushed after the last look, by a token from before, the event has found the old record.
        record_if_there(row, by=SYSTEM)
    # After the commit: of two that end at once, the later one sees that nothing is left.
    if not ImageRepository.objects.filter(project_id=row.project_id).exists():
        ProjectDeletion.objects.filter(project_id=row.project_id, owner="").update(due_at=turn.now)


def _fail(row: ImageRepository, turn: Turn, reason: str) -> None:
    """Have the deletion tried again later, or never."""
    wait, now = retry_wait(row.failed_deletion_count), turn.now
    found = {"last_failure": reason[:REASON_LIMIT], "status_updated_at": now}
    if wait is None:
        is_own = ImageRepository.DELETION.settle(row, status=ImageStatus.DELETE_FAILED, delete_due_at=None, **found)
    else:
        is_own = ImageRepository.DELETION.settle(
            row,
            status=ImageStatus.DELETE_SCHEDULED,
            delete_due_at=now + wait,
            failed_deletion_count=row.failed_deletion_count + 1,
            **found,
        )
    if is_own:
        if wait is None:
            with transaction.atomic():
                record("container_repository_deletion_failed", row, by=SYSTEM, reason=reason[:REASON_LIMIT])
        said = "given up" if wait is None else f"tried again in {wait}"
        _LOG.warning("repository not deleted", repository=row.path, reason=reason[:REASON_LIMIT], then=said)


def _wait_for_maintenance(row: ImageRepository, turn: Turn, reason: str) -> None:
    """Have the deletion tried again until the registry takes changes: however long that is, it is no failure."""
    ImageRepository.DELETION.settle(
        row,
        status=ImageStatus.DELETE_SCHEDULED,
        delete_due_at=turn.now + READ_ONLY_WAIT,
        status_updated_at=turn.now,
        last_failure=reason[:REASON_LIMIT],
    )
    _LOG.info("a deletion waits for the registry", repository=row.path, reason=reason[:REASON_LIMIT])


def _count_crash(row: ImageRepository, turn: Turn) -> bool:
    """Count the attempt that was never ended; False: it was the last one."""
    if retry_wait(row.failed_deletion_count) is None:
        _fail(row, turn, "the last attempt did not end")
        return False
    row.failed_deletion_count += 1
    return bool(
        ImageRepository.DELETION.own(row).update(
            failed_deletion_count=row.failed_deletion_count, last_failure="an attempt did not end"
        )
    )


def _give_back(row: ImageRepository, turn: Turn) -> None:
    ImageRepository.DELETION.settle(row, status=ImageStatus.DELETE_SCHEDULED, delete_due_at=turn.now)
    raise _NotAll
