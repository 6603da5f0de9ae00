"""Questions that turn a credential and a project into a standing, which ``rules`` decides by."""

from datetime import date, datetime

from django.db.models import Max, Q
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.namespaces.models import Namespace
from moorage.control.prepared import PreparedQuery
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import AccessLevel, CredentialKind, Standing

_MEMBERSHIPS = PreparedQuery[Membership](
    lambda user, project, *above: Membership.objects.filter(Q(project=project) | Q(namespace_id__in=above), user=user)
)


def role_in_project(user: User, project: Project, today: date) -> AccessLevel:
    """Return the highest role of *user* in a project, its own or inherited."""
    if user.namespace_id is not None and user.namespace_id == project.namespace_id:
        return AccessLevel.OWNER
    found = _MEMBERSHIPS.rows(user.pk, project.pk, *project.namespace.lineage_ids)
    return AccessLevel(max((one.access_level for one in found if one.is_valid(today)), default=0))


def role_in_namespace(user: User, namespace: Namespace, today: date) -> AccessLevel:
    """Return the highest role of *user* in a group, its own or inherited; in the own namespace it is Owner's."""
    if user.namespace_id is not None and user.namespace_id == namespace.pk:
        return AccessLevel.OWNER
    found = Membership.objects.valid(today).above(namespace).filter(user=user)
    return AccessLevel(found.aggregate(level=Max("access_level"))["level"] or 0)


def standing_in_project(who: Requester, project: Project) -> Standing:
    """Return how *project* sees *who*."""
    user, today = who.user, timezone.now().date()
    role = role_in_project(user, project, today) if user is not None else AccessLevel.NONE
    is_of_project = is_let_in = False
    if who.deploy_token is not None:
        is_of_project = who.deploy_token.reaches(project)
    if who.job_token is not None:
        is_of_project = who.job_token.project_id == project.pk
        is_let_in = not is_of_project and project.job_token_allowed.filter(pk=who.job_token.project_id).exists()
    return Standing(
        credential=who.credential,
        scopes=who.scopes,
        role=role,
        # The job of an administrator is not an administrator.
        is_admin=user is not None and user.is_admin and who.credential is not CredentialKind.JOB_TOKEN,
        is_of_project=is_of_project,
        runs_jobs=user is not None and (user.is_admin or role >= AccessLevel.DEVELOPER),
        is_let_in=is_let_in,
    )


def known_since(project: Project, standing: Standing) -> datetime | None:
    """Return when the past of a project's images begins that someone is told of; None: it is all of it.

    Before that another project had the path, which is deleted: that past is for administrators.
    """
    return None if standing.is_admin else project.history_since


def standing_in_namespace(who: Requester, namespace: Namespace) -> Standing:
    """Return how a group, or a user's own namespace, sees *who*."""
    user = who.user if who.job_token is None else None
    today = timezone.now().date()
    return Standing(
        credential=who.credential,
        scopes=who.scopes,
        role=role_in_namespace(user, namespace, today) if user is not None else AccessLevel.NONE,
        is_admin=user is not None and user.is_admin,
    )
