"""Requests whose place, user or row is deleted just before they write: ``python -m support.overtaken CONTROL_YML``.

Each of them has looked and found it. What became of each is printed as JSON.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from moorage.control.configuration import read_control
from moorage.control.current import start_django
from support.postgres_races import asked, is_change, outcome

PATIENCE = "2s"
"""As PostgreSQL has it: what the request holds by then cannot go."""

Scene = tuple[Callable[[], object], Callable[[], object]]
"""A request, and what comes between."""


class Between:
    """A place before the first write of a request: something else is done there, to its end."""

    def __init__(self, deletion: Callable[[], object]) -> None:
        self._deletion = deletion
        self.is_done = False

    def __call__(self, execute: Callable[..., Any], sql: str, params: object, many: bool, context: object) -> Any:  # noqa: ANN401, FBT001, PLR0917 - as Django calls it
        if is_change(sql) and not self.is_done:
            self.is_done = True
            with ThreadPoolExecutor(1) as other:
                other.submit(_alone, self._deletion).result()
        return execute(sql, params, many, context)


def main() -> None:
    """Start Django, and print what became of all requests."""
    start_django(read_control(Path(sys.argv[1]), os.environ))
    from django.db import connection  # noqa: PLC0415 - Django has started

    found = {}
    for name, scene in _scenes().items():
        request, deletion = scene()
        between = Between(deletion)
        with connection.execute_wrapper(between):
            found[name] = outcome(request)
        if not between.is_done:
            found[name] += " and nothing came between"
    sys.stdout.write(f"{json.dumps(found)}\n")


def _alone(work: Callable[[], object]) -> None:
    from django.db import connection, connections  # noqa: PLC0415 - Django has started

    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [PATIENCE])
        work()
    finally:
        connections.close_all()


def _scenes() -> Mapping[str, Callable[[], Scene]]:
    """Each request with what it is about, which goes."""
    from moorage.control.accounts.changes import delete_user  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from moorage.control.projects.changes import delete_group, delete_project  # noqa: PLC0415 - as above
    from moorage.control.projects.members import remove_member  # noqa: PLC0415 - as above
    from moorage.control.projects.rules import AccessLevel  # noqa: PLC0415 - as above
    from moorage.control.protection.changes import create_repository_rule, delete_rule  # noqa: PLC0415 - as above
    from support.control_rows import new_group, new_member, new_project, new_user  # noqa: PLC0415 - as above

    def of_project(path: str, method: str = "POST", /, **values: object) -> Scene:
        project = new_project()
        request = asked(f"/projects/{project.pk}{path}", method, **values)
        return request, partial(delete_project, project, by=COMMAND_LINE)

    def of_group(path: str, method: str = "POST", /, **values: object) -> Scene:
        group = new_group()
        request = asked(f"/groups/{group.pk}{path}", method, **values)
        return request, partial(delete_group, group, by=COMMAND_LINE)

    def of_user(path: str, method: str = "POST", /, **values: object) -> Scene:
        user = new_user()
        request = asked(f"/users/{user.pk}{path}", method, **values)
        return request, partial(delete_user, user, by=COMMAND_LINE)

    def of_member(method: str, /, **values: object) -> Scene:
        project = new_project()
        member = new_member(project, AccessLevel.DEVELOPER)
        request = asked(f"/projects/{project.pk}/members/{member.user_id}", method, **values)
        return request, partial(remove_member, member, by=COMMAND_LINE)

    def of_new_member() -> Scene:
        project, user = new_project(), new_user()
        request = asked(f"/projects/{project.pk}/members", user_id=user.pk, access_level=30)
        return request, partial(delete_user, user, by=COMMAND_LINE)

    def of_rule(method: str, /, **values: object) -> Scene:
        project = new_project()
        rule = create_repository_rule(
            project, f"{project.full_path}/*", by=COMMAND_LINE, minimum_access_level_for_push="owner"
        )
        request = asked(f"/projects/{project.pk}/registry/protection/repository/rules/{rule.pk}", method, **values)
        return request, partial(delete_rule, rule, by=COMMAND_LINE)

    def of_parent(path: str, key: str, /, **values: object) -> Scene:
        group = new_group()
        return asked(path, **{key: group.pk}, **values), partial(delete_group, group, by=COMMAND_LINE)

    def of_new_rule() -> Scene:
        project = new_project()
        values = {"repository_path_pattern": f"{project.full_path}/*", "minimum_access_level_for_push": "owner"}
        request = asked(f"/projects/{project.pk}/registry/protection/repository/rules", **values)
        return request, partial(delete_project, project, by=COMMAND_LINE)

    policy = {"container_expiration_policy_attributes": {"enabled": True, "name_regex": ".*", "keep_n": 5}}
    access = {"name": "x", "scopes": ["read_registry"], "expires_at": "2027-01-01", "access_level": 30}
    return {
        "administrator": _of_first_administrator,
        "project changed": partial(of_project, "", "PUT", visibility="internal"),
        "policy changed": partial(of_project, "", "PUT", **policy),
        "policy run": partial(of_project, "/moorage/cleanup_policy/run"),
        "member of a project": partial(of_project, "/members", user_id=1, access_level=30),
        "access token of a project": partial(of_project, "/access_tokens", **access),
        "deploy token of a project": partial(of_project, "/deploy_tokens", name="x", scopes=["read_registry"]),
        "job token of a project": partial(of_project, "/moorage/job_tokens"),
        "project deleted": partial(of_project, "", "DELETE"),
        "group changed": partial(of_group, "", "PUT", visibility="private"),
        "group renamed": partial(of_group, "", "PUT", path="renamed-group"),
        "member of a group": partial(of_group, "/members", user_id=1, access_level=30),
        "access token of a group": partial(of_group, "/access_tokens", **access),
        "group deleted": partial(of_group, "", "DELETE"),
        "user changed": partial(of_user, "", "PUT", name="Other"),
        "user made an administrator": partial(of_user, "", "PUT", admin=True),
        "user blocked": partial(of_user, "/block"),
        "user deleted": partial(of_user, "", "DELETE"),
        "personal token": partial(of_user, "/personal_access_tokens", **access),
        "member changed": partial(of_member, "PUT", access_level=40),
        "member removed": partial(of_member, "DELETE"),
        "user of a new member": of_new_member,
        "rule changed": partial(of_rule, "PATCH", minimum_access_level_for_push="admin"),
        "rule removed": partial(of_rule, "DELETE"),
        "rule made": of_new_rule,
        "project made": partial(of_parent, "/projects", "namespace_id", name="app"),
        "group made": partial(of_parent, "/groups", "parent_id", name="below", path="below"),
        "token rotated": partial(_of_token, "/rotate", "POST"),
        "token revoked": partial(_of_token, "", "DELETE"),
    }


def _of_first_administrator() -> Scene:
    """The first scene, as there is no user yet. Both nodes have a folder of their own."""
    from moorage.control.accounts.changes import INITIAL_PASSWORD_NAME  # noqa: PLC0415 - Django has started
    from moorage.control.serving.first_administrator import make_first_administrator  # noqa: PLC0415 - as above

    folders = [Path(tempfile.mkdtemp(dir=Path(sys.argv[1]).parent)) for _ in range(2)]

    def make() -> str:
        make_first_administrator(folders[0])
        return f"200 {[(folder / INITIAL_PASSWORD_NAME).exists() for folder in folders]}"

    return make, partial(make_first_administrator, folders[1])


def _of_token(path: str, method: str) -> Scene:
    from moorage.control.accounts.token_changes import revoke_token  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from support.control_rows import new_token, new_user  # noqa: PLC0415 - as above

    token = new_token(new_user(), "api").token
    request = asked(f"/personal_access_tokens/{token.pk}{path}", method)
    return request, partial(revoke_token, token, by=COMMAND_LINE)


if __name__ == "__main__":
    main()
