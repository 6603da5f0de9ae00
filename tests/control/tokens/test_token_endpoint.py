"""TKN-001 to TKN-016: parameters, credentials and answers of ``GET /jwt/auth``."""

import base64
import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.control.accounts.changes import block_user
from moorage.control.accounts.models import User
from moorage.control.accounts.token_changes import revoke_token
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.token_changes import revoke_deploy_token, revoke_job_token
from moorage.control.tokens.models import AccessRefusal
from moorage.web.wsgi_bridge import AFTERWARDS_KEY
from support.control_registry import registry_off
from support.control_rows import (
    PASSWORD,
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)
from support.control_tokens import SERVICE, access_of, ask, basic, claims_of, granted


@pytest.fixture
def ada(client: Client) -> tuple[str, str]:
    del client
    return "ada", new_token(new_user("ada"), "api").secret


def secrets_of(user: User) -> dict[str, tuple[str, str]]:
    """What *user*, and tokens that have no part in anything else, sign in by."""
    own, group = new_project(), new_group("others")
    new_member(own, AccessLevel.DEVELOPER, user)
    deploys = {"deploy": new_deploy_token(own), "group deploy": new_deploy_token(group)}
    return {
        "personal": (user.username, new_token(user, "api").secret),
        "password": (user.username, PASSWORD),
        "job": ("gitlab-ci-token", new_job_token(own, user=user).secret),
        **{name: (issued.token.username, issued.secret) for name, issued in deploys.items()},
    }


def errors_of(answer: object) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(answer.content)["errors"]  # type: ignore[attr-defined] # Django's
    return found


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_tokens_are_given_to_get_only(client: Client, method: str) -> None:
    answer = getattr(client, method)(f"/jwt/auth?service={SERVICE}")
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("query", ["", "service=", "service=dependency_proxy", "service=docker", "service=x&service=y"])
def test_an_unknown_service_is_not_found_without_a_word(client: Client, ada: tuple[str, str], query: str) -> None:
    answer = client.get(f"/jwt/auth?{query}", headers={"Authorization": basic(*ada)})
    assert (answer.status_code, answer.content) == (404, b"")


def test_a_login_without_scopes_gets_a_token_that_allows_nothing(client: Client, ada: tuple[str, str]) -> None:
    answer = ask(client, given=ada)
    assert access_of(answer) == []
    assert list(answer.json()) == ["token"]
    assert answer["Cache-Control"] == "no-store"


def test_whoever_has_no_credentials_and_asks_for_nothing_is_forbidden(client: Client) -> None:
    answer = ask(client)
    assert answer.status_code == 403
    assert errors_of(answer) == [{"code": "DENIED", "message": "access forbidden"}]


def test_a_stranger_cannot_tell_by_the_work_before_the_answer_whether_a_private_project_is_there(
    client: Client,
) -> None:
    project = new_project(visibility="private")
    counts, afterwards = {}, list[Callable[[], None]]()
    for name in (project.full_path, f"{project.full_path}/below", f"{project.namespace.full_path}/absent"):
        for action in ("pull", "pull,push"):
            query = urlencode({"service": SERVICE, "scope": f"repository:{name}:{action}"})
            with CaptureQueriesContext(connection) as questions:
                answer = client.get(f"/jwt/auth?{query}", **cast("Any", {AFTERWARDS_KEY: afterwards}))
            assert answer.status_code == 403
            counts[name, action] = [one["sql"].split()[0] for one in questions]
    assert set(map(tuple, counts.values())) == {tuple(counts[project.full_path, "pull"])}
    assert not AccessRefusal.objects.exists()
    afterwards[0]()
    assert AccessRefusal.objects.filter(project=project).exists()


@pytest.mark.parametrize("credential", ["personal", "password", "deploy", "group deploy", "job"])
def test_somebody_signed_in_cannot_tell_whether_there_is_a_private_project_or_group(
    client: Client, credential: str
) -> None:
    secret, given = new_project(visibility="private"), secrets_of(new_user("bo", password=PASSWORD))[credential]
    names = [secret.full_path, f"{secret.namespace.full_path}/absent", "nothing/absent"]
    ask(client, given=given)  # The first use of a token is written down.
    for action in ("pull", "pull,push", "delete", "*", "pull,unheard", "push,unheard"):
        work, told = dict[str, list[str]](), set[str]()
        for name in names:
            query = urlencode({"service": SERVICE, "scope": f"repository:{name}:{action}"})
            headers = {"Authorization": basic(*given), "X-Request-Id": "one"}
            with CaptureQueriesContext(connection) as questions:
                answer = client.get(
                    f"/jwt/auth?{query}", headers=headers, **cast("Any", {AFTERWARDS_KEY: list[object]()})
                )
            work[name] = [one["sql"] for one in questions]
            assert access_of(answer) == []
            told.add(str(claims_of(answer.json()["token"]).denied).replace(name, "NAME"))
        assert len({len(one) for one in work.values()}) == 1, (action, work)
        assert len(told) == 1, (action, told)


def test_scopes_count_each_time_that_they_are_there_and_several_may_be_in_one(
    client: Client, ada: tuple[str, str]
) -> None:
    names = [new_project(visibility="public").full_path for _ in range(4)]
    first, second, third, fourth = (f"repository:{name}:pull" for name in names)
    assert set(granted(ask(client, first, f"{second} {third}", fourth, given=ada))) == set(names)


@pytest.mark.parametrize("scope", ["repository:a/b", "repository", ":::", "a b", "repository:a/b:Pull!", "x" * 2000])
def test_a_scope_that_cannot_be_read_is_told(client: Client, ada: tuple[str, str], scope: str) -> None:
    answer = ask(client, scope, given=ada)
    assert answer.status_code == 400
    assert "is no scope" in errors_of(answer)[0]["message"]


def test_far_too_many_parameters_or_scopes_are_told(client: Client, ada: tuple[str, str]) -> None:
    assert ask(client, *[f"repository:a/b{n}:pull" for n in range(300)], given=ada).status_code == 400
    assert ask(client, " ".join(f"repository:a/b{n}:pull" for n in range(150)), given=ada).status_code == 400


WRONG = [
    *("Basic", "Basic ", "Basic !!!", f"Basic {base64.b64encode(b'nocolon').decode()}", "Bearer abc", "Digest x", ""),
    *(basic("ada", "wrong"), basic("", ""), basic("ada", ""), basic("ada", "glpat-wrong"), basic("x", "gldt-wrong")),
    *(basic("gitlab-ci-token", "glcbt-wrong"), basic("ada\0", PASSWORD), basic("ada", "\0"), "Basic " + "A" * 9000),
]


@pytest.mark.parametrize("header", WRONG, ids=lambda header: header[:30] or "empty")
def test_bad_credentials_are_refused_in_one_way(client: Client, header: str) -> None:
    new_user("ada", password=PASSWORD)
    project = new_project(visibility="public")
    scope = f"repository:{project.full_path}:pull"  # Which anybody may.
    answer = ask(client, scope, headers={"Authorization": header})
    assert answer.status_code == 401
    (error,) = errors_of(answer)
    assert error["code"] == "UNAUTHORIZED"
    assert error["message"].startswith("HTTP Basic: Access denied")


def test_a_credential_that_ended_is_a_bad_one(client: Client) -> None:
    project, user = new_project(), new_user("gone")
    personal, deploy, job = new_token(user, "api"), new_deploy_token(project), new_job_token(project)
    revoke_token(personal.token, by=COMMAND_LINE)
    revoke_deploy_token(deploy.token, by=COMMAND_LINE)
    revoke_job_token(job.token, by=COMMAND_LINE)
    blocked = new_user("blocked", password=PASSWORD)
    token_of_blocked = new_token(blocked, "api")
    block_user(blocked, by=COMMAND_LINE)
    given = [
        *(("gone", personal.secret), (deploy.token.username, deploy.secret), ("gitlab-ci-token", job.secret)),
        *(("blocked", PASSWORD), ("blocked", token_of_blocked.secret)),
    ]
    assert [ask(client, given=one).status_code for one in given] == [401] * len(given)


def test_a_deploy_token_and_a_job_need_their_own_names(client: Client) -> None:
    project = new_project()
    deploy, job = new_deploy_token(project), new_job_token(project)
    assert ask(client, given=("ada", deploy.secret)).status_code == 401
    assert ask(client, given=("ada", job.secret)).status_code == 401
    assert ask(client, given=(deploy.token.username, deploy.secret)).status_code == 200
    assert ask(client, given=("gitlab-ci-token", job.secret)).status_code == 200


@pytest.mark.parametrize("header", [None, basic("ada", "wrong")])
def test_where_the_registry_is_off_it_is_not_enabled(client: Client, header: str | None) -> None:
    with registry_off():
        answer = ask(client, headers={"Authorization": header} if header else {})
    assert answer.status_code == 404
    assert errors_of(answer) == [{"code": "UNAVAILABLE", "message": "registry not enabled"}]


@pytest.mark.parametrize("scopes", [["read_user"], ["self_rotate"], ["read_user", "self_rotate"]])
def test_a_token_without_a_scope_for_the_registry_does_not_even_log_in(client: Client, scopes: list[str]) -> None:
    token = new_token(new_user(is_admin=True), *scopes)
    answer = ask(client, given=("x", token.secret))
    assert answer.status_code == 403
    assert errors_of(answer) == [{"code": "DENIED", "message": "access forbidden"}]


def test_what_is_not_allowed_is_left_out_without_an_error(client: Client) -> None:
    project, hidden = new_project(), new_project()
    reader = new_member(project, AccessLevel.REPORTER).user
    given = ("x", new_token(reader, "api").secret)
    asked = (f"repository:{name}:pull,push,fly" for name in (project.full_path, hidden.full_path, "no/such"))
    assert granted(ask(client, *asked, given=given)) == {project.full_path: ["pull"]}


def test_a_hidden_project_and_one_that_is_not_there_are_answered_alike(client: Client, ada: tuple[str, str]) -> None:
    hidden = new_project().full_path
    assert [access_of(ask(client, f"repository:{name}:pull", given=ada)) for name in (hidden, "no/such")] == [[], []]
    answers = [ask(client, f"repository:{name}:pull") for name in (hidden, "no/such", "not_possible", "..")]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, answers[0].content)}


def test_the_catalogue_is_for_administrators_and_whole(client: Client, ada: tuple[str, str]) -> None:
    admin = ("root", new_token(new_user("root", is_admin=True), "read_registry").secret)
    assert granted(ask(client, "registry:catalog:*", given=admin)) == {"catalog": ["*"]}
    wrong = ("registry:catalog:pull", "registry:catalog:*,pull", "registry:statistics:*", "registry:x:*", "thing:a:*")
    for scope in wrong:
        assert access_of(ask(client, scope, given=admin)) == []
    assert access_of(ask(client, "registry:catalog:*", given=ada)) == []
    assert ask(client, "registry:catalog:*").status_code == 403
    job = new_job_token(new_project(), new_user(is_admin=True))
    assert access_of(ask(client, "registry:catalog:*", given=("gitlab-ci-token", job.secret))) == []


def test_a_path_is_its_project_s_or_at_most_two_parts_longer(client: Client) -> None:
    project = new_project(visibility="public")
    path = project.full_path
    for name in (path, f"{path}/a", f"{path}/a/b", path.upper(), f"{path}/A"):
        assert granted(ask(client, f"repository:{name}:pull")) == {name.lower(): ["pull"]}
    for name in (f"{path}/a/b/c", path.split("/", maxsplit=1)[0], f"{path}/", f"/{path}", f"{path}//a", f"{path}/-"):
        assert ask(client, f"repository:{name}:pull").status_code == 403


def test_of_two_projects_on_a_path_the_longer_one_counts(client: Client) -> None:
    group = new_group("top")
    new_project(new_group("mid", parent=group), "app", visibility="public")
    assert granted(ask(client, "repository:top/mid/app/web:pull")) == {"top/mid/app/web": ["pull"]}


def test_a_bot_and_a_password_log_in_too(client: Client) -> None:
    user = new_user("Grace", password=PASSWORD)
    project = new_project(user, "app")
    assert granted(ask(client, "repository:grace/app:pull,push", given=("grace", PASSWORD))) == {
        "grace/app": ["pull", "push"]
    }
    bot = new_bot_token(project, AccessLevel.REPORTER, ["read_registry"])
    assert granted(ask(client, "repository:grace/app:pull,push", given=("any", bot.secret))) == {"grace/app": ["pull"]}


def test_a_token_request_writes_no_row_of_audit_if_it_makes_nothing(client: Client, ada: tuple[str, str]) -> None:
    name = new_project(visibility="public").full_path
    before = AuditEntry.objects.count()
    ask(client, f"repository:{name}:pull", given=ada)
    assert AuditEntry.objects.count() == before
