"""Tokens of projects and groups: access tokens with their bots, deploy tokens, and tokens of jobs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.accounts.models import PersonalAccessToken, PersonalTokens, User, UserKind
from moorage.control.accounts.token_changes import revoke_token, rotate_token
from moorage.control.api.api_refusals import APIRefused, forbidden, not_found, unauthorized
from moorage.control.api.callers import CHANGES, OWN_ROTATION, SIGNED_IN, caller, see_that_admin, user_of
from moorage.control.api.filters import DeployTokenFilters
from moorage.control.api.lookups import FoundGroup, FoundProject, project_of, row_of, target_of
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, Instant, OwnValues, Place, ShortText, TextList
from moorage.control.api.place_routes import on_both, place_of, see_that_manager
from moorage.control.api.routes.personal_tokens import NewToken, Rotation, TokensQuery
from moorage.control.api.shapes import answers
from moorage.control.api.token_shapes import (
    DeployTokenShape,
    JobTokenShape,
    TokenShape,
    show_deploy_token,
    show_issued,
    show_token,
)
from moorage.control.projects.models import DeployToken, DeployTokens, JobToken, Membership
from moorage.control.projects.rules import AccessLevel, level_problem
from moorage.control.projects.standings import role_in_project
from moorage.control.projects.token_changes import (
    JOB_TOKEN_LIFE_LIMIT,
    AccessTokenWish,
    DeployTokenWish,
    create_access_token,
    create_deploy_token,
    create_job_token,
    revoke_deploy_token,
    revoke_job_token,
)
from moorage.control.refusals import refused

routes = Router(tags=["tokens of projects and groups"])


class DeployTokensQuery(PageQuery, DeployTokenFilters):
    """Parameters of a list of deploy tokens."""


class NewAccessToken(NewToken):
    """Values of a new access token of a project or group."""

    access_level: int = AccessLevel.MAINTAINER.value


class NewDeployToken(Given):
    """Values of a new deploy token."""

    name: ShortText
    scopes: TextList
    username: ShortText = ""
    expires_at: Instant | None = None


class NewJobToken(OwnValues):
    """Values of a new token of a job."""

    user_id: Id | None = Field(None, description="In whose name the job runs; a developer. The caller without it.")
    job: ShortText = Field("", description="The run's name in the CI system.")
    expires_in: int = Field(3600, ge=1, le=int(JOB_TOKEN_LIFE_LIMIT.total_seconds()), description="Seconds.")


@on_both(routes, "GET", "/access_tokens", auth=SIGNED_IN, response=answers(list[TokenShape], 405))
def list_access_tokens(request: HttpRequest, response: HttpResponse, place: Place, query: Query[TokensQuery]) -> Any:  # noqa: ANN401
    """List the access tokens of a project or group."""
    rows = query.of(_tokens(_managed(request, place)))
    return [_shown(token) for token in Paging(request, response).page(rows, query)]


@on_both(routes, "POST", "/access_tokens", auth=CHANGES, response=answers(TokenShape, status=201))
def make_access_token(request: HttpRequest, place: Place, values: NewAccessToken) -> Any:  # noqa: ANN401
    """Make an access token, with a role that is no higher than the caller's."""
    found = _managed(request, place)
    if user_of(request).is_bot:
        raise forbidden("a token of a bot makes no tokens")
    level = _level(found, values.access_level)
    wish = AccessTokenWish(
        name=values.name,
        scopes=values.scopes,
        access_level=level,
        expires_at=values.expires_at,
        description=values.description,
    )
    return Status(201, show_issued(create_access_token(target_of(found), wish, by=found.who.as_actor()), level=level))


@on_both(routes, "GET", "/access_tokens/{token_id}", auth=SIGNED_IN, response=answers(TokenShape))
def show_access_token(request: HttpRequest, place: Place, token_id: Id) -> Any:  # noqa: ANN401
    """Show an access token."""
    return _shown(_one(_managed(request, place), token_id))


@on_both(routes, "DELETE", "/access_tokens/{token_id}", auth=CHANGES, response=answers(None, status=204))
def revoke_access_token(request: HttpRequest, place: Place, token_id: Id) -> Any:  # noqa: ANN401
    """Revoke an access token."""
    found = _managed(request, place)
    revoke_token(_one(found, token_id), by=found.who.as_actor())
    return Status(204, None)


@on_both(routes, "POST", "/access_tokens/self/rotate", auth=OWN_ROTATION, response=answers(TokenShape, 405))
def rotate_own_access_token(request: HttpRequest, place: Place, values: Rotation) -> Any:  # noqa: ANN401
    """Put a new access token in the place of the one that the request came with."""
    found, own = place_of(request, place), caller(request).token
    if own is None or not own.user.is_bot:
        raise APIRefused(405, {"message": "405 Method Not Allowed"})
    token = _tokens(found).filter(pk=own.pk).first()
    if token is None:
        raise unauthorized()
    issued = rotate_token(token, by=found.who.as_actor(), expires_at=values.expires_at)
    return show_issued(issued, level=getattr(token, "level", None))


@on_both(routes, "POST", "/access_tokens/{token_id}/rotate", auth=CHANGES, response=answers(TokenShape))
def rotate_access_token(request: HttpRequest, place: Place, token_id: Id, values: Rotation) -> Any:  # noqa: ANN401
    """Put a new access token in the place of one, whose role is no higher than the caller's."""
    found = _managed(request, place)
    token = _one(found, token_id)
    level = _level(found, getattr(token, "level", 0) or 0)
    return show_issued(rotate_token(token, by=found.who.as_actor(), expires_at=values.expires_at), level=level)


@routes.get("/deploy_tokens", auth=SIGNED_IN, response=answers(list[DeployTokenShape], 405))
def list_all_deploy_tokens(request: HttpRequest, response: HttpResponse, query: Query[DeployTokensQuery]) -> Any:  # noqa: ANN401
    """List all deploy tokens; for administrators."""
    see_that_admin(request)
    rows = query.of(DeployToken.objects.all()).order_by("pk")
    return [show_deploy_token(token) for token in Paging(request, response).page(rows, query)]


@on_both(routes, "GET", "/deploy_tokens", auth=SIGNED_IN, response=answers(list[DeployTokenShape], 405))
def list_deploy_tokens(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[DeployTokensQuery]
) -> Any:  # noqa: ANN401
    """List the deploy tokens of a project or group; for its maintainers."""
    rows = query.of(_deploy_tokens(_looked_into(request, place))).order_by("pk")
    return [show_deploy_token(token) for token in Paging(request, response).page(rows, query)]


@on_both(routes, "POST", "/deploy_tokens", auth=CHANGES, response=answers(DeployTokenShape, status=201))
def make_deploy_token(request: HttpRequest, place: Place, values: NewDeployToken) -> Any:  # noqa: ANN401
    """Make a deploy token."""
    found = _managed(request, place)
    wish = DeployTokenWish(
        name=values.name, scopes=values.scopes, username=values.username, expires_at=values.expires_at
    )
    issued = create_deploy_token(target_of(found), wish, by=found.who.as_actor())
    return Status(201, show_deploy_token(issued.token, secret=issued.secret))


@on_both(routes, "GET", "/deploy_tokens/{token_id}", auth=SIGNED_IN, response=answers(DeployTokenShape))
def show_one_deploy_token(request: HttpRequest, place: Place, token_id: Id) -> Any:  # noqa: ANN401
    """Show a deploy token; for maintainers."""
    return show_deploy_token(_deploy_token(_looked_into(request, place), token_id))


@on_both(routes, "DELETE", "/deploy_tokens/{token_id}", auth=CHANGES, response=answers(None, status=204))
def revoke_one_deploy_token(request: HttpRequest, place: Place, token_id: Id) -> Any:  # noqa: ANN401
    """Revoke a deploy token."""
    found = _managed(request, place)
    revoke_deploy_token(_deploy_token(found, token_id), by=found.who.as_actor())
    return Status(204, None)


@routes.post("/projects/{place}/moorage/job_tokens", auth=CHANGES, response=answers(JobTokenShape, status=201))
def make_job_token(request: HttpRequest, place: Place, values: NewJobToken) -> Any:  # noqa: ANN401
    """Make a token for one run of a CI system; for administrators. Moorage's own: a GitLab makes them itself."""
    admin = see_that_admin(request)
    project = project_of(request, place).project
    user = row_of(User.objects.all(), values.user_id) if values.user_id is not None else admin
    today = datetime.now(tz=UTC).date()
    if not user.is_admin and role_in_project(user, project, today) < AccessLevel.DEVELOPER:
        raise refused("user_id", "is not a developer of the project")
    life = timedelta(seconds=values.expires_in)
    issued = create_job_token(project, user, by=caller(request).as_actor(), job=values.job, lifetime=life)
    token = issued.token
    shown = {"id": token.pk, "token": issued.secret, "project_id": project.pk, "user_id": user.pk}
    return Status(201, shown | {"job": token.job, "expires_at": token.expires_at})


@routes.delete("/projects/{place}/moorage/job_tokens/{token_id}", auth=CHANGES, response=answers(None, status=204))
def revoke_one_job_token(request: HttpRequest, place: Place, token_id: Id) -> Any:  # noqa: ANN401
    """Revoke the token of a job that is over; for administrators."""
    see_that_admin(request)
    token = JobToken.objects.filter(project=project_of(request, place).project, pk=token_id).first()
    if token is None:
        raise not_found("Token")
    revoke_job_token(token, by=caller(request).as_actor())
    return Status(204, None)


def _managed(request: HttpRequest, place: str) -> FoundProject | FoundGroup:
    found = place_of(request, place)
    see_that_manager(found)
    return found


def _looked_into(request: HttpRequest, place: str) -> FoundProject | FoundGroup:
    found = place_of(request, place)
    found.see_that_maintainer()
    return found


def _level(found: FoundProject | FoundGroup, asked: int) -> AccessLevel:
    problem = level_problem(asked, own=found.standing.role, is_admin=found.standing.is_admin)
    if problem:
        raise refused("access_level", problem)
    return AccessLevel(asked)


def _tokens(found: FoundProject | FoundGroup) -> PersonalTokens:
    members = Membership.objects.filter(**_where(found))
    kind = UserKind.PROJECT_BOT if isinstance(found, FoundProject) else UserKind.GROUP_BOT
    bots = members.filter(user__kind=kind).values("user")
    level = members.filter(user=OuterRef("user")).values("access_level")[:1]
    rows = PersonalAccessToken.objects.filter(user__in=bots).select_related("user")
    found_rows: PersonalTokens = rows.annotate(level=Subquery(level))
    return found_rows


def _where(found: FoundProject | FoundGroup) -> dict[str, Any]:
    return {"project": found.project} if isinstance(found, FoundProject) else {"namespace": found.group}


def _one(found: FoundProject | FoundGroup, token_id: int) -> PersonalAccessToken:
    token = _tokens(found).filter(pk=token_id).first()
    if token is None:
        raise not_found("Access Token")
    return token


def _shown(token: PersonalAccessToken) -> dict[str, Any]:
    return show_token(token, level=getattr(token, "level", None))


def _deploy_tokens(found: FoundProject | FoundGroup) -> DeployTokens:
    return DeployToken.objects.filter(revoked_at=None, **_where(found))


def _deploy_token(found: FoundProject | FoundGroup, token_id: int) -> DeployToken:
    token = _deploy_tokens(found).filter(pk=token_id).first()
    if token is None:
        raise not_found("Deploy Token")
    return token
