"""Personal access tokens: the caller's own, and all of them for administrators."""

from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.accounts.token_changes import create_token, revoke_token, rotate_token
from moorage.control.api.api_refusals import not_found, unauthorized
from moorage.control.api.callers import (
    CHANGES,
    OWN_ROTATION,
    OWN_TOKEN,
    SIGNED_IN,
    caller,
    own_token,
    see_that_admin,
    user_of,
)
from moorage.control.api.filters import TokenFilters
from moorage.control.api.lookups import row_of
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, LongText, ShortText, TextList
from moorage.control.api.shapes import answers
from moorage.control.api.token_shapes import TokenShape, show_issued, show_token

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
    return show_token(own_token(request))


@routes.delete("/personal_access_tokens/self", auth=OWN_TOKEN, response=answers(None, status=204))
def revoke_own_token(request: HttpRequest) -> Any:  # noqa: ANN401
    """Revoke the token that the request came with."""
    revoke_token(own_token(request), by=caller(request).as_actor())
    return Status(204, None)


@routes.post("/personal_access_tokens/self/rotate", auth=OWN_ROTATION, response=answers(TokenShape))
def rotate_own_token(request: HttpRequest, values: Rotation) -> Any:  # noqa: ANN401
    """Put a new token in the place of the one that the request came with."""
    return show_issued(rotate_token(own_token(request), by=caller(request).as_actor(), expires_at=values.expires_at))


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


def _one(request: HttpRequest, token_id: int) -> PersonalAccessToken:
    user, rows = user_of(request), PersonalAccessToken.objects.select_related("user")
    found = (rows if user.is_admin else rows.filter(user=user)).filter(pk=token_id).first()
    if found is None:
        raise not_found("Token")
    return found
