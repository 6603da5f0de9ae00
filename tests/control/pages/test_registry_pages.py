"""UIP-001 to UIP-015: the pages of the registry, held against what GitLab's show."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.changes import ensure_root_repository
from moorage.control.images.models import ImageRepository
from moorage.control.projects.models import Project
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from support.control_registry import push_tags, registry_at
from support.daemon import Daemon
from support.images import image, platform_index, push_image, push_manifest
from support.pages_inhabitants import inhabit
from support.registry_client import RegistryClient


@pytest.fixture
def people(shared_daemon: Daemon) -> Iterator[dict[str, User]]:
    with registry_at(shared_daemon.url):
        yield inhabit()


def words(client: Client, address: str) -> str:
    """What a reader of the page reads, in one line."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    text = answer.content.decode().replace("<wbr>", "")  # A place where a line may end.
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_the_list_of_a_project_and_of_a_group_says_of_each_repository_how_it_is(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    project = Project.objects.get(full_path="team/app")
    push_tags(shared_daemon.address, "team/app/api", "1", "2", "3")
    push_tags(shared_daemon.address, "team/app", "1")
    assert ensure_root_repository(project) is not None
    rows = ImageRepository.objects.filter(project=project)
    for name, status in (("api", "unfinished"), ("worker", "ongoing"), ("", "scheduled")):
        rows.filter(name=name).update(expiration_policy_cleanup_status=f"cleanup_{status}")
    client.force_login(people["max"])
    said = words(client, "/team/app/-/registry")
    for state in ("incomplete", "in progress", "pending", "root image", "being deleted", "next attempt in 2 hours"):
        assert state in said, state
    with registry_at(shared_daemon.url) as registry:
        count = len(registry.tag_names("team/app/api"))
    assert re.search(rf" api .{{0,40}}{count} [\d.]+ [KM]?i?B ", said), "its tags are counted, and their size is told"
    assert "docker login registry.test:5000 -u max" in said
    assert "docker push registry.test:5000/team/app" in said
    assert "experiments/gpu" in words(client, "/team/app/-/registry?q=gpu")
    assert "No repository is so." in words(client, "/team/app/-/registry?q=nothing")
    order = [said.index(name) for name in ("api", "experiments/gpu", "loadtest", "worker")]
    assert order == sorted(order)
    assert "team/app/api" in words(client, "/team/-/registry")
    client.force_login(people["dev"])
    assert "Nothing is moored here yet" in words(client, "/team/empty/-/registry")


def test_the_page_of_a_repository_shows_each_tag_with_its_image_its_kind_and_its_protection(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    row = ImageRepository.objects.select_related("project").get(name="api")
    made, path = image("uip"), "team/app/api"
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, path, "plain", made)
        push_manifest(pusher, path, platform_index({"linux/amd64": made.manifest}), "all")
        push_image(pusher, path, "v1", image("uip v1"))
        push_image(pusher, path, "final", image("uip final"))
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}
    create_tag_rule(row.project, "^v", by=people["root"].as_actor(), **levels)
    create_tag_rule(row.project, "^final", by=people["root"].as_actor())
    client.force_login(people["dev"])
    said = words(client, f"/{path}/-/tags?open=plain")
    assert re.search(r"all .{0,40}index", said)
    assert re.search(r"final .{0,40}immutable", said)
    assert re.search(r"v1 .{0,40}protected", said)
    digests = (made.digest, made.blobs[0].digest)
    text = client.get(f"/{path}/-/tags?open=plain").content.decode()
    assert all(digest in text for digest in digests), "of the manifest and of the configuration"
    assert "application/vnd.oci.image.manifest.v1+json" in said
    assert "docker pull registry.test:5000/team/app/api:plain" in said
    assert "Pick v1" not in text, "what a rule keeps cannot be picked"
    assert "Pick plain" in text
    with registry_at(shared_daemon.url) as registry:
        for tag in registry.tag_names("team/app/loadtest"):  # Other tests have it, too.
            registry.delete_tag("team/app/loadtest", tag)
    assert "This image has no active tags." in words(client, "/team/app/loadtest/-/tags")


def test_the_header_of_a_repository_says_what_goes_on_with_it(people: dict[str, User], client: Client) -> None:
    rows = ImageRepository.objects.filter(name="worker")
    rows.update(status="delete_scheduled", status_updated_at=timezone.now())
    client.force_login(people["max"])
    assert "Deletion scheduled" in words(client, "/team/app/worker/-/tags")
    failed = words(client, "/team/app/experiments/gpu/-/tags")
    assert "Could not be deleted: 10 attempts failed, no more are made" in failed
    assert "registry.test:5000/team/app/experiments/gpu" in failed
    assert "Try again" in failed


def test_a_project_s_registry_is_for_all_who_see_it_for_members_or_off(people: dict[str, User], client: Client) -> None:
    client.force_login(people["ada"])
    said = words(client, "/team/app/-/settings")
    for choice in ("Everybody who sees the project may pull", "Members only may pull", "Off: images stay"):
        assert choice in said, choice


def test_a_repository_is_deleted_by_who_types_its_path(people: dict[str, User], client: Client) -> None:
    client.force_login(people["max"])
    address = "/team/app/api/-/delete-repository"
    assert "Type team/app/api to go on" in words(client, address)
    assert client.post(address, {"path": "team/app"}).status_code == 400
    assert ImageRepository.objects.get(name="api").status == ""
    answer = client.post(address, {"path": "team/app/api"}, follow=True)
    assert "team/app/api will be deleted." in answer.content.decode()
    assert ImageRepository.objects.get(name="api").status == "delete_scheduled"


def test_a_rule_is_changed_on_its_page_as_by_the_api(people: dict[str, User], client: Client) -> None:
    project = Project.objects.get(full_path="team/app")
    repositories = create_repository_rule(
        project, "team/app/a*", by=COMMAND_LINE, minimum_access_level_for_push="owner"
    )
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "admin"}
    tags = create_tag_rule(project, "^v", by=COMMAND_LINE, **levels)
    address = "/team/app/-/protection"
    client.force_login(people["max"])
    assert f'href="{address}/repository/{repositories.pk}"' in client.get(address).content.decode()
    shown = client.get(f"{address}/tags/{tags.pk}").content.decode()
    assert 'value="^v"' in shown
    assert '<option value="admin" selected>' in shown
    wish = {"repository-pattern": "team/app/b*", "repository-push": "", "repository-delete": "maintainer"}
    assert client.post(f"{address}/repository/{repositories.pk}", wish).status_code == 303
    repositories.refresh_from_db()
    assert (repositories.repository_path_pattern, repositories.minimum_access_level_for_push) == ("team/app/b*", "")
    wrong = client.post(
        f"{address}/tags/{tags.pk}", {"tags-pattern": "(", "tags-push": "owner", "tags-delete": "owner"}
    )
    assert (wrong.status_code, 'value="("' in wrong.content.decode()) == (400, True)
    tags.refresh_from_db()
    assert (tags.tag_name_pattern, tags.minimum_access_level_for_delete) == ("^v", "admin")
    client.force_login(people["dev"])
    assert client.get(f"{address}/tags/{tags.pk}").status_code == 403
    assert AuditEntry.objects.filter(action="repository_protection_rule_changed", actor_name="max").count() == 1


def test_rules_are_added_and_taken_away_on_the_page_and_immutable_tags_are_the_owners_business(
    people: dict[str, User], client: Client
) -> None:
    address = "/team/app/-/protection"
    repositories = {"kind_of_rule": "repository", "repository-pattern": "team/app/pro*", "repository-push": "owner"}
    immutable = {"kind_of_rule": "tags", "tags-pattern": "^v", "tags-kind": "immutable"}
    immutable |= {"tags-push": "maintainer", "tags-delete": "maintainer"}  # The form has them always.
    client.force_login(people["max"])
    assert client.post(address, repositories).status_code == 303
    assert client.post(address, immutable).status_code == 403
    client.force_login(people["ada"])
    assert client.post(address, immutable).status_code == 303
    said = words(client, address)
    assert "team/app/pro*" in said
    assert re.search(r"\^v .{0,20}immutable", said)
    (rule,) = Project.objects.get(full_path="team/app").tag_protections.all()
    client.force_login(people["max"])
    assert client.get(f"{address}/tags/{rule.pk}", follow=True).redirect_chain == [(address, 303)]
    assert client.post(f"{address}/tags/{rule.pk}/remove").status_code == 403
    client.force_login(people["ada"])
    assert client.post(f"{address}/tags/{rule.pk}/remove").status_code == 303
    assert "^v" not in words(client, address)
