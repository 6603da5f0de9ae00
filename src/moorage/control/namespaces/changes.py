"""Changes of namespaces: their making and their end. Who may ask for them is decided by callers."""

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.entering import enter, hold
from moorage.control.namespaces.models import Namespace, NamespaceKind, PlaceKind, TakenPath
from moorage.control.namespaces.old_paths import forget_paths_below, forget_paths_of
from moorage.control.namespaces.rules import DEPTH_LIMIT, PATH_LENGTH_LIMIT, joined, path_problem
from moorage.control.refusals import refused


@transaction.atomic
def create_namespace(
    kind: NamespaceKind,
    path: str,
    *,
    by: Actor,
    name: str = "",
    parent: Namespace | None = None,
    visibility: str = "private",
    description: str = "",
) -> Namespace:
    """Make a namespace; *parent*: the group that it is in.

    Raises:
        ChangeRefused: the path is not possible, or something has it; or *parent* is about to go.
    """
    if parent is not None:
        enter(parent)
    full_path = take_path(path, parent)
    if parent is not None and len(parent.lineage_ids) >= DEPTH_LIMIT:
        raise refused("parent", f"is {DEPTH_LIMIT} groups deep already")
    made = Namespace.objects.create(
        kind=kind,
        name=name or path,
        path=path,
        full_path=full_path,
        parent=parent,
        visibility=visibility,
        description=description,
    )
    made.lineage = f"{parent.lineage if parent else ''}{made.pk}/"
    made.save(update_fields=["lineage"])
    record(f"{made.audit_kind}_created", made, by=by)
    return made


def take_path(path: str, parent: Namespace | None) -> str:
    """Take the path *path* below *parent*, in the caller's transaction; return it whole. What it once led to is over.

    Raises:
        ChangeRefused: it is not possible, or something has it.
    """
    full_path = reserve_path(path, parent)
    forget_paths_below(full_path)
    return full_path


def reserve_path(path: str, parent: Namespace | None) -> str:
    """Keep the path *path* below *parent* from others, in the caller's transaction; return it whole.

    Raises:
        ChangeRefused: it is not possible, or something has it.
    """
    problem = path_problem(path, is_top=parent is None)
    if problem:
        raise refused("path", problem)
    full_path = joined(parent.full_path if parent else "", path)
    if len(full_path) > PATH_LENGTH_LIMIT:
        raise refused("path", f"is too long (maximum is {PATH_LENGTH_LIMIT} characters with its groups)")
    try:
        with transaction.atomic():
            TakenPath.objects.create(path=full_path.lower())
    except IntegrityError:
        raise refused("path", "has already been taken") from None
    return full_path


def free_path(full_path: str) -> None:
    """Give a path back, in the caller's transaction."""
    TakenPath.objects.filter(path=full_path.lower()).delete()


@transaction.atomic
def delete_namespace(namespace: Namespace, *, by: Actor) -> None:
    """Delete a namespace in which nothing is left.

    Raises:
        ChangeRefused: there are groups in it, or something is coming into it.
    """
    hold(namespace)
    if namespace.children.exists():
        raise refused("base", "there are groups in it")
    record(f"{namespace.audit_kind}_deleted", namespace, by=by)
    free_path(namespace.full_path)
    forget_paths_of(PlaceKind.GROUP, namespace.pk)
    try:
        namespace.delete()
    except ProtectedError:
        raise refused("base", "something is being made in it or moved there; try again in a moment") from None
