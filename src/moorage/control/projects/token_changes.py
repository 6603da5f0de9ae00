"""Changes of the tokens of projects and groups: access tokens with their bots, deploy tokens, tokens of jobs."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from moorage.control.accounts.changes import create_bot
from moorage.control.accounts.models import User, UserKind
from moorage.control.accounts.rules import DEPLOY_PREFIX, DEPLOY_SCOPES, JOB_PREFIX, scopes_problem
from moorage.control.accounts.token_changes import IssuedToken, create_token
from moorage.control.accounts.token_secrets import new_secret
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.members import add_member
from moorage.control.projects.models import DeployToken, JobToken, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused, refused

JOB_TOKEN_LIFE = timedelta(hours=1)
JOB_TOKEN_LIFE_LIMIT = timedelta(hours=24)

_GITLAB_DEPLOY_TOKEN = "gitlab+deploy-token-{}"  # noqa: S105 - GitLab's name of the user


class IssuedDeployToken(NamedTuple):
    """A new deploy token, and its secret, which is kept nowhere."""

    token: DeployToken
    secret: str


class IssuedJobToken(NamedTuple):
    """A new token of a job, and its secret, which is kept nowhere."""

    token: JobToken
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenWish:
    """Values of a new access token of a project or group."""

    name: str
    scopes: Sequence[str]
    access_level: AccessLevel = AccessLevel.MAINTAINER
    expires_at: date | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployTokenWish:
    """Values of a new deploy token."""

    name: str
    scopes: Sequence[str]
    username: str = ""
    """Empty: one is made."""
    expires_at: datetime | None = None


@transaction.atomic
def create_access_token(place: Project | Namespace, wish: AccessTokenWish, *, by: Actor) -> IssuedToken:
    """Make an access token of a project or group: a bot, its role there, and its token.

    Raises:
        ChangeRefused: a value is not possible.
    """
    is_project = isinstance(place, Project)
    kind = UserKind.PROJECT_BOT if is_project else UserKind.GROUP_BOT
    username = f"{'project' if is_project else 'group'}_{place.pk}_bot_{secrets.token_hex(16)}"
    bot = create_bot(username, kind, by=by, name=wish.name)
    add_member(place, bot, wish.access_level, by=by)
    return create_token(bot, wish.name, wish.scopes, by=by, expires_at=wish.expires_at, description=wish.description)


@transaction.atomic
def create_deploy_token(place: Project | Namespace, wish: DeployTokenWish, *, by: Actor) -> IssuedDeployToken:
    """Make a deploy token of a project or group.

    Raises:
        ChangeRefused: a value is not possible.
    """
    problems = {}
    if not wish.name.strip():
        problems["name"] = ["can't be blank"]
    if problem := scopes_problem(wish.scopes, DEPLOY_SCOPES):
        problems["scopes"] = [problem]
    if wish.expires_at is not None and wish.expires_at <= timezone.now():
        problems["expires_at"] = ["cannot be a date in the past"]
    if problems:
        raise ChangeRefused(problems)
    secret = new_secret(DEPLOY_PREFIX)
    token = DeployToken.objects.create(
        project=place if isinstance(place, Project) else None,
        namespace=place if isinstance(place, Namespace) else None,
        name=wish.name,
        username=wish.username,
        digest=secret.digest,
        scopes=sorted(set(wish.scopes)),
        expires_at=wish.expires_at,
        created_by_id=by.user_id,
    )
    if not token.username:
        token.username = _GITLAB_DEPLOY_TOKEN.format(token.pk)
        token.save(update_fields=["username"])
    record("deploy_token_created", token, by=by, scopes=token.scopes)
    return IssuedDeployToken(token, secret.text)


@transaction.atomic
def revoke_deploy_token(token: DeployToken, *, by: Actor) -> None:
    """Take a deploy token back, for good; a second time changes nothing."""
    if DeployToken.objects.take_back(token, timezone.now()):
        record("deploy_token_revoked", token, by=by)


@transaction.atomic
def create_job_token(
    project: Project, user: User, *, by: Actor, job: str = "", lifetime: timedelta = JOB_TOKEN_LIFE
) -> IssuedJobToken:
    """Make a token for one run of a CI system in *project*, in the name of *user*.

    Raises:
        ChangeRefused: it would live too long.
    """
    if not timedelta(0) < lifetime <= JOB_TOKEN_LIFE_LIMIT:
        raise refused("expires_in", f"must be at most {int(JOB_TOKEN_LIFE_LIMIT.total_seconds())} seconds")
    secret, now = new_secret(JOB_PREFIX), timezone.now()
    JobToken.objects.filter(project=project, expires_at__lte=now - JOB_TOKEN_LIFE_LIMIT).delete()
    token = JobToken.objects.create(
        project=project, user=user, job=job, digest=secret.digest, expires_at=now + lifetime
    )
    record("job_token_created", token, by=by, user=user.username)
    return IssuedJobToken(token, secret.text)


@transaction.atomic
def revoke_job_token(token: JobToken, *, by: Actor) -> None:
    """Take a job's token back: the job is over."""
    if JobToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
        record("job_token_revoked", token, by=by)
