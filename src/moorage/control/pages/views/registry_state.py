"""Pages for administrators about the registry itself: is everything well, checks, and work beside requests."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from moorage.cache.remembered import Remembered
from moorage.control.accounts.models import User
from moorage.control.images.models import ImageRepository, ImageStatus
from moorage.control.namespaces.models import Namespace
from moorage.control.pages.key_pages import COUNT_LIMIT
from moorage.control.pages.part_rows import part_rows
from moorage.control.pages.room_texts import said
from moorage.control.pages.views.administration import administrator_of
from moorage.control.policies.questions import projects_without_cleanup
from moorage.control.projects.models import Project
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError, RegistryIsOther
from moorage.control.registry.state_values import RegistryState
from moorage.control.usage.models import UsagePlace

_T = TypeVar("_T")
_Row = TypeVar("_Row", bound=Model)

LATE = timedelta(hours=1)
"""After this, due work is late: no worker of the control plane runs, or they cannot keep up."""
_KNOWN: Remembered[str, int] = Remembered(1, age=timedelta(minutes=5))
"""A count that has no index: where there is very much, it is not made for each look at the page."""


@require_safe
def show_overview(request: HttpRequest) -> HttpResponse:
    """Show whether everything is well."""
    administrator_of(request)
    info, away = _asked(lambda: the_registry().info(is_fresh=True))
    state = None
    if info is not None:
        state, away = _asked(the_registry().state.status)
    context = away | _beside() | {"info": info, "section": "admin", "tab": "overview"}
    if state is not None:
        context |= _shown(state) | {"state": state, "frees": _bytes_to_come()}
    elif "said" in away and (known := the_registry().state.known) is not None:
        context |= _shown(known.state) | {"known": known}
    wanting = [] if state is None else state.wanting
    context["is_broken"] = "said" in away or any(part.state == "broken" for part in wanting)
    context["wants_somebody"] = bool(wanting or context["late"] or context["failed"])
    return render(request, "pages/admin/overview.html", context)


@require_safe
def show_integrity(request: HttpRequest) -> HttpResponse:
    """Show what the last check of storage against metadata has found, and how far one is that is at work."""
    administrator_of(request)
    known, away = _asked(the_registry().state.integrity)
    context = away | {"section": "admin", "tab": "integrity", "known": known}
    if known is not None:
        begun, last = known.unfinished, known.last
        context["is_at_work"] = begun is not None and begun.is_at_work(timezone.now())
        context["kinds"] = [(kind, said(kind.meaning)) for kind in last.kinds] if last is not None else []
    return render(request, "pages/admin/integrity.html", context)


@require_safe
def show_migration(request: HttpRequest) -> HttpResponse:
    """Show how far link files are taken over, and how background migrations stand."""
    administrator_of(request)
    registry = the_registry().state
    adoption, away = _asked(registry.adoption)
    migrations = None
    if adoption is not None:
        migrations, away = _asked(registry.migrations)
    if "is_other" in away:
        state, _away = _asked(registry.status)
        away["has_link_files"] = state is not None and not state.has_database
    moves = adoption is not None and adoption.moves
    moves = moves or (migrations is not None and any(one.moves for one in migrations.migrations))
    context = {"section": "admin", "tab": "migration", "adoption": adoption, "migrations": migrations, "moves": moves}
    return render(request, "pages/admin/migration.html", away | context)


def _asked(ask: Callable[[], _T]) -> tuple[_T | None, dict[str, object]]:
    """Return an answer of the registry; None: there is none, and what a page says of it."""
    try:
        return ask(), {}
    except RegistryIsOther:
        return None, {"is_other": True}
    except RegistryError as exc:
        return None, {"said": str(exc)}


def _shown(state: RegistryState) -> dict[str, object]:
    return {"rows": part_rows(state.parts), "wanting": part_rows(state.wanting), "nodes": state.nodes}


def _bytes_to_come() -> int:
    """The bytes that garbage collection will give back, as far as the registry tells."""
    queues, _away = _asked(the_registry().moorage.collection)
    return sum(queue.frees[-1].size_bytes for queue in queues or () if queue.frees)


def _beside() -> dict[str, object]:
    """The work of the control plane itself, and counts of what it has."""
    projects = _counted(Project.objects.all())
    return {
        "users": _counted(User.objects.humans()),
        "groups": _counted(Namespace.objects.groups()),
        "projects": projects,
        "repositories": _counted(ImageRepository.objects.all()),
        "going": _counted(ImageRepository.objects.to_delete()),
        "failed": ImageRepository.objects.filter(status=ImageStatus.DELETE_FAILED).count(),
        "without_cleanup": _without_cleanup(projects),
        "count_limit": COUNT_LIMIT,
        "late": UsagePlace.objects.filter(due_at__lt=timezone.now() - LATE).order_by("due_at").first(),
    }


def _counted(rows: QuerySet[_Row]) -> int:
    """The number of rows; one more than the limit: there are more than that."""
    return rows.order_by()[: COUNT_LIMIT + 1].count()


def _without_cleanup(projects: int) -> int:
    known = _KNOWN.get("without cleanup") if projects > COUNT_LIMIT else None
    if known is None:
        known = _counted(projects_without_cleanup())
        _KNOWN.put("without cleanup", known)
    return known
