"""The one row of settings that administrators change while the instance runs."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from moorage.control.prepared import PreparedQuery

TOKEN_MINUTES_LIMIT = 24 * 60
"""A day: nobody takes a token back before it ends. Source: decision 160."""

_VISIBILITIES = [("private", "private"), ("internal", "internal"), ("public", "public")]


class ApplicationSettings(models.Model):
    """Settings by GitLab's names, as ``/api/v4/application/settings`` has them."""

    audit_kind = "settings"
    audit_name = "application settings"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    container_registry_token_expire_delay = models.PositiveIntegerField(
        default=5, validators=[MinValueValidator(1), MaxValueValidator(TOKEN_MINUTES_LIMIT)]
    )
    """Minutes that a token for the registry lives."""
    default_project_visibility = models.CharField(max_length=8, default="private", choices=_VISIBILITIES)
    default_group_visibility = models.CharField(max_length=8, default="private", choices=_VISIBILITIES)
    default_projects_container_registry = models.BooleanField(null=True, blank=True)
    """True: new projects have a registry; None: as control.yml says."""
    create_project_on_push = models.BooleanField(default=True)
    """True: a first push into a namespace of one's own makes the project."""
    require_two_factor_authentication = models.BooleanField(default=False)
    """True: whoever signs in has to set up a second factor, and passwords alone open nothing."""
    container_registry_vendor = models.CharField(max_length=64, blank=True)
    container_registry_version = models.CharField(max_length=64, blank=True)
    container_registry_features = models.JSONField(default=list)
    container_registry_db_enabled = models.BooleanField(default=False)
    container_registry_delete_tags_service_timeout = models.PositiveIntegerField(default=250)
    """Seconds that one cleanup of a repository takes at most; 0: any time."""
    container_registry_expiration_policies_worker_capacity = models.PositiveIntegerField(default=4)
    """Cleanups that go on at once, over all nodes; 0: none."""
    container_registry_cleanup_tags_service_max_list_size = models.PositiveIntegerField(default=200)
    """Tags that one cleanup looks at in a registry without GitLab's API; 0: any number."""
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        """The row is the only one."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(id=1), name="settings_are_one_row"),
            models.CheckConstraint(
                condition=models.Q(
                    container_registry_token_expire_delay__gte=1,
                    container_registry_token_expire_delay__lte=TOKEN_MINUTES_LIMIT,
                ),
                name="token_minutes_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.audit_name

    @classmethod
    def now(cls) -> "ApplicationSettings":
        """Return the settings as they are at this moment; the defaults if none were ever changed."""
        return next(iter(_ROW.rows(1)), None) or cls()

    @property
    def has_registry_by_default(self) -> bool:
        """True if a new project has a registry."""
        if self.default_projects_container_registry is not None:
            return self.default_projects_container_registry
        features = settings.MOORAGE.configuration.gitlab.default_projects_features
        return bool(features.container_registry)


_ROW = PreparedQuery[ApplicationSettings](lambda pk: ApplicationSettings.objects.filter(pk=pk))
