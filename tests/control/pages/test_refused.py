"""What was refused and why: noted by the token endpoint, found by the person, told to nobody else."""

import json
from datetime import timedelta

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone, translation
from django.utils.html import escape

from moorage.control.accounts.models import User
from moorage.control.api.events import receive_events
from moorage.control.instance.models import ApplicationSettings
from moorage.control.namespaces.models import Namespace
from moorage.control.pages.room_texts import said
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import AccessLevel, CredentialKind
from moorage.control.protection.changes import create_tag_rule
from moorage.control.registry.client import ControlRegistry
from moorage.control.tokens.creation import new_project as project_of_a_push
from moorage.control.tokens.models import AccessRefusal
from moorage.control.tokens.refused_access import ROWS_LIMIT
from support.control_registry import push_tags
from support.control_rows import new_deploy_token, new_member, new_project, new_token
from support.control_tokens import ask, claims_of
from support.daemon import Daemon
from support.pages_inhabitants import inhabit

SECRETS: dict[int, str] = {}
PROTECTED = 'tag "v1" is protected: the credentials do not allow to push or delete it'


@pytest.fixture
def people() -> dict[str, User]:
    SECRETS.clear()
    return inhabit()


def refused(user: User, scope: str = "repository:team/app/api:pull,push") -> AccessRefusal:
    """Ask for a token as *user* does from a terminal, always with the same one."""
    if user.pk not in SECRETS:
        SECRETS[user.pk] = new_token(user).secret
    ask(Client(), scope, given=(user.username, SECRETS[user.pk]))
    return AccessRefusal.objects.order_by("-pk")[0]


def test_a_refused_push_is_on_home_and_its_page_says_which_step_failed(people: dict[str, User], client: Client) -> None:
    row = refused(people["rea"])
    client.force_login(people["rea"])
    assert "push of team/app/api was refused." in client.get("/").content.decode()
    text = client.get(f"/-/refused/{row.pk}").content.decode()
    assert "The role of this user in the project is reporter, and push needs developer" in text
    assert text.count('<li class="yes">') == 5
    assert text.count('<li class="no">') == 1
    assert text.count("was not asked") == 1
    german = client.get(f"/-/refused/{row.pk}", headers={"Accept-Language": "de"}).content.decode()
    assert "Die Rolle dieses Benutzers im Projekt ist Reporter, und push braucht Entwickler" in german


def test_what_a_client_is_told_ends_with_the_page_that_explains_it(people: dict[str, User], client: Client) -> None:
    token = new_token(people["rea"])
    given = ("rea", token.secret)
    asked = ask(Client(), "repository:team/app/api:push", given=given, headers={"X-Request-Id": "r-9"})
    said = claims_of(asked.json()["token"]).denied
    assert said is not None
    assert said.endswith("push needs developer; see http://control.test/-/refused?request=r-9")
    client.force_login(people["rea"])
    assert "push" in client.get("/-/refused?request=r-9").content.decode()
    deploy = new_deploy_token(Project.objects.get(full_path="team/app"), "read_registry", username="robot")
    asked = ask(Client(), "repository:team/app/api:push", given=("robot", deploy.secret))
    assert "/-/refused" not in str(claims_of(asked.json()["token"]).denied)


def test_a_refusal_is_shown_to_who_met_it_and_to_maintainers_and_to_nobody_else(
    people: dict[str, User], client: Client
) -> None:
    row = refused(people["rea"])
    seen = {"rea": 200, "max": 200, "root": 200, "dev": 404, "gus": 404, "eve": 404}
    for name, status in seen.items():
        client.force_login(people[name])
        assert client.get(f"/-/refused/{row.pk}").status_code == status, name
    client.force_login(people["dev"])
    assert "rea" not in client.get("/team/app/-/refused").content.decode()
    client.force_login(people["max"])
    assert f"/-/refused/{row.pk}" in client.get("/team/app/-/refused").content.decode()


def test_a_stranger_is_not_told_by_a_refusal_that_there_is_a_project(people: dict[str, User], client: Client) -> None:
    row = refused(people["eve"], "repository:secret/plans:pull")
    client.force_login(people["eve"])
    text = client.get(f"/-/refused/{row.pk}").content.decode()
    assert "There is no project at this path, or these credentials are not told of it" in text
    assert 'href="/secret' not in text
    client.force_login(people["root"])
    assert "The project is not shown to these credentials" in client.get(f"/-/refused/{row.pk}").content.decode()


def test_a_client_that_tries_for_ever_costs_one_row_and_a_stranger_a_bounded_number(people: dict[str, User]) -> None:
    row = refused(people["rea"])
    AccessRefusal.objects.update(last_at=row.last_at - timedelta(hours=1))
    assert refused(people["rea"]).pk == row.pk
    assert AccessRefusal.objects.get().last_at > row.last_at - timedelta(minutes=1)
    now = timezone.now()
    AccessRefusal.objects.bulk_create(
        AccessRefusal(
            name="x", project=row.project, repository=f"team/app/{number}", first_at=now, last_at=now, step="role"
        )
        for number in range(ROWS_LIMIT)
    )
    refused(people["gus"])
    assert AccessRefusal.objects.of_project(Project.objects.get(full_path="team/app")).count() == ROWS_LIMIT
    assert AccessRefusal.objects.filter(user=people["gus"]).exists()


def test_what_is_older_than_thirty_days_is_forgotten(people: dict[str, User]) -> None:
    old = refused(people["rea"])
    AccessRefusal.objects.update(last_at=old.last_at - timedelta(days=31))
    refused(people["gus"])
    assert not AccessRefusal.objects.filter(user=people["rea"]).exists()


def test_the_scope_of_a_token_and_a_deploy_token_are_named(people: dict[str, User], client: Client) -> None:
    token = new_token(people["dev"], "read_registry")
    ask(Client(), "repository:team/app/api:push", given=("dev", token.secret))
    deploy = new_deploy_token(Project.objects.get(full_path="team/app"), "read_registry", username="ci")
    ask(Client(), "repository:team/app/api:push", given=("ci", deploy.secret))
    client.force_login(people["max"])
    text = client.get("/team/app/-/refused").content.decode()
    assert "the token&#x27;s scopes are read_registry; push needs write_registry or api" in text
    assert "the deploy token&#x27;s scopes are read_registry; push needs write_registry" in text


def test_the_page_says_before_a_push_whether_it_would_go(
    people: dict[str, User], client: Client, registry: ControlRegistry, shared_daemon: Daemon
) -> None:
    del registry
    project = Project.objects.get(full_path="team/app")
    push_tags(shared_daemon.address, "team/app/ahead", "v1")
    create_tag_rule(project, "^v", by=people["ada"].as_actor())
    client.force_login(people["dev"])
    asked = "/team/app/-/refused?action=push&repository=team/app/ahead&tag="
    assert "would be refused" in (text := client.get(f"{asked}v1").content.decode())
    assert "The tag is immutable" in text
    assert "push of team/app/ahead would go" in client.get(f"{asked}v2").content.decode()
    assert "delete needs maintainer" in client.get("/team/app/-/refused?action=delete").content.decode()
    assert (
        "not in the project" in client.get("/team/app/-/refused?action=pull&repository=secret/plans").content.decode()
    )
    client.force_login(people["max"])
    assert "is guest, and pull needs reporter" in client.get("/team/app/-/refused?action=pull&who=gus").content.decode()


def test_texts_of_rooms_are_german_with_their_places_kept() -> None:
    full = "team/app is over its quota: 12 of 10 bytes are used; delete images, or ask for more"
    with translation.override("de"):
        assert said(full) == (
            "team/app ist über seiner Quota: 12 von 10 Bytes sind belegt; löschen Sie Images, oder bitten Sie um mehr"
        )
        assert said("something else") == "something else"
    with translation.override("en"):
        assert said(full) == full


def test_another_project_has_none_of_them(people: dict[str, User]) -> None:
    refused(people["rea"])
    assert not AccessRefusal.objects.of_project(new_project()).exists()


def test_why_a_push_makes_no_project_is_said_in_german(people: dict[str, User]) -> None:
    def reason(name: str, path: str) -> str:
        who = Requester(credential=CredentialKind.PASSWORD, user=people[name])
        with translation.override("de"):
            return said(project_of_a_push(who, [path]).reason)

    ApplicationSettings(pk=1, create_project_on_push=False).save()
    new_member(Namespace.objects.get(full_path="team"), AccessLevel.REPORTER, people["rea"])
    nowhere, not_made = (
        "an diesem Pfad ist kein Projekt, und weder Gruppe noch Benutzer, wo es entstehen könnte",
        "an diesem Pfad ist kein Projekt, und ein Push legt team/new nicht an: ",
    )
    assert reason("ada", "nowhere/new") == nowhere
    assert reason("ada", "team/new") == not_made + "create_project_on_push ist aus"
    assert reason("eve", "team/new") == not_made + "diese Zugangsdaten haben dort keine Rolle"
    role = "die Rolle dieses Benutzers ist dort Reporter, und push braucht Entwickler"
    assert reason("rea", "team/new") == not_made + role


def test_a_refusal_that_the_registry_tells_of_stands_where_the_person_looks(
    people: dict[str, User], client: Client
) -> None:
    told = {
        "action": "refuse",
        "target": {"repository": "team/app/api", "tag": "v1"},
        "request": {"id": "told-7", "method": "PUT"},
        "actor": {"name": "dev", "user_type": "personal_access_token"},
        "meta": {"refusal": {"reason": "PROTECTED_TAG", "message": PROTECTED}},
    }
    elsewhere = {**told, "target": {"repository": "nobody/x"}}
    for _ in range(3):
        receive_events(
            RequestFactory().post(
                "/events",
                json.dumps({"events": [told, elsewhere, {**told, "target": {"repository": "../x"}}]}),
                content_type="application/json",
                headers={"Authorization": "secret-of-events"},
            )
        )
    (row,) = AccessRefusal.objects.all()
    assert (row.user, row.actions, row.step, row.request_id) == (people["dev"], "push", "rule", "told-7")
    client.force_login(people["dev"])
    assert escape(PROTECTED) in client.get("/-/refused").content.decode()
    assert "geschützt" in client.get(f"/-/refused/{row.pk}", headers={"Accept-Language": "de"}).content.decode()
    client.force_login(people["max"])
    assert escape(PROTECTED) in client.get("/team/app/-/refused").content.decode()
    client.force_login(people["rea"])
    assert escape(PROTECTED) not in client.get("/team/app/-/refused").content.decode()
