"""The way back of one tag: to what it was before a change, as long as the registry still has that."""

from datetime import datetime

from django.db import transaction

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.images.models import ImageRepository
from moorage.control.images.moving_now import see_in_place, see_that_stays
from moorage.control.protection.questions import repository_rules, tag_rules
from moorage.control.protection.rules import Person, delete_obstacle, is_push_protected, push_obstacle
from moorage.control.registry.connection import the_registry
from moorage.oci.digests import Digest
from moorage.oci.names import Tag


def undo_tag(
    repository: ImageRepository,
    name: str,
    *,
    to: str,
    expected: str,
    by: Actor,
    person: Person,
    since: datetime | None = None,
) -> None:
    """Point a tag to what it was, and bring that back if it was deleted.

    Args:
        repository: its repository.
        name: the tag.
        to: the digest that it goes back to; empty: before its last change there was no such tag, and it is deleted.
        expected: the digest that it has now, as far as the person knows; empty: there is no such tag.
        by: who asks, for the audit log.
        person: their role: rules are held against it as they are now.
        since: the moment before which the repository was somebody else's, of which they are told nothing.

    Raises:
        ImageProtected: a rule forbids it.
        ChangeRefused: the repository is being moved or deleted.
        TagInvalid, DigestInvalid: there can be no such tag or digest.
        RegistryRefused: status 409: somebody was faster; 410: what it needs is gone.
        RegistryIsOther: the registry keeps no history.
    """
    see_in_place(repository)
    see_that_stays(repository)
    tag, path, rules = Tag.parse(name).text, repository.path, tag_rules(repository.project)
    target, known = (str(Digest.parse(text)) if text else "" for text in (to, expected))
    if target:
        is_kept = push_obstacle(rules, tag, person, is_there=bool(known)) is not None
        is_kept = is_kept or is_push_protected(repository_rules(repository.project), path, person)
    else:
        is_kept = delete_obstacle(rules, tag, person) is not None
    if is_kept:
        msg = f"a protection rule keeps {tag} as it is"
        raise ImageProtected(msg)
    reason = f"undone on a page by {by.name}"
    the_registry().moorage.undo_tag(path, tag, to=target, expected=known, reason=reason, since=since)
    with transaction.atomic():
        record("tag_undone", repository, by=by, tag=tag, before=known, after=target)
