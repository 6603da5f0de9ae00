"""Entry of a group or project into a namespace: made in it, or moved there."""

from django.dispatch import Signal

from moorage.control.namespaces.models import Namespace
from moorage.control.refusals import refused

NAMESPACE_ENTERED = Signal()
"""Sent in the transaction of the entry, with ``namespace``; who hears of it may refuse."""


def enter(namespace: Namespace) -> None:
    """Hold a namespace, as it is now, until the caller's transaction ends, and ask whether something may come into it.

    Raises:
        ChangeRefused: it is gone, or is about to go.
    """
    hold(namespace)
    NAMESPACE_ENTERED.send(Namespace, namespace=namespace)


def hold(namespace: Namespace) -> None:
    """Let nothing come into a namespace, and it not go, before the caller's transaction ends.

    What is remembered of it becomes what it is now: it may have moved since the request has looked.

    Raises:
        ChangeRefused: it is gone.
    """
    found = Namespace.objects.select_for_update().filter(pk=namespace.pk).first()
    if found is None:
        raise refused("base", "the group or user is gone")
    for field in ("path", "full_path", "lineage", "visibility", "parent_id"):
        setattr(namespace, field, getattr(found, field))
