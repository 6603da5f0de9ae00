"""The way back from a run: the tags that it deleted are pointed to what they were, while that is still there."""

from dataclasses import dataclass, field

from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.policies.models import CleanupRun
from moorage.control.protection.questions import repository_rules, tag_rules
from moorage.control.protection.rules import Person, is_push_protected, push_obstacle
from moorage.control.refusals import refused
from moorage.control.registry.connection import the_registry


@dataclass(slots=True)
class UndoneRun:
    """The tags of a run, by what became of them."""

    restored: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    """They are there again already, and were left as they are."""
    gone: list[str] = field(default_factory=list)
    """Garbage collection has taken what they pointed to, or nobody knows what that was."""
    protected: list[str] = field(default_factory=list)
    """A rule forbids the person to push them."""


def undo_run(run: CleanupRun, *, by: Actor, person: Person) -> UndoneRun:
    """Bring back the tags that *run* deleted. Asked twice, the second time finds them there.

    To point a tag is a push: rules are held against the role of *person* as they are then.

    Raises:
        ChangeRefused: the repository is gone.
        ImageProtected: a rule forbids the person to push to the repository.
        RegistryError: the registry does not go on. Some tags may be back already.
    """
    repository = run.repository
    if repository is None:
        raise refused("base", "the repository is gone")
    registry, path, found = the_registry(), repository.path, UndoneRun()
    if is_push_protected(repository_rules(repository.project), path, person):
        msg = "Pushing to protected repository path forbidden"
        raise ImageProtected(msg)
    rules = tag_rules(repository.project)
    try:
        for row in run.deleted_tags.all():
            if registry.tag_digest(path, row.name):
                found.there.append(row.name)
                continue
            if push_obstacle(rules, row.name, person, is_there=False) is not None:
                found.protected.append(row.name)
                continue
            manifest = registry.manifest(path, row.digest) if row.digest else None
            if manifest is None:
                found.gone.append(row.name)
                continue
            registry.point_tag(path, row.name, manifest)
            found.restored.append(row.name)
    finally:
        if found.restored:
            with transaction.atomic():
                record("cleanup_run_undone", repository, by=by, run=run.pk, tags=found.restored)
    return found
