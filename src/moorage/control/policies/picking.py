"""The deletion of tags that a person has picked, with a report by which it can be undone."""

from collections.abc import Sequence

from django.utils import timezone

from moorage.control.audit.actors import Actor
from moorage.control.images.changes import delete_tags
from moorage.control.images.models import ImageRepository
from moorage.control.policies.models import CleanedTag, CleanupRun, RunKind, RunOutcome
from moorage.control.protection.rules import Person
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.errors import Refused


def delete_picked_tags(
    repository: ImageRepository, names: Sequence[str], *, by: Actor, person: Person | None
) -> CleanupRun:
    """Delete those of *names* that no rule keeps, and return the report with those that went.

    What each pointed to is written down first, so that whatever happens afterwards there is a way back. A tag that was
    pushed again since then stays.

    Raises:
        ImageProtected: rules keep all of them.
        TagInvalid: there can be no tag of one of these names.
        RegistryError: the registry does not go on. Tags may be gone already; the report has them.
    """
    registry, path, now = the_registry(), repository.path, timezone.now()
    digests = {name: registry.tag_digest(path, name) for name in names}
    run = CleanupRun.objects.create(
        kind=RunKind.PICKED,
        project=repository.project,
        repository=repository,
        repository_path=path,
        requested_by=by.name,
        original_size=len(digests),
        before_delete_size=len(digests),
        started_at=now,
    )
    CleanedTag.objects.bulk_create(
        CleanedTag(run=run, name=name, digest=digest) for name, digest in digests.items() if digest
    )
    try:
        deleted = delete_tags(repository, list(digests), by=by, person=person, seen=digests)
    except Refused:
        run.delete()  # Nothing went.
        raise
    except RegistryError as exc:
        _end(run, RunOutcome.FAILED, str(exc))
        raise
    run.deleted_tags.exclude(name__in=deleted).delete()
    run.deleted_size = len(deleted)
    _end(run, RunOutcome.FINISHED, "")
    return run


def _end(run: CleanupRun, outcome: RunOutcome, message: str) -> None:
    run.outcome, run.message, run.finished_at = outcome, message, timezone.now()
    # Not the whole row: the repository may be gone by now, and its row says so.
    run.save(update_fields=["outcome", "message", "finished_at", "deleted_size"])
