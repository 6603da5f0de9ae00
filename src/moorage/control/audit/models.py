"""The table of audit rows. Only ``record`` writes it."""

from datetime import datetime
from typing import Any, ClassVar, Never

from django.db import models


class EntityKind(models.TextChoices):
    """The kinds of things that have a log of their own."""

    USER = "user"
    GROUP = "group"
    PROJECT = "project"
    INSTANCE = "instance"


class AuditRows(models.QuerySet["AuditEntry"]):
    """Audit rows, which can be read and nothing else."""

    def within(self, since: datetime | None, until: datetime | None) -> "AuditRows":
        """Those from *since* on, and before *until*."""
        found = self if since is None else self.filter(at__gte=since)
        return found if until is None else found.filter(at__lt=until)

    def about(self, kind: EntityKind, entity_id: int | None = None) -> "AuditRows":
        """Those in the log of one thing, or of all of a kind."""
        found = self.filter(entity_kind=kind)
        return found if entity_id is None else found.filter(entity_id=entity_id)

    def bulk_create(self, *args: Any, **kwargs: Any) -> Never:  # noqa: ANN401 - as Django's
        """Refuse: it can write over rows."""
        del args, kwargs
        raise AuditIsKept

    def _raw_delete(self, using: str | None) -> Never:
        """Refuse: a row stays."""
        del using
        raise AuditIsKept

    def _update(self, values: Any) -> Never:  # noqa: ANN401 - as Django's
        """Refuse: a row stays as it is."""
        del values
        raise AuditIsKept

    def delete(self) -> Never:
        """Refuse: a row stays."""
        raise AuditIsKept

    def update(self, **changes: Any) -> Never:  # noqa: ANN401 - as Django's
        """Refuse: a row stays as it is."""
        del changes
        raise AuditIsKept


class AuditIsKept(Exception):
    """Raised when code tries to alter or delete an audit row."""


class AuditEntry(models.Model):
    """One change. Names and ids are copies, without foreign keys, so that a row outlives what it is about."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=255)
    address = models.CharField(max_length=64, blank=True)
    credential = models.CharField(max_length=64, blank=True)
    """The kind of credential, and its number: see ``Actor``."""
    action = models.CharField(max_length=64, db_index=True)
    target_kind = models.CharField(max_length=32)
    target_id = models.BigIntegerField(null=True)
    target_name = models.CharField(max_length=512)
    entity_kind = models.CharField(max_length=8, blank=True, choices=EntityKind.choices)
    """The thing whose log the row is in, which the target is a part of."""
    entity_id = models.BigIntegerField(null=True)
    entity_path = models.CharField(max_length=512, blank=True)
    details = models.JSONField(default=dict)
    """Values that were changed: a pair is a value before and after."""

    objects = AuditRows.as_manager()

    class Meta:
        """Order and index."""

        ordering: ClassVar[list[str]] = ["-id"]
        # Whatever Django does by itself, such as deleting what belongs to a row, asks this manager.
        base_manager_name = "objects"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["target_kind", "target_id"]),
            models.Index(fields=["entity_kind", "entity_id", "id"], name="audit_of_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name} {self.action} {self.target_kind} {self.target_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's
        """Write a new row.

        Raises:
            AuditIsKept: it is there already.
        """
        if not self._state.adding:
            raise AuditIsKept
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:  # noqa: ANN401 - as Django's
        """Refuse: a row stays."""
        del args, kwargs
        raise AuditIsKept
