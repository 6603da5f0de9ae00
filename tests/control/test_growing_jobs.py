"""A step of a job, and a change of one row, ask no more of the database when there is many times as much of all."""

import importlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from moorage.control.accounts.changes import create_user
from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images import changes
from moorage.control.images.deletion import GroupsDeletion, ImageDeletion, ProjectsDeletion
from moorage.control.images.models import GroupDeletion, ImageRepository, ProjectDeletion
from moorage.control.namespaces.models import Namespace
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanupPolicy
from moorage.control.projects.models import Project
from moorage.control.sign_in import directory_users
from moorage.control.usage import measuring
from moorage.control.usage.models import UsagePlace
from support.control_api import call
from support.control_registry import MovedClock
from support.control_rows import new_group, new_project, new_token, new_user

BENCH = Path(__file__).parents[2] / "bench"
FEW, MANY = 80, 600
PORTION = 40
"""Less than there is from the start."""
STEPS = 10
"""As many steps of SQLite's machine as are counted at once."""
ONE = "many/app000007"
DUE = timedelta(days=-1)
LATER = timedelta(days=1)

Doing = Callable[[], object]
pytestmark = pytest.mark.usefixtures("registry")


class Asked:
    """Counts statements, and the steps of SQLite's machine."""

    def __init__(self) -> None:
        self.statements = 0
        self.steps = 0

    def __call__(self) -> int:
        self.steps += STEPS
        return 0  # Go on.

    def run(self, execute: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - Django's wrapper
        self.statements += 1
        return execute(*arguments)


def counted(before: Doing | None, doing: Doing) -> Asked:
    """Do it, count, and take all of it back."""
    asked = Asked()
    with transaction.atomic():
        if before is not None:
            before()
        with connection.execute_wrapper(asked.run):
            connection.connection.set_progress_handler(asked, STEPS)
            doing()
            connection.connection.set_progress_handler(None, STEPS)
        transaction.set_rollback(True)
    return asked


@pytest.fixture
def group() -> Namespace:
    group = new_group("many")
    new_project(group, "big")
    return group


@pytest.fixture
def fill(group: Namespace, monkeypatch: pytest.MonkeyPatch) -> Callable[[range], None]:
    """Writes rows as the benchmarks do."""
    monkeypatch.syspath_prepend(str(BENCH))
    rows, user = importlib.import_module("control_rows"), new_user()
    big = Project.objects.select_related("namespace").get(full_path="many/big")
    return lambda numbers: rows.fill(numbers, group=group, project=big, user=user)


@pytest.fixture
def doings(clock: MovedClock, group: Namespace, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, tuple[Any, Doing]]:
    """What is done, each with what comes before it."""
    monkeypatch.setattr(changes, "IMAGES_AT_ONCE", PORTION)
    monkeypatch.setattr(changes, "PROJECTS_AT_ONCE", PORTION)
    monkeypatch.setattr(measuring, "_LOOKED_AT_ONCE", PORTION)
    monkeypatch.setattr(directory_users, "_LOOKED_AT_ONCE", PORTION)
    turn, token = clock.turn, new_token(new_user(is_admin=True)).secret

    def policies(after: timedelta, **chosen: str) -> None:
        CleanupPolicy.objects.update(enabled=True, next_run_at=clock.now + LATER)
        CleanupPolicy.objects.filter(**chosen).update(next_run_at=clock.now + after)

    def left() -> None:
        """Cleanups that did not come to their end."""
        policies(LATER)
        ImageRepository.objects.update(
            expiration_policy_cleanup_status="cleanup_unfinished", cleanup_due_at=clock.now + LATER
        )

    def scheduled() -> None:
        ImageRepository.objects.filter(project__full_path="many/big").update(status="delete_scheduled")
        ImageRepository.objects.filter(name="part000007").update(delete_due_at=clock.now)
        going = (Project(pk=pk) for pk in Project.objects.values_list("pk", flat=True))
        ProjectDeletion.objects.bulk_create(ProjectDeletion(project=one, due_at=clock.now + LATER) for one in going)
        GroupDeletion.objects.create(group=group, due_at=clock.now + LATER)

    def last_of_project() -> None:
        scheduled()
        ImageRepository.objects.filter(project__full_path=ONE).delete()
        ProjectDeletion.objects.filter(project__full_path=ONE).update(due_at=clock.now)

    def of_directory() -> None:
        people = User.objects.values_list("pk", flat=True)
        ExternalIdentity.objects.bulk_create(
            ExternalIdentity(user_id=pk, provider="ldap", uid=f"uid{pk}") for pk in people
        )

    def measured() -> None:
        UsagePlace.objects.update(due_at=clock.now + LATER)

    def one() -> Project:
        return Project.objects.get(full_path=ONE)

    def users() -> None:
        assert call(Client(), "GET", "/users?username=U000007", token=token).content.count(b'"id"') == 1

    return {
        "policies, none due": (lambda: policies(LATER), lambda: PolicyCleanup().step(turn)),
        "policies, one due": (
            lambda: policies(DUE, project__full_path=ONE),
            lambda: PolicyCleanup().step(turn),
        ),
        "policies, all due": (lambda: policies(DUE), lambda: PolicyCleanup().step(turn)),
        "policies, all left": (left, lambda: PolicyCleanup().step(turn)),
        "deletion of an image of very many": (scheduled, lambda: ImageDeletion().step(turn)),
        "deletion of a project of very many": (last_of_project, lambda: ProjectsDeletion().step(turn)),
        "deletion of a group goes on": (
            lambda: GroupDeletion.objects.create(group=group, due_at=clock.now),
            lambda: GroupsDeletion().step(turn),
        ),
        "deletion of a group is asked for": (
            None,
            lambda: changes.delete_group_with_images(group, by=COMMAND_LINE, now=clock.now),
        ),
        "deletion of a project is asked for": (
            None,
            lambda: changes.delete_project_with_images(one(), by=COMMAND_LINE, now=clock.now),
        ),
        "sizes, none due": (measured, lambda: measuring.UsageMeasurement().step(turn)),
        "sizes, all due": (None, lambda: measuring.UsageMeasurement().step(turn)),
        "directories": (
            of_directory,
            lambda: directory_users.DirectoryChecks()._begin_missing(["ldap"], clock.now),
        ),
        "somebody by their address": (None, lambda: User.objects.of_login("U7@Example.com").get()),
        "somebody by their name": (None, lambda: User.objects.get_by_natural_key("U000007")),
        "users of a name": (None, users),
        "a new user": (None, lambda: create_user("new", by=COMMAND_LINE, email="new@example.com")),
    }


def test_a_step_of_a_job_and_a_change_ask_no_more_however_much_there_is(
    doings: Mapping[str, tuple[Any, Doing]], fill: Callable[[range], None]
) -> None:
    found = []
    for numbers in (range(FEW), range(FEW, MANY)):
        fill(numbers)
        found.append({name: counted(*doing) for name, doing in doings.items()})
    few, many = found
    grown = {
        name: ((few[name].statements, few[name].steps), (many[name].statements, many[name].steps))
        for name in few
        if many[name].statements > few[name].statements or many[name].steps > 1.3 * few[name].steps + 500
    }
    assert grown == {}
