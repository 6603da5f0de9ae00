"""A page of a list reads no more of the database when there is many times as much of everything."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from django.db import connection
from django.test import Client

from moorage.cache.remembered import Remembered
from moorage.control.accounts.models import User
from moorage.control.api import paging
from moorage.control.namespaces import choosing
from moorage.control.pages import key_pages
from moorage.control.pages.views import registry_state
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.sign_in.views import account
from support.control_rows import new_group, new_member, new_project, new_token, new_user

BENCH = Path(__file__).parents[2] / "bench"
FEW, MANY = 80, 600
BOUND = 50
"""Of what is counted, and of ids that are named: less than there are from the start."""
STEPS = 20
"""As many steps of SQLite's machine as are counted at once."""
PLACES = (
    "/projects", "/projects?sort=name", "/projects?sort=created", "/projects?whose=mine", "/groups",
    "/groups?sort=created", "/many/-/registry", "/-/refused", "/projects/new",
    "/-/me/tokens",
)  # fmt: skip
FOR_MEMBERS_OF_ALL = (
    "/many", "/many?sort=-updated", "/many/big/-/registry", "/many/big/-/registry?sort=updated",
    "/many/big/-/registry?sort=-created", "/many/big/-/cleanup", "/many/big/-/refused",
)  # fmt: skip
FOR_ADMINISTRATORS = (
    "/admin", "/admin/users", "/admin/users?sort=-created", "/admin/deletions", "/admin/cleanup", "/admin/audit",
)  # fmt: skip
LISTS = (
    "projects", "projects?order_by=id", "projects?order_by=name", "projects?order_by=path",
    "projects?order_by=updated_at", "projects?pagination=keyset&order_by=id", "projects?membership=true", "groups",
    "projects?pagination=keyset&order_by=name", "groups?pagination=keyset", "namespaces?pagination=keyset",
    "users", "users?order_by=name", "users?order_by=name&pagination=keyset", "namespaces",
    "groups/many/registry/repositories", "groups/many/registry/repositories?pagination=keyset",
    "personal_access_tokens", "personal_access_tokens?pagination=keyset",
)  # fmt: skip
LISTS_FOR_ADMINISTRATORS = (
    "audit_events", "audit_events?pagination=keyset", "projects/{big}/audit_events",
    "moorage/usage/projects", "moorage/usage/projects?pagination=keyset", "groups/many/projects",
)  # fmt: skip


class Steps:
    """Counts the steps of SQLite's machine."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += STEPS
        return 0  # Go on.


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with which the benchmarks fill a control plane."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("control_rows")


@pytest.fixture
def people() -> dict[str, User]:
    """An administrator, the owner of a group with nearly everything in it, and someone who sees little."""
    people = {"root": new_user("root", is_admin=True), "owner": new_user("owner"), "guest": new_user("guest")}
    many = new_group("many")
    new_project(many, "big")
    new_member(many, AccessLevel.OWNER, people["owner"])
    new_member(new_group("few"), AccessLevel.DEVELOPER, people["guest"])
    new_member(new_project(many, "little"), AccessLevel.REPORTER, people["guest"])
    return people


@pytest.fixture
def asking(people: dict[str, User]) -> Callable[[], dict[str, int]]:
    """Asks for each list as each of the people; the steps that it took."""
    big = Project.objects.get(full_path="many/big").pk
    tokens = {name: new_token(user, "api").secret for name, user in people.items()}

    def steps_of(client: Client, address: str, **headers: str) -> int:
        steps = Steps()
        connection.connection.set_progress_handler(steps, STEPS)
        answer = client.get(address, headers=headers)
        connection.connection.set_progress_handler(None, STEPS)
        assert answer.status_code == 200, address
        return steps.count

    def ask() -> dict[str, int]:
        taken = {}
        for name, user in people.items():
            client = Client(raise_request_exception=True)
            client.force_login(user)
            for address in _pages_of(name):
                taken[f"{name} {address}"] = steps_of(client, address)
            for path in (*LISTS, *(LISTS_FOR_ADMINISTRATORS if name == "root" else ())):
                address = f"/api/v4/{path.format(big=big)}"
                taken[f"{name} {address}"] = steps_of(Client(), address, **{"PRIVATE-TOKEN": tokens[name]})
        return taken

    return ask


def _pages_of(name: str) -> Sequence[str]:
    more = FOR_MEMBERS_OF_ALL if name != "guest" else ()
    return (*PLACES, *more, *(FOR_ADMINISTRATORS if name == "root" else ()))


def test_a_page_of_any_list_reads_no_more_however_much_there_is(
    asking: Callable[[], dict[str, int]], people: dict[str, User], rows: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_pages, "COUNT_LIMIT", BOUND)
    monkeypatch.setattr(account, "COUNT_LIMIT", BOUND)
    monkeypatch.setattr(registry_state, "COUNT_LIMIT", BOUND)
    monkeypatch.setattr(registry_state, "_KNOWN", Remembered[str, int](0))
    monkeypatch.setattr(paging, "TOTAL_LIMIT", BOUND)
    monkeypatch.setattr(choosing, "FEW", BOUND)
    big = Project.objects.select_related("namespace").get(full_path="many/big")
    taken = []
    for numbers in (range(FEW), range(FEW, MANY)):
        rows.fill(numbers, group=big.namespace, project=big, user=people["owner"])
        taken.append(asking())
    few, many = taken
    assert len(few) > 80
    assert {name: (few[name], many[name]) for name in few if many[name] > 1.3 * few[name] + 1000} == {}
