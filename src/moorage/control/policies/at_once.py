"""A policy that is carried out at once, in the name of a user, while somebody looks on.

It need not be on, no worker has to be free, and the bound on a run's time does not hold: who waits can interrupt it.
"""

from collections.abc import Iterator
from contextlib import suppress

from django.db import transaction

from moorage.control.accounts.models import User
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.images.models import ImageRepository
from moorage.control.jobs.loop import Turn
from moorage.control.policies.changes import policy_of
from moorage.control.policies.cleaning import RunLimits, clean, start_run
from moorage.control.policies.models import CleanupRun, RunKind
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import CredentialKind, ImageRight, image_rights
from moorage.control.projects.standings import standing_in_project
from moorage.control.protection.questions import person_of
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused, refused
from moorage.control.registry.registry_errors import RegistryReadOnly


def clean_project(project: Project, user: User, *, by: Actor, turn: Turn) -> Iterator[CleanupRun]:
    """Clean each repository of a project by its policy as *user*, and yield the report of each.

    Tags that rules keep from the user stay. *by* is who has asked for it.

    Raises:
        ChangeRefused: the user may not delete the project's tags, or a pattern of the policy cannot be used.

    Source: requirement S-078; GitLab features CMD-001, CPA-001.
    """
    policy, person = policy_of(project), _person(user, project)
    selection = policy.selection
    if problems := selection.problems():
        raise ChangeRefused(problems)
    with transaction.atomic():
        record("cleanup_run_requested", policy, by=by, user=user.username)
    for repository in ImageRepository.objects.of_project(project).select_related("project").order_by("name"):
        run = start_run(repository, selection, turn, kind=RunKind.BULK, requested_by=user.username)
        with suppress(RegistryReadOnly):  # The report says so.
            clean(run, selection, turn, limits=RunLimits(), person=person)
        yield run


def _person(user: User, project: Project) -> Person | None:
    standing = standing_in_project(Requester(credential=CredentialKind.PASSWORD, user=user), project)
    rights = image_rights(project.feature, project.shown_to, standing)
    if not user.is_active or ImageRight.DELETE not in rights:
        raise refused("user", f"{user.username} may not delete tags of {project.full_path}: developers and above may")
    return person_of(standing)
