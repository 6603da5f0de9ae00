"""PRJ-004 to PRJ-012, TKN-017 to TKN-021 by the endpoint: role x action x visibility x switch x credential."""

from collections.abc import Mapping

import pytest
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.projects.changes import allow_jobs_of, change_project
from moorage.control.projects.members import add_member, change_member, remove_member
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
from support.control_tokens import ask, granted

Credentials = Mapping[str, tuple[str, str] | None]

# What who has no role in the project gets: somebody without credentials (and tokens of other places), and a user.
OUTSIDE = {
    ("public", "enabled"): ("pull", "pull"),
    ("public", "private"): ("", ""),
    ("public", "disabled"): ("", ""),
    ("internal", "enabled"): ("", "pull"),
    ("internal", "private"): ("", ""),
    ("internal", "disabled"): ("", ""),
    ("private", "enabled"): ("", ""),
    ("private", "private"): ("", ""),
    ("private", "disabled"): ("", ""),
}
NOBODY = ("anonymous", "deploy token of another project", "job of another project")
ANY_USER = (
    *("user without a role", "minimal", "guest", "planner", "blocked role ended"),
    *("bot of another project", "guest with read_registry"),
)
# Whoever has a role that counts, or a token of the project: the same in each row but where the switch is off.
INSIDE = {
    "reporter": "pull",
    "developer": "pull push",
    "maintainer": "pull push delete *",
    "owner": "pull push delete *",
    "owner by the group": "pull push delete *",
    "own namespace's owner": "pull push delete *",
    "administrator": "pull push delete *",
    "administrator with read_registry": "pull",
    "reporter with api": "pull",
    "developer with api": "pull push",
    "developer with read_registry": "pull",
    "developer with write_registry": "push",
    "developer with both": "pull push",
    "maintainer with both": "pull push",
    "maintainer with api": "pull push delete *",
    "maintainer with read_api": "pull",
    "project's token of a reporter": "pull",
    "project's token of a developer": "pull push",
    "project's token of a maintainer": "pull push delete *",
    "group's token of a developer": "pull push",
    "deploy token to read": "pull",
    "deploy token to write": "push",
    "deploy token for both": "pull push",
    "group's deploy token": "pull push",
    "job": "pull push delete",
    "administrator's job": "pull push delete",
    "job let in, of a reporter": "pull",
    "job let in, of a developer": "pull",
}


def by_token(token: object) -> tuple[str, str]:
    return "any name", str(getattr(token, "secret"))  # noqa: B009 - one of several kinds


def user_with(place: Project, level: AccessLevel, *scopes: str) -> tuple[str, str]:
    return by_token(new_token(new_member(place, level).user, *(scopes or ("api",))))


def deploy(place: object, *scopes: str) -> tuple[str, str]:
    made = new_deploy_token(place, *scopes)  # type: ignore[arg-type] # either place
    return made.token.username, made.secret


def job(project: Project, user: object = None) -> tuple[str, str]:
    return "gitlab-ci-token", new_job_token(project, user).secret  # type: ignore[arg-type] # a user


def outsiders(project: Project) -> Credentials:
    other = new_project(visibility="private")
    ended = new_member(project, AccessLevel.OWNER)
    ended.expires_at = ended.created_at.date()
    ended.save()
    return {
        "anonymous": None,
        "deploy token of another project": deploy(other, "read_registry", "write_registry"),
        "job of another project": job(other),
        "user without a role": by_token(new_token(new_user(), "api")),
        "minimal": user_with(project, AccessLevel.MINIMAL),
        "guest": user_with(project, AccessLevel.GUEST),
        "planner": user_with(project, AccessLevel.PLANNER),
        "blocked role ended": by_token(new_token(ended.user, "api")),
        "bot of another project": by_token(new_bot_token(other, AccessLevel.OWNER)),
        "guest with read_registry": user_with(project, AccessLevel.GUEST, "read_registry"),
    }


def insiders(project: Project) -> Credentials:
    group, other, admin = project.namespace, new_project(), new_user(is_admin=True)
    allow_jobs_of(project, other, by=COMMAND_LINE)
    both = ("read_registry", "write_registry")
    reporter, developer = (new_member(project, level).user for level in (AccessLevel.REPORTER, AccessLevel.DEVELOPER))
    return {
        "reporter": by_token(new_token(reporter, "api")),
        "developer": by_token(new_token(developer, "api")),
        "maintainer": user_with(project, AccessLevel.MAINTAINER),
        "owner": user_with(project, AccessLevel.OWNER),
        "owner by the group": by_token(new_token(new_member(group, AccessLevel.OWNER).user, "api")),
        "administrator": by_token(new_token(admin, "api")),
        "administrator with read_registry": by_token(new_token(admin, "read_registry")),
        "reporter with api": by_token(new_token(reporter, "api")),
        "developer with api": by_token(new_token(developer, "api")),
        "developer with read_registry": by_token(new_token(developer, "read_registry")),
        "developer with write_registry": by_token(new_token(developer, "write_registry")),
        "developer with both": by_token(new_token(developer, *both)),
        "maintainer with both": user_with(project, AccessLevel.MAINTAINER, *both),
        "maintainer with api": user_with(project, AccessLevel.MAINTAINER, "api"),
        "maintainer with read_api": user_with(project, AccessLevel.MAINTAINER, "read_api"),
        "project's token of a reporter": by_token(new_bot_token(project, AccessLevel.REPORTER)),
        "project's token of a developer": by_token(new_bot_token(project, AccessLevel.DEVELOPER, both)),
        "project's token of a maintainer": by_token(new_bot_token(project, AccessLevel.MAINTAINER)),
        "group's token of a developer": by_token(new_bot_token(group, AccessLevel.DEVELOPER, both)),
        "deploy token to read": deploy(project, "read_registry"),
        "deploy token to write": deploy(project, "write_registry"),
        "deploy token for both": deploy(project, *both),
        "group's deploy token": deploy(group, *both),
        "job": job(project),
        "administrator's job": job(project, admin),
        "job let in, of a reporter": job(other, reporter),
        "job let in, of a developer": job(other, developer),
    }


def actions(client: Client, project: Project, given: tuple[str, str] | None) -> str:
    answer = ask(client, f"repository:{project.full_path}:pull,push,delete,*", given=given)
    if given is None and answer.status_code == 403:
        assert answer.json()["errors"][0] == {"code": "DENIED", "message": "access forbidden"}
        return ""
    return " ".join(granted(answer).get(project.full_path, []))


def test_the_table(client: Client) -> None:
    project, own = new_project(), new_project(new_user("own"))
    owner = by_token(new_token(own.namespace.owner, "api"))
    outside, inside = outsiders(project), insiders(project)
    for (visibility, feature), (nobody, any_user) in OUTSIDE.items():
        for one in (project, own):
            change_project(one, by=COMMAND_LINE, visibility=visibility, container_registry_access_level=feature)
        wanted = dict.fromkeys(NOBODY, nobody) | dict.fromkeys(ANY_USER, any_user)
        found = {name: actions(client, project, given) for name, given in outside.items()}
        assert found == wanted, (visibility, feature)
        found = {name: actions(client, project, given) for name, given in inside.items()}
        found["own namespace's owner"] = actions(client, own, owner)
        assert found == (INSIDE if feature != "disabled" else dict.fromkeys(INSIDE, "")), (visibility, feature)


def test_a_group_below_inherits_and_one_beside_does_not(client: Client) -> None:
    top = new_group()
    inner = new_project(new_group(parent=top))
    beside = new_project(new_group(parent=top))
    above = by_token(new_token(new_member(top, AccessLevel.DEVELOPER).user, "api"))
    within = by_token(new_token(new_member(inner.namespace, AccessLevel.DEVELOPER).user, "api"))
    assert [actions(client, project, above) for project in (inner, beside)] == ["pull push", "pull push"]
    assert [actions(client, project, within) for project in (inner, beside)] == ["pull push", ""]
    token = deploy(top, "read_registry")
    assert [actions(client, project, token) for project in (inner, beside)] == ["pull", "pull"]


def test_the_highest_of_several_roles_counts(client: Client) -> None:
    project = new_project()
    user = new_member(project, AccessLevel.REPORTER).user
    new_member(project.namespace, AccessLevel.MAINTAINER, user)
    assert actions(client, project, by_token(new_token(user, "api"))) == "pull push delete *"


@pytest.mark.parametrize("is_let_in", [False, True])
def test_a_job_ends_with_the_role_of_its_user(client: Client, *, is_let_in: bool) -> None:
    project = new_project()
    other = new_project() if is_let_in else project
    if is_let_in:
        allow_jobs_of(project, other, by=COMMAND_LINE)
    member = new_member(project, AccessLevel.DEVELOPER)
    given = job(other, member.user)
    assert actions(client, project, given) == ("pull" if is_let_in else "pull push delete")
    change_member(member, AccessLevel.REPORTER, by=COMMAND_LINE)
    assert actions(client, project, given) == "pull"
    remove_member(member, by=COMMAND_LINE)
    assert actions(client, project, given) == ""
    add_member(project.namespace, member.user, AccessLevel.DEVELOPER, by=COMMAND_LINE)
    assert actions(client, project, given) == ("pull" if is_let_in else "pull push delete")
