"""The tables of sizes and quotas: what each project and namespace takes now, and took on each day.

Source: GitLab features DSK-001 to DSK-003.
"""

from typing import ClassVar

from django.db import models

from moorage.control.jobs.leases import OWNER_LENGTH, LeaseFields
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.usage.rules import WARNING_PERCENT, QuotaLimits, QuotaState


class UsagePlaces(models.QuerySet["UsagePlace"]):
    """Questions about sizes and quotas."""

    def of_project(self, project: Project) -> "UsagePlaces":
        """Those that a push into *project* counts in: its own, and those of all namespaces above it."""
        return self.filter(models.Q(project=project) | models.Q(namespace__in=project.namespace.lineage_ids))


class UsagePlace(models.Model):
    """One project or one namespace: its size with the moment it was measured, and its quotas."""

    audit_kind = "quota"
    LEASE: ClassVar = LeaseFields("due_at", "owner")

    project = models.OneToOneField(Project, null=True, on_delete=models.CASCADE, related_name="usage")
    namespace = models.OneToOneField(Namespace, null=True, on_delete=models.CASCADE, related_name="usage")
    size_bytes = models.BigIntegerField(null=True)
    """Each layer counted once; None: never measured, or the registry cannot say."""
    precision = models.CharField(max_length=16, blank=True)
    """The registry's word: ``untagged`` is an estimate that counts layers without a tag too."""
    measured_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    """The moment at which something was pushed or deleted here last, as events say."""
    due_at = models.DateTimeField(null=True, db_index=True)
    """The moment at which it is measured next; meanwhile, until when it is leased."""
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)
    last_failure = models.TextField(blank=True)
    """The reason for which it could not be measured the last time."""
    soft_bytes = models.BigIntegerField(null=True)
    hard_bytes = models.BigIntegerField(null=True)
    warning_percent = models.PositiveSmallIntegerField(default=WARNING_PERCENT)
    quota_state = models.CharField(max_length=8, blank=True, default=QuotaState.FREE)
    """The state when it was measured last, so that each change of state is told once."""

    objects = UsagePlaces.as_manager()

    class Meta:
        """A row is of one thing; the orders of lists."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(project__isnull=True) ^ models.Q(namespace__isnull=True), name="usage_of_one_place"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["size_bytes"], name="usage_of_projects_by_size", condition=models.Q(project__isnull=False)
            ),
            models.Index(
                fields=["size_bytes"], name="usage_of_spaces_by_size", condition=models.Q(namespace__isnull=False)
            ),
            models.Index(fields=["measured_at"], name="usage_by_measuring"),
        ]

    def __str__(self) -> str:
        return f"usage of {self.audit_name}"

    @property
    def place(self) -> Project | Namespace:
        """The project or the namespace."""
        found = self.project or self.namespace
        if found is None:
            msg = "a check of the table keeps one of the two"
            raise RuntimeError(msg)
        return found

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.place.full_path

    @property
    def limits(self) -> QuotaLimits:
        """Its quotas."""
        return QuotaLimits(soft_bytes=self.soft_bytes, hard_bytes=self.hard_bytes, warning_percent=self.warning_percent)

    @property
    def state(self) -> QuotaState:
        """The state by its size and its quotas as they are now."""
        return self.limits.state_at(self.size_bytes)


class DailyUsage(models.Model):
    """A place's size on one day: the last that was measured on it."""

    place = models.ForeignKey(UsagePlace, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    size_bytes = models.BigIntegerField()

    class Meta:
        """One row a day, newest first."""

        ordering: ClassVar[list[str]] = ["-day"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["place", "day"], name="usage_of_place_and_day")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.size_bytes}"
