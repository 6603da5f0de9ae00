"""Pages for administrators: is everything well, and what to do when it is not."""

from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.accounts.changes import block_user, unblock_user
from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import DELETING, ImageRepository, ImageStatus
from moorage.control.instance.changes import change_settings
from moorage.control.instance.models import ApplicationSettings
from moorage.control.pages.instance_forms import SettingsForm
from moorage.control.pages.key_pages import PLAIN_ROWS, ListOrder, key_page
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.requesting import requester_of, user_of_page
from moorage.control.pages.room_texts import said_of
from moorage.control.policies.questions import projects_without_cleanup
from moorage.control.refusals import ChangeRefused

AnyRow = TypeVar("AnyRow", bound=Model)

TEXT_LIMIT = 255
_USER_ORDERS = (ListOrder(word="name", field="username"), ListOrder(word="created", field="created_at"))
_REPOSITORY_ORDERS = (ListOrder(word="updated", field="updated_at"),)
_PROJECT_ORDERS = (ListOrder(word="name", field="full_path"),)
_AUDIT_ORDERS = (ListOrder(word="-at", field="at"),)


def administrator_of(request: HttpRequest) -> User:
    """Return the administrator who asks.

    Raises:
        APIRefused: it is someone else.
    """
    user = user_of_page(request)
    if user is None:
        raise unauthorized()
    if not user.is_admin:
        raise forbidden()
    return user


@require_safe
def list_users(request: HttpRequest) -> HttpResponse:
    """List the people of the instance."""
    administrator_of(request)
    text = request.GET.get("q", "")[:TEXT_LIMIT]
    rows = _with_text(User.objects.humans(), text, "username", "name", "email")
    page = key_page(request, rows, _USER_ORDERS, size=PLAIN_ROWS)
    return _tab(request, "users", page=page, text=text)


@require_POST
def change_user_state(request: HttpRequest, user: int) -> HttpResponse:
    """Block someone, or let them in again."""
    administrator = administrator_of(request)
    row = get_object_or_404(User.objects.humans(), pk=user)
    by, address = requester_of(request).as_actor(), reverse("pages:admin-users")
    if "block" not in request.POST:
        try:
            unblock_user(row, by=by)
        except ChangeRefused as exc:
            return not_done(request, f"{row.username} {said_of(exc)}", address)
        return done(request, _("%s may sign in again.") % row.username, address)
    if row.pk == administrator.pk:
        return not_done(request, _("You would lock yourself out."), address)
    block_user(row, by=by)
    return done(request, _("%s is blocked.") % row.username, address)


@require_http_methods(["GET", "HEAD", "POST"])
def change_instance(request: HttpRequest) -> HttpResponse:
    """Show the settings of the instance, and change them."""
    administrator_of(request)
    settings = ApplicationSettings.now()
    first = {name: getattr(settings, name) for name in SettingsForm.base_fields}
    first["default_projects_container_registry"] = settings.has_registry_by_default
    form = SettingsForm(request.POST if request.method == "POST" else None, initial=first)
    by = requester_of(request).as_actor()
    if form.is_valid() and form.carries_out(lambda: change_settings(by=by, **form.cleaned_data)):
        return done(request, _("The settings are saved."), reverse("pages:admin-settings"))
    return _tab(request, "settings", status=400 if form.errors else 200, form=form)


@require_safe
def list_deletions(request: HttpRequest) -> HttpResponse:
    """List the repositories that are being deleted, and those that could not be."""
    administrator_of(request)
    states = (*DELETING, ImageStatus.DELETE_FAILED)
    rows = ImageRepository.objects.filter(status__in=states).select_related("project")
    each = [Q(status=state) for state in states]
    page = key_page(request, rows, _REPOSITORY_ORDERS, size=PLAIN_ROWS, among=each)
    return _tab(request, "deletions", page=page, can_administer=True)


@require_safe
def list_policies(request: HttpRequest) -> HttpResponse:
    """List the projects with images whose cleanup policy is off."""
    administrator_of(request)
    page = key_page(request, projects_without_cleanup(), _PROJECT_ORDERS, size=PLAIN_ROWS)
    return _tab(request, "policies", page=page)


@require_safe
def list_audit(request: HttpRequest) -> HttpResponse:
    """List what was changed, by whom, newest first."""
    administrator_of(request)
    text = request.GET.get("q", "")[:TEXT_LIMIT]
    rows = _with_text(AuditEntry.objects.all(), text, "actor_name", "action", "target_name")
    page = key_page(request, rows, _AUDIT_ORDERS, size=PLAIN_ROWS)
    return _tab(request, "audit", page=page, text=text)


def _with_text(rows: QuerySet[AnyRow], text: str, *fields: str) -> QuerySet[AnyRow]:
    """Those with *text* in one of *fields*; all without a text."""
    if not text:
        return rows
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": text})
    return rows.filter(found)


def _tab(request: HttpRequest, tab: str, *, status: int = 200, **context: object) -> HttpResponse:
    return render(request, f"pages/admin/{tab}.html", {"section": "admin", "tab": tab, **context}, status=status)
