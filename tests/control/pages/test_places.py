"""Pages of groups, projects, repositories and tags: who sees them, what forms do, and a crawl of all links."""

import re
from collections import Counter
from collections.abc import Iterator
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.control.accounts.models import User
from moorage.control.images.models import ImageRepository
from moorage.control.policies.models import CleanupRun
from moorage.control.projects.models import Project
from moorage.control.protection.changes import create_tag_rule
from moorage.control.registry.client import ControlRegistry
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_project, new_user
from support.daemon import Daemon
from support.images import image, push_image
from support.pages_inhabitants import inhabit
from support.registry_client import RegistryClient

PAGES_LIMIT = 250
ALIKE_LIMIT = 4


@pytest.fixture
def people(registry: ControlRegistry) -> dict[str, User]:
    return inhabit()


def repository(name: str) -> ImageRepository:
    return ImageRepository.objects.select_related("project").get(project__full_path="team/app", name=name)


def links_of(text: str) -> set[str]:
    found = {unescape(link) for link in re.findall(r'<a [^>]*?href="(/[^"#]*|\?[^"#]*)', text)}
    return {link for link in found if not link.startswith("/-/static/")}


@pytest.fixture(scope="module")
def crawled_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that holds the same tags whichever tests ran before: a crawl finds all that any of them pushed."""
    with Daemon(tmp_path_factory.mktemp("crawled")) as daemon:
        push_tags(daemon.address, "team/app/api", "one", "two")
        push_tags(daemon.address, "team/open", "one")
        yield daemon


@pytest.fixture
def crawled(crawled_daemon: Daemon) -> Iterator[dict[str, User]]:
    with registry_at(crawled_daemon.url):
        yield inhabit()


@pytest.mark.parametrize("name", ["root", "ada", "max", "dev", "rea", "gus", "eve", ""])
def test_no_link_that_a_role_is_shown_leads_to_a_refusal_or_a_fault(
    name: str, crawled: dict[str, User], client: Client
) -> None:
    if name:
        client.force_login(crawled[name])
    todo, seen, shapes = ["/"], {"/"}, Counter[str]()
    while todo and len(seen) < PAGES_LIMIT:
        address = todo.pop(0)
        answer = client.get(address, follow=True)
        assert answer.status_code == 200, (address, answer.status_code)
        at = answer.request["PATH_INFO"]
        for link in links_of(b"".join(answer).decode()):
            where = at + link if link.startswith("?") else link
            # Orders of lists multiply the pages and show nothing new; no more does the same page of many tags.
            shape = re.sub(r"=[^&]*", "=", where)
            if "sort=" not in where and where not in seen and shapes[shape] < ALIKE_LIMIT:
                shapes[shape] += 1
                seen.add(where)
                todo.append(where)
    assert not todo, f"{len(todo)} pages were not looked at; the limit is {PAGES_LIMIT}"
    assert ("/admin/audit" in seen) == (name == "root")
    assert ("/team/app/-/cleanup" in seen) == (name in {"root", "ada", "max"})
    assert any("secret" in where for where in seen) == (name == "root")
    assert any("/api/-/tag" in where and "one" in where for where in seen) == (
        name in {"root", "ada", "max", "dev", "rea"}
    )


def test_what_only_some_roles_may_do_is_refused_to_the_others(people: dict[str, User], client: Client) -> None:
    addresses = {
        "/team/app/-/registry": {"root": 200, "ada": 200, "max": 200, "dev": 200, "rea": 200, "gus": 403, "eve": 404},
        "/team/app/-/cleanup": {"root": 200, "ada": 200, "max": 200, "dev": 403, "gus": 403, "eve": 404},
        "/team/app/-/tokens": {"root": 200, "max": 200, "dev": 403, "eve": 404},
        "/team/app/-/delete-place": {"root": 200, "ada": 200, "max": 403, "dev": 403, "eve": 404},
        "/team/app/api/-/delete?tag=x": {"root": 200, "dev": 200, "rea": 403, "gus": 404, "eve": 404},
        "/team/app/api/-/delete-repository": {"root": 200, "max": 200, "dev": 403, "eve": 404},
        "/team/-/settings": {"root": 200, "ada": 200, "max": 403, "eve": 403},
        "/admin/users": {"root": 200, "ada": 403, "eve": 403},
        "/secret/plans": {"root": 302, "ada": 404, "eve": 404},
    }
    for address, expected in addresses.items():
        for name, status in expected.items():
            client.force_login(people[name])
            assert client.get(address).status_code == status, (address, name)


def test_changes_need_the_right_of_the_change_and_not_only_its_page(people: dict[str, User], client: Client) -> None:
    client.force_login(people["dev"])
    app = Project.objects.get(full_path="team/app")
    member = app.memberships.get(user=people["rea"])
    for address, values in {
        "/team/app/-/settings": {"name": "x"},
        "/team/app/-/members": {"username": "eve", "access_level": "30"},
        f"/team/app/-/members/{member.pk}": {"access_level": "50"},
        "/team/app/-/protection": {"kind_of_rule": "repository", "repository-pattern": "team/app/*"},
        "/team/app/-/cleanup": {"enabled": "on", "cadence": "1d"},
        "/team/app/experiments/gpu/-/try-again": {},
        "/team/app/api/-/delete-repository": {"path": "team/app/api"},
    }.items():
        assert client.post(address, values).status_code == 403, address
    client.force_login(people["max"])
    assert client.post(f"/team/app/-/members/{member.pk}", {"access_level": "50"}).status_code == 403
    assert (
        client.post(
            "/team/app/-/settings",
            {"name": "app", "visibility": "public", "container_registry_access_level": "enabled"},
        ).status_code
        == 403
    )


def test_a_registry_that_does_not_answer_leaves_the_pages_readable(client: Client) -> None:
    with registry_at("http://127.0.0.1:1/"):
        people = inhabit()
        client.force_login(people["ada"])
        for address in ("/team/app/-/registry", "/team/app/api/-/tags"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "The registry does not answer." in answer.content.decode()
        assert "experiments/gpu" in client.get("/team/app/-/registry").content.decode()
        answer = client.post("/team/app/api/-/delete", {"tag": "1"})
        assert answer.status_code == 503
        client.force_login(people["root"])
        assert "The registry does not answer." in client.get("/admin").content.decode()


def test_picked_tags_are_deleted_but_for_those_that_a_rule_keeps_and_come_back(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    row = repository("api")
    images = push_tags(shared_daemon.address, row.path, "go-1", "go-2", "v1")
    create_tag_rule(row.project, "^v", by=people["ada"].as_actor())
    client.force_login(people["dev"])
    assert "immutable: it stays" in client.get(f"/{row.path}/-/delete?tag=v1&tag=go-1").content.decode()
    assert client.post(f"/{row.path}/-/delete", {"tag": ["v1"]}).status_code == 403
    answer = client.post(f"/{row.path}/-/delete", {"tag": ["go-1", "go-2", "v1"]})
    assert answer.status_code == 303
    run = CleanupRun.objects.get()
    assert (run.kind, run.outcome, run.deleted_size, run.requested_by) == ("picked", "finished", 2, "dev")
    text = client.get(f"/{row.path}/-/tags?q=go-").content.decode()
    assert "2 tags are deleted." in text
    assert re.search(r"It can be undone until \w{3} \d+ \w+ \d{4}, \d\d:\d\d UTC at least\.", text)
    assert "No tag has" in text
    undo = f"/team/app/-/cleanup/runs/{run.pk}/undo"
    client.force_login(people["rea"])
    assert client.post(undo).status_code == 403
    client.force_login(people["dev"])
    assert "2 tags are back." in client.post(undo, follow=True).content.decode()
    assert images["go-1"].digest in client.get(f"/{row.path}/-/tags?q=go-").content.decode()


def test_a_tag_that_was_moved_since_the_page_showed_it_is_not_deleted_and_that_is_said(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    row = repository("api")
    seen = push_tags(shared_daemon.address, row.path, "seen-1", "seen-2")
    client.force_login(people["dev"])
    address = f"/{row.path}/-/delete"
    listed = re.findall(r'name="tag" value="(seen-[^"]+)"', client.get(f"/{row.path}/-/tags?q=seen-").content.decode())
    assert sorted(listed) == [f"{name}@{made.digest}" for name, made in seen.items()]
    asked = client.get(address, {"tag": listed}).content.decode()
    assert sorted(re.findall(r'name="tag" value="([^"]+)"', asked)) == sorted(listed)
    with RegistryClient(shared_daemon.address) as somebody:
        push_image(somebody, row.path, "seen-1", image("another"))
    said = client.post(address, {"tag": listed}, follow=True).content.decode()
    assert "1 tag is deleted. Moved meanwhile, not deleted: seen-1." in said
    run = CleanupRun.objects.get()
    assert (run.deleted_size, [one.name for one in run.deleted_tags.all()]) == (1, ["seen-2"])
    said = client.post(address, {"tag": listed}, follow=True).content.decode()
    assert "Moved meanwhile, not deleted: seen-1." in said
    assert "is deleted" not in said
    with RegistryClient(shared_daemon.address) as somebody:
        assert somebody.get_manifest(row.path, "seen-1").headers["Docker-Content-Digest"] == image("another").digest


def test_the_reference_of_an_image_is_its_address_and_leads_nowhere_else(
    people: dict[str, User], client: Client
) -> None:
    client.force_login(people["rea"])
    answer = client.get("/team/app/api:1.8.2")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/team/app/api/-/tags?open=1.8.2")
    for address in ("//elsewhere.example:1", "/\\elsewhere.example:1", "/https://elsewhere.example", "/team/no:1"):
        assert client.get("/", PATH_INFO=address).status_code == 404
    client.force_login(people["eve"])
    assert client.get("/team/app/api:1.8.2").status_code == 404


def test_a_deletion_that_failed_is_tried_again_from_the_page(people: dict[str, User], client: Client) -> None:
    client.force_login(people["max"])
    text = client.get("/team/app/-/registry?state=delete_failed").content.decode()
    assert "10 attempts failed" in text
    assert "405 UNSUPPORTED" in text
    assert client.post("/team/app/experiments/gpu/-/try-again").status_code == 303
    assert repository("experiments/gpu").status == "delete_scheduled"


def test_a_new_token_is_shown_once_and_kept_by_no_cache(people: dict[str, User], client: Client) -> None:
    client.force_login(people["max"])
    values = {"kind": "deploy", "deploy-name": "ci", "deploy-scopes": ["read_registry"]}
    answer = client.post("/team/app/-/tokens", values)
    found = re.search(r"gldt-[\w-]+", answer.content.decode())
    assert found is not None
    assert "no-store" in answer.headers["Cache-Control"]
    assert found.group() not in client.get("/team/app/-/tokens").content.decode()


def test_the_policy_is_saved_and_its_preview_deletes_nothing(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    row = repository("worker")
    push_tags(shared_daemon.address, row.path, "old-1", "old-2")
    client.force_login(people["max"])
    sent = {"enabled": "on", "cadence": "7d", "keep_n": "1", "name_regex": "old-.*"}
    text = client.get("/team/app/-/cleanup", sent | {"preview": "1"}).content.decode()
    assert "1 of 2 tags goes" in text or "1 of 3 tags goes" in text
    assert "old-1" in client.get(f"/{row.path}/-/tags").content.decode()
    assert client.post("/team/app/-/cleanup", sent | {"name_regex": "("}).status_code == 400
    assert client.post("/team/app/-/cleanup", sent).status_code == 303
    assert Project.objects.get(full_path="team/app").container_expiration_policy.cadence == "7d"


def test_an_administrator_changes_settings_and_blocks_a_user(people: dict[str, User], client: Client) -> None:
    client.force_login(people["root"])
    text = client.get("/admin/settings").content.decode()
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text)) | {
        "container_registry_token_expire_delay": "1441",
        "default_project_visibility": "internal",
        "default_group_visibility": "private",
    }
    # In the words by which GitLab's guide has it looked for, and with the name that commands and the API take.
    assert "Authorization token duration (minutes)</label>" in text
    assert "1 to 1440. (container_registry_token_expire_delay)" in text
    answer = client.post("/admin/settings", values)
    assert answer.status_code == 400
    assert "less than or equal to 1440" in answer.content.decode()
    assert client.post("/admin/settings", values | {"container_registry_token_expire_delay": "15"}).status_code == 303
    client.post(f"/admin/users/{people['eve'].pk}/state", {"block": "1"})
    assert "user_blocked" in client.get("/admin/audit").content.decode()
    client.force_login(people["root"])
    client.post(f"/admin/users/{people['root'].pk}/state", {"block": "1"})
    assert User.objects.get(username="root").is_active


def test_lists_ask_no_more_of_the_database_however_long_they_are(client: Client) -> None:
    user, counts = new_user(), []
    group = new_group(owner=user)
    client.force_login(user)
    for number in range(2):
        for place in range(8):
            new_project(group, f"p{number}{place}")
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[1] <= 20
