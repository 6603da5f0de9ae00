"""Changes of personal access tokens: made, taken back, put in the place of another."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.accounts.rules import (
    BOT_SCOPES,
    PERSONAL_PREFIX,
    PERSONAL_SCOPES,
    last_day,
    last_day_problem,
    scopes_problem,
)
from moorage.control.accounts.token_secrets import new_secret
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.refusals import ChangeRefused, refused


class IssuedToken(NamedTuple):
    """A new token, and its secret, which is kept nowhere."""

    token: PersonalAccessToken
    secret: str


@transaction.atomic
def create_token(
    user: User,
    name: str,
    scopes: Sequence[str],
    *,
    by: Actor,
    expires_at: date | None = None,
    description: str = "",
) -> IssuedToken:
    """Make a token for *user*.

    Raises:
        ChangeRefused: a value is not possible.
    """
    today, problems = timezone.now().date(), {}
    if not name.strip():
        problems["name"] = ["can't be blank"]
    if problem := scopes_problem(scopes, BOT_SCOPES if user.is_bot else PERSONAL_SCOPES):
        problems["scopes"] = [problem]
    if problem := last_day_problem(expires_at, today=today):
        problems["expires_at"] = [problem]
    if problems:
        raise ChangeRefused(problems)
    secret = new_secret(PERSONAL_PREFIX)
    token = PersonalAccessToken.objects.create(
        user=user,
        name=name,
        description=description,
        digest=secret.digest,
        scopes=sorted(set(scopes)),
        expires_at=last_day(expires_at, today=today),
    )
    record("token_created", token, by=by, scopes=token.scopes, expires_at=str(token.expires_at))
    return IssuedToken(token, secret.text)


@transaction.atomic
def revoke_token(token: PersonalAccessToken, *, by: Actor) -> None:
    """Take a token back, for good; a second time changes nothing."""
    if PersonalAccessToken.objects.take_back(token, timezone.now()):
        record("token_revoked", token, by=by)


@transaction.atomic
def rotate_token(token: PersonalAccessToken, *, by: Actor, expires_at: date | None = None) -> IssuedToken:
    """Put a new token in the place of *token*, which is taken back.

    Raises:
        ChangeRefused: it is not taken any more, or the expiry is not possible.
    """
    found = PersonalAccessToken.objects.select_for_update().select_related("user").get(pk=token.pk)
    if not found.is_usable(timezone.now().date()):
        raise refused("base", "token already revoked or expired")
    revoke_token(found, by=by)
    issued = create_token(
        found.user, found.name, found.scopes, by=by, expires_at=expires_at, description=found.description
    )
    issued.token.previous = found
    issued.token.save(update_fields=["previous"])
    return issued
