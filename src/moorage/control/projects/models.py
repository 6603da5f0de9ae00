"""Projects, their members, and the tokens that belong to a project or group and not to a user."""

from datetime import date, datetime
from typing import ClassVar

from django.db import models
from django.db.models.functions import Lower

from moorage.control.accounts.models import User
from moorage.control.accounts.secret_rows import SecretRows
from moorage.control.namespaces.choosing import RowCondition, any_of, below, one
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.rules import AccessLevel, FeatureLevel, Visibility


def _in_one_place(name: str) -> models.CheckConstraint:
    """A row belongs to a project or to a namespace, and not to both."""
    return models.CheckConstraint(
        condition=models.Q(namespace=None, project__isnull=False) | models.Q(namespace__isnull=False, project=None),
        name=name,
    )


class Projects(models.QuerySet["Project"]):
    """Questions about projects."""

    def at(self, full_path: str) -> "Projects":
        """The one of this path, whatever its case."""
        return self.alias(lowered=Lower("full_path")).filter(lowered=full_path.lower())  # By the index.

    def within(self, namespace: Namespace) -> "Projects":
        """Those of a namespace and of all below it."""
        return self.filter(below(namespace.lineage, "namespace__lineage").asked)

    def listed_within(self, namespace: Namespace) -> "Projects":
        """The same, for a list of them."""
        return any_of(self, [below(namespace.lineage, "namespace__lineage")])

    def visible_to(self, user: User | None, today: date) -> "Projects":
        """Those that *user* is told of; None: someone who is not signed in."""
        if user is None:
            return self.filter(visibility=Visibility.PUBLIC)
        if user.is_admin:
            return self
        visible = models.Q(visibility__in=[Visibility.PUBLIC, Visibility.INTERNAL])
        return any_of(self, [one(visible), *parts_of_member(user, today)])

    def of_member(self, user: User, today: date, *, least: int = AccessLevel.GUEST) -> "Projects":
        """Those that *user* is a member of, in them or in a group above, with that role at *least*."""
        return any_of(self, parts_of_member(user, today, least=least))


def parts_of_member(
    user: User, today: date, *, least: int = AccessLevel.GUEST, project: str = ""
) -> list[RowCondition]:
    """Return the conditions of which one holds for each project that *user* has that role in at *least*.

    *project*: the way to it from the rows that are chosen, such as ``project__``.
    """
    theirs = Membership.objects.valid(today).filter(user=user, access_level__gte=least)
    found = [one(models.Q(**{f"{project}pk__in": theirs.exclude(project=None).values("project_id")}))]
    if user.namespace_id is not None:
        found.append(one(models.Q(**{f"{project}namespace_id": user.namespace_id})))
    lineages = theirs.exclude(namespace=None).values_list("namespace__lineage", flat=True)
    return found + [below(lineage, f"{project}namespace__lineage") for lineage in lineages]


class Project(models.Model):
    """A project. ``projects.changes`` keeps ``full_path`` true."""

    audit_kind = "project"

    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="projects")
    name = models.CharField(max_length=255)
    path = models.CharField(max_length=255)
    full_path = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    visibility = models.CharField(max_length=8, choices=[(word.value, word.value) for word in Visibility])
    container_registry_access_level = models.CharField(
        max_length=8, choices=[(word.value, word.value) for word in FeatureLevel]
    )
    creator = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    history_since = models.DateTimeField(null=True)
    """The moment before which its repositories were those of a project that is deleted; None: they were not."""
    job_token_allowed = models.ManyToManyField("self", symmetrical=False, related_name="+", blank=True)
    """Other projects whose jobs may pull here."""
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = Projects.as_manager()

    class Meta:
        """Paths differ by more than case; the orders of lists."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("full_path"), name="project_full_path"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["full_path"], name="project_by_path"),
            models.Index(fields=["updated_at"], name="project_by_update"),
            models.Index(fields=["created_at"], name="project_by_creation"),
            # Very many may have the same name.
            models.Index(fields=["name", "id"], name="project_by_name_and_id"),
            models.Index(fields=["path", "id"], name="project_by_last_part_and_id"),
            models.Index(fields=["visibility"], name="project_by_visibility"),
            models.Index(fields=["namespace", "full_path"], name="project_of_place_by_path"),
            models.Index(fields=["namespace", "updated_at"], name="project_of_place_by_update"),
            models.Index(fields=["namespace", "created_at"], name="project_of_place_by_creation"),
        ]

    def __str__(self) -> str:
        return self.full_path

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return self.full_path

    @property
    def feature(self) -> FeatureLevel:
        """The switch of its registry."""
        return FeatureLevel(self.container_registry_access_level)

    @property
    def shown_to(self) -> Visibility:
        """The circle that sees it."""
        return Visibility(self.visibility)


class Memberships(models.QuerySet["Membership"]):
    """Questions about memberships."""

    def valid(self, today: date) -> "Memberships":
        """Those that have not ended."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=today))

    def above(self, namespace: Namespace) -> "Memberships":
        """Those in a group and in all groups above it."""
        return self.filter(namespace_id__in=namespace.lineage_ids)

    def counting_for(self, project: Project) -> "Memberships":
        """Those in a project and in all groups above it."""
        above = models.Q(namespace_id__in=project.namespace.lineage_ids)
        return self.filter(models.Q(project=project) | above)


class Membership(models.Model):
    """A user's role in one group or one project; in what is below a group it counts too."""

    audit_kind = "membership"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    namespace = models.ForeignKey(Namespace, null=True, on_delete=models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="memberships")
    access_level = models.PositiveSmallIntegerField(
        choices=[(level.value, level.name) for level in AccessLevel if level]
    )
    expires_at = models.DateField(null=True)
    """The first day on which it does not count any more."""
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Memberships.as_manager()

    class Meta:
        """One place each, and one role a place."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            _in_one_place("membership_in_one_place"),
            models.UniqueConstraint(fields=["user", "namespace"], name="one_role_in_a_group"),
            models.UniqueConstraint(fields=["user", "project"], name="one_role_in_a_project"),
        ]

    def __str__(self) -> str:
        return self.audit_name

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return f"{self.user.username} in {self.project or self.namespace}"

    def is_valid(self, today: date) -> bool:
        """Return whether it has not ended."""
        return self.expires_at is None or self.expires_at > today

    @property
    def role(self) -> AccessLevel:
        """The role."""
        return AccessLevel(self.access_level)


class DeployTokens(SecretRows["DeployToken"]):
    """Questions about deploy tokens."""

    def usable(self, now: datetime) -> "DeployTokens":
        """Those that are taken *now*."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now), revoked_at=None)


class DeployToken(models.Model):
    """A token for one project, or for all of a group, with a user's name of its own."""

    audit_kind = "deploy_token"

    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="deploy_tokens")
    namespace = models.ForeignKey(Namespace, null=True, on_delete=models.CASCADE, related_name="deploy_tokens")
    name = models.CharField(max_length=255)
    username = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = DeployTokens.as_manager()

    class Meta:
        """One place each."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            _in_one_place("deploy_token_of_one_place"),
        ]

    def __str__(self) -> str:
        return self.audit_name

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return f"{self.project or self.namespace}: {self.name}"

    def reaches(self, project: Project) -> bool:
        """Return whether it is for *project*."""
        if self.namespace_id is not None:
            return self.namespace_id in project.namespace.lineage_ids
        return self.project_id == project.pk


class JobTokens(SecretRows["JobToken"]):
    """Questions about tokens of jobs."""

    def usable(self, now: datetime) -> "JobTokens":
        """Those that are taken *now*."""
        return self.filter(expires_at__gt=now, revoked_at=None)


class JobToken(models.Model):
    """A short-lived token of one run of a CI system in one project, in a user's name."""

    audit_kind = "job_token"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="job_tokens")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    job = models.CharField(max_length=255, blank=True)
    """The name that the CI system calls the run."""
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)

    objects = JobTokens.as_manager()

    def __str__(self) -> str:
        return self.audit_name

    @property
    def audit_name(self) -> str:
        """Its name in audit rows."""
        return f"{self.project}: {self.job}"
