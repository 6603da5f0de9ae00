"""Questions about groups and members that need both: who is told of a group, and who is a member by inheritance."""

from collections.abc import Sequence
from datetime import date

from django.db.models import Exists, OuterRef, Q

from moorage.control.accounts.models import User
from moorage.control.namespaces.choosing import RowCondition, any_of, below, few_ids, one
from moorage.control.namespaces.models import Namespace, NamespaceKind, Namespaces
from moorage.control.projects.models import Membership, Memberships
from moorage.control.projects.rules import AccessLevel, Visibility


def groups_visible_to(user: User | None, today: date) -> Namespaces:
    """Return the groups that *user* is told of; None: someone who is not signed in.

    A member of something inside a group is told of the groups that it is in.
    """
    groups = Namespace.objects.groups()
    if user is None:
        return groups.filter(visibility=Visibility.PUBLIC)
    if user.is_admin:
        return groups
    seen = one(Q(visibility__in=[Visibility.PUBLIC, Visibility.INTERNAL]))
    return _groups_of([seen, *_membership(user, today, is_told=True)])


def groups_of_member(user: User, today: date, *, least: int = AccessLevel.GUEST) -> Namespaces:
    """Return the groups that *user* has a role in, theirs or inherited."""
    return _groups_of(_membership(user, today, least=least))


def strongest(rows: Memberships) -> Memberships:
    """Return one membership for each user of *rows*: the highest, and of equal ones the first."""
    same = rows.filter(user=OuterRef("user"))
    better = Q(access_level__gt=OuterRef("access_level")) | Q(
        access_level=OuterRef("access_level"), pk__lt=OuterRef("pk")
    )
    return rows.filter(~Exists(same.filter(better)))


def _groups_of(parts: Sequence[RowCondition]) -> Namespaces:
    # Not by what they are: an index of all groups would be read where a few ids are named.
    ids = few_ids(Namespace.objects.exclude(kind=NamespaceKind.USER), parts)
    return any_of(Namespace.objects.groups(), parts) if ids is None else Namespace.objects.filter(pk__in=ids)


def _membership(
    user: User, today: date, *, is_told: bool = False, least: int = AccessLevel.GUEST
) -> list[RowCondition]:
    theirs = Membership.objects.valid(today).filter(user=user, access_level__gte=least)
    lineages = list(theirs.exclude(namespace=None).values_list("namespace__lineage", flat=True))
    found = [below(lineage) for lineage in lineages]
    if is_told:
        lineages += theirs.exclude(project=None).values_list("project__namespace__lineage", flat=True)
        above = {int(part) for lineage in lineages for part in lineage.split("/") if part}
        found.append(one(Q(pk__in=above)))
    return found
