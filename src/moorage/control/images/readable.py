"""The repositories that someone may pull from, chosen in the database as ``image_rights`` decides for one project."""

from django.db.models import Q
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.images.models import ImageRepositories
from moorage.control.projects.models import Membership
from moorage.control.projects.rules import AccessLevel, FeatureLevel, Visibility


def readable_by(rows: ImageRepositories, user: User | None) -> ImageRepositories:
    """Return those of *rows* whose images *user* may pull; None: someone who is not signed in."""
    rows = rows.exclude(project__container_registry_access_level=FeatureLevel.DISABLED)
    if user is not None and user.is_admin:
        return rows
    is_open = Q(project__visibility=Visibility.PUBLIC)
    if user is not None:
        is_open |= Q(project__visibility=Visibility.INTERNAL)
    found = is_open & Q(project__container_registry_access_level=FeatureLevel.ENABLED)
    if user is not None:
        theirs = Membership.objects.valid(timezone.now().date()).filter(
            user=user, access_level__gte=AccessLevel.REPORTER
        )
        found |= Q(project__namespace_id=user.namespace_id) if user.namespace_id is not None else Q()
        found |= Q(project__in=theirs.exclude(project=None).values("project"))
        for lineage in theirs.exclude(namespace=None).values_list("namespace__lineage", flat=True):
            found |= Q(project__namespace__lineage__startswith=lineage)
    return rows.filter(found)
