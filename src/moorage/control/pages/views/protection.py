"""Rules of a project that protect repositories and tags."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from moorage.control.api.lookups import FoundProject
from moorage.control.pages.key_pages import first_rows
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.place_pages import project_context
from moorage.control.pages.places import maintained_project_at
from moorage.control.pages.plain_forms import PlainForm
from moorage.control.pages.project_forms import RepositoryRuleForm, TagLevelsForm, TagRuleForm
from moorage.control.protection.changes import (
    change_repository_rule,
    change_tag_rule,
    create_repository_rule,
    create_tag_rule,
    delete_rule,
)
from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection

ROWS_LIMIT = 200


@require_http_methods(["GET", "HEAD", "POST"])
def list_rules(request: HttpRequest, place: str) -> HttpResponse:
    """List the rules of a project, and add one."""
    found = maintained_project_at(request, place)
    kind = request.POST.get("kind_of_rule", "") if request.method == "POST" else ""
    repository_form = RepositoryRuleForm(
        request.POST if kind == "repository" else None, initial={"pattern": f"{found.project.full_path.lower()}/*"}
    )
    tag_form = TagRuleForm(request.POST if kind == "tags" else None)
    form: PlainForm = tag_form if kind == "tags" else repository_form
    if form.is_valid() and form.carries_out(lambda: _create(found, form)):
        return done(request, _("The rule is there."), f"/{found.project.full_path}/-/protection")
    context = project_context(found, "protection") | {
        "repository_rules": first_rows(
            RepositoryProtection.objects.filter(project=found.project).select_related("project"), ROWS_LIMIT
        ),
        "tag_rules": first_rows(ProtectedTagPattern.objects.filter(project=found.project), ROWS_LIMIT),
        "repository_form": repository_form,
        "tag_form": tag_form,
    }
    return render(request, "pages/protection.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def change_rule(request: HttpRequest, place: str, kind: str, rule: int) -> HttpResponse:
    """Change a rule; one of immutable tags can only be taken away."""
    found = maintained_project_at(request, place)
    row, address = _rule(found, kind, rule), f"/{found.project.full_path}/-/protection"
    if isinstance(row, ProtectedTagPattern) and row.is_immutable:
        return not_done(request, _("A rule of immutable tags does not change: take it away, and add another."), address)
    form_kind = TagLevelsForm if isinstance(row, ProtectedTagPattern) else RepositoryRuleForm
    now = {name: getattr(row, field) for field, name in form_kind.aliases.items()}
    form = form_kind(request.POST if request.method == "POST" else None, initial=now)
    if form.is_valid() and form.carries_out(lambda: _change(found, row, form)):
        return done(request, _("The rule is changed."), address)
    context = project_context(found, "protection") | {"rule": row, "pattern": now["pattern"], "form": form}
    return render(request, "pages/protection_rule.html", context, status=400 if form.errors else 200)


@require_POST
def remove_rule(request: HttpRequest, place: str, kind: str, rule: int) -> HttpResponse:
    """Take a rule away."""
    found = maintained_project_at(request, place)
    row = _rule(found, kind, rule)
    if isinstance(row, ProtectedTagPattern) and row.is_immutable:
        found.see_that_owner()
    delete_rule(row, by=found.who.as_actor())
    return done(request, _("The rule is gone."), f"/{found.project.full_path}/-/protection")


def _rule(found: FoundProject, kind: str, rule: int) -> RepositoryProtection | ProtectedTagPattern:
    if kind == "tags":
        return get_object_or_404(ProtectedTagPattern.objects.select_related("project"), project=found.project, pk=rule)
    return get_object_or_404(RepositoryProtection.objects.select_related("project"), project=found.project, pk=rule)


def _change(found: FoundProject, row: RepositoryProtection | ProtectedTagPattern, form: PlainForm) -> None:
    values = {field: form.cleaned_data[name] for field, name in form.aliases.items()}
    if isinstance(row, ProtectedTagPattern):
        change_tag_rule(row, by=found.who.as_actor(), **values)
    else:
        change_repository_rule(row, by=found.who.as_actor(), **values)


def _create(found: FoundProject, form: PlainForm) -> None:
    values, by = form.cleaned_data, found.who.as_actor()
    if isinstance(form, RepositoryRuleForm):
        create_repository_rule(
            found.project,
            values["pattern"],
            by=by,
            minimum_access_level_for_push=values["push"],
            minimum_access_level_for_delete=values["delete"],
        )
        return
    is_immutable = values["kind"] == "immutable"
    if is_immutable:
        found.see_that_owner()
    create_tag_rule(
        found.project,
        values["pattern"],
        by=by,
        minimum_access_level_for_push="" if is_immutable else values["push"],
        minimum_access_level_for_delete="" if is_immutable else values["delete"],
    )
