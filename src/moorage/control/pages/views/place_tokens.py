"""Access and deploy tokens of a project or group: made, shown once, listed with their last use, revoked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from moorage.control.accounts.models import PersonalAccessToken, PersonalTokens, UserKind
from moorage.control.accounts.token_changes import revoke_token
from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.api.lookups import FoundGroup, FoundProject, target_of
from moorage.control.pages.key_pages import first_rows
from moorage.control.pages.page_answers import done
from moorage.control.pages.place_pages import place_context
from moorage.control.pages.places import place_at
from moorage.control.pages.plain_forms import PlainForm
from moorage.control.pages.project_forms import AccessTokenForm, DeployTokenForm
from moorage.control.pages.views.members import manages
from moorage.control.projects.models import DeployToken, DeployTokens
from moorage.control.projects.rules import AccessLevel, level_problem
from moorage.control.projects.token_changes import (
    AccessTokenWish,
    DeployTokenWish,
    create_access_token,
    create_deploy_token,
    revoke_deploy_token,
)
from moorage.control.refusals import ChangeRefused, refused

ROWS_LIMIT = 200


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def list_tokens(request: HttpRequest, place: str) -> HttpResponse:
    """List the tokens of a place; a new one is shown this once."""
    found = _managed(request, place)
    kind = request.POST.get("kind", "") if request.method == "POST" else ""
    access_form = AccessTokenForm(request.POST if kind == "access" else None)
    deploy_form = DeployTokenForm(request.POST if kind == "deploy" else None)
    form: PlainForm = deploy_form if kind == "deploy" else access_form
    made: dict[str, str] = {}
    if form.is_valid():
        try:
            made = _made(found, form)
        except ChangeRefused as exc:
            form.take_refusal(exc)
        else:
            access_form, deploy_form = AccessTokenForm(), DeployTokenForm()
    now = timezone.now()
    context = place_context(found, "tokens") | {
        "access_tokens": first_rows(_access_tokens(found).usable(now.date()).order_by("-pk"), ROWS_LIMIT),
        "deploy_tokens": first_rows(_deploy_tokens(found).usable(now).order_by("-pk"), ROWS_LIMIT),
        "access_form": access_form,
        "deploy_form": deploy_form,
        "made": made,
    }
    return render(request, "pages/place_tokens.html", context, status=400 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, place: str, kind: str, token: int) -> HttpResponse:
    """Take a token back."""
    found = _managed(request, place)
    if kind == "deploy":
        revoke_deploy_token(get_object_or_404(_deploy_tokens(found), pk=token), by=found.who.as_actor())
    else:
        revoke_token(get_object_or_404(_access_tokens(found), pk=token), by=found.who.as_actor())
    return done(request, _("The token is not taken any more."), f"/{target_of(found).full_path}/-/tokens")


def _managed(request: HttpRequest, place: str) -> FoundProject | FoundGroup:
    found = place_at(request, place)
    if not manages(found) or (isinstance(found, FoundGroup) and not found.group.is_group):
        raise unauthorized() if found.who.is_anonymous else forbidden()
    return found


def _made(found: FoundProject | FoundGroup, form: PlainForm) -> dict[str, str]:
    """Make the token; the name and the secret for the page."""
    values, by = form.cleaned_data, found.who.as_actor()
    if isinstance(form, DeployTokenForm):
        wish = DeployTokenWish(
            name=values["name"],
            scopes=values["scopes"],
            username=values["username"],
            expires_at=values["expires_at"],
        )
        issued = create_deploy_token(target_of(found), wish, by=by)
        return {"name": issued.token.username, "secret": issued.secret}
    if problem := level_problem(values["access_level"], own=found.standing.role, is_admin=found.standing.is_admin):
        raise refused("access_level", problem)
    access = AccessTokenWish(
        name=values["name"],
        scopes=values["scopes"],
        access_level=AccessLevel(values["access_level"]),
        expires_at=values["expires_at"],
    )
    token, secret = create_access_token(target_of(found), access, by=by)
    return {"name": token.user.username, "secret": secret}


def _access_tokens(found: FoundProject | FoundGroup) -> PersonalTokens:
    rows = PersonalAccessToken.objects.all()
    if isinstance(found, FoundProject):
        return rows.filter(user__kind=UserKind.PROJECT_BOT, user__memberships__project=found.project)
    return rows.filter(user__kind=UserKind.GROUP_BOT, user__memberships__namespace=found.group)


def _deploy_tokens(found: FoundProject | FoundGroup) -> DeployTokens:
    if isinstance(found, FoundProject):
        return DeployToken.objects.filter(project=found.project)
    return DeployToken.objects.filter(namespace=found.group)
