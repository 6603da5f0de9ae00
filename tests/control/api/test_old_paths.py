"""Old paths of what was renamed or moved: the API and the pages lead to the new ones, until something else has them."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.namespaces.models import OldPath
from moorage.control.projects.changes import delete_project
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_group, move_project
from moorage.control.projects.rules import AccessLevel
from support.control_api import API, call
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.control_tokens import ask, claims_of, granted


def read(answer: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.content)
    return found


@pytest.fixture
def admin() -> str:
    return new_token(new_user("root2", is_admin=True)).secret


def renamed(path: str = "app", to: str = "better") -> Project:
    project = new_project(new_group("team"), path)
    return move_project(project, project.namespace, to, by=COMMAND_LINE)


def test_the_old_path_of_a_project_leads_to_its_id(client: Client, admin: str) -> None:
    project = renamed()
    for old, new in (
        ("/projects/team%2Fapp", f"/projects/{project.pk}"),
        ("/projects/Team%2FApp/registry/repositories?page=2", f"/projects/{project.pk}/registry/repositories?page=2"),
    ):
        answer = call(client, "GET", old, token=admin)
        assert answer.status_code == 301
        assert answer["Location"] == f"http://control.test{API}{new}"
        assert answer.content.decode() == f"This resource has been moved permanently to {answer['Location']}"
    assert read(call(client, "GET", f"/projects/{project.pk}", token=admin))["path"] == "better"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_is_changed_by_an_old_path(method: str, client: Client, admin: str) -> None:
    project = renamed()
    path = "/projects/team%2Fapp/members" if method == "POST" else "/projects/team%2Fapp"
    answer = call(client, method, path, token=admin, values={"user_id": 1, "access_level": 30, "name": "n"})
    assert answer.status_code == 405
    assert read(answer) == {"message": "Non GET methods are not allowed for moved projects"}
    assert Project.objects.get(pk=project.pk).name == "app"


def test_a_stranger_is_not_told_that_something_has_moved(client: Client) -> None:
    renamed()
    stranger = new_token(new_user()).secret
    for method in ("GET", "DELETE"):
        answer = call(client, method, "/projects/team%2Fapp", token=stranger)
        assert (answer.status_code, read(answer)) == (404, {"message": "404 Project Not Found"})
    client.force_login(new_user())
    assert client.get("/team/app").status_code == 404


def test_old_paths_follow_all_that_was_in_a_moved_group(client: Client, admin: str) -> None:
    group = new_group("crew")
    project = new_project(new_group("below", parent=group), "app")
    move_group(group, new_group("there"), "band", by=COMMAND_LINE)
    answer = call(client, "GET", "/projects/crew%2Fbelow%2Fapp", token=admin)
    assert answer["Location"] == f"http://control.test{API}/projects/{project.pk}"
    # GitLab's API knows no old path of a group; its pages do.
    assert call(client, "GET", "/groups/crew", token=admin).status_code == 404
    client.force_login(new_user(is_admin=True))
    for old, new in (
        ("/crew", "/there/band"),
        ("/crew/below/-/members?sort=name", "/there/band/below/-/members?sort=name"),
        ("/crew/below/app/web/api/-/tags", "/there/band/below/app/web/api/-/tags"),
        ("/crew/below/app/web:1", "/there/band/below/app/web:1"),
    ):
        page = client.get(old)
        assert (page.status_code, page["Location"]) == (301, new)
    said = client.get("/crew", follow=True).content.decode()
    assert "has moved from crew to there/band" in said
    assert client.get("/crew/never-there").status_code == 404
    assert client.post("/crew/below/app/-/settings", {}).status_code == 404


def test_an_image_is_not_pulled_by_an_old_path(client: Client) -> None:
    project = renamed()
    owner = new_member(project, AccessLevel.OWNER).user
    given = (owner.username, new_token(owner, "api").secret)
    scopes = [f"repository:team/{path}/web:pull" for path in ("app", "better")]
    assert granted(ask(client, *scopes, given=given)) == {"team/better/web": ["pull"]}


def test_a_path_that_is_taken_anew_belongs_to_the_new_one_for_good(client: Client, admin: str) -> None:
    project = renamed()
    newer = new_project(project.namespace, "app")
    assert read(call(client, "GET", "/projects/team%2Fapp", token=admin))["id"] == newer.pk
    delete_project(newer, by=COMMAND_LINE)
    assert call(client, "GET", "/projects/team%2Fapp", token=admin).status_code == 404


def test_a_group_that_is_named_as_another_was_has_all_paths_below_for_itself(client: Client, admin: str) -> None:
    group = new_group("crew")
    new_project(group, "app")
    move_group(group, None, "band", by=COMMAND_LINE)
    new_group("crew")
    assert call(client, "GET", "/projects/crew%2Fapp", token=admin).status_code == 404


def test_there_and_back_again_leaves_one_old_path(client: Client, admin: str) -> None:
    project = renamed()
    move_project(project, project.namespace, "app", by=COMMAND_LINE)
    assert call(client, "GET", "/projects/team%2Fapp", token=admin).status_code == 200
    assert call(client, "GET", "/projects/team%2Fbetter", token=admin).status_code == 301
    move_project(project, project.namespace, "App", by=COMMAND_LINE)
    assert [row.path for row in OldPath.objects.all()] == ["team/better"]
    delete_project(project, by=COMMAND_LINE)
    assert not OldPath.objects.exists()


def test_whoever_pulls_by_an_old_name_is_told_the_new_one_if_they_may_see_it(client: Client) -> None:
    project = renamed()
    member, stranger = new_user("ada"), new_user("bob")
    new_member(project, AccessLevel.REPORTER, member)
    for user, told in (
        (member, "there is no project at this path; what was here is at team/better/web now"),
        (stranger, "there is no project at this path, or these credentials are not told of it"),
    ):
        answer = ask(client, "repository:team/app/web:pull", given=(user.username, new_token(user).secret))
        assert granted(answer) == {}
        assert told in (claims_of(answer.json()["token"]).denied or "")
