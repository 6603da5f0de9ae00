"""Home, search, and the lists of groups and projects."""

from datetime import timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from moorage.control.accounts.models import User
from moorage.control.images.models import ImageRepositories, ImageRepository, ImageStatus
from moorage.control.images.readable import readable_by
from moorage.control.namespaces.models import Namespaces
from moorage.control.pages.key_pages import ListOrder, key_page
from moorage.control.pages.places import image_at, sees_past
from moorage.control.pages.requesting import user_of_page
from moorage.control.pages.room_texts import said
from moorage.control.pages.tag_search import search_tags
from moorage.control.projects.models import Project, Projects
from moorage.control.projects.roles_held import roles_of
from moorage.control.projects.visible_groups import groups_of_member, groups_visible_to
from moorage.control.readiness import READS, is_ready
from moorage.control.tokens.models import AccessRefusal

HOME_ROWS = 10
REFUSALS_SHOWN = 3
LATELY = timedelta(days=2)
SEARCH_LIMIT = 255

_PROJECT_ORDERS = (
    ListOrder(word="-updated", field="updated_at"),
    ListOrder(word="name", field="full_path"),
    ListOrder(word="created", field="created_at"),
)
_GROUP_ORDERS = (ListOrder(word="name", field="full_path"), ListOrder(word="created", field="created_at"))


@require_http_methods(READS)
def show_home(request: HttpRequest) -> HttpResponse:
    """Show what is mine; without sign-in, what is public."""
    if request.method == "OPTIONS":
        return is_ready(request)
    user = user_of_page(request)
    if user is None:
        if Project.objects.visible_to(None, timezone.now().date()).exists():
            return list_projects(request)
        return redirect(settings.LOGIN_URL)
    today = timezone.now().date()
    mine: Projects = Project.objects.of_member(user, today)
    newest = list(mine.order_by("-updated_at", "-pk").values_list("pk", flat=True)[:HOME_ROWS])
    shown = Project.objects.filter(pk__in=newest).select_related("namespace")
    counted = shown.annotate(repositories_count=Count("repositories"))
    projects = sorted(counted, key=lambda project: newest.index(project.pk))
    theirs = readable_by(ImageRepository.objects.of_member(user, today), user)
    pushed = theirs.order_by("-updated_at", "-pk")[:HOME_ROWS]
    failed = theirs.filter(status=ImageStatus.DELETE_FAILED).order_by("-pk")
    context = {
        "section": "home",
        "projects": _with_roles(user, projects),
        "pushed": pushed,
        "failed": failed[:HOME_ROWS],
        "refused": [(row, said(row.shown)) for row in _refused_lately(user)],
        "groups": groups_of_member(user, today).order_by("full_path")[:HOME_ROWS],
    }
    return render(request, "pages/home.html", context)


@require_safe
def list_projects(request: HttpRequest) -> HttpResponse:
    """List the projects that the person sees."""
    user, today = user_of_page(request), timezone.now().date()
    rows: Projects = Project.objects.visible_to(user, today).select_related("namespace")
    is_mine = user is not None and request.GET.get("whose") == "mine"
    if user is not None and is_mine:
        rows = Project.objects.of_member(user, today).select_related("namespace")
    text = request.GET.get("q", "")[:SEARCH_LIMIT]
    if text:
        rows = rows.filter(Q(full_path__icontains=text) | Q(description__icontains=text))
    page = key_page(request, rows, _PROJECT_ORDERS)
    return render(
        request, "pages/projects.html", {"section": "projects", "page": page, "text": text, "is_mine": is_mine}
    )


@require_safe
def list_groups(request: HttpRequest) -> HttpResponse:
    """List the groups that the person sees."""
    user, today = user_of_page(request), timezone.now().date()
    rows: Namespaces = groups_visible_to(user, today)
    is_mine = user is not None and request.GET.get("whose") == "mine"
    if user is not None and is_mine:
        rows = groups_of_member(user, today)
    text = request.GET.get("q", "")[:SEARCH_LIMIT]
    if text:
        rows = rows.filter(Q(full_path__icontains=text) | Q(description__icontains=text))
    page = key_page(request, rows, _GROUP_ORDERS)
    return render(request, "pages/groups.html", {"section": "groups", "page": page, "text": text, "is_mine": is_mine})


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Look for a text in names of projects, groups, repositories and tags, and among digests and refused requests.

    What is a whole reference leads to its page at once.
    """
    user, today = user_of_page(request), timezone.now().date()
    text = request.GET.get("q", "").strip()[:SEARCH_LIMIT]
    address = _address_of(request, text)
    if address:
        return redirect(address)
    projects = Project.objects.visible_to(user, today).select_related("namespace")
    context: dict[str, object] = {"asked": text, "section": ""}
    if text:
        context["projects"] = projects.filter(full_path__icontains=text).order_by("full_path")[:20]
        context["groups"] = groups_visible_to(user, today).filter(full_path__icontains=text).order_by("full_path")[:20]
        context["repositories"] = _images(user).filter(name__icontains=text).order_by("name", "pk")[:20]
        context["tag_search"] = search_tags(_images(user), text)
        refusals = AccessRefusal.objects.filter(request_id=text)
        if user is not None:
            context["is_request"] = (refusals if user.is_admin else refusals.of_user(user)).exists()
    return render(request, "pages/search.html", context)


def _address_of(request: HttpRequest, text: str) -> str:
    """The page of a whole reference, such as ``host/group/project:1.0``; empty: it is none that the person sees."""
    host = settings.MOORAGE.configuration.registry.host_port
    path, sign, reference = text.partition("@") if "@" in text else text.removeprefix(f"{host}/").partition(":")
    path = path.removeprefix(f"{host}/")
    if not sign or "/" not in path:
        return ""
    try:
        image = image_at(request, path)
    except Http404:
        return ""
    if sign == "@" and sees_past(image.found):
        return f"/{image.repository.path}/-/fate?{urlencode({'digest': reference})}"
    tag = f"?{urlencode({'q': reference, 'open': reference})}" if sign == ":" else ""
    return f"/{image.repository.path}/-/tags{tag}"


def _refused_lately(user: User) -> list[AccessRefusal]:
    return list(AccessRefusal.objects.of_user(user).filter(last_at__gte=timezone.now() - LATELY)[:REFUSALS_SHOWN])


def _images(user: User | None) -> ImageRepositories:
    return readable_by(ImageRepository.objects.select_related("project"), user)


def _with_roles(user: User, projects: list[Project]) -> list[tuple[Project, int]]:
    """Projects with the role of *user* in each, in one query."""
    roles = roles_of(user, timezone.now().date(), projects=projects)
    return [(project, roles.in_project(project)) for project in projects]
