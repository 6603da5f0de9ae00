"""Pages and calls whose row goes, or comes, between their look and their write: another request was faster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.namespaces.models import TakenPath
from moorage.control.projects.models import Membership, Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule
from moorage.control.protection.models import RepositoryProtection
from support.control_api import call
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.postgres_races import is_change

Change = Callable[[], Any]


@contextmanager
def before_the_first_write(other: Callable[[], object]) -> Iterator[None]:
    """Let *other* be done between what a request has read and what it writes."""
    waiting = [other]

    def between(execute: Callable[..., Any], *statement: Any) -> Any:  # noqa: ANN401 - as Django calls it
        if is_change(statement[0]) and waiting:
            waiting.pop()()
        return execute(*statement)

    with connection.execute_wrapper(between):
        yield
    assert not waiting


def takes_a_path_twice() -> None:
    for _ in range(2):
        TakenPath.objects.create(path="taken/twice")


def forgets_a_value() -> None:
    Project.objects.update(name=None)


@pytest.fixture
def member() -> Membership:
    return new_member(new_project(new_group("team"), "app"), AccessLevel.REPORTER)


@pytest.fixture(params=["call", "page"])
def change(client: Client, member: Membership, request: pytest.FixtureRequest) -> Change:
    """A change of the member, ready to be sent; and its answer."""
    admin = new_user(is_admin=True)
    if request.param == "page":
        client.force_login(admin)
        return partial(client.post, f"/team/app/-/members/{member.pk}", {"access_level": "30"})
    path, token = f"/projects/{member.project_id}/members/{member.user_id}", new_token(admin, "api").secret
    return partial(call, client, "PUT", path, token=token, values={"access_level": 30})


def test_a_row_that_goes_is_not_found(change: Change, member: Membership) -> None:
    with before_the_first_write(Membership.objects.filter(pk=member.pk).delete):
        answer = change()
    assert answer.status_code == 404
    assert answer.content.decode() == '{"message": "404 Not Found"}' or b"There is nothing here" in answer.content


def test_what_is_there_by_then_is_a_conflict(change: Change) -> None:
    with before_the_first_write(takes_a_path_twice):
        answer = change()
    assert answer.status_code == 409
    assert answer.content.decode() == '{"message": "409 Conflict"}' or b"Somebody else was faster" in answer.content


def test_a_value_that_we_forgot_stays_a_fault_of_ours(change: Change) -> None:
    with before_the_first_write(forgets_a_value), pytest.raises(IntegrityError, match="NOT NULL"):
        change()


def test_a_rule_that_was_deleted_meanwhile_does_not_come_back(client: Client) -> None:
    project, token = new_project(), new_token(new_user(is_admin=True), "api").secret
    values = {"minimum_access_level_for_push": "owner"}
    rule = create_repository_rule(project, f"{project.full_path}/*", by=COMMAND_LINE, **values)
    path = f"/projects/{project.pk}/registry/protection/repository/rules/{rule.pk}"
    change = partial(call, client, "PATCH", path, token=token, values={"minimum_access_level_for_push": "admin"})
    with before_the_first_write(RepositoryProtection.objects.all().delete):
        answer = change()
    assert answer.status_code == 404  # And not 200, with the rule there once more.
