"""Search by tag, digest, reference and request, and lists whose cost does not grow with their rows."""

import secrets

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.pages import tag_search
from moorage.control.pages.side_by_side import ask_side_by_side
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.registry_errors import RegistryUnreachable
from moorage.control.tokens.models import AccessRefusal
from support.control_registry import push_tags, registry_at
from support.control_rows import new_member, new_user
from support.daemon import Daemon
from support.pages_inhabitants import inhabit


@pytest.fixture
def people(registry: ControlRegistry) -> dict[str, User]:
    del registry
    return inhabit()


def made(name: str) -> str:
    return ensure_repository(Project.objects.get(full_path="team/app"), f"team/app/{name}", by=COMMAND_LINE).path


def test_a_tag_and_the_beginning_of_a_digest_are_found_by_those_who_may_pull(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    path, tag = made(f"found-{secrets.token_hex(4)}"), f"needle-{secrets.token_hex(4)}"
    digest = push_tags(shared_daemon.address, path, tag)[tag].digest
    client.force_login(people["rea"])
    for asked in (tag, tag[:10], digest, digest.removeprefix("sha256:")[:9]):
        assert f"{path}:{tag}" in client.get("/-/search", {"q": asked}).content.decode(), asked
    assert f"{path}:{tag}" in client.get("/team/app/-/registry", {"q": tag}).content.decode()
    client.force_login(people["eve"])
    assert f"{path}:{tag}" not in client.get("/-/search", {"q": tag}).content.decode()


def test_a_whole_reference_leads_to_its_page_and_nowhere_else(people: dict[str, User], client: Client) -> None:
    client.force_login(people["rea"])
    ways = {
        "registry.test:5000/team/app/api:1.8.2": "/team/app/api/-/tags?q=1.8.2&open=1.8.2",
        "team/app/api:1.8.2": "/team/app/api/-/tags?q=1.8.2&open=1.8.2",
        "team/app/api@sha256:00": "/team/app/api/-/fate?digest=sha256%3A00",
    }
    for asked, address in ways.items():
        assert client.get("/-/search", {"q": asked}).headers["Location"] == address
    for asked in ("//elsewhere.example/x:1", "https://elsewhere.example/", "secret/plans/x:1", "a:b", "team/app/api:"):
        assert client.get("/-/search", {"q": asked}).status_code in {200, 302}
    assert client.get("/-/search", {"q": "//elsewhere.example/x:1"}).status_code == 200


def test_a_refused_request_is_found_by_its_id(people: dict[str, User], client: Client) -> None:
    now = timezone.now()
    AccessRefusal.objects.create(
        user=people["rea"], name="rea", repository="team/app", step="role", request_id="r-17", first_at=now, last_at=now
    )
    client.force_login(people["rea"])
    assert "request=r-17" in client.get("/-/search?q=r-17").content.decode()
    client.force_login(people["dev"])
    assert "request=r-17" not in client.get("/-/search?q=r-17").content.decode()


def test_a_search_says_when_it_did_not_look_everywhere(
    people: dict[str, User], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(people["rea"])
    monkeypatch.setattr(tag_search, "REPOSITORIES_LIMIT", 1)
    assert "that changed last" in client.get("/-/search?q=latest").content.decode()
    with registry_at("http://127.0.0.1:1/"):
        assert "Tags were not looked through" in client.get("/-/search?q=latest").content.decode()


def test_one_repository_that_does_not_answer_takes_no_other_along() -> None:
    def ask(number: int) -> int:
        if number == 1:
            msg = "no"
            raise RegistryUnreachable(msg)
        return number

    assert ask_side_by_side([0, 1, 2], ask) == [0, None, 2]


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_no_list_asks_more_of_the_database_for_twenty_rows_than_for_two(
    people: dict[str, User], client: Client, shared_daemon: Daemon
) -> None:
    """Projects, repositories, tags, members, usage and refusals."""
    name, project = f"rows-{secrets.token_hex(4)}", Project.objects.get(full_path="team/app")
    path = made(name)
    addresses = {
        "repositories": "/team/app/-/registry",
        "members": "/team/app/-/members",
        "tags": f"/{path}/-/tags",
        "users": "/admin/users",
        "refusals": "/team/app/-/refused",
        "search": "/-/search?q=team",
        "home": "/",
    }
    client.force_login(people["root"])
    client.get(addresses["repositories"])  # What other tests have pushed to the project is noted at the first look.
    counts = []
    for count in (2, 18):
        push_tags(shared_daemon.address, path, *(f"t{count}-{number}" for number in range(count)))
        now = timezone.now()
        for number in range(count):
            made(f"{name}/{count}-{number}")
            user = new_member(project, AccessLevel.GUEST, new_user(f"u{count}-{number}")).user
            AccessRefusal.objects.create(
                user=user, name=user.username, project=project, repository=path, step="role", first_at=now, last_at=now
            )
        counts.append({what: queries(client, address) for what, address in addresses.items()})
    assert counts[0] == counts[1]
