"""Personal access tokens: the caller's own, and all of them for administrators."""

from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.accounts.token_changes import create_token, revoke_token, rotate_token
from moorage.control.api.api_refusals import APIRefused, not_found, unauthorized
from moorage.control.api.association_shapes import AssociationsShape, show_associations
from moorage.control.api.callers import CHANGES, OWN_ROTATION, OWN_TOKEN, SIGNED_IN, caller, see_that_admin, user_of
from moorage.control.api.filters import TokenFilters
from moorage.control.api.lookups import row_of
from moorage.control.api.paging import NumberQuery, PageQuery, Paging, headers_of_longest
from moorage.control.api.parameters import Given, Id, LongText, ShortText, TextList
from moorage.control.api.shapes import answers
from moorage.control.api.token_shapes import TokenShape, show_issued, show_token
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.visible_groups import groups_of_member, groups_visible_to

routes = Router(tags=["personal access tokens"])


class TokensQuery(PageQuery, TokenFilters):
    """Parameters of a list of tokens."""

    user_id: Id | None = Field(None, description="Only this user's; for administrators.")


class NewToken(Given):
    """Values of a new token."""

    name: ShortText
    scopes: TextList
    description: LongText = ""
    expires_at: date | None = None


class AssociationsQuery(NumberQuery):
    """Parameters of what a token reaches."""

    min_access_level: AccessLevel | None = Field(None, description="Least role of the token's user.")


class Rotation(Given):
    """The last day of a new token that takes the place of another."""

    expires_at: date | None = None


@routes.get("/personal_access_tokens", auth=SIGNED_IN, response=answers(list[TokenShape], 405))
def list_personal_tokens(request: HttpRequest, response: HttpResponse, query: Query[TokensQuery]) -> Any:  # noqa: ANN401
    """List the caller's tokens; administrators see everybody's."""
    user, rows = user_of(request), PersonalAccessToken.objects.filter(user__kind="human")
    if not user.is_admin:
        if query.user_id not in (None, user.pk):
            raise unauthorized()
        rows = PersonalAccessToken.objects.filter(user=user)
    elif query.user_id is not None:
        rows = rows.filter(user=query.user_id)
    return [show_token(token) for token in Paging(request, response).page(query.of(rows), query)]


@routes.get("/personal_access_tokens/self", auth=OWN_TOKEN, response=answers(TokenShape))
def show_own_token(request: HttpRequest) -> Any:  # noqa: ANN401
    """Show the token that the request came with."""
    return show_token(_own(request))


@routes.get("/personal_access_tokens/self/associations", auth=OWN_TOKEN, response=answers(AssociationsShape, 405))
def list_own_associations(request: HttpRequest, response: HttpResponse, query: Query[AssociationsQuery]) -> Any:  # noqa: ANN401
    """List the groups and projects that the user of the request's token is told of.

    A page has so many of each; its headers are those of the longer list.
    """
    user, today, least = _own(request).user, timezone.now().date(), query.min_access_level
    groups, projects = groups_visible_to(user, today), Project.objects.visible_to(user, today)
    if least:
        groups, projects = (
            groups_of_member(user, today, least=least),
            Project.objects.of_member(user, today, least=least),
        )
    ends = HttpResponse(), HttpResponse()
    found = show_associations(
        Paging(request, ends[0]).numbered(groups.order_by("-pk"), query),
        Paging(request, ends[1]).numbered(projects.select_related("namespace").order_by("-pk"), query),
        request,
        user=user,
    )
    for name, value in headers_of_longest(ends).items():
        response[name] = value
    return found


@routes.delete("/personal_access_tokens/self", auth=OWN_TOKEN, response=answers(None, status=204))
def revoke_own_token(request: HttpRequest) -> Any:  # noqa: ANN401
    """Revoke the token that the request came with."""
    revoke_token(_own(request), by=caller(request).as_actor())
    return Status(204, None)


@routes.post("/personal_access_tokens/self/rotate", auth=OWN_ROTATION, response=answers(TokenShape))
def rotate_own_token(request: HttpRequest, values: Rotation) -> Any:  # noqa: ANN401
    """Put a new token in the place of the one that the request came with."""
    return show_issued(rotate_token(_own(request), by=caller(request).as_actor(), expires_at=values.expires_at))


@routes.get("/personal_access_tokens/{token_id}", auth=SIGNED_IN, response=answers(TokenShape))
def show_personal_token(request: HttpRequest, token_id: Id) -> Any:  # noqa: ANN401
    """Show a token."""
    return show_token(_one(request, token_id))


@routes.delete("/personal_access_tokens/{token_id}", auth=CHANGES, response=answers(None, status=204))
def revoke_personal_token(request: HttpRequest, token_id: Id) -> Any:  # noqa: ANN401
    """Revoke a token."""
    revoke_token(_one(request, token_id), by=caller(request).as_actor())
    return Status(204, None)


@routes.post("/personal_access_tokens/{token_id}/rotate", auth=CHANGES, response=answers(TokenShape))
def rotate_personal_token(request: HttpRequest, token_id: Id, values: Rotation) -> Any:  # noqa: ANN401
    """Put a new token in the place of one."""
    issued = rotate_token(_one(request, token_id), by=caller(request).as_actor(), expires_at=values.expires_at)
    return show_issued(issued)


@routes.post("/users/{user_id}/personal_access_tokens", auth=CHANGES, response=answers(TokenShape, status=201))
def make_personal_token(request: HttpRequest, user_id: Id, values: NewToken) -> Any:  # noqa: ANN401
    """Make a token for a user; for administrators."""
    see_that_admin(request)
    issued = create_token(
        row_of(User.objects.humans(), user_id),
        values.name,
        values.scopes,
        by=caller(request).as_actor(),
        expires_at=values.expires_at,
        description=values.description,
    )
    return Status(201, show_issued(issued))


def _own(request: HttpRequest) -> PersonalAccessToken:
    token = caller(request).token
    if token is None:
        text = "400 Bad request - This endpoint requires token type to be a personal access token"
        raise APIRefused(400, {"message": text})
    return token


def _one(request: HttpRequest, token_id: int) -> PersonalAccessToken:
    user, rows = user_of(request), PersonalAccessToken.objects.select_related("user")
    found = (rows if user.is_admin else rows.filter(user=user)).filter(pk=token_id).first()
    if found is None:
        raise not_found("Token")
    return found
