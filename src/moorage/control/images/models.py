"""The table of repositories, and those of what goes on with the images of a whole project or group.

``changes``, ``deletion`` and ``moves`` alter them; cleanup policies alter what is theirs.

Source: GitLab features REP-001 to REP-005.
"""

from datetime import date, datetime
from typing import ClassVar

from django.conf import settings
from django.db import models

from moorage.control.accounts.models import User
from moorage.control.audit.actors import Actor
from moorage.control.images.rules import RETRIES_LIMIT
from moorage.control.jobs.leases import OWNER_LENGTH, LeaseFields
from moorage.control.namespaces.choosing import any_of, below
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project, Projects, parts_of_member
from moorage.control.projects.rules import FeatureLevel


class ImageStatus(models.TextChoices):
    """The state of a repository, by GitLab's words."""

    NORMAL = "", "normal"
    DELETE_SCHEDULED = "delete_scheduled"
    DELETE_FAILED = "delete_failed"
    DELETE_ONGOING = "delete_ongoing"


class CleanupStatus(models.TextChoices):
    """The state of a repository's cleanup, by GitLab's words."""

    UNSCHEDULED = "cleanup_unscheduled"
    SCHEDULED = "cleanup_scheduled"
    UNFINISHED = "cleanup_unfinished"
    ONGOING = "cleanup_ongoing"


DELETING = (ImageStatus.DELETE_SCHEDULED, ImageStatus.DELETE_ONGOING)


class ImageRepositories(models.QuerySet["ImageRepository"]):
    """Questions about records of repositories."""

    def of_project(self, project: Project) -> "ImageRepositories":
        """Those of a project."""
        return self.filter(project=project)

    def of_projects(self, projects: "models.QuerySet[Project]") -> "ImageRepositories":
        """Those of some projects."""
        return self.filter(project__in=projects).select_related("project")

    def of_member(self, user: User, today: date) -> "ImageRepositories":
        """Those of the projects that *user* is a member of."""
        return any_of(self, parts_of_member(user, today, project="project__")).select_related("project")

    def of_group(self, group: Namespace) -> "ImageRepositories":
        """Those of a group and of all groups below it, where the feature is on."""
        found = any_of(self, [below(group.lineage, "project__namespace__lineage")]).select_related("project")
        return found.exclude(project__container_registry_access_level=FeatureLevel.DISABLED)

    def named_like(self, text: str) -> "ImageRepositories":
        """Those that have *text* in their path."""
        return self.filter(models.Q(name__icontains=text) | models.Q(project__full_path__icontains=text))

    def to_delete(self) -> "ImageRepositories":
        """Those that a deletion is asked for, or going on."""
        return self.filter(status__in=DELETING)


class ImageRepository(models.Model):
    """A repository of the registry, as a project has it."""

    audit_kind = "container_repository"
    DELETION: ClassVar = LeaseFields("delete_due_at", "delete_owner")
    CLEANUP: ClassVar = LeaseFields("cleanup_due_at", "cleanup_owner")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="repositories")
    name = models.CharField(max_length=255, blank=True)
    """Its path below the project's, in small letters; empty: the project's own path."""
    status = models.CharField(max_length=16, choices=ImageStatus.choices, blank=True, default=ImageStatus.NORMAL)
    status_updated_at = models.DateTimeField(null=True)
    delete_started_at = models.DateTimeField(null=True)
    failed_deletion_count = models.PositiveSmallIntegerField(default=0)
    last_failure = models.TextField(blank=True)
    """The reason for which the last attempt to delete it failed."""
    delete_due_at = models.DateTimeField(null=True)
    """The time of the next attempt to delete it; during one, the end of its lease. None: no deletion is asked for."""
    delete_owner = models.CharField(max_length=OWNER_LENGTH, blank=True)
    expiration_policy_started_at = models.DateTimeField(null=True)
    expiration_policy_completed_at = models.DateTimeField(null=True)
    expiration_policy_cleanup_status = models.CharField(
        max_length=24, choices=CleanupStatus.choices, default=CleanupStatus.UNSCHEDULED
    )
    last_cleanup_deleted_tags_count = models.PositiveIntegerField(null=True)
    cleanup_due_at = models.DateTimeField(null=True)
    """While a cleanup goes on, until when it is leased."""
    cleanup_owner = models.CharField(max_length=OWNER_LENGTH, blank=True)
    bulk_deletion_at = models.DateTimeField(null=True)
    """The time at which a deletion of many tags was asked for last."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ImageRepositories.as_manager()

    class Meta:
        """One record a path, and indexes for workers and lists: with the id where very many may be equal."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["project", "name"], name="repository_of_project"),
            models.CheckConstraint(
                condition=models.Q(failed_deletion_count__lte=RETRIES_LIMIT), name="deletion_failures_in_range"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "delete_due_at", "id"], name="repository_to_delete"),
            models.Index(
                fields=["project", "expiration_policy_cleanup_status", "expiration_policy_started_at", "id"],
                name="repository_of_proj_cleanup",
            ),
            models.Index(
                fields=["expiration_policy_cleanup_status", "cleanup_due_at", "id"], name="repository_cleanup_due"
            ),
            # Very many may have the same name, which is empty for a project's own path.
            models.Index(fields=["name", "id"], name="repository_by_name_and_id"),
            models.Index(fields=["created_at"], name="repository_by_creation"),
            models.Index(fields=["updated_at"], name="repository_by_update"),
            models.Index(fields=["status", "updated_at"], name="repository_of_state_by_update"),
            models.Index(fields=["project", "updated_at"], name="repository_of_proj_by_update"),
            models.Index(fields=["project", "created_at"], name="repository_of_proj_by_creation"),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def path(self) -> str:
        """Its name in the registry. Source: GitLab features REP-003."""
        return "/".join(part for part in (self.project.full_path.lower(), self.name) if part)

    @property
    def location(self) -> str:
        """The name that clients pull by, without a tag."""
        return f"{settings.MOORAGE.configuration.registry.host_port}/{self.path}"

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.path

    @property
    def is_being_deleted(self) -> bool:
        """True if a deletion is asked for, or going on."""
        return self.status in DELETING

    @property
    def next_delete_attempt_at(self) -> datetime | None:
        """The time of the next try of a deletion that failed."""
        is_waiting = self.status == ImageStatus.DELETE_SCHEDULED and self.failed_deletion_count > 0
        return self.delete_due_at if is_waiting else None


class PlaceDeletion(models.Model):
    """A place that goes when all that is in it has gone."""

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=255)
    """The one who asked for it."""
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    class Meta:  # noqa: D106 - Django's
        abstract = True

    @property
    def actor(self) -> Actor:
        """The one who asked for it, for audit rows."""
        return Actor(user_id=self.actor_id, name=self.actor_name)


class ProjectDeletion(PlaceDeletion):
    """A project that goes when its images have gone."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="deletion")

    def __str__(self) -> str:
        return f"deletion of {self.project}"


class GroupDeletion(PlaceDeletion):
    """A group that goes when its projects have gone, and they when their images have."""

    group = models.OneToOneField(Namespace, on_delete=models.CASCADE, related_name="deletion")

    def __str__(self) -> str:
        return f"deletion of {self.group}"


def projects_that_stay(group: Namespace) -> Projects:
    """Return those projects in *group* whose deletion nobody has asked for yet."""
    return Project.objects.within(group).filter(deletion=None).select_related("namespace")


class ImageMove(models.Model):
    """A project or a group that gets another path as soon as the registry has renamed its images.

    Until then it has the old one, and the new one is taken for it.
    """

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    project = models.ForeignKey(Project, null=True, on_delete=models.PROTECT, related_name="+")
    """None: it is a group."""
    group = models.ForeignKey(Namespace, null=True, on_delete=models.PROTECT, related_name="+")
    namespace = models.ForeignKey(Namespace, null=True, on_delete=models.PROTECT, related_name="+")
    """The namespace that it will be in; None: it will be at the top."""
    path = models.CharField(max_length=255)
    """The last part of its new path."""
    old_path = models.CharField(max_length=255)
    """In small letters, as the registry has it."""
    new_path = models.CharField(max_length=255)
    witness_name = models.CharField(max_length=255, blank=True)
    """A repository, below the path, that has the manifest of the next field; both empty: none has a tag."""
    witness_digest = models.CharField(max_length=255, blank=True)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=255)
    """The one who asked for it."""
    last_failure = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    def __str__(self) -> str:
        return f"move of {self.old_path} to {self.new_path}"

    @property
    def place(self) -> Project | Namespace:
        """The project or the group."""
        found = self.project or self.group
        if found is None:
            msg = "a move is of a project or of a group"
            raise ValueError(msg)
        return found

    @property
    def actor(self) -> Actor:
        """The one who asked for it, for audit rows."""
        return Actor(user_id=self.actor_id, name=self.actor_name)


class LeftPath(models.Model):
    """A full path, in small letters, that a project has left: by a move, or because it was deleted.

    It is looked at once when no token from before can push there any more.
    """

    LEASE: ClassVar = LeaseFields("due_at", "owner")

    path = models.CharField(max_length=255, primary_key=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.CharField(max_length=OWNER_LENGTH, blank=True)

    def __str__(self) -> str:
        return self.path
