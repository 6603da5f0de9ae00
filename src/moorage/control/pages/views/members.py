"""Members of projects and groups."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from moorage.control.accounts.models import User, UserKind
from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.api.lookups import FoundGroup, FoundProject, target_of
from moorage.control.pages.key_pages import PLAIN_ROWS, ListOrder, key_page
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.place_forms import ROLES, MemberForm
from moorage.control.pages.place_pages import place_context
from moorage.control.pages.places import place_at
from moorage.control.pages.room_texts import said_of
from moorage.control.projects.members import add_member, change_member, remove_member
from moorage.control.projects.rules import AccessLevel, level_problem, may_change_project, may_own
from moorage.control.projects.visible_groups import strongest
from moorage.control.refusals import ChangeRefused

_ORDERS = (ListOrder(word="name", field="user__username"),)


@require_http_methods(["GET", "HEAD", "POST"])
def list_members(request: HttpRequest, place: str) -> HttpResponse:
    """List who has a role here, from groups above too; a manager adds others."""
    found = place_at(request, place)
    if found.who.is_anonymous:
        raise unauthorized()
    is_manager = manages(found)
    form = MemberForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and not is_manager:
        raise forbidden()
    if form.is_valid() and _added(found, form):
        return done(request, _("%s is a member now.") % form.cleaned_data["username"], _address(found))
    rows = strongest(found.all_members()).exclude(user__kind__in=[UserKind.PROJECT_BOT, UserKind.GROUP_BOT])
    page = key_page(request, rows.select_related("user", "namespace", "project"), _ORDERS, size=PLAIN_ROWS)
    context = place_context(found, "members") | {
        "page": page,
        "form": form,
        "is_manager": is_manager,
        "roles": [(value, name) for value, name in ROLES if _problem(found, value) == ""],
        "target_pk": target_of(found).pk,
        "is_project": isinstance(found, FoundProject),
    }
    return render(request, "pages/members.html", context, status=400 if form.errors else 200)


@require_POST
def change_member_of(request: HttpRequest, place: str, member: int) -> HttpResponse:
    """Change a member's role, or take the member out; everybody may leave."""
    found = place_at(request, place)
    row = get_object_or_404(found.own_members().select_related("user", "project", "namespace"), pk=member)
    is_removal = "remove" in request.POST
    is_self = found.who.user is not None and row.user_id == found.who.user.pk
    if not manages(found) and not (is_removal and is_self):
        raise unauthorized() if found.who.is_anonymous else forbidden()
    if _problem(found, row.access_level):
        raise forbidden("the role is higher than yours")
    try:
        if is_removal:
            remove_member(row, by=found.who.as_actor())
            said = _("%s is no member any more.") % row.user.username
        else:
            level = _level(found, request.POST.get("access_level", ""))
            change_member(row, level, by=found.who.as_actor(), expires_at=row.expires_at)
            said = _("The role of %s is changed.") % row.user.username
    except ChangeRefused as exc:
        return not_done(request, said_of(exc), _address(found))
    return done(request, said, _address(found) if manages(found) else "/")


def manages(found: FoundProject | FoundGroup) -> bool:
    """Return whether the person manages members and tokens here, as the API decides it."""
    if found.who.is_anonymous:
        return False
    return may_change_project(found.standing) if isinstance(found, FoundProject) else may_own(found.standing)


def _added(found: FoundProject | FoundGroup, form: MemberForm) -> bool:
    values = form.cleaned_data
    user = User.objects.humans().named(values["username"]).first()
    if user is None:
        form.add_error("username", _("There is no user of this name."))
        return False
    if problem := _problem(found, values["access_level"]):
        form.add_error("access_level", problem)
        return False
    level, until = AccessLevel(values["access_level"]), values["expires_at"]
    return form.carries_out(
        lambda: add_member(target_of(found), user, level, by=found.who.as_actor(), expires_at=until)
    )


def _level(found: FoundProject | FoundGroup, text: str) -> AccessLevel:
    asked = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0  # noqa: PLR2004 - three digits
    if _problem(found, asked):
        raise forbidden("the role is higher than yours, or is none")
    return AccessLevel(asked)


def _problem(found: FoundProject | FoundGroup, asked: int) -> str:
    return level_problem(asked, own=found.standing.role, is_admin=found.standing.is_admin)


def _address(found: FoundProject | FoundGroup) -> str:
    return f"/{target_of(found).full_path}/-/members"
