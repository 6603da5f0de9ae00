"""Changes of repositories and tags. Who may ask for them by role is decided by callers; protection is checked here."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from moorage.control.audit.actors import SYSTEM, Actor
from moorage.control.audit.changes import record
from moorage.control.images.image_refusals import ImageProtected, TagMissing
from moorage.control.images.models import (
    GroupDeletion,
    ImageRepositories,
    ImageRepository,
    ImageStatus,
    ProjectDeletion,
    projects_that_stay,
)
from moorage.control.images.moving_now import lock_tops, see_in_place, see_that_still
from moorage.control.images.recording import ensure_repository
from moorage.control.images.unrecorded import is_known_empty
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.changes import delete_group, delete_project
from moorage.control.projects.models import Project
from moorage.control.protection.questions import repository_rules, tag_rules
from moorage.control.protection.rules import Person, delete_obstacle, deletes_any_tag, is_delete_protected
from moorage.control.refusals import refused
from moorage.control.registry.connection import the_registry

PROJECTS_AT_ONCE = 100
"""So many projects of a group are asked to be deleted in one transaction: others write meanwhile."""
IMAGES_AT_ONCE = 500
"""So many repositories of a project."""


def ensure_root_repository(project: Project, *, by: Actor = SYSTEM) -> ImageRepository | None:
    """Return the record of the project's own path, made if the registry has tags there; None: it has none.

    Raises:
        RegistryError: the registry does not answer as it should.

    Source: GitLab features REP-010.
    """
    found = ImageRepository.objects.filter(project=project, name="").first()
    if found is not None or not the_registry().tag_names(project.full_path.lower()):
        return found
    return ensure_repository(project, project.full_path, by=by)


def schedule_deletion(
    repository: ImageRepository, *, by: Actor, person: Person | None, now: datetime | None = None
) -> None:
    """Ask for the deletion of a repository with all its tags; a job does it. Asked twice, it is asked once.

    Rules are held against the role of *person*; None: every rule counts.

    Raises:
        ImageProtected: a rule forbids it.
        ChangeRefused: it is being moved.
        RegistryError: there are rules about tags, and the registry does not say whether there are tags.

    Source: GitLab features RDL-001, RDL-009, TPR-009.
    """
    _see_that_no_rule_keeps(repository, person)
    _schedule(repository, by=by, now=now or timezone.now())


def retry_deletion(
    repository: ImageRepository, *, by: Actor, person: Person | None, now: datetime | None = None
) -> None:
    """Try a deletion that failed once more. The count of failures stays, so that one more failure ends it again.

    Rules are held against the role of *person* as for a first try: they may have been made since.

    Raises:
        ChangeRefused: its deletion has not failed.
        ImageProtected, RegistryError: as for :func:`schedule_deletion`.

    Source: GitLab features RDL-008; requirement S-117.
    """
    if repository.status != ImageStatus.DELETE_FAILED:
        raise refused("status", "is not delete_failed")
    _see_that_no_rule_keeps(repository, person)
    _schedule(repository, by=by, now=now or timezone.now())


def delete_tag(repository: ImageRepository, name: str, *, by: Actor, person: Person | None) -> None:
    """Delete one tag. Rules are held against the role of *person*; None: every rule counts.

    Raises:
        ImageProtected: a rule forbids it.
        TagMissing: there is no such tag.
        TagInvalid: there can be none of this name.
        RegistryError: the registry does not do it.
    """
    deleted = delete_tags(repository, [name], by=by, person=person)
    if not deleted:
        msg = "Tag Not Found"
        raise TagMissing(msg, tag=name)


def delete_tags(
    repository: ImageRepository,
    names: Collection[str],
    *,
    by: Actor,
    person: Person | None,
    seen: Mapping[str, str] | None = None,
) -> list[str]:
    """Delete those of *names* that no rule keeps, and return those that were there.

    *seen*: the digests by which tags were picked; one that points elsewhere by now stays.

    Raises:
        ImageProtected: rules keep all of them.
        MoveUnderWay: the repository is being moved.
        TagInvalid: there can be no tag of one of these names.
        RegistryError: the registry does not go on. Tags may be gone already; an audit row has them.

    Source: GitLab features TDL-001 to TDL-003.
    """
    see_in_place(repository)
    rules = tag_rules(repository.project)
    allowed = [name for name in names if delete_obstacle(rules, name, person) is None]
    if names and not allowed:
        msg = "cannot delete protected tag(s)"
        raise ImageProtected(msg)
    registry = the_registry()
    deleted: list[str] = []
    try:
        # One by one, so that those before a failure are known.
        deleted.extend(
            name for name in allowed if registry.delete_tag(repository.path, name, seen=(seen or {}).get(name, ""))
        )
    finally:
        if deleted:
            with transaction.atomic():
                record("container_repository_tags_deleted", repository, by=by, tags=deleted)
    return deleted


def delete_project_with_images(project: Project, *, by: Actor, now: datetime | None = None) -> bool:
    """Delete a project, and first its images: then a job ends it. Return whether it is gone already.

    It goes at once if there is no record of an image, and the registry says that it has none either; else the job asks
    again. Of very many images the job asks for the deletion, some at a time. Rules of protection do not hold the
    deletion of a whole project up.

    Raises:
        ChangeRefused: it is being moved.

    Source: GitLab features RDL-010, REP-011; MOV-005.
    """
    is_empty = not ImageRepository.objects.of_project(project).exists() and is_known_empty(project)
    return _delete_project(project, by=by, moment=now or timezone.now(), is_empty=is_empty)


@transaction.atomic
def _delete_project(project: Project, *, by: Actor, moment: datetime, is_empty: bool) -> bool:
    """Delete a project, or ask for it; *is_empty*: the registry has nothing there."""
    lock_tops(project.namespace)
    see_that_still(project.full_path)
    repositories = ImageRepository.objects.of_project(project)
    if is_empty and not repositories.exists():
        delete_project(project, by=by)
        return True
    _, is_new = ProjectDeletion.objects.get_or_create(
        project=project, defaults={"actor_id": by.user_id, "actor_name": by.name, "due_at": moment}
    )
    if is_new:
        record("project_deletion_scheduled", project, by=by, repositories=repositories.count())
    while schedule_some(repositories.filter(status=ImageStatus.DELETE_FAILED), by=by, now=moment):
        pass
    schedule_some(repositories.filter(status=ImageStatus.NORMAL), by=by, now=moment)
    return False


def delete_group_with_images(group: Namespace, *, by: Actor, now: datetime | None = None) -> bool:
    """Delete a group with all that is in it, first its images: then a job ends it. Return whether it is gone already.

    Of very many projects the job asks for the deletion, some at a time.

    Raises:
        ChangeRefused: something in it is being moved.

    Source: GitLab features MOV-005.
    """
    is_empty = Project.objects.within(group).exists() and is_known_empty(group)
    return delete_some_of_group(group, by=by, moment=now or timezone.now(), is_empty=is_empty)


@transaction.atomic
def delete_some_of_group(group: Namespace, *, by: Actor, moment: datetime, is_empty: bool = False) -> bool:
    """Ask for the deletion of some projects of a group, or delete it if none is left; True: it is gone.

    *is_empty*: the registry has no image in it, so that its projects go at once.

    Raises:
        ChangeRefused: something in it is being moved.
    """
    lock_tops(group)
    see_that_still(group.full_path)
    for project in projects_that_stay(group)[:PROJECTS_AT_ONCE]:
        _delete_project(project, by=by, moment=moment, is_empty=is_empty)
    left = Project.objects.within(group)
    if not left.exists():
        # Those in it first.
        for found in sorted(Namespace.objects.within(group), key=lambda one: -len(one.lineage_ids)):
            delete_group(found, by=by)
        return True
    _, is_new = GroupDeletion.objects.get_or_create(
        group=group, defaults={"actor_id": by.user_id, "actor_name": by.name, "due_at": moment}
    )
    if is_new:
        record("group_deletion_scheduled", group, by=by, projects=left.count())
    return False


def schedule_some(repositories: ImageRepositories, *, by: Actor, now: datetime) -> bool:
    """Ask for the deletion of some of *repositories*, all of one state; False: there was none.

    Callers have seen that nothing there is being moved, in this transaction.
    """
    some = list(repositories.select_related("project__namespace")[:IMAGES_AT_ONCE])
    ImageRepository.objects.filter(pk__in=[one.pk for one in some]).update(**_asked_for(now))
    for one in some:
        record("container_repository_deletion_scheduled", one, by=by)
    return bool(some)


def _see_that_no_rule_keeps(repository: ImageRepository, person: Person | None) -> None:
    if is_delete_protected(repository_rules(repository.project), repository.path, person):
        msg = "Deleting protected container repository forbidden."
        raise ImageProtected(msg)
    if not deletes_any_tag(tag_rules(repository.project), person) and the_registry().tag_names(repository.path):
        msg = "The repository has tags in a project whose protection rules keep some of them."
        raise ImageProtected(msg)


@transaction.atomic
def _schedule(repository: ImageRepository, *, by: Actor, now: datetime) -> None:
    lock_tops(repository.project.namespace)
    see_that_still(repository.path)
    changed = ImageRepository.objects.filter(
        pk=repository.pk, status__in=[ImageStatus.NORMAL, ImageStatus.DELETE_FAILED]
    ).update(**_asked_for(now))
    if changed:
        record("container_repository_deletion_scheduled", repository, by=by)
    repository.refresh_from_db()


def _asked_for(now: datetime) -> dict[str, object]:
    return {
        "status": ImageStatus.DELETE_SCHEDULED,
        "status_updated_at": now,
        "delete_due_at": now,
        "delete_owner": "",
        "updated_at": now,
    }
