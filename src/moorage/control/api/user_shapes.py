"""Users and members as the API shows them."""

from typing import Any

from django.http import HttpRequest
from ninja import Schema

from moorage.control.accounts.models import User
from moorage.control.api.shapes import Day, Moment, left_out
from moorage.control.api.site_address import site_url
from moorage.control.projects.models import Membership


class UserSummary(Schema):
    """A user as everybody sees them."""

    id: int
    username: str
    name: str
    state: str
    locked: bool = False
    avatar_url: str | None = None
    web_url: str


class UserShape(UserSummary):
    """A user; what only administrators and the user see is left out for others."""

    created_at: Moment | None = None
    bot: bool = False
    email: str | None = left_out()
    is_admin: bool | None = left_out()
    last_sign_in_at: Moment | None = None
    namespace_id: int | None = left_out()
    identities: list[dict[str, str]] | None = left_out()


class MemberShape(UserSummary):
    """A member of a project or group."""

    access_level: int
    created_at: Moment
    created_by: UserSummary | None = None
    expires_at: Day | None = None
    membership_state: str = "active"


def user_summary(user: User, request: HttpRequest) -> dict[str, Any]:
    """Show *user* as everybody sees them."""
    return {
        "id": user.pk,
        "username": user.username,
        "name": user.name,
        "state": user.state,
        "web_url": f"{site_url(request)}/{user.username}",
    }


def show_user(user: User, request: HttpRequest, *, is_whole: bool) -> dict[str, Any]:
    """Show *user*; *is_whole*: with what only administrators and the user see."""
    shown = user_summary(user, request) | {"created_at": user.created_at, "bot": user.is_bot}
    if is_whole:
        shown |= {
            "email": user.email,
            "is_admin": user.is_admin,
            "last_sign_in_at": user.last_login,
            "namespace_id": user.namespace_id,
            "identities": [{"provider": one.provider, "extern_uid": one.uid} for one in user.identities.all()],
        }
    return shown


def show_member(member: Membership, request: HttpRequest) -> dict[str, Any]:
    """Show a member, whose user and maker were loaded with it."""
    return user_summary(member.user, request) | {
        "access_level": member.access_level,
        "created_at": member.created_at,
        "created_by": user_summary(member.created_by, request) if member.created_by else None,
        "expires_at": member.expires_at,
    }
