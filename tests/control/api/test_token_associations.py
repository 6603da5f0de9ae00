"""What a personal access token reaches: groups and projects in GitLab's shape, in one answer with pages."""

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from moorage.control.projects.rules import AccessLevel
from support.control_api import call
from support.control_rows import new_deploy_token, new_group, new_member, new_project, new_token, new_user

PATH = "/personal_access_tokens/self/associations"


def read(answer: HttpResponse) -> Any:  # noqa: ANN401 - JSON
    return json.loads(answer.content)


def test_a_token_says_which_groups_and_projects_it_reaches_and_with_which_roles(client: Client) -> None:
    user = new_user("ada")
    group = new_group("team", visibility="private")
    inner = new_group("tools", parent=group, visibility="private")
    new_member(group, AccessLevel.REPORTER, user)
    new_member(inner, AccessLevel.MAINTAINER, user)
    project, own, shown = new_project(inner, "app"), new_project(user, "mine"), new_project(visibility="public")
    new_project()
    new_member(project, AccessLevel.DEVELOPER, user)
    found = read(call(client, "GET", PATH, token=new_token(user, "read_registry").secret))
    assert set(found) == {"groups", "projects"}
    assert {one["id"]: one["access_levels"] for one in found["groups"] if one["visibility"] == "private"} == {
        group.pk: 20,
        inner.pk: 40,
    }
    assert next(one for one in found["groups"] if one["id"] == inner.pk) == {
        "id": inner.pk,
        "web_url": "http://control.test/groups/team/tools",
        "name": "tools",
        "parent_id": group.pk,
        "organization_id": 1,
        "access_levels": 40,
        "visibility": "private",
    }
    assert {one["id"]: one["access_levels"] for one in found["projects"]} == {
        project.pk: {"project_access_level": 30, "group_access_level": 40},
        own.pk: {"project_access_level": 50, "group_access_level": None},
        shown.pk: {"project_access_level": None, "group_access_level": None},
    }
    one = next(one for one in found["projects"] if one["id"] == project.pk)
    assert (one["path_with_namespace"], one["namespace"]["full_path"]) == ("team/tools/app", "team/tools")


def test_what_a_token_reaches_is_limited_by_role(client: Client) -> None:
    user = new_user()
    group = new_group()
    project = new_project(group)
    new_member(group, AccessLevel.REPORTER, user)
    secret = new_token(user, "api").secret
    for least, groups in ((20, [group.pk]), (30, [])):
        found = read(call(client, "GET", f"{PATH}?min_access_level={least}", token=secret))
        assert [one["id"] for one in found["groups"]] == groups
        assert [one["id"] for one in found["projects"]] == ([project.pk] if groups else [])
    wrong = call(client, "GET", f"{PATH}?min_access_level=33", token=secret)
    assert (wrong.status_code, read(wrong)) == (400, {"error": "min_access_level does not have a valid value"})


def test_whoever_follows_the_pages_reads_the_longer_list_to_its_end(client: Client) -> None:
    user = new_user()
    for _ in range(3):
        new_member(new_group(), AccessLevel.OWNER, user)
    secret, following, seen = new_token(user, "api").secret, "1", []
    new_project(user)
    while following:
        answer = call(client, "GET", f"{PATH}?per_page=2&page={following}&min_access_level=50", token=secret)
        seen.append([len(read(answer)[word]) for word in ("groups", "projects")])
        assert answer["X-Total"] == "3"
        following = answer["X-Next-Page"]
    assert seen == [[2, 1], [1, 0]]


def test_only_a_personal_access_token_says_what_it_reaches(client: Client) -> None:
    assert call(client, "GET", PATH).status_code == 401
    assert call(client, "GET", PATH, token=new_deploy_token(new_project()).secret).status_code == 401
