"""The repositories that someone may pull from, chosen in the database as ``image_rights`` decides for one project."""

from django.db.models import Q
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.images.models import ImageRepositories
from moorage.control.namespaces.choosing import any_of, one
from moorage.control.projects.models import parts_of_member
from moorage.control.projects.rules import AccessLevel, FeatureLevel, Visibility


def readable_by(rows: ImageRepositories, user: User | None) -> ImageRepositories:
    """Return those of *rows* whose images *user* may pull; None: someone who is not signed in."""
    rows = rows.exclude(project__container_registry_access_level=FeatureLevel.DISABLED)
    if user is not None and user.is_admin:
        return rows
    is_open = [Visibility.PUBLIC, Visibility.INTERNAL] if user is not None else [Visibility.PUBLIC]
    parts = [one(Q(project__visibility__in=is_open, project__container_registry_access_level=FeatureLevel.ENABLED))]
    if user is not None:
        today = timezone.now().date()
        parts += parts_of_member(user, today, least=AccessLevel.REPORTER, project="project__")
    return any_of(rows, parts)
