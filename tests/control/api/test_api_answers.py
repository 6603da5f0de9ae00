"""Pages of lists, errors and bodies, and the number of questions that a list asks the database."""

import json
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.control.accounts.models import User
from moorage.control.api import paging
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_project
from moorage.control.projects.rules import AccessLevel
from support.control_api import call
from support.control_registry import registry_at
from support.control_rows import new_deploy_token, new_group, new_member, new_project, new_token, new_user
from support.daemon import Daemon


def read(answer: HttpResponseBase) -> Any:  # noqa: ANN401 - JSON
    assert isinstance(answer, HttpResponse)
    return json.loads(answer.content)


@pytest.fixture
def admin() -> str:
    return new_token(new_user(is_admin=True), "api").secret


def test_a_numbered_list_says_in_headers_where_it_is(client: Client, admin: str) -> None:
    group = new_group("team")
    for number in range(5):
        new_project(group, f"app{number}")
    answer = call(client, "GET", "/groups/team/projects?per_page=2&page=2&order_by=id&sort=asc", token=admin)
    assert [one["path"] for one in read(answer)] == ["app2", "app3"]
    shown = {name: answer[name] for name in ("X-Total", "X-Total-Pages", "X-Page", "X-Next-Page", "X-Prev-Page")}
    expected = {"X-Total": "5", "X-Total-Pages": "3", "X-Page": "2", "X-Next-Page": "3", "X-Prev-Page": "1"}
    assert shown == expected
    assert 'page=3&per_page=2&order_by=id&sort=asc>; rel="next"' in answer["Link"].replace(
        "per_page=2&page=3", "page=3&per_page=2"
    )


def test_the_total_of_a_list_that_is_very_long_is_not_said_but_its_next_page_is(
    client: Client, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "TOTAL_LIMIT", 4)
    group = new_group("team")
    for number in range(5):
        new_project(group, f"app{number}")
    seen, following = [], "1"
    while following:
        path = f"/groups/team/projects?per_page=2&page={following}&order_by=id&sort=asc"
        answer = call(client, "GET", path, token=admin)
        seen += [one["path"] for one in read(answer)]
        assert "X-Total" not in answer
        assert "X-Total-Pages" not in answer
        assert 'rel="last"' not in answer["Link"]
        following = answer["X-Next-Page"]
    assert seen == [f"app{number}" for number in range(5)]


def pages_by_key(client: Client, path: str, token: str) -> list[list[Any]]:
    """All pages of a list, from the first to that without a link to a next one."""
    pages = []
    while path:
        answer = call(client, "GET", path, token=token)
        assert answer.status_code == 200
        assert "X-Total" not in answer
        pages.append(read(answer))
        path = answer.headers.get("Link", "").partition(">")[0].partition("/api/v4")[2]
    return pages


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("order_by=id&sort=asc", [2, 0, 1, 4, 3]),
        ("order_by=id&sort=desc", [3, 4, 1, 0, 2]),
        ("order_by=name&sort=asc", [0, 1, 2, 3, 4]),
        ("order_by=name&sort=desc", [4, 3, 2, 1, 0]),
        ("order_by=created_at&sort=asc", [2, 0, 1, 4, 3]),
    ],
)
def test_a_list_by_key_leads_through_all_in_any_order(
    order: str, expected: list[int], client: Client, admin: str
) -> None:
    group = new_group("team")
    for number in (2, 0, 1, 4, 3):
        new_project(group, f"app{number}")
    pages = pages_by_key(client, f"/groups/team/projects?pagination=keyset&{order}&per_page=2", admin)
    assert [[one["path"] for one in page] for page in pages] == [
        [f"app{number}" for number in expected[at : at + 2]] for at in (0, 2, 4)
    ]


def test_rows_that_are_equal_in_the_order_are_on_one_page_by_key_each(client: Client, admin: str) -> None:
    group = new_group("team")
    made = [new_project(group).pk for _ in range(5)]
    Project.objects.update(name="same")
    pages = pages_by_key(client, "/groups/team/projects?pagination=keyset&order_by=name&sort=asc&per_page=2", admin)
    assert [one["id"] for page in pages for one in page] == made


def test_every_list_has_pages_by_key(client: Client, admin: str) -> None:
    user = new_user("ada")
    own, group = new_project(user, "own"), new_group("team")
    for number in range(3):
        new_member(own, AccessLevel.DEVELOPER, new_user(f"bob{number}"))
        new_project(group, f"app{number}", visibility="public")
        new_deploy_token(own)
    lists = {
        f"/projects/{own.pk}/members/all": ["ada", "bob0", "bob1", "bob2"],
        f"/projects/{own.pk}/members": ["bob0", "bob1", "bob2"],
    }
    for path, expected in lists.items():
        for size in (1, 2, 5):
            pages = pages_by_key(client, f"{path}?pagination=keyset&per_page={size}", admin)
            assert [one["username"] for page in pages for one in page] == expected, (path, size)
            assert all(len(page) == size for page in pages[:-1])
    for path in ("/namespaces", "/users", "/deploy_tokens", f"/projects/{own.pk}/deploy_tokens", "/audit_events"):
        whole = [one["id"] for one in read(call(client, "GET", f"{path}?per_page=100", token=admin))]
        pages = pages_by_key(client, f"{path}?pagination=keyset&per_page=2", admin)
        assert [one["id"] for page in pages for one in page] == whole, path
        assert len(whole) > 2


def test_an_order_with_rows_that_lack_a_value_has_no_pages_by_key(client: Client, admin: str) -> None:
    for path in ("/personal_access_tokens?sort=expires_asc", "/personal_access_tokens?sort=last_used_desc"):
        assert call(client, "GET", path, token=admin).status_code == 200
        answer = call(client, "GET", f"{path}&pagination=keyset", token=admin)
        assert answer.status_code == 405
        assert read(answer)["error"].startswith("Keyset pagination is not yet available")


@pytest.mark.parametrize("order", ["id", "created_at"])
def test_what_is_no_cursor_is_refused(order: str, client: Client, admin: str) -> None:
    nested = "W1tb" * 900  # The beginning of a list in a list in a list.
    for cursor in ("x", "é", "W10", "bnVsbA", "WyJ4IiwgLTFd", "WyJ4IiwgdHJ1ZSwgMV0", "WyJcdTAwMDAiLCAxXQ", nested):
        answer = call(client, "GET", f"/projects?pagination=keyset&order_by={order}&cursor={cursor}", token=admin)
        assert (answer.status_code, read(answer)) == (400, {"error": "cursor is invalid"}), cursor


def test_a_page_by_number_ends_at_gitlabs_limit_and_the_rest_is_there_by_key(client: Client, admin: str) -> None:
    new_project(visibility="public")
    for path, kind in (("/projects", "Project"), ("/groups", "Group"), ("/users", "User")):
        assert call(client, "GET", f"{path}?per_page=100&page=500", token=admin).status_code == 200
        for far in ("per_page=100&page=501", "page=2501", "per_page=1&page=50001", "page=4294967296"):
            with CaptureQueriesContext(connection) as questions:
                answer = call(client, "GET", f"{path}?{far}", token=admin)
            said = read(answer)["error"]
            assert answer.status_code == 405
            assert said.startswith("Offset pagination has a maximum allowed offset of 50000 for requests that return")
            assert f"objects of type {kind}. " in said
            assert said.endswith("can be retrieved using keyset pagination.")
            assert not [one for one in questions if "OFFSET" in one["sql"]]


@pytest.mark.parametrize("path", ["/projects", "/groups", "/users", "/personal_access_tokens", "/namespaces"])
def test_a_longer_list_asks_no_more_questions(path: str, client: Client, admin: str) -> None:
    def grow() -> None:
        project = new_project(new_user())
        new_project()
        new_token(new_member(project, AccessLevel.DEVELOPER).user)

    counts = []
    for _ in range(2):
        grow()
        call(client, "GET", path, token=admin)
        with CaptureQueriesContext(connection) as questions:
            assert call(client, "GET", path, token=admin).status_code == 200
        counts.append(len(questions))
        grow()
    assert counts[0] == counts[1] <= 8


def test_no_answer_is_kept_by_a_cache_between_which_knows_nothing_of_tokens(client: Client, admin: str) -> None:
    project = new_project()
    old = project.full_path
    move_project(project, project.namespace, "moved", by=COMMAND_LINE)
    for path, status in ((f"/projects/{project.pk}", 200), (f"/projects/{old.replace('/', '%2F')}", 301), ("/x", 404)):
        answer = call(client, "GET", path, token=admin)
        assert (answer.status_code, answer["Cache-Control"]) == (status, "max-age=0, private, must-revalidate")


def test_mistakes_are_said_in_gitlabs_form(client: Client, admin: str) -> None:
    new_group("team")
    assert read(call(client, "POST", "/groups", token=admin, values={"path": "a"})) == {"error": "name is missing"}
    taken = call(client, "POST", "/groups", token=admin, values={"name": "Team", "path": "team"})
    assert (taken.status_code, read(taken)) == (400, {"message": {"path": ["has already been taken"]}})
    assert read(call(client, "GET", "/projects?per_page=0", token=admin)) == {
        "error": "per_page does not have a valid value"
    }
    assert read(call(client, "GET", "/projects/none")) == {"message": "404 Project Not Found"}
    assert read(call(client, "GET", "/nothing")) == {"error": "404 Not Found"}
    wrong = call(client, "PATCH", "/projects")
    assert (wrong.status_code, read(wrong)) == (405, {"error": "405 Not Allowed"})
    assert read(call(client, "GET", "/user")) == {"message": "401 Unauthorized"}
    reader = new_token(new_user(), "read_api").secret
    assert read(call(client, "POST", "/projects", token=reader, values={"name": "a"}))["error"] == "insufficient_scope"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=xx"])
def test_a_form_is_taken_as_json_is(kind: str, client: Client, admin: str) -> None:
    parts = [("name", "ci"), ("scopes[]", "api"), ("scopes[]", "read_api")]
    if kind.startswith("multipart"):
        head = 'Content-Disposition: form-data; name="{}"'
        body = "".join(f"--xx\r\n{head.format(name)}\r\n\r\n{value}\r\n" for name, value in parts) + "--xx--\r\n"
    else:
        body = "&".join(f"{name}={value}" for name, value in parts)
    path = f"/api/v4/users/{User.objects.get().pk}/personal_access_tokens"
    answer = client.generic("POST", path, body, kind, headers={"PRIVATE-TOKEN": admin}, RAW_URI=path)
    assert json.loads(answer.content)["scopes"] == ["api", "read_api"], answer.content


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=xx"])
def test_a_policy_is_taken_from_a_form_as_curl_sends_it(kind: str, client: Client, admin: str) -> None:
    project, name = new_project(), "container_expiration_policy_attributes"
    given = {"enabled": "true", "cadence": "1month", "keep_n": "5", "older_than": "", "name_regex_delete": "dev-.*"}
    parts = [(f"{name}[{field}]", value) for field, value in given.items()]
    if kind.startswith("multipart"):
        head = 'Content-Disposition: form-data; name="{}"'
        body = "".join(f"--xx\r\n{head.format(field)}\r\n\r\n{value}\r\n" for field, value in parts) + "--xx--\r\n"
    else:
        body = "&".join(f"{field}={value}" for field, value in parts)
    path = f"/api/v4/projects/{project.pk}"
    answer = client.generic("PUT", path, body, kind, headers={"PRIVATE-TOKEN": admin}, RAW_URI=path)
    found = read(answer)["container_expiration_policy"]
    assert {field: found[field] for field in ("enabled", "cadence", "keep_n", "older_than", "name_regex")} == {
        "enabled": True,
        "cadence": "1month",
        "keep_n": 5,
        "older_than": None,
        "name_regex": "dev-.*",
    }


@pytest.mark.parametrize("name", ["a[", "a]", "a[]b", "[b]", "a[b", "a[b][c][d][e]", "[]", "name[x]"])
def test_names_of_fields_that_nest_nothing_are_no_fault(name: str, client: Client, admin: str) -> None:
    path = "/api/v4/groups"
    form = "application/x-www-form-urlencoded"
    for body in (f"{name}=x", f"name=a&path=b&{name}=x", f"{name}=x&name=a&path=b"):
        answer = client.generic("POST", path, body, form, headers={"PRIVATE-TOKEN": admin}, RAW_URI=path)
        assert answer.status_code in {201, 400}, answer.content


def test_parameters_of_a_change_may_stand_in_the_query(client: Client, admin: str) -> None:
    assert call(client, "POST", "/groups?name=Team&path=team", token=admin).status_code == 201


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"text"', b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes, client: Client, admin: str) -> None:
    path = "/api/v4/groups"
    answer = client.generic("POST", path, body, "application/json", headers={"PRIVATE-TOKEN": admin}, RAW_URI=path)
    assert answer.status_code == 400


@pytest.mark.usefixtures("registry")
def test_a_group_is_moved_with_all_that_is_in_it(client: Client, admin: str, shared_daemon: Daemon) -> None:
    outer, inner = new_group("wide"), new_group("squad")
    new_project(new_group("below", parent=inner), "app")
    with registry_at(shared_daemon.url):
        answer = call(client, "POST", "/groups/squad/transfer", token=admin, values={"group_id": outer.pk})
    assert read(answer).get("full_path") == "wide/squad", read(answer)
    assert call(client, "GET", "/projects/wide%2Fsquad%2Fbelow%2Fapp", token=admin).status_code == 200
    assert call(client, "GET", "/projects/squad%2Fbelow%2Fapp", token=admin).status_code == 301
    into_itself = call(client, "POST", f"/groups/{outer.pk}/transfer", token=admin, values={"group_id": inner.pk})
    assert into_itself.status_code == 400


def test_nobody_gives_a_higher_role_than_their_own(client: Client) -> None:
    project = new_project()
    maintainer = new_token(new_member(project, AccessLevel.MAINTAINER).user).secret
    values = {"user_id": new_user().pk, "access_level": 50}
    assert call(client, "POST", f"/projects/{project.pk}/members", token=maintainer, values=values).status_code == 403
    wish = {"name": "a", "scopes": ["api"], "access_level": 50}
    assert (
        call(client, "POST", f"/projects/{project.pk}/access_tokens", token=maintainer, values=wish).status_code == 400
    )


def test_a_job_may_be_given_a_token_by_an_administrator_only(client: Client, admin: str) -> None:
    project = new_project()
    path = f"/projects/{project.pk}/moorage/job_tokens"
    developer = new_member(project, AccessLevel.DEVELOPER).user
    assert read(call(client, "POST", path, token=admin, values={"user_id": developer.pk}))["token"].startswith("glcbt-")
    assert call(client, "POST", path, token=admin, values={"user_id": new_user().pk}).status_code == 400
    assert call(client, "POST", path, token=new_token(developer).secret).status_code == 403


def test_the_owner_of_a_namespace_is_among_all_members_of_its_projects(client: Client, admin: str) -> None:
    owner = new_user("olga")
    project = new_project(owner, "app")
    others = [new_member(project, AccessLevel.DEVELOPER, new_user(name)).user for name in ("ada", "pete", "zoe")]
    path = f"/projects/{project.pk}/members/all"
    seen = []
    for page in (1, 2, 3):
        answer = call(client, "GET", f"{path}?per_page=2&page={page}", token=admin)
        assert (answer["X-Total"], answer["X-Total-Pages"]) == ("4", "2")
        seen.append([(one["username"], one["access_level"]) for one in read(answer)])
    assert seen == [[("olga", 50), ("ada", 30)], [("pete", 30), ("zoe", 30)], []]
    assert read(call(client, "GET", f"{path}/{owner.pk}", token=admin))["access_level"] == 50
    assert read(call(client, "GET", f"{path}/{others[0].pk}", token=admin))["access_level"] == 30
    assert [one["username"] for one in read(call(client, "GET", f"{path}?query=OLG", token=admin))] == ["olga"]
    assert [one["username"] for one in read(call(client, "GET", f"{path}?query=pet", token=admin))] == ["pete"]
    new_member(project, AccessLevel.GUEST, owner)
    assert [one["username"] for one in read(call(client, "GET", path, token=admin))].count("olga") == 1


def test_what_is_not_set_is_null_and_what_the_caller_is_not_told_is_left_out(client: Client, admin: str) -> None:
    group = new_group("team")
    project, someone = new_project(group, visibility="public"), new_user()
    assert read(call(client, "GET", "/groups/team"))["parent_id"] is None
    assert read(call(client, "GET", f"/projects/{project.pk}"))["namespace"]["parent_id"] is None
    assert "permissions" not in read(call(client, "GET", f"/projects/{project.pk}"))
    assert "email" not in read(call(client, "GET", f"/users/{someone.pk}", token=new_token(new_user()).secret))
    (listed,) = read(call(client, "GET", "/personal_access_tokens?search=test&per_page=1", token=admin))
    assert listed["last_used_at"] is None or listed["last_used_at"].endswith("Z")
    assert "token" not in listed
    new_deploy_token(project)
    (deploy,) = read(call(client, "GET", f"/projects/{project.pk}/deploy_tokens", token=admin))
    assert deploy["expires_at"] is None
    assert "token" not in deploy
