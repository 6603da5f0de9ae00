"""Projects that a first push makes, and those that it does not."""

import threading

import pytest
from django.db import connections
from django.test import Client

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.instance.changes import change_settings
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from support.control_rows import (
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)
from support.control_tokens import access_of, ask, granted


def credentials(user: User, *scopes: str) -> tuple[str, str]:
    return user.username, new_token(user, *(scopes or ("api",))).secret


def paths() -> set[str]:
    return set(Project.objects.values_list("full_path", flat=True))


@pytest.mark.parametrize("name", ["ada/app", "ada/app/web", "ada/app/web/x", "Ada/App"])
def test_a_push_into_the_own_namespace_makes_the_project(client: Client, name: str) -> None:
    ada = new_user("ada")
    answer = ask(client, f"repository:{name}:pull,push", given=credentials(ada))
    assert granted(answer) == {name.lower(): ["pull", "push"]}
    (project,) = Project.objects.all()
    assert (project.full_path, project.visibility, project.creator) == ("ada/app", "private", ada)
    (row,) = AuditEntry.objects.filter(action="project_created")
    assert (row.actor_name, row.target_name) == ("ada", "ada/app")


def test_a_token_for_registries_alone_is_enough(client: Client) -> None:
    given = credentials(new_user("ada"), "read_registry", "write_registry")
    assert granted(ask(client, "repository:ada/app:pull,push", given=given)) == {"ada/app": ["pull", "push"]}


def test_a_pull_makes_nothing(client: Client) -> None:
    assert access_of(ask(client, "repository:ada/app:pull", given=credentials(new_user("ada")))) == []
    assert paths() == set()


@pytest.mark.parametrize(
    ("level", "made"), [(AccessLevel.GUEST, False), (AccessLevel.REPORTER, False), (AccessLevel.DEVELOPER, True)]
)
def test_in_a_group_developers_make_projects(client: Client, level: AccessLevel, *, made: bool) -> None:
    inner = new_group("inner", parent=new_group("team", visibility="internal"), visibility="internal")
    user = new_member(inner, level).user
    ask(client, "repository:team/inner/app/web:pull,push", given=credentials(user))
    assert paths() == ({"team/inner/app"} if made else set())


def test_a_usual_visibility_that_the_group_cannot_show_is_lowered(client: Client) -> None:
    change_settings(by=COMMAND_LINE, default_project_visibility="public")
    group = new_group("team", visibility="internal")
    ask(client, "repository:team/app:push", given=credentials(new_member(group, AccessLevel.OWNER).user))
    assert Project.objects.get().visibility == "internal"


@pytest.mark.parametrize(
    "name", ["ada/-", "ada/app.git", "ada/app/x/y/z", "team/app", "nobody/app", "grace/app", "ada"]
)
def test_nothing_is_made_that_cannot_be_or_is_another_s(client: Client, name: str) -> None:
    new_group("team")
    new_user("grace")
    assert access_of(ask(client, f"repository:{name}:pull,push", given=credentials(new_user("ada")))) == []
    assert paths() == set()


def test_a_path_that_a_group_has_is_not_a_project_s(client: Client) -> None:
    group = new_group("team")
    new_group("inner", parent=group)
    given = credentials(new_member(group, AccessLevel.OWNER).user)
    assert access_of(ask(client, "repository:team/inner:push", given=given)) == []
    assert paths() == set()


@pytest.mark.parametrize(
    "setting", [{"create_project_on_push": False}, {"default_projects_container_registry": False}], ids=str
)
def test_the_settings_count(client: Client, setting: dict[str, bool]) -> None:
    change_settings(by=COMMAND_LINE, **setting)
    assert access_of(ask(client, "repository:ada/app:push", given=credentials(new_user("ada")))) == []
    assert paths() == set()


def test_tokens_without_a_person_or_the_scope_make_nothing(client: Client) -> None:
    group = new_group("team")
    project = new_project(group, "there")
    owner = new_member(group, AccessLevel.OWNER).user
    job, deploy = new_job_token(project, owner), new_deploy_token(group, "read_registry", "write_registry")
    given = [
        *(("gitlab-ci-token", job.secret), (deploy.token.username, deploy.secret), credentials(owner, "read_registry")),
        ("x", new_bot_token(project, AccessLevel.OWNER).secret),
    ]
    for one in given:
        assert access_of(ask(client, "repository:team/app:pull,push", given=one)) == []
    assert ask(client, "repository:team/app:push").status_code == 403
    assert paths() == {"team/there"}
    ask(client, "repository:team/app:push", given=("x", new_bot_token(group, AccessLevel.DEVELOPER).secret))
    assert paths() == {"team/there", "team/app"}


@pytest.mark.usefixtures("committed")
def test_requests_of_one_push_that_come_at_once_make_one_project() -> None:
    given, found = credentials(new_user("ada")), list[dict[str, list[str]]]()
    start = threading.Barrier(6)

    def push(number: int) -> None:
        try:
            start.wait(30)
            found.append(granted(ask(Client(), f"repository:ada/app/part{number % 2}:pull,push", given=given)))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=push, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [actions for one in found for actions in one.values()] == [["pull", "push"]] * 6
    assert paths() == {"ada/app"}
