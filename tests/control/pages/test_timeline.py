"""The past of a repository on its pages: what happened, how it was, and the way back."""

import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.pages import past
from moorage.control.projects.models import Project
from moorage.control.protection.changes import create_tag_rule
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import the_registry
from support.control_registry import push_tags, registry_at
from support.daemon import Daemon
from support.images import image, push_image
from support.pages_inhabitants import inhabit
from support.registry_client import RegistryClient


@pytest.fixture
def people(registry: ControlRegistry) -> dict[str, User]:
    del registry
    return inhabit()


@pytest.fixture
def repository(people: dict[str, User]) -> ImageRepository:
    """A repository with a name that no other test has pushed to."""
    del people
    project = Project.objects.get(full_path="team/app")
    return ensure_repository(project, f"team/app/past-{secrets.token_hex(4)}", by=COMMAND_LINE)


def undo_forms(text: str) -> list[dict[str, str]]:
    found = re.findall(r'<form method="post" action="/[^"]+/-/timeline/undo">.*?</form>', text, re.DOTALL)
    return [dict(re.findall(r'name="(tag|to|expected)" value="([^"]*)"', form)) for form in found]


def test_a_moved_tag_goes_back_to_what_it_was_and_the_audit_log_says_so(
    people: dict[str, User], repository: ImageRepository, client: Client, shared_daemon: Daemon
) -> None:
    path = repository.path
    with RegistryClient(shared_daemon.address) as pusher:
        old, new = (push_image(pusher, path, "latest", image(f"{path} {number}")) for number in (1, 2))
    client.force_login(people["dev"])
    address = f"/{path}/-/timeline"
    text = client.get(f"{address}?tag=latest").content.decode()
    assert (text.count("was moved"), text.count("was made")) == (1, 1)
    (form,) = undo_forms(text)
    assert form == {"tag": "latest", "to": old.digest, "expected": new.digest}
    text = client.post(f"{address}/undo", form, follow=True).content.decode()
    assert "latest is back as it was." in text
    assert "undone on a page by dev" in text
    assert AuditEntry.objects.get(action="tag_undone").details["after"] == old.digest
    assert "Look again" in client.post(f"{address}/undo", form, follow=True).content.decode()


def test_a_tag_that_was_made_by_mistake_is_taken_back(
    people: dict[str, User], repository: ImageRepository, client: Client, shared_daemon: Daemon
) -> None:
    path = repository.path
    push_tags(shared_daemon.address, path, "oops")
    client.force_login(people["dev"])
    (form,) = undo_forms(client.get(f"/{path}/-/timeline?tag=oops").content.decode())
    assert form["to"] == ""
    assert "oops is back as it was." in client.post(f"/{path}/-/timeline/undo", form, follow=True).content.decode()
    assert "oops" not in client.get(f"/{path}/-/tags").content.decode()


def test_a_repository_is_shown_as_it_was_at_a_time_and_its_tags_come_back(
    repository: ImageRepository,
    client: Client,
    shared_daemon: Daemon,
) -> None:
    path = repository.path
    pushed = push_tags(shared_daemon.address, path, "kept", "moved", "gone")
    then = datetime.now(UTC)
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, path, "moved", image(f"{path} other"))
        push_image(pusher, path, "later", image(f"{path} later"))
    the_registry().delete_tag(path, "gone")
    found = {tag.name: tag for tag in past.tags_at(path, then).tags}
    assert {name: tag.digest for name, tag in found.items()} == {name: one.digest for name, one in pushed.items()}
    assert {name for name, tag in found.items() if tag.is_restorable} == {"moved", "gone"}
    client.force_login(User.objects.get(username="dev"))
    address = f"/{path}/-/timeline?at={then.isoformat().replace('+00:00', 'Z')}"
    text = client.get(address).content.decode()
    assert "later" not in text
    form = next(form for form in undo_forms(text) if form["tag"] == "gone")
    client.post(f"/{path}/-/timeline/undo", form)
    assert the_registry().tag_digest(path, "gone") == pushed["gone"].digest
    early = (then - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert "There was no tag then." in client.get(f"/{path}/-/timeline?at={early}").content.decode()
    assert "This is no time." in client.get(f"/{path}/-/timeline?at=yesterday").content.decode()


def test_who_only_pulls_as_a_stranger_sees_no_past_and_who_may_not_delete_undoes_nothing(
    people: dict[str, User], repository: ImageRepository, client: Client, shared_daemon: Daemon
) -> None:
    path = repository.path
    pushed = push_tags(shared_daemon.address, path, "v1")
    seen = {"root": 200, "max": 200, "dev": 200, "rea": 200, "gus": 404, "eve": 404}
    for name, status in seen.items():
        client.force_login(people[name])
        assert client.get(f"/{path}/-/timeline").status_code == status, name
    client.force_login(people["eve"])
    assert client.get("/team/open/-/timeline").status_code == 403
    client.force_login(people["rea"])
    form = {"tag": "v1", "to": "", "expected": pushed["v1"].digest}
    assert client.post(f"/{path}/-/timeline/undo", form).status_code == 403


def test_an_immutable_tag_is_not_undone_by_anybody(
    repository: ImageRepository,
    client: Client,
    shared_daemon: Daemon,
) -> None:
    path = repository.path
    pushed = push_tags(shared_daemon.address, path, "v1")
    create_tag_rule(repository.project, "^v", by=User.objects.get(username="ada").as_actor())
    client.force_login(User.objects.get(username="root"))
    form = {"tag": "v1", "to": "", "expected": pushed["v1"].digest}
    text = client.post(f"/{path}/-/timeline/undo", form, follow=True).content.decode()
    assert "A protection rule keeps v1 as it is." in text
    assert the_registry().tag_digest(path, "v1") == pushed["v1"].digest


def test_a_tag_or_digest_that_cannot_be_is_a_mistake_of_the_caller(
    people: dict[str, User], repository: ImageRepository, client: Client
) -> None:
    client.force_login(people["dev"])
    assert client.get(f"/{repository.path}/-/timeline?tag=-no").status_code == 200
    sent = {"tag": "v1", "to": "sha256:no", "expected": ""}
    assert client.post(f"/{repository.path}/-/timeline/undo", sent).status_code == 400


def test_more_than_is_looked_through_is_said(
    repository: ImageRepository,
    client: Client,
    shared_daemon: Daemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = repository.path
    then = datetime.now(UTC)
    push_tags(shared_daemon.address, path, "a", "b", "c")
    monkeypatch.setattr(past, "CHANGES_LIMIT", 2)
    monkeypatch.setattr(past, "_PAGE", 1)
    client.force_login(User.objects.get(username="rea"))
    text = client.get(f"/{path}/-/timeline?at={then.strftime('%Y-%m-%dT%H:%M')}").content.decode()
    assert "More than 5,000 changes have happened since" in text


def test_without_a_registry_the_page_says_so(client: Client) -> None:
    with registry_at("http://127.0.0.1:1/"):
        client.force_login(inhabit()["rea"])
        assert "The registry does not answer." in client.get("/team/app/api/-/timeline").content.decode()
