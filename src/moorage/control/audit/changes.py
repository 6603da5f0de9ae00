"""Writing of audit rows: in the transaction of the change that they tell of, so that neither is there alone."""

from typing import Protocol

from django.db import connection

from moorage.control.audit.actors import Actor
from moorage.control.audit.models import AuditEntry


class AuditTarget(Protocol):
    """A row that something is done to."""

    @property
    def pk(self) -> int | None:
        """Its id."""

    @property
    def audit_kind(self) -> str:
        """Its word: user, group, project and so on."""

    @property
    def audit_name(self) -> str:
        """Its name as people know it."""


def record(action: str, target: AuditTarget, *, by: Actor, **details: object) -> None:
    """Write that *by* has done *action*, a word such as ``token_revoked``; *details* hold no secret.

    Raises:
        RuntimeError: there is no transaction, which the row would have to be in.
    """
    if not connection.in_atomic_block:
        msg = "an audit row is written in the transaction of its change"
        raise RuntimeError(msg)
    AuditEntry.objects.create(
        actor_id=by.user_id,
        actor_name=by.name,
        address=by.address,
        action=action,
        target_kind=target.audit_kind,
        target_id=target.pk,
        target_name=target.audit_name,
        details=details,
    )
