"""Writing of audit rows: in the transaction of the change that they tell of, so that neither is there alone."""

from typing import NamedTuple, Protocol

from django.db import connection

from moorage.control.audit.actors import Actor
from moorage.control.audit.models import AuditEntry, EntityKind


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
    entity = _entity_of(target)
    AuditEntry.objects.create(
        actor_id=by.user_id,
        actor_name=by.name,
        address=by.address,
        credential=by.credential,
        action=action,
        target_kind=target.audit_kind,
        target_id=target.pk,
        target_name=target.audit_name,
        entity_kind=entity.kind,
        entity_id=entity.pk,
        entity_path=entity.path,
        details=details,
    )


class _Entity(NamedTuple):
    kind: EntityKind
    pk: int | None = None
    path: str = ""


_OWN = {
    "user": EntityKind.USER,
    "group": EntityKind.GROUP,
    "project": EntityKind.PROJECT,
}


def _entity_of(target: AuditTarget) -> _Entity:
    """The thing whose log it goes into: the target itself, or the project, group or user that it belongs to."""
    own = _OWN.get(target.audit_kind)
    if own is not None:
        return _Entity(own, target.pk, target.audit_name)
    for field in ("project", "namespace", "user"):
        pk = getattr(target, f"{field}_id", None)
        if pk is not None:
            owner = getattr(target, field)
            kind = _OWN.get(owner.audit_kind)
            return _Entity(kind, pk, owner.audit_name) if kind is not None else _Entity(EntityKind.INSTANCE)
    return _Entity(EntityKind.INSTANCE)
