"""Tokens as the API shows them. A secret is in the answer that makes it, and in no other."""

from typing import Any

from django.utils import timezone
from ninja import Schema

from moorage.control.accounts.models import PersonalAccessToken
from moorage.control.accounts.token_changes import IssuedToken
from moorage.control.api.shapes import Day, Moment, left_out
from moorage.control.projects.models import DeployToken


class TokenShape(Schema):
    """A personal access token, or the access token of a project or group."""

    id: int
    name: str
    description: str
    revoked: bool
    created_at: Moment
    scopes: list[str]
    user_id: int
    last_used_at: Moment | None
    active: bool
    expires_at: Day
    access_level: int | None = left_out()
    token: str | None = left_out()


class DeployTokenShape(Schema):
    """A deploy token."""

    id: int
    name: str
    username: str
    expires_at: Moment | None
    scopes: list[str]
    revoked: bool
    expired: bool
    token: str | None = left_out()


class JobTokenShape(Schema):
    """A token of one run of a CI system."""

    id: int
    token: str
    username: str = "gitlab-ci-token"
    project_id: int
    user_id: int
    job: str
    expires_at: Moment


def show_token(token: PersonalAccessToken, *, secret: str | None = None, level: int | None = None) -> dict[str, Any]:
    """Show a token; *level*: the role of the bot of a project's or group's."""
    return {
        "id": token.pk,
        "name": token.name,
        "description": token.description,
        "revoked": token.revoked_at is not None,
        "created_at": token.created_at,
        "scopes": token.scopes,
        "user_id": token.user_id,
        "last_used_at": token.last_used_at,
        "active": token.is_usable(timezone.now().date()),
        "expires_at": token.expires_at,
        "access_level": level,
        "token": secret,
    }


def show_issued(issued: IssuedToken, *, level: int | None = None) -> dict[str, Any]:
    """Show a new token with its secret."""
    return show_token(issued.token, secret=issued.secret, level=level)


def show_deploy_token(token: DeployToken, *, secret: str | None = None) -> dict[str, Any]:
    """Show a deploy token."""
    return {
        "id": token.pk,
        "name": token.name,
        "username": token.username,
        "expires_at": token.expires_at,
        "scopes": token.scopes,
        "revoked": token.revoked_at is not None,
        "expired": token.expires_at is not None and token.expires_at <= timezone.now(),
        "token": secret,
    }
