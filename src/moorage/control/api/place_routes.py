"""Routes that projects and groups have alike, such as ``/projects/{place}/members`` and ``/groups/{place}/members``."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import transaction
from django.http import HttpRequest
from ninja import Router

from moorage.control.api.lookups import FoundGroup, FoundProject, group_of, project_of
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project

View = TypeVar("View", bound=Callable[..., Any])

_KINDS = ("projects", "groups")
_KIND_AT = 3
"""Part of ``/api/v4/projects/…``."""


def on_both(routes: Router, method: str, path: str, **options: Any) -> Callable[[View], View]:  # noqa: ANN401 - the framework's
    """Have a view answer *method* at *path* below a project and below a group."""

    def decorate(view: View) -> View:
        for kind in _KINDS:
            name = f"{view.__name__}_of_{kind}"
            routes.add_api_operation(f"/{kind}/{{place}}{path}", [method], view, operation_id=name, **options)
        return view

    return decorate


def place_of(request: HttpRequest, place: str) -> FoundProject | FoundGroup:
    """Return the project or group that *place* names.

    Raises:
        APIRefused: the caller is not told of it.
    """
    is_project = request.path_info.split("/")[_KIND_AT] == "projects"
    return project_of(request, place) if is_project else group_of(request, place)


def see_that_manager(found: FoundProject | FoundGroup) -> None:
    """See that the caller manages members and tokens: a maintainer of a project, an owner of a group.

    Raises:
        APIRefused: not so.
    """
    if isinstance(found, FoundProject):
        found.see_that_maintainer()
    else:
        found.see_that_owner()


def see_that_possible(place: Project | Namespace, change: Callable[[], object]) -> None:
    """Make a change of *place* and take it back: what cannot be done is refused before the rest of a request is.

    Raises:
        ChangeRefused: it is not possible.
    """
    with transaction.atomic():
        change()
        transaction.set_rollback(True)
    place.refresh_from_db()
