"""Requests that would make the same thing, over one PostgreSQL: ``python -m support.postgres_races CONTROL_YML``.

Of each kind two are made one after the other, and two that meet after their checks and before their first write. What
became of each is printed as JSON.
"""

import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from moorage.control.configuration import read_control
from moorage.control.current import start_django

WAIT_S = 60.0
_numbers = count(1)

Pair = tuple[Callable[[], object], Callable[[], object]]


class Meeting:
    """A place before the first write of two requests: none goes on before the other is there."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)
        self._met = threading.local()

    def __call__(self, execute: Callable[..., Any], sql: str, params: object, many: bool, context: object) -> Any:  # noqa: ANN401, FBT001, PLR0917 - as Django calls it
        if is_change(sql) and not hasattr(self._met, "yes"):
            self._met.yes = True
            self._both.wait(WAIT_S)
        return execute(sql, params, many, context)


def is_change(sql: str) -> bool:
    """Return whether a statement changes something, or holds it for a change.

    The use of a token does not count: it is written down before anything else is done.
    """
    if sql.startswith("UPDATE"):
        return "last_used_at" not in sql.partition(" WHERE ")[0]
    return sql.startswith(("INSERT", "DELETE")) or "FOR UPDATE" in sql


def main() -> None:
    """Start Django, and print what became of all pairs."""
    start_django(read_control(Path(sys.argv[1]), os.environ))
    with ThreadPoolExecutor(2) as two:
        found = {
            name: {"turn": sorted(_in_turn(made())), "race": sorted(_at_once(two, made()))}
            for name, made in _pairs().items()
        }
    sys.stdout.write(f"{json.dumps(found)}\n")


def _in_turn(pair: Pair) -> list[str]:
    return [outcome(one) for one in pair]


def _at_once(two: ThreadPoolExecutor, pair: Pair) -> list[str]:
    from django.db import connection, connections  # noqa: PLC0415 - Django has started

    meeting = Meeting()

    def meet(work: Callable[[], object]) -> str:
        try:
            with connection.execute_wrapper(meeting):
                return outcome(work)
        finally:
            connections.close_all()

    return [one.result() for one in [two.submit(meet, work) for work in pair]]


def outcome(work: Callable[[], object]) -> str:
    """What became of it, in words."""
    from moorage.errors import Refused  # noqa: PLC0415 - Django has started

    try:
        return str(work())
    except Refused as exc:
        return f"{type(exc).__name__}: {exc}"
    except Exception as exc:  # noqa: BLE001 - to be seen in what is compared
        return f"FAULT {type(exc).__name__}"


def _pairs() -> Mapping[str, Callable[[], Pair]]:
    """Each kind of thing that is there once, and what makes two requests for the same one."""
    return {name.removeprefix("_of_"): made for name, made in globals().items() if name.startswith("_of_")}


def _name(what: str) -> str:
    return f"raced-{what}{next(_numbers)}"


def asked(path: str, method: str = "POST", /, **values: object) -> Callable[[], str]:
    """A request of an administrator; its outcome is the status, and what is wrong."""
    from django.test import Client  # noqa: PLC0415 - Django has started

    from support.control_api import call  # noqa: PLC0415 - as above
    from support.control_rows import new_token, new_user  # noqa: PLC0415 - as above

    token = new_token(new_user(is_admin=True)).secret

    def ask() -> str:
        answer = call(Client(raise_request_exception=False), method, path, token=token, values=values)
        return f"{answer.status_code} {answer.content.decode() if answer.status_code >= 400 else ''}"

    return ask


def _of_a_user_by_name() -> Pair:
    name = _name("user")
    one, other = (
        asked("/users", username=name, name=name, email=f"{_name('x')}@example.com", password=secrets.token_hex(16))
        for _ in range(2)
    )
    return one, other


def _of_a_user_by_address() -> Pair:
    address = f"{_name('x')}@example.com"
    one, other = (
        asked("/users", username=_name("user"), name="x", email=address, password=secrets.token_hex(16))
        for _ in range(2)
    )
    return one, other


def _of_an_address_that_users_change_to() -> Pair:
    from support.control_rows import new_user  # noqa: PLC0415 - Django has started

    address = f"{_name('x')}@example.com"
    one, other = (asked(f"/users/{new_user().pk}", "PUT", email=address) for _ in range(2))
    return one, other


def _of_a_group() -> Pair:
    name = _name("group")
    return asked("/groups", name=name, path=name), asked("/groups", name=name, path=name)


def _of_a_project() -> Pair:
    from support.control_rows import new_group  # noqa: PLC0415 - Django has started

    name, group = _name("project"), new_group().pk
    return asked("/projects", name=name, namespace_id=group), asked("/projects", name=name, namespace_id=group)


def _of_a_path_that_projects_move_to() -> Pair:
    from support.control_rows import new_group, new_project  # noqa: PLC0415 - Django has started

    group, name = new_group(), _name("better")
    one, other = (asked(f"/projects/{new_project(group).pk}", "PUT", path=name) for _ in range(2))
    return one, other


def _of_a_member_of_a_project() -> Pair:
    from support.control_rows import new_project, new_user  # noqa: PLC0415 - Django has started

    path, user = f"/projects/{new_project().pk}/members", new_user().pk
    return asked(path, user_id=user, access_level=30), asked(path, user_id=user, access_level=40)


def _of_a_member_of_a_group() -> Pair:
    from support.control_rows import new_group, new_user  # noqa: PLC0415 - Django has started

    path, user = f"/groups/{new_group().pk}/members", new_user().pk
    return asked(path, user_id=user, access_level=30), asked(path, user_id=user, access_level=40)


def _of_a_rule_of_repositories() -> Pair:
    from support.control_rows import new_project  # noqa: PLC0415 - Django has started

    project = new_project()
    values = {"repository_path_pattern": f"{project.full_path}/*", "minimum_access_level_for_push": "owner"}
    path = f"/projects/{project.pk}/registry/protection/repository/rules"
    return asked(path, **values), asked(path, **values)


def _of_a_first_policy() -> Pair:
    from support.control_rows import new_project  # noqa: PLC0415 - Django has started

    path = f"/projects/{new_project().pk}"
    values = {"container_expiration_policy_attributes": {"enabled": True, "name_regex": ".*", "keep_n": 5}}
    return asked(path, "PUT", **values), asked(path, "PUT", **values)


def _of_a_project_whose_jobs_may_pull() -> Pair:
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.projects.changes import allow_jobs_of  # noqa: PLC0415 - as above
    from support.control_rows import new_project  # noqa: PLC0415 - as above

    project, other = new_project(), new_project()

    def allow() -> None:
        allow_jobs_of(project, other, by=COMMAND_LINE)

    return allow, allow


def _of_a_record_of_a_repository() -> Pair:
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.recording import ensure_repository  # noqa: PLC0415 - as above
    from support.control_rows import new_project  # noqa: PLC0415 - as above

    project = new_project()

    def push() -> str:
        return ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE).name

    return push, push


def _of_a_security_key() -> Pair:
    from support.control_rows import new_user  # noqa: PLC0415 - Django has started

    key = secrets.token_hex(8)
    return _registered(new_user(), key), _registered(new_user(), key)


def _of_a_last_security_key() -> Pair:
    from moorage.control.accounts.second_factors import KEYS_LIMIT  # noqa: PLC0415 - Django has started
    from support.control_rows import new_user  # noqa: PLC0415 - as above

    user = new_user()
    for _ in range(KEYS_LIMIT - 1):
        _registered(user, secrets.token_hex(8))()
    return _registered(user, secrets.token_hex(8)), _registered(user, secrets.token_hex(8))


def _registered(user: Any, key: str) -> Callable[[], str]:  # noqa: ANN401 - a user; Django starts later
    from moorage.control.accounts.second_factors import add_security_key  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above

    return lambda: add_security_key(user, "blue", credential_id=key, public="x", by=COMMAND_LINE).name


def _of_an_authenticator() -> Pair:
    from moorage.control.accounts.second_factors import add_totp  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from support.control_rows import new_user  # noqa: PLC0415 - as above
    from support.sign_in_pages import code_of  # noqa: PLC0415 - as above

    user, key = new_user(), secrets.token_bytes(20)

    def add() -> str:
        return add_totp(user, key, code_of(key), by=COMMAND_LINE).name

    return add, add


def _of_an_identity() -> Pair:
    from moorage.control.accounts.changes import link_identity  # noqa: PLC0415 - Django has started
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - as above
    from support.control_rows import new_user  # noqa: PLC0415 - as above

    uid = _name("uid")

    def linked(user: Any) -> str:  # noqa: ANN401 - a user; Django starts later
        return link_identity(user, "oidc", uid, by=COMMAND_LINE).uid.rstrip("0123456789")

    one, other = (partial(linked, new_user()) for _ in range(2))
    return one, other


def _of_an_account_of_somebody_who_signs_in() -> Pair:
    from moorage.control.sign_in.external_users import AccountTerms, user_of_identity  # noqa: PLC0415 - Django has started
    from moorage.control.sign_in.identity_claims import IdentityClaims  # noqa: PLC0415 - as above

    name = _name("stranger")
    claims = IdentityClaims(
        uid=name, username=name, email=f"{name}@example.com", is_email_verified=True, name=name, groups=None
    )
    terms = AccountTerms(provider="oidc", creates_users=True, links_by_email=False)

    def sign_in() -> str:
        return user_of_identity(claims, terms).name.rstrip("0123456789")

    return sign_in, sign_in


if __name__ == "__main__":
    main()
