"""The tables of cleanup policies, of deletions of many tags, and of the reports that each run leaves.

Source: GitLab features CPD-001, CPD-002, TDL-005.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from django.db import models

from moorage.control.images.models import ImageRepository
from moorage.control.jobs.leases import OWNER_LENGTH, LeaseFields
from moorage.control.policies.patterns import PATTERN_LENGTH_LIMIT
from moorage.control.policies.rules import EVERYTHING, PolicySelection
from moorage.control.projects.models import Project
from moorage.control.projects.rules import FeatureLevel


class CleanupPolicies(models.QuerySet["CleanupPolicy"]):
    """Questions about policies."""

    def due(self, now: datetime) -> "CleanupPolicies":
        """Those that should run."""
        return self.filter(enabled=True, next_run_at__lte=now)


class CleanupPolicy(models.Model):
    """A project's policy, by GitLab's names and defaults."""

    audit_kind = "cleanup_policy"

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, related_name="container_expiration_policy", primary_key=True
    )
    enabled = models.BooleanField(default=False)
    cadence = models.CharField(max_length=8, default="1d")
    keep_n = models.PositiveIntegerField(null=True, default=10)
    older_than = models.CharField(max_length=16, null=True, default="90d")  # noqa: DJ001 - null in GitLab's API
    name_regex = models.CharField(max_length=PATTERN_LENGTH_LIMIT, blank=True, default=EVERYTHING)
    name_regex_keep = models.CharField(max_length=PATTERN_LENGTH_LIMIT, null=True)  # noqa: DJ001 - as above
    next_run_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CleanupPolicies.as_manager()

    class Meta:
        """The index that the worker asks by."""

        # SQLite asks no index whether a policy is on: those that are have one of their own.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["next_run_at", "project"], condition=models.Q(enabled=True), name="policy_on_due")
        ]

    def __str__(self) -> str:
        return f"cleanup policy of {self.project}"

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.project.full_path

    @property
    def is_resting(self) -> bool:
        """True while the registry of its project is off: nobody sees then what it would delete."""
        return self.project.feature is FeatureLevel.DISABLED

    @property
    def selection(self) -> PolicySelection:
        """The choice of tags."""
        return PolicySelection.stored(
            delete=self.name_regex, keep=self.name_regex_keep, keep_count=self.keep_n, older_than=self.older_than
        )


class RunKind(models.TextChoices):
    """The reason of a run."""

    POLICY = "policy"
    BULK = "bulk"
    """A user asked for the deletion of many tags."""
    PICKED = "picked"
    """A user picked tags on a page."""


class RunOutcome(models.TextChoices):
    """The end of a run."""

    ONGOING = "ongoing"
    """It goes on, or its process was killed."""
    FINISHED = "finished"
    UNFINISHED = "unfinished"
    """Time ran out, or the list was too long: a later run goes on."""
    FAILED = "failed"


class CleanupRun(models.Model):
    """The report of one run over one repository. It stays when the repository goes."""

    kind = models.CharField(max_length=8, choices=RunKind.choices, default=RunKind.POLICY)
    project = models.ForeignKey(Project, null=True, on_delete=models.SET_NULL, related_name="cleanup_runs")
    repository = models.ForeignKey(ImageRepository, null=True, on_delete=models.SET_NULL, related_name="cleanup_runs")
    repository_path = models.CharField(max_length=512, db_index=True)
    requested_by = models.CharField(max_length=255, blank=True)
    """The name of the one who asked for it; empty: the schedule."""
    selection = models.JSONField(default=dict)
    """The rules as they were."""
    outcome = models.CharField(max_length=16, choices=RunOutcome.choices, default=RunOutcome.ONGOING)
    message = models.TextField(blank=True)
    original_size = models.PositiveIntegerField(default=0)
    """Tags that there were."""
    before_delete_size = models.PositiveIntegerField(default=0)
    """Tags that were to go."""
    deleted_size = models.PositiveIntegerField(default=0)
    """Tags that went."""
    kept = models.JSONField(default=dict)
    """The number of tags that each rule kept."""
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first."""

        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["project", "started_at"], name="run_of_project"),
        ]

    def __str__(self) -> str:
        return f"cleanup of {self.repository_path} at {self.started_at:%Y-%m-%d %H:%M}"


class CleanedTag(models.Model):
    """A tag that a run deleted, with what it pointed to, so that it can come back."""

    run = models.ForeignKey(CleanupRun, on_delete=models.CASCADE, related_name="deleted_tags")
    name = models.CharField(max_length=255)
    digest = models.CharField(max_length=160, blank=True)
    published_at = models.DateTimeField(null=True)

    class Meta:
        """In the order in which they went."""

        ordering: ClassVar[list[str]] = ["id"]

    def __str__(self) -> str:
        return self.name


class RunUndo(models.Model):
    """The undo of a run that is too large for one request: how far a job has come with it."""

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    run = models.OneToOneField(CleanupRun, on_delete=models.CASCADE, related_name="undo", primary_key=True)
    requested_by = models.CharField(max_length=255)
    role = models.PositiveSmallIntegerField(default=0)
    """The role that rules are held against."""
    is_admin = models.BooleanField(default=False)
    total = models.PositiveIntegerField(default=0)
    """Tags that the run deleted."""
    position = models.BigIntegerField(default=0)
    """The key of the last of them that was looked at."""
    restored = models.PositiveIntegerField(default=0)
    there = models.PositiveIntegerField(default=0)
    """They were there again already."""
    gone = models.PositiveIntegerField(default=0)
    """Garbage collection had taken what they pointed to."""
    protected = models.PositiveIntegerField(default=0)
    """A rule forbids to push them."""
    failures = models.PositiveSmallIntegerField(default=0)
    message = models.TextField(blank=True)
    """The reason why it waits or has ended early; empty: it did neither."""
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    def __str__(self) -> str:
        return f"undo of {self.run}"

    @property
    def seen(self) -> int:
        """The number of tags that were looked at."""
        return self.restored + self.there + self.gone + self.protected


class BulkDeletion(models.Model):
    """A deletion of many tags that somebody has asked for. It goes when it has been done."""

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    repository = models.ForeignKey(ImageRepository, on_delete=models.CASCADE, related_name="bulk_deletions")
    name_regex = models.CharField(max_length=PATTERN_LENGTH_LIMIT)
    name_regex_keep = models.CharField(max_length=PATTERN_LENGTH_LIMIT, blank=True)
    keep_n = models.PositiveIntegerField(null=True)
    older_than = models.CharField(max_length=100, blank=True)
    requested_by = models.CharField(max_length=255)
    role = models.PositiveSmallIntegerField(null=True)
    """The role that rules are held against; None: all rules count."""
    is_admin = models.BooleanField(default=False)
    failures = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    def __str__(self) -> str:
        return f"bulk deletion in {self.repository}"

    @property
    def selection(self) -> PolicySelection:
        """The choice of tags; ``latest`` never goes. Source: GitLab features RST-010."""
        return PolicySelection.stored(
            delete=self.name_regex, keep=self.name_regex_keep, keep_count=self.keep_n, older_than=self.older_than
        )


def shown(selection: PolicySelection) -> Mapping[str, object]:
    """Return a choice of tags as JSON."""
    return {
        "name_regex": selection.delete_pattern,
        "name_regex_keep": selection.keep_pattern,
        "keep_n": selection.keep_count,
        "older_than_seconds": int(selection.older_than.total_seconds()) if selection.older_than is not None else None,
    }
