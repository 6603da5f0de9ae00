"""Filters of lists: none that GitLab has is passed over, as a script would then change rows that it did not ask for."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from moorage.control.accounts.changes import block_user
from moorage.control.accounts.models import ExternalIdentity, FactorKind, PersonalAccessToken, SecondFactor, User
from moorage.control.accounts.rules import TokenScope
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.projects.models import DeployToken, Project
from moorage.control.projects.rules import AccessLevel
from support.control_api import call
from support.control_rows import (
    new_bot_token,
    new_deploy_token,
    new_group,
    new_member,
    new_project,
    new_token,
    new_user,
)

OPPOSITES = {"true": "false", "false": "true"}
NOTHING_IS_SO = {
    "/projects": [
        "archived=true",
        "active=false",
        "starred=true",
        "imported=true",
        "topic=a",
        "topic_id=1",
        "marked_for_deletion_on=2031-01-01",
        "with_issues_enabled=true",
        "with_merge_requests_enabled=true",
        "with_programming_language=c",
        "repository_checksum_failed=true",
        "wiki_checksum_failed=true",
    ],
    "/groups/team/projects": ["archived=true", "starred=true", "with_security_reports=true"],
    "/groups": ["archived=true", "active=false", "marked_for_deletion_on=2031-01-01"],
    "/users": ["external=true", "auditors=true", "public_email=a@x.example", "saml_provider_id=1"],
    "/groups/team/members": ["state=awaiting"],
    "/groups/team/members/all": ["state=awaiting"],
}


@pytest.fixture
def admin() -> str:
    return new_token(new_user("root", is_admin=True), "api").secret


def listed(client: Client, path: str, token: str, field: str = "id") -> list[Any]:
    answer = call(client, "GET", path, token=token)
    assert answer.status_code == 200, (path, answer.content)
    return [one[field] for one in json.loads(answer.content)]


def test_a_list_of_what_nothing_here_is_is_empty(client: Client, admin: str) -> None:
    group = new_group("team")
    new_project(group, "app")
    new_member(group, AccessLevel.DEVELOPER)
    for path, texts in NOTHING_IS_SO.items():
        assert listed(client, path, admin), path
        for text in texts:
            assert listed(client, f"{path}?{text}", admin) == [], (path, text)
            name, _, value = text.partition("=")
            if value in OPPOSITES:
                assert listed(client, f"{path}?{name}={OPPOSITES[value]}", admin), (path, name)


def test_projects_are_listed_by_when_they_changed(client: Client, admin: str) -> None:
    old, new = new_project(), new_project()
    Project.objects.filter(pk=old.pk).update(updated_at=datetime(2020, 1, 1, tzinfo=UTC))
    for word in ("updated", "last_activity"):
        assert listed(client, f"/projects?{word}_before=2021-01-01", admin) == [old.pk]
        assert listed(client, f"/projects?{word}_after=2021-01-01T00:00:00Z", admin) == [new.pk]
    assert listed(client, "/projects?updated_after=2021-01-01&updated_before=2022-01-01", admin) == []
    wrong = call(client, "GET", "/projects?updated_after=soon", token=admin)
    assert (wrong.status_code, json.loads(wrong.content)) == (400, {"error": "updated_after is invalid"})


def test_groups_are_listed_by_visibility_without_some_and_by_membership(client: Client, admin: str) -> None:
    one, two, three = new_group("one"), new_group("two", visibility="internal"), new_group("three")
    assert listed(client, "/groups?visibility=internal", admin, "path") == ["two"]
    for text in (f"skip_groups[]={one.pk}&skip_groups[]={two.pk}", f"skip_groups={one.pk},{two.pk}"):
        assert listed(client, f"/groups?{text}", admin) == [three.pk]
    member = new_token(new_member(two, AccessLevel.GUEST).user).secret
    assert listed(client, "/groups?all_available=false", member, "path") == ["two"]
    assert len(listed(client, "/groups?all_available=true", member)) == 3


def test_members_are_listed_by_ids(client: Client, admin: str) -> None:
    project = new_project(new_user("olga"), "app")
    ada, pete = (new_member(project, AccessLevel.DEVELOPER, new_user(name)).user for name in ("ada", "pete"))
    path = f"/projects/{project.pk}/members"
    for text in (f"user_ids[]={ada.pk}&user_ids[]=999", f"user_ids={ada.pk},999"):
        assert listed(client, f"{path}?{text}", admin) == [ada.pk]
        assert listed(client, f"{path}/all?{text}", admin) == [ada.pk]
    assert listed(client, f"{path}?skip_users[]={ada.pk}", admin) == [pete.pk]
    first = call(client, "GET", f"{path}?user_ids[]={ada.pk}&user_ids[]={pete.pk}&per_page=1", token=admin)
    following = first["Link"].split('>; rel="next"')[0].partition("/api/v4")[2]
    assert listed(client, following, admin) == [pete.pk]
    olga = User.objects.get(username="olga").pk
    assert listed(client, f"{path}/all?skip_users={olga}", admin) == [ada.pk, pete.pk]
    assert listed(client, f"{path}/all?user_ids={olga}", admin) == [olga]
    wrong = call(client, "GET", f"{path}?user_ids=ada", token=admin)
    assert (wrong.status_code, json.loads(wrong.content)) == (400, {"error": "user_ids is invalid"})


@pytest.mark.parametrize("place", ["personal", "projects", "groups"])
def test_tokens_are_listed_by_times_and_in_the_order_that_is_asked_for(place: str, client: Client, admin: str) -> None:
    user, project = new_user("ada"), new_project()
    owner = project if place == "projects" else project.namespace
    made = [new_token(user).token if place == "personal" else new_bot_token(owner).token for _ in range(3)]
    path = f"/personal_access_tokens?user_id={user.pk}"
    path = path if place == "personal" else f"/{place}/{owner.pk}/access_tokens?state=active"
    today, now = datetime.now(tz=UTC).date(), datetime.now(tz=UTC)
    for number, token in enumerate(made, 1):
        PersonalAccessToken.objects.filter(pk=token.pk).update(
            name=f"n{(number * 2) % 3}",
            created_at=now - timedelta(days=30 * number),
            last_used_at=now - timedelta(days=number) if number < 3 else None,
            expires_at=today + timedelta(days=100 - 30 * number),
        )
    first, second, third = (token.pk for token in made)

    def day(days: int) -> str:
        return (today + timedelta(days=days)).isoformat()

    assert listed(client, f"{path}&created_after={day(-45)}", admin) == [first]
    assert listed(client, f"{path}&created_before={day(-45)}", admin) == [third, second]
    assert listed(client, f"{path}&last_used_after={day(-1)}T00:00:00Z", admin) == [first]
    assert listed(client, f"{path}&last_used_before={day(-1)}T00:00:00Z", admin) == [second]
    assert listed(client, f"{path}&expires_after={day(40)}", admin) == [second, first]
    assert listed(client, f"{path}&expires_before={day(40)}", admin) == [third, second]
    assert listed(client, f"{path}&sort=created_asc", admin) == [third, second, first]
    assert listed(client, f"{path}&sort=expires_desc", admin) == [first, second, third]
    assert listed(client, f"{path}&sort=last_used_desc", admin) == [first, second, third]
    assert listed(client, f"{path}&sort=last_used_asc", admin) == [second, first, third]
    assert listed(client, f"{path}&sort=name_asc", admin) == [third, second, first]
    assert listed(client, f"{path}&sort=something", admin) == [third, second, first]


def test_deploy_tokens_that_have_ended_are_left_out_where_only_active_ones_are_asked_for(
    client: Client, admin: str
) -> None:
    project = new_project()
    ended, active = new_deploy_token(project).token, new_deploy_token(project).token
    DeployToken.objects.filter(pk=ended.pk).update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    for path in ("/deploy_tokens", f"/projects/{project.pk}/deploy_tokens"):
        assert listed(client, f"{path}?active=true", admin) == [active.pk]
        assert listed(client, f"{path}?active=false", admin) == [ended.pk, active.pk]
        assert listed(client, path, admin) == [ended.pk, active.pk]


def test_users_are_listed_by_what_they_have(client: Client, admin: str) -> None:
    group = new_group("team")
    new_project(new_group("below", parent=group), "app")
    guarded, member, lonely, pushing = (new_user(name) for name in ("guarded", "member", "lonely", "pushing"))
    new_member(group, AccessLevel.GUEST, member)
    new_member(new_group("hollow"), AccessLevel.GUEST, lonely)
    new_project(pushing, "app")
    SecondFactor.objects.create(user=guarded, kind=FactorKind.TOTP, name="phone", data="x")
    ExternalIdentity.objects.create(user=member, provider="ldapmain", uid="uid=member")
    block_user(lonely, by=COMMAND_LINE)
    User.objects.filter(pk=pushing.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))

    def names(query: str) -> set[str]:
        return set(listed(client, f"/users?{query}", admin, "username"))

    everybody = {"root", "guarded", "member", "lonely", "pushing"}
    assert names("two_factor=enabled") == {"guarded"}
    assert names("two_factor=disabled") == everybody - {"guarded"}
    assert names("without_projects=true") == {"root", "guarded", "lonely"}
    assert names("extern_uid=uid%3Dmember&provider=ldapmain") == {"member"}
    assert names("extern_uid=uid%3Dmember&provider=other") == set()
    assert names("skip_ldap=true") == everybody - {"member"}
    assert names("exclude_active=true") == {"lonely"}
    assert names("exclude_humans=true") == set()
    assert names("created_before=2021-01-01") == {"pushing"}
    assert names("created_after=2021-01-01") == everybody - {"pushing"}
    assert names("admins=true") == {"root"}
    reader = new_token(member, TokenScope.READ_USER).secret
    for query in ("two_factor=enabled", "without_projects=true", "extern_uid=a&provider=b", "admins=true"):
        assert call(client, "GET", f"/users?{query}", token=reader).status_code == 403
    assert call(client, "GET", "/users?exclude_active=true", token=reader).status_code == 200


def test_namespaces_are_listed_by_owner_and_place(client: Client) -> None:
    ada = new_user("ada")
    outer = new_group("outer", owner=ada)
    new_group("inner", parent=outer)
    new_member(new_group("other"), AccessLevel.DEVELOPER, ada)
    token = new_token(ada).secret
    assert listed(client, "/namespaces", token, "full_path") == ["ada", "other", "outer", "outer/inner"]
    assert listed(client, "/namespaces?owned_only=true", token, "full_path") == ["ada", "outer", "outer/inner"]
    assert listed(client, "/namespaces?top_level_only=true", token, "full_path") == ["ada", "other", "outer"]
    assert listed(client, "/namespaces?search=outer", token, "full_path") == ["outer"]
    assert listed(client, "/namespaces?search=outer/&full_path_search=true", token, "full_path") == ["outer/inner"]
