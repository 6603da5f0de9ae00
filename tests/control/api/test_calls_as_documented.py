"""Calls as the examples of GitLab's documentation write them: paths with a slash at their end, scopes in one text."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from moorage.control.audit.actors import SYSTEM
from moorage.control.images.recording import ensure_repository
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from support.control_api import API, call
from support.control_rows import new_deploy_token, new_group, new_member, new_project, new_token, new_user

FORM = "application/x-www-form-urlencoded"


def read(answer: HttpResponse) -> Any:  # noqa: ANN401 - JSON
    return json.loads(answer.content)


def send_form(client: Client, path: str, fields: dict[str, str], *, token: str) -> HttpResponse:
    target = f"/api/v4{path}"
    found: Any = client.generic(
        "POST", target, urlencode(fields), FORM, headers={"PRIVATE-TOKEN": token}, RAW_URI=target
    )
    answer: HttpResponse = found
    return answer


@pytest.fixture
def admin() -> str:
    return new_token(new_user("root", is_admin=True), "api").secret


def test_a_path_may_end_with_a_slash(client: Client, admin: str) -> None:
    project = new_project(new_group("team"), "app")
    level = {"container_registry_access_level": "private"}
    changed = call(client, "PUT", f"/projects/{project.pk}/", token=admin, values=level)
    assert (changed.status_code, read(changed)["container_registry_access_level"]) == (200, "private")
    ends = (timezone.now().date() + timedelta(days=30)).isoformat()
    wish = {"name": "pull", "scopes": ["read_registry"], "expires_at": ends}
    made = call(client, "POST", "/projects/team%2Fapp/deploy_tokens/", token=admin, values=wish)
    assert (made.status_code, read(made)["expires_at"]) == (201, f"{ends}T00:00:00.000Z")
    assert call(client, "GET", "/groups/?search=team", token=admin).status_code == 200
    assert call(client, "GET", "/projects//", token=admin).status_code == 404


@pytest.mark.parametrize("path", ["/nothing", "/projects/1/nothing", "/projects/team/app", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_that_is_no_route_is_not_found_whatever_the_method(method: str, path: str, admin: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = call(strict, method, path, token=admin)
    assert (answer.status_code, read(answer)) == (404, {"error": "404 Not Found"})


@pytest.mark.parametrize("place", ["projects", "groups"])
def test_scopes_may_be_one_text_with_commas(place: str, client: Client, admin: str) -> None:
    group = new_group("team")
    number = new_project(group, "app").pk if place == "projects" else group.pk
    for kind in ("deploy_tokens", "access_tokens"):
        for scopes in ("read_registry", "read_registry,write_registry"):
            made = send_form(client, f"/{place}/{number}/{kind}", {"name": "ci", "scopes": scopes}, token=admin)
            assert (made.status_code, read(made).get("scopes")) == (201, scopes.split(",")), read(made)


def test_a_personal_token_takes_scopes_with_commas_too(client: Client, admin: str) -> None:
    path = f"/users/{new_user().pk}/personal_access_tokens"
    made = send_form(client, path, {"name": "ci", "scopes": "api, read_api"}, token=admin)
    assert read(made).get("scopes") == ["api", "read_api"], read(made)
    wrong = call(client, "POST", path, token=admin, values={"name": "ci", "scopes": 5})
    assert read(wrong) == {"error": "scopes is invalid"}


@pytest.mark.parametrize("place", ["projects", "groups"])
def test_an_access_token_rotates_itself(place: str, client: Client, admin: str) -> None:
    group = new_group("team")
    number = new_project(group, "app").pk if place == "projects" else group.pk
    wish = {"name": "ci", "scopes": ["self_rotate"], "access_level": 30}
    first = read(call(client, "POST", f"/{place}/{number}/access_tokens", token=admin, values=wish))
    path = f"/{place}/{number}/access_tokens/self/rotate"
    second = call(client, "POST", path, token=first["token"])
    assert (second.status_code, read(second).get("access_level")) == (200, 30), read(second)
    assert read(second)["scopes"] == ["self_rotate"]
    assert call(client, "POST", path, token=first["token"]).status_code == 401
    assert call(client, "POST", path, token=read(second)["token"]).status_code == 200


def test_a_token_that_is_no_access_token_of_the_place_does_not_rotate_there(client: Client, admin: str) -> None:
    project, other = new_project(), new_project()
    wish = {"name": "ci", "scopes": ["api"], "access_level": 30}
    bots = read(call(client, "POST", f"/projects/{project.pk}/access_tokens", token=admin, values=wish))["token"]
    assert call(client, "POST", f"/projects/{project.pk}/access_tokens/self/rotate", token=admin).status_code == 405
    assert call(client, "POST", f"/projects/{other.pk}/access_tokens/self/rotate", token=bots).status_code == 404
    reader = new_token(new_member(project, AccessLevel.MAINTAINER).user, "read_api").secret
    assert call(client, "POST", f"/projects/{project.pk}/access_tokens/self/rotate", token=reader).status_code == 403
    assert call(client, "GET", "/user", token=bots).status_code == 200


def test_the_maintainers_of_a_group_are_told_of_its_deploy_tokens_and_change_none(client: Client) -> None:
    group = new_group("team")
    token = new_deploy_token(group).token
    maintainer = new_token(new_member(group, AccessLevel.MAINTAINER).user, "api").secret
    developer = new_token(new_member(group, AccessLevel.DEVELOPER).user, "api").secret
    path = f"/groups/{group.pk}/deploy_tokens"
    assert [one["id"] for one in read(call(client, "GET", path, token=maintainer))] == [token.pk]
    assert call(client, "GET", f"{path}/{token.pk}", token=maintainer).status_code == 200
    assert call(client, "DELETE", f"{path}/{token.pk}", token=maintainer).status_code == 403
    wish = {"name": "ci", "scopes": ["read_registry"]}
    assert call(client, "POST", path, token=maintainer, values=wish).status_code == 403
    assert call(client, "GET", path, token=developer).status_code == 403


def test_a_page_that_cannot_be_is_refused_in_gitlabs_words_and_an_empty_one_is_the_first(
    client: Client, admin: str
) -> None:
    for text in ("page=0", "page=-1", "per_page=0", "per_page=-5"):
        name = text.partition("=")[0]
        refused = call(client, "GET", f"/projects?{text}", token=admin)
        assert (refused.status_code, read(refused)) == (400, {"error": f"{name} does not have a valid value"})
    assert read(call(client, "GET", "/projects?page=x", token=admin)) == {"error": "page is invalid"}
    answer = call(client, "GET", "/projects?page=&per_page=", token=admin)
    assert (answer.status_code, answer["X-Page"], answer["X-Per-Page"]) == (200, "1", "20")


@pytest.mark.parametrize("field", ["user_id", "username"])
def test_several_members_are_made_by_one_call_and_those_that_cannot_be_are_named(
    field: str, client: Client, admin: str
) -> None:
    project, ada, pete = new_project(), new_user("ada"), new_user("pete")
    path = f"/projects/{project.pk}/members"
    both = ",".join(str(one.pk) if field == "user_id" else one.username for one in (ada, pete))
    made = send_form(client, path, {field: both, "access_level": "30"}, token=admin)
    assert (made.status_code, read(made)) == (201, {"status": "success"})
    assert {one["username"] for one in read(call(client, "GET", path, token=admin))} == {"ada", "pete"}
    zoe = new_user("zoe")
    more = f"{zoe.pk},{ada.pk},999" if field == "user_id" else "zoe,ada,999"
    partly = send_form(client, path, {field: more, "access_level": "20"}, token=admin)
    assert (partly.status_code, read(partly)["status"]) == (201, "error"), read(partly)
    assert read(partly)["message"] == {"ada": "Member already exists", "999": "404 User Not Found"}
    assert read(call(client, "GET", f"{path}/{zoe.pk}", token=admin))["access_level"] == 20
    assert read(call(client, "GET", f"{path}/{ada.pk}", token=admin))["access_level"] == 30
    many = call(client, "POST", path, token=admin, values={field: ["7"] * 101, "access_level": 20})
    assert (many.status_code, read(many)) == (400, {"error": f"{field} is invalid"})


def test_what_a_call_needs_one_of_is_named(client: Client, admin: str) -> None:
    project = new_project()
    member = call(client, "POST", f"/projects/{project.pk}/members", token=admin, values={"access_level": 30})
    text = "user_id, username are missing, at least one parameter must be provided"
    assert (member.status_code, read(member)) == (400, {"error": text})
    pattern = {"repository_path_pattern": f"{project.full_path}/*"}
    path = f"/projects/{project.pk}/registry/protection/repository/rules"
    rule = call(client, "POST", path, token=admin, values=pattern)
    names = "minimum_access_level_for_push, minimum_access_level_for_delete"
    text = f"{names} are missing, at least one parameter must be provided"
    assert (rule.status_code, read(rule)) == (400, {"error": text})


@pytest.mark.parametrize("way", ["header", "query", "body", "form"])
def test_a_call_in_the_name_of_another_user_is_refused_and_not_made_in_ones_own(
    way: str, client: Client, admin: str
) -> None:
    """Ask for what ``bob`` sees, and make a project for him: an administrator sees all, and it would be his own."""
    bob, hidden = new_user("bob"), new_project()
    asked = f"sudo={bob.username}" if way == "query" else ""
    headers = {"PRIVATE-TOKEN": admin} | ({"Sudo": bob.username} if way == "header" else {})
    values = {"name": "made"} | ({"sudo": bob.username} if way in {"body", "form"} else {})
    data, kind = (urlencode(values), FORM) if way == "form" else (json.dumps(values), "application/json")
    made: Any = client.generic("POST", f"{API}/projects", data, kind, headers=headers, QUERY_STRING=asked)
    assert (made.status_code, made.json()["error"], made.json()["scope"]) == (403, "insufficient_scope", "sudo")
    assert not Project.objects.filter(path="made").exists()
    if way in {"header", "query"}:
        seen: Any = client.generic("GET", f"{API}/projects/{hidden.pk}", headers=headers, QUERY_STRING=asked)
        assert (seen.status_code, seen.json()["scope"]) == (403, "sudo")


def test_who_may_act_for_nobody_is_told_so_in_gitlabs_words(client: Client) -> None:
    token = new_token(new_user(), "api").secret
    answer = client.get(f"{API}/user", headers={"PRIVATE-TOKEN": token, "Sudo": "root"})
    assert (answer.status_code, answer.json()) == (403, {"message": "403 Forbidden - Must be admin to use sudo"})
    # A word in a value, and a parameter without one, ask for nothing.
    assert call(client, "POST", "/projects", token=token, values={"name": "sudo", "sudo": None}).status_code == 201


def test_a_stranger_is_not_told_by_a_number_that_there_is_a_repository(client: Client) -> None:
    """Ask for one of a private project and for none: a status and words that differ would count what others have."""
    project, token = new_project(), new_token(new_user(), "api").secret
    repository = ensure_repository(project, project.full_path, by=SYSTEM)
    said = [call(client, "GET", f"/registry/repositories/{key}", token=token) for key in (repository.pk, 999)]
    assert {(answer.status_code, answer.content) for answer in said} == {
        (404, b'{"message": "404 Container Repository Not Found"}')
    }
