"""Refusals of pulls and pushes: what was refused and why, and what would be."""

from collections.abc import Sequence

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from moorage.control.api.api_refusals import unauthorized
from moorage.control.api.lookups import FoundProject
from moorage.control.pages.decisions import ACTIONS, advice_on, decide_on_tag, step_rows
from moorage.control.pages.key_pages import ListOrder, key_page
from moorage.control.pages.place_pages import project_context
from moorage.control.pages.places import project_at
from moorage.control.pages.requesting import requester_of, user_of_page
from moorage.control.pages.room_texts import said
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind, may_change_project, may_see_project
from moorage.control.projects.standings import standing_in_project
from moorage.control.tokens.explaining import requester_named
from moorage.control.tokens.models import AccessRefusal, RefusalRows
from moorage.errors import ConfigurationError

TEXT_LIMIT = 255
_NEWEST = (ListOrder(word="-last", field="last_at"),)


@require_safe
def list_own(request: HttpRequest) -> HttpResponse:
    """List what was refused to the person, in every project; of one request if the address names it."""
    user = user_of_page(request)
    if user is None:
        raise unauthorized()
    rows: RefusalRows = AccessRefusal.objects.select_related("project")
    asked = request.GET.get("request", "").strip()[:TEXT_LIMIT]
    if not (asked and user.is_admin):
        rows = rows.of_user(user)
    if asked:
        rows = rows.filter(request_id=asked)
    page = key_page(request, rows, _NEWEST)
    context = {"section": "home", "page": page, "asked_request": asked, "rows": _shown(page.rows)}
    return render(request, "pages/own_refusals.html", context)


@require_safe
def list_of_project(request: HttpRequest, place: str) -> HttpResponse:
    """List what was refused in a project: to maintainers all, to others their own; and say what would be refused."""
    found = project_at(request, place)
    if found.who.is_anonymous:
        raise unauthorized()
    is_maintainer = may_change_project(found.standing)
    rows: RefusalRows = AccessRefusal.objects.of_project(found.project)
    if not is_maintainer:
        rows = rows.filter(user=found.who.user)
    page = key_page(request, rows, _NEWEST)
    context = project_context(found, "refused") | {
        "page": page,
        "rows": _shown(page.rows, is_whole=is_maintainer),
        "is_maintainer": is_maintainer,
        "actions": ACTIONS,
    }
    return render(request, "pages/refusals.html", context | _asked(request, found, is_maintainer=is_maintainer))


@require_safe
def show_refusal(request: HttpRequest, refusal: int) -> HttpResponse:
    """Show one refusal: each step of the decision until the one that failed, and what to do."""
    user, who = user_of_page(request), requester_of(request)
    if user is None:
        raise unauthorized()
    row = AccessRefusal.objects.filter(pk=refusal).select_related("project__namespace", "user").first()
    if row is None:
        raise Http404
    standing = standing_in_project(who, row.project) if row.project is not None else None
    is_maintainer = user.is_admin or (standing is not None and may_change_project(standing))
    if not (is_maintainer or row.user_id == user.pk):
        raise Http404
    reason = row.reason if is_maintainer else row.shown
    others = AccessRefusal.objects.filter(Q(user=row.user_id, name=row.name) | Q(repository=row.repository))
    others = others.of_project(row.project) if row.project is not None else others.filter(project=None)
    is_shown = standing is not None and row.project is not None and may_see_project(row.project.shown_to, standing)
    context = {
        "section": "home",
        "row": row,
        "reason": said(reason).rstrip("."),
        "credential": _credential(row.credential),
        "steps": step_rows(row.step, reason),
        "advice": advice_on(row.step),
        "sees_project": row.project if is_shown else None,
        "is_maintainer": is_maintainer,
        "others": others.exclude(pk=row.pk)[:5] if is_maintainer else [],
    }
    return render(request, "pages/refusal.html", context)


def _credential(text: str) -> str:
    """A credential as people call it, with its number."""
    kind, _space, number = text.partition(" ")
    words = {
        CredentialKind.NONE: _("none"),
        CredentialKind.PASSWORD: _("the password"),
        CredentialKind.PERSONAL_TOKEN: _("an access token"),
        CredentialKind.DEPLOY_TOKEN: _("a deploy token"),
        CredentialKind.JOB_TOKEN: _("a job token"),
    }
    return f"{words.get(CredentialKind(kind), kind)} {number}".strip()


def _shown(rows: Sequence[AccessRefusal], *, is_whole: bool = False) -> list[tuple[AccessRefusal, str]]:
    """Rows with their reasons, in the reader's language."""
    return [(row, said(row.reason if is_whole else row.shown)) for row in rows]


def _asked(request: HttpRequest, found: FoundProject, *, is_maintainer: bool) -> dict[str, object]:
    """Answer the question of the form, if it was asked."""
    values = {name: request.GET.get(name, "").strip()[:TEXT_LIMIT] for name in ("action", "repository", "tag", "who")}
    repository = values["repository"] or found.project.full_path
    values["repository"] = repository
    if values["action"] not in ACTIONS:
        return {"asked_about": values, "decision": None}
    is_inside = f"{repository}/".lower().startswith(f"{found.project.full_path}/".lower())
    who: Requester | None = Requester(credential=CredentialKind.PASSWORD, user=found.who.user)
    if values["who"] and is_maintainer:
        try:
            who = requester_named(values["who"])
        except ConfigurationError:
            who = None
    if who is None or not is_inside:
        return {"asked_about": values, "decision": None, "is_unknown": who is None, "is_outside": not is_inside}
    decision = decide_on_tag(who, repository, values["action"], values["tag"])
    reason = decision.reason if is_maintainer else decision.shown
    return {
        "asked_about": values,
        "decision": decision,
        "steps": step_rows(decision.step, reason),
        "advice": advice_on(decision.step),
    }
