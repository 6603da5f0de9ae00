"""Forms and pages about things of which there may be very many: what is offered, how the rest is found."""

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connection
from django.http.response import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.cache.remembered import Remembered
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE as _BY
from moorage.control.images.recording import ensure_repository
from moorage.control.pages import offered_places
from moorage.control.pages.templatetags import moorage as tags
from moorage.control.pages.views import place_tokens, places, protection, registry_state
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule
from support.control_rows import new_deploy_token, new_group, new_member, new_project, new_user

OFFERED = 3
MORE = "find yours by a part of its path"
NOT_ALL = "There are more than these"


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offered_places, "OFFERED", OFFERED)


@pytest.fixture
def root(client: Client) -> User:
    root = new_user("zoe", is_admin=True)
    client.force_login(root)
    return root


def text_of(answer: HttpResponseBase) -> str:
    return b"".join(answer).decode()


def offered(text: str) -> tuple[Sequence[str], str]:
    """The places to choose from, and the one that is chosen."""
    select = re.search(r'<select name="namespace".*?</select>', text, re.DOTALL)
    assert select is not None
    options = re.findall(r'<option value="\d+"( selected)?>([^<]*)</option>', select[0])
    return [name for _, name in options], next((name for chosen, name in options if chosen), "")


def test_a_new_project_is_offered_some_of_many_groups_and_any_other_is_found_by_its_path(
    client: Client, root: User
) -> None:
    groups = [new_group(f"group{number}") for number in range(6)]
    first = text_of(client.get("/projects/new"))
    assert offered(first) == (["zoe", "group0", "group1", "group2"], "zoe")
    assert MORE in first
    found = text_of(client.get("/projects/new?q=UP5"))
    assert offered(found) == (["zoe", "group5"], "group5")
    assert MORE not in found
    assert 'value="UP5"' in found
    named = text_of(client.get("/projects/new?in=group4"))
    assert offered(named) == (["group4", "zoe", "group0", "group1", "group2"], "group4")
    values = {"namespace": groups[5].pk, "path": "app", "visibility": "private"}
    assert client.post("/projects/new?q=up5", values).status_code == 303
    assert Project.objects.get(full_path="group5/app").creator == root


def test_a_whole_path_is_chosen_among_all_that_have_it_in_theirs(client: Client, root: User) -> None:
    for path in ("team-a", "team-b", "team-c", "team-d", "team"):
        new_group(path)
    names, chosen = offered(text_of(client.get("/projects/new?q=team")))
    assert (chosen, len(names)) == ("team", OFFERED + 1), root
    assert offered(text_of(client.get("/projects/new?q=team-d"))) == (["zoe", "team-d"], "team-d")


def test_what_was_chosen_stays_after_a_mistake_though_it_is_not_among_the_first(client: Client, root: User) -> None:
    groups = [new_group(f"group{number}") for number in range(6)]
    answer = client.post("/projects/new", {"namespace": groups[5].pk, "path": "-", "visibility": "private"})
    assert answer.status_code == 400
    assert offered(text_of(answer))[1] == "group5", root


def test_no_text_finds_a_group_in_which_one_may_not_make_projects(client: Client) -> None:
    user, theirs, mine = new_user("ada"), new_group("theirs"), new_group("mine")
    new_member(mine, AccessLevel.DEVELOPER, user)
    client.force_login(user)
    text = text_of(client.get("/projects/new"))
    assert offered(text) == (["ada", "mine"], "ada")
    assert 'role="search"' not in text.partition("<main")[2], "there is nothing to look for"
    text = text_of(client.get("/projects/new?q=theirs"))
    assert offered(text) == (["ada"], "ada")
    assert "You may make projects in no group or user with “theirs” in its path." in text
    refused = client.post("/projects/new", {"namespace": theirs.pk, "path": "app", "visibility": "private"})
    assert refused.status_code == 400
    for wrong in ("x", "", "9" * 30, "²"):
        answer = client.post("/projects/new", {"namespace": wrong, "path": "app", "visibility": "private"})
        assert answer.status_code == 400
    assert not Project.objects.exists()


def test_lists_without_pages_say_where_the_rest_is(client: Client, root: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (place_tokens, protection):
        monkeypatch.setattr(module, "ROWS_LIMIT", 1)
    monkeypatch.setattr(places, "SUBGROUPS_SHOWN", 1)
    group = new_group("team", owner=root)
    project = new_project(group, "app")

    def grow(name: str) -> None:
        new_group(name, parent=group)
        new_deploy_token(project, username=name)
        create_repository_rule(project, f"team/app/{name}", by=_BY, minimum_access_level_for_push="owner")

    addresses = ("/team/app/-/tokens", "/team/app/-/protection")
    grow("one")
    assert [NOT_ALL in text_of(client.get(address)) for address in addresses] == [False, False]
    assert "find them by name" not in text_of(client.get("/team"))
    grow("two")
    assert [text_of(client.get(address)).count(NOT_ALL) for address in addresses] == [1, 1]
    (more,) = re.findall(r'<a href="(/groups\?q=[^"]*)">', text_of(client.get("/team")))
    assert [name in text_of(client.get(more)) for name in ("team/one", "team/two")] == [True, True]


def test_the_overview_counts_up_to_a_number_and_says_that_there_are_more(
    client: Client, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tags, registry_state):
        monkeypatch.setattr(module, "COUNT_LIMIT", 2)
    monkeypatch.setattr(registry_state, "_KNOWN", Remembered[str, int](1, age=timedelta(minutes=5)))
    for project in [new_project(root) for _ in range(3)]:
        ensure_repository(project, project.full_path, by=_BY)
    page = text_of(client.get("/admin"))
    assert "<dt>Projects</dt><dd>2+</dd>" in page
    assert "<dt>Users</dt><dd>1</dd>" in page
    assert "More than 10,000 projects with images have no cleanup policy that is on." in page


def test_rows_are_counted_in_no_order(client: Client, root: User) -> None:
    new_project(root)
    with CaptureQueriesContext(connection) as asked:
        for address in ("projects", "groups", "admin", "admin/cleanup", "admin/users", "admin/audit", "admin/usage"):
            client.get(f"/{address}")
    counts = [query["sql"] for query in asked if "COUNT(" in query["sql"]]
    assert len(counts) > 10
    assert [sql for sql in counts if "ORDER BY" in sql] == []
