"""What was not granted is explained: in the log, in ``moorage token explain``, and to nobody who may not know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from structlog.testing import capture_logs

from moorage.control.accounts.changes import block_user
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.projects.changes import change_project
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import ANYBODY
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import CredentialsRefused
from moorage.control.tokens.explaining import explain_access, requester_named, requester_with
from moorage.control.tokens.granting import verdicts_on
from moorage.errors import ConfigurationError
from moorage.token_server.scopes import parse_scopes
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
from support.control_site import write_site
from support.control_tokens import ask


@pytest.fixture
def project() -> Project:
    return new_project(new_group("team"), "app")


def why(who: object, action: str, path: str = "team/app") -> str:
    (row,) = explain_access(who, [f"repository:{path}:{action}"])  # type: ignore[arg-type] # a requester
    return row.reason if not row.allowed else ""


def test_each_reason_is_the_one_that_counts(project: Project) -> None:
    reporter = new_member(project, AccessLevel.REPORTER, new_user("rea")).user
    maintainer = new_member(project, AccessLevel.MAINTAINER, new_user("max")).user
    new_user("out")
    assert why(requester_named("rea"), "push") == (
        "the role of this user in the project is reporter, and push needs developer"
    )
    assert why(requester_named("rea"), "pull") == ""
    assert why(requester_named("max", ["read_registry"]), "push") == (
        "the token's scopes are read_registry; push needs write_registry or api"
    )
    assert why(requester_with(new_token(maintainer, "write_registry").secret), "pull") == (
        "the token's scopes are write_registry; pull needs read_registry, read_api or api"
    )
    assert why(requester_named("out"), "pull") == "the project is not shown to these credentials"
    assert why(ANYBODY, "pull") == "the project is not shown to these credentials"
    assert why(requester_named("max"), "fly") == "fly is no action of a repository; there are pull, push, delete and *"
    deploy = new_deploy_token(project, "read_registry", username="puller")
    assert why(requester_named("puller"), "push") == (
        "the deploy token's scopes are read_registry; push needs write_registry or api"
    )
    assert why(requester_with(deploy.secret), "delete") == ("deploy tokens pull and push; delete is for users and jobs")
    job = requester_with(new_job_token(project, reporter).secret)
    assert why(job, "*") == "a job may pull, push and delete; * is for users"
    change_project(project, by=COMMAND_LINE, visibility="public", container_registry_access_level="private")
    assert why(ANYBODY, "pull") == ("only members see the images of this project, and no credentials were sent")
    other = new_project(new_group("other"), "app")
    foreign = requester_with(new_job_token(other, new_member(other, AccessLevel.OWNER).user).secret)
    assert why(foreign, "push") == "a job may push in its own project only"
    assert "does not let jobs of other projects in" in why(foreign, "pull")
    assert (
        why(requester_with(new_deploy_token(other).secret), "pull") == "the deploy token is of another project or group"
    )
    change_project(project, by=COMMAND_LINE, container_registry_access_level="disabled")
    assert why(requester_named("max"), "pull") == "the container registry is switched off in this project"


def test_a_bot_and_a_catalogue_are_explained_too(project: Project) -> None:
    bot = new_bot_token(project, AccessLevel.REPORTER, ["read_registry"])
    assert "is reporter" in why(requester_named(bot.token.user.username), "push")
    (row,) = explain_access(requester_named(new_user("ada").username), ["registry:catalog:*"])
    assert (row.allowed, row.reason) == (False, "the catalogue is for administrators")
    (row,) = explain_access(requester_named(new_user("root", is_admin=True).username), ["registry:catalog:*"])
    assert row.allowed


def test_a_push_that_would_make_a_project_is_explained_and_makes_none() -> None:
    new_user("ada")
    rows = explain_access(requester_named("ada"), ["repository:ada/web:pull,push"])
    assert {(row.allowed, row.reason) for row in rows} == {(True, "the push makes the project ada/web")}
    assert not Project.objects.exists()
    assert why(requester_named("ada"), "push", "nobody/web") == (
        "there is no project at this path, and no group or user that it could be made in"
    )


def test_a_token_without_a_scope_for_the_registry_is_explained(project: Project) -> None:
    token = new_token(new_member(project, AccessLevel.OWNER).user, "read_user")
    assert "no scope for the registry" in why(requester_with(token.secret), "pull")


def test_names_that_nobody_has_are_told() -> None:
    blocked = new_user("blocked")
    block_user(blocked, by=COMMAND_LINE)
    for name in ("nobody", "blocked"):
        with pytest.raises(ConfigurationError):
            requester_named(name)
    with pytest.raises(ConfigurationError, match="no scope"):
        requester_named("blocked", ["fly"])
    with pytest.raises(CredentialsRefused):
        requester_with("glpat-wrong")


def test_who_may_not_see_a_project_or_a_group_is_told_the_same_as_if_it_were_not_there(project: Project) -> None:
    del project
    who = requester_named(new_user("ada").username)
    scopes = parse_scopes(
        [f"repository:{name}:{action}" for action in ("pull", "push") for name in ("team/app", "no/app", "team/new")]
    )
    shown = {one.shown for verdict in verdicts_on(who, scopes, makes=False) for one in verdict.denials}
    assert shown == {"there is no project at this path, or these credentials are not told of it"}


def test_the_log_says_what_was_not_granted_and_why_and_no_secret(client: Client, project: Project) -> None:
    reporter = new_member(project, AccessLevel.REPORTER, new_user("rea", password=PASSWORD)).user
    token = new_token(reporter, "api").secret
    with capture_logs() as lines:
        for secret in (token, PASSWORD):
            ask(client, "repository:team/app:pull,push", given=("rea", secret), headers={"X-Request-Id": "abc"})
        ask(client, given=("rea", "glpat-secret-that-is-wrong"))
        ask(client, given=("secret-in-the-wrong-place", "secret-of-nobody"))
    (first, *_) = [line for line in lines if line["event"] == "Denied container registry permissions"]
    assert first["log_level"] == "warning"
    wanted = {
        "correlation_id": "abc",
        "scope_type": "repository",
        "requested_project_path": "team/app",
        "requested_actions": ["pull", "push"],
        "authorized_actions": ["pull"],
        "username": "rea",
        "reasons": {"push": "the role of this user in the project is reporter, and push needs developer"},
    }
    assert {key: first[key] for key in wanted} == wanted
    (given, *_) = [line for line in lines if line["event"] == "token"]
    assert (given["asked"], given["granted"]) == ("repository:team/app:pull,push", "repository:team/app:pull")
    text = json.dumps(lines)
    assert not [secret for secret in (token, PASSWORD, "secret-") if secret in text]


def test_the_command_tells_of_a_database_without_tables(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "moorage",
        "token",
        "explain",
        str(write_site(tmp_path)),
        "ada",
        "repository:a/b:pull",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "database: it cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
