"""Changes of members of groups and projects."""

from datetime import date

from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.changes import delete_bots
from moorage.control.accounts.models import User, UserKind, UserState
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.entering import hold
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.written_once import checked_again


@transaction.atomic
def add_member(
    place: Project | Namespace, user: User, level: AccessLevel, *, by: Actor, expires_at: date | None = None
) -> Membership:
    """Make *user* a member of a project or group.

    Raises:
        ChangeRefused: there is such a member, or a value is not possible.
    """
    _check(level, expires_at)
    where = _place(place)

    def see_that_it_is_none() -> None:
        if Membership.objects.filter(user=user, **where).exists():
            raise refused("base", "Member already exists")

    with checked_again(see_that_it_is_none):
        member = Membership.objects.create(
            user=user,
            access_level=level,
            expires_at=expires_at,
            created_by_id=by.user_id,
            **where,
        )
    record("member_added", member, by=by, access_level=int(level), expires_at=_text(expires_at))
    return member


@transaction.atomic
def change_member(member: Membership, level: AccessLevel, *, by: Actor, expires_at: date | None = None) -> Membership:
    """Change a member's role and when it ends.

    Raises:
        ChangeRefused: a value is not possible, or the group would be nobody's.
    """
    _check(level, expires_at)
    if level < AccessLevel.OWNER or expires_at is not None:
        _keep_an_owner(member)
    before = member.access_level
    member.access_level, member.expires_at = level, expires_at
    member.save(update_fields=["access_level", "expires_at"])
    record("member_changed", member, by=by, access_level=[before, int(level)], expires_at=_text(expires_at))
    return member


@transaction.atomic
def remove_member(member: Membership, *, by: Actor) -> None:
    """Take a member out. The bot of an access token goes with its token, which nobody would see any more.

    Raises:
        ChangeRefused: the group would be nobody's.
    """
    _keep_an_owner(member)
    record("member_removed", member, by=by, access_level=member.access_level)
    member.delete()
    delete_bots(User.objects.filter(pk=member.user_id), by=by)


def keep_groups_owned(*, user: User, **_: object) -> None:
    """See that no group is nobody's without *user*. It hears of each person who is deleted.

    Raises:
        ChangeRefused: one would be. Source: GitLab ``lib/api/users.rb``.
    """
    theirs = Membership.objects.filter(user=user, access_level=AccessLevel.OWNER, namespace__parent=None)
    for member in theirs.exclude(namespace=None).select_related("namespace").order_by("namespace_id"):
        try:
            _keep_an_owner(member)
        except ChangeRefused:
            said = f"is the last owner of the group {member.namespace}; give it another one, or delete it"
            raise refused("base", said) from None


def delete_bots_of(place: Project | Namespace, *, by: Actor) -> None:
    """Delete the bots of a place that is about to go: their tokens would let them in as users still."""
    theirs = Membership.objects.filter(**_place(place)).values("user")
    delete_bots(User.objects.filter(pk__in=theirs), by=by)


def _place(place: Project | Namespace) -> dict[str, int]:
    return {"project_id": place.pk} if isinstance(place, Project) else {"namespace_id": place.pk}


def _check(level: AccessLevel, expires_at: date | None) -> None:
    if level is AccessLevel.NONE:
        raise refused("access_level", "is not included in the list")
    if expires_at is not None and expires_at <= timezone.now().date():
        raise refused("expires_at", "cannot be a date in the past")


def _keep_an_owner(member: Membership) -> None:
    """A topmost group keeps an owner who can sign in; those below have the owners of what is above."""
    group = member.namespace
    if group is None or group.parent_id is not None or member.access_level < AccessLevel.OWNER:
        return
    hold(group)  # Of two who leave at once the second sees that the first has.
    owners = Membership.objects.filter(namespace=group, access_level=AccessLevel.OWNER, expires_at=None)
    owners = owners.filter(user__kind=UserKind.HUMAN, user__state=UserState.ACTIVE)
    if not owners.exclude(pk=member.pk).exists():
        raise refused("base", "is the last owner of the group")


def _text(day: date | None) -> str | None:
    return str(day) if day is not None else None
