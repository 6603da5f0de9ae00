"""The table of what the token endpoint has refused, for the pages that say why."""

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models

from moorage.control.accounts.models import User
from moorage.control.projects.models import Project
from moorage.control.tokens.rules import DecisionStep

KEPT = timedelta(days=30)


class RefusalRows(models.QuerySet["AccessRefusal"]):
    """Questions about refusals."""

    def of_user(self, user: User) -> "RefusalRows":
        """Those that met *user*, with whatever credential."""
        return self.filter(user=user)

    def of_project(self, project: Project) -> "RefusalRows":
        """Those of what is in *project*, whoever they met."""
        return self.filter(project=project)


class AccessRefusal(models.Model):
    """Something that somebody wanted with a repository and was refused; once however often they try."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="refusals")
    """None: a deploy token, or nobody in particular."""
    name = models.CharField(max_length=255, blank=True)
    """The name of who it met; empty: they sent no credentials."""
    credential = models.CharField(max_length=100)
    """The kind of the credential, and its number where it has one."""
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="refusals")
    """None: there was none at the path."""
    repository = models.CharField(max_length=255)
    actions = models.CharField(max_length=60)
    """The actions that were refused, with commas."""
    step = models.CharField(max_length=16, choices=[(step.value, step.value) for step in DecisionStep])
    shown = models.TextField()
    """The reason, for who was refused: it tells of nothing that they do not see."""
    reason = models.TextField()
    """The reason, for who runs the project."""
    request_id = models.CharField(max_length=200, blank=True)
    """Of the last time."""
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    """The last time, to the minute."""

    objects = RefusalRows.as_manager()

    class Meta:
        """Newest first, also of one user or project."""

        ordering: ClassVar[list[str]] = ["-last_at", "-pk"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "last_at"], name="refusal_of_user"),
            models.Index(fields=["project", "last_at"], name="refusal_of_project"),
            models.Index(fields=["request_id"], name="refusal_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.actions} {self.repository} {self.name}"

    @property
    def first_action(self) -> str:
        """The action that a person wanted most likely: a push asks for a pull too."""
        actions = self.actions.split(",")
        return next((word for word in ("push", "delete", "*", "pull") if word in actions), actions[0])
