"""The table of audit rows. Only ``record`` writes it."""

from typing import Any, ClassVar, Never

from django.db import models


class AuditRows(models.QuerySet["AuditEntry"]):
    """Audit rows, which can be read and nothing else."""

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
    action = models.CharField(max_length=64, db_index=True)
    target_kind = models.CharField(max_length=32)
    target_id = models.BigIntegerField(null=True)
    target_name = models.CharField(max_length=512)
    details = models.JSONField(default=dict)

    objects = AuditRows.as_manager()

    class Meta:
        """Order and index."""

        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["target_kind", "target_id"])]

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
