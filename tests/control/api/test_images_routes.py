"""RST-001 to RST-011: repositories and tags over the API, each field and each refusal as GitLab's clients read them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http.response import HttpResponse, HttpResponseBase
from django.test import Client

from moorage.control.api import paging
from moorage.control.api.routes import images as images_routes
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.instance.changes import change_settings
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from moorage.control.registry import distribution_api
from support.components import need
from support.control_api import call
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_job_token, new_member, new_project, new_token, new_user
from support.control_tokens import ask, granted
from support.daemon import Daemon
from support.images import Image
from support.peer import Peer


@pytest.fixture(autouse=True)
def _registry(shared_daemon: Daemon) -> Iterator[None]:
    with registry_at(shared_daemon.url):
        yield


@pytest.fixture
def images(shared_daemon: Daemon) -> dict[str, Image]:
    return push_tags(shared_daemon.address, "rest/app/web", "a", "b", "c", "latest")


@pytest.fixture
def web(images: dict[str, Image]) -> ImageRepository:
    assert images
    return ensure_repository(new_project(new_group("rest"), "app"), "rest/app/web", by=COMMAND_LINE)


def token_of(row: ImageRepository, level: AccessLevel) -> str:
    return new_token(new_member(row.project, level).user, "api").secret


def read(answer: HttpResponseBase) -> Any:  # noqa: ANN401 - JSON
    assert isinstance(answer, HttpResponse)
    return json.loads(answer.content)


def test_a_repository_is_shown_by_gitlab_s_fields_and_what_was_not_asked_for_is_left_out(
    client: Client, web: ImageRepository
) -> None:
    maintainer, reporter = (token_of(web, level) for level in (AccessLevel.MAINTAINER, AccessLevel.REPORTER))
    place = f"/registry/repositories/{web.pk}"
    plain = read(call(client, "GET", place, token=reporter))
    assert plain == {
        "id": web.pk,
        "name": "web",
        "path": "rest/app/web",
        "project_id": web.project_id,
        "location": "registry.test:5000/rest/app/web",
        "created_at": plain["created_at"],
        "cleanup_policy_started_at": None,
        "status": None,
    }
    whole = read(call(client, "GET", f"{place}?tags=true&tags_count=true&size=true", token=maintainer))
    assert whole.pop("delete_api_path") == f"/api/v4/projects/{web.project_id}/registry/repositories/{web.pk}"
    tags = [{"name": name, "path": f"rest/app/web:{name}"} for name in ("a", "b", "c", "latest")]
    tags = [tag | {"location": f"registry.test:5000/{tag['path']}"} for tag in tags]
    assert (whole.pop("tags"), whole.pop("tags_count"), whole.pop("size")) == (tags, 4, 8000)
    assert whole == plain
    job = new_job_token(web.project).secret
    (listed,) = read(call(client, "GET", f"/projects/{web.project_id}/registry/repositories?tags_count=1", job=job))
    assert listed == plain | {"tags_count": 4}
    (of_group,) = read(call(client, "GET", "/groups/rest/registry/repositories", token=reporter))
    assert of_group == plain
    assert call(client, "GET", place).status_code == 401


def test_tags_by_number_are_counted_no_further_than_rows_are_and_end_at_the_same_limit(
    client: Client, web: ImageRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution_api, "PAGE_SIZE", 1)
    monkeypatch.setattr(distribution_api, "PAGES_LIMIT", 3)  # One more would be refused.
    for module in (images_routes, paging):
        monkeypatch.setattr(module, "TOTAL_LIMIT", 2)
    token = token_of(web, AccessLevel.REPORTER)
    place = f"/projects/{web.project_id}/registry/repositories/{web.pk}/tags"
    first = call(client, "GET", f"{place}?per_page=1", token=token)
    assert ([tag["name"] for tag in read(first)], first["X-Next-Page"], "X-Total" in first) == (["a"], "2", False)
    monkeypatch.setattr(distribution_api, "PAGES_LIMIT", 5)
    last = call(client, "GET", f"{place}?per_page=2&page=2", token=token)
    assert ([tag["name"] for tag in read(last)], last["X-Next-Page"]) == (["c", "latest"], "")
    far = call(client, "GET", f"{place}?per_page=100&page=501", token=token)
    assert far.status_code == 405
    assert "objects of type Tag" in read(far)["error"]


def test_tags_are_listed_by_number_and_by_key_and_one_is_shown_with_its_image(
    client: Client, web: ImageRepository, images: dict[str, Image]
) -> None:
    token, place = (
        token_of(web, AccessLevel.REPORTER),
        f"/projects/{web.project_id}/registry/repositories/{web.pk}/tags",
    )
    numbered = call(client, "GET", f"{place}?per_page=3&page=2", token=token)
    assert ([tag["name"] for tag in read(numbered)], numbered["X-Total"]) == (["latest"], "4")
    seen, path = [], f"{place}?pagination=keyset&sort=desc&per_page=3"
    while path:
        answer = call(client, "GET", path, token=token)
        seen.append([tag["name"] for tag in read(answer)])
        path = answer.headers.get("Link", "").partition(">")[0].partition("/api/v4")[2]
    assert seen == [["latest", "c", "b"], ["a"]]
    shown = read(call(client, "GET", f"{place}/b", token=token))
    assert shown.pop("created_at").endswith("Z")
    revision = images["b"].blobs[0].digest.removeprefix("sha256:")
    assert shown == {
        "name": "b",
        "path": "rest/app/web:b",
        "location": "registry.test:5000/rest/app/web:b",
        "revision": revision,
        "short_revision": revision[:9],
        "digest": images["b"].digest,
        "total_size": shown["total_size"],
    }
    assert shown["total_size"] >= 2000
    missing = call(client, "GET", f"{place}/none", token=token)
    assert (missing.status_code, read(missing)) == (404, {"message": "404 Tag Not Found"})


def test_what_a_rule_or_a_role_forbids_is_told_in_gitlab_s_words(client: Client, web: ImageRepository) -> None:
    developer, maintainer = (token_of(web, level) for level in (AccessLevel.DEVELOPER, AccessLevel.MAINTAINER))
    place = f"/projects/{web.project_id}/registry/repositories/{web.pk}"
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}
    create_tag_rule(web.project, "^a$", by=COMMAND_LINE, **levels)
    protected = call(client, "DELETE", f"{place}/tags/a", token=maintainer)
    words = "403 Forbidden - cannot delete protected tag(s)"
    assert (protected.status_code, read(protected)) == (403, {"message": words})
    assert call(client, "DELETE", f"{place}/tags/b", token=developer).status_code == 200
    create_repository_rule(web.project, "rest/app/web", by=COMMAND_LINE, minimum_access_level_for_delete="owner")
    kept = call(client, "DELETE", place, token=maintainer)
    assert kept.status_code == 403
    assert "Deleting protected container repository forbidden." in read(kept)["message"]
    assert call(client, "DELETE", place, token=developer).status_code == 403
    owner = token_of(web, AccessLevel.OWNER)
    assert call(client, "DELETE", place, token=owner).status_code == 202
    shown = read(call(client, "GET", f"/registry/repositories/{web.pk}", token=owner))
    assert shown["status"] == "delete_scheduled"
    ImageRepository.objects.filter(pk=web.pk).update(status="delete_failed")
    assert call(client, "DELETE", place, token=owner).status_code == 202
    assert read(call(client, "GET", f"/registry/repositories/{web.pk}", token=owner))["status"] == "delete_scheduled"


def test_many_tags_are_deleted_once_an_hour_and_a_pattern_is_needed(client: Client, web: ImageRepository) -> None:
    token, place = (
        token_of(web, AccessLevel.MAINTAINER),
        f"/projects/{web.project_id}/registry/repositories/{web.pk}/tags",
    )
    for values in ({}, {"name_regex_delete": "("}, {"name_regex_delete": ".*", "older_than": "soon"}):
        assert call(client, "DELETE", place, token=token, values=values).status_code == 400
    wanted = {"name_regex": "b|c", "keep_n": 0, "older_than": "1month"}
    assert call(client, "DELETE", place, token=token, values=wanted).status_code == 202
    again = call(client, "DELETE", place, token=token, values=wanted)
    assert again.status_code == 400
    assert "You can run this at most once an hour for a given container repository" in read(again)["message"]


def test_the_registry_of_a_project_is_switched_by_its_level_or_by_the_older_boolean(
    client: Client, web: ImageRepository
) -> None:
    token, place = token_of(web, AccessLevel.OWNER), f"/projects/{web.project_id}"
    seen = []
    for values in (
        {"container_registry_access_level": "private"},
        {"container_registry_enabled": False},
        {"container_registry_enabled": True},
        {"container_registry_access_level": "disabled"},
    ):
        shown = read(call(client, "PUT", place, token=token, values=values))
        seen.append((shown["container_registry_access_level"], shown["container_registry_enabled"]))
    assert seen == [("private", True), ("disabled", False), ("enabled", True), ("disabled", False)]
    assert call(client, "GET", f"{place}/registry/repositories", token=token).status_code == 403
    refused = call(client, "PUT", place, token=token, values={"container_registry_access_level": "public"})
    assert refused.status_code == 400


def test_where_new_projects_have_no_registry_their_owners_switch_it_on(client: Client) -> None:
    change_settings(by=COMMAND_LINE, default_projects_container_registry=False)
    owner = new_user("olga")
    token = new_token(owner, "api").secret
    made = read(call(client, "POST", "/projects", token=token, values={"name": "app"}))
    assert made["container_registry_access_level"] == "disabled"
    push = "repository:olga/app:push"
    assert granted(ask(client, push, given=("olga", token))) == {}
    values = {"container_registry_access_level": "enabled"}
    assert call(client, "PUT", f"/projects/{made['id']}", token=token, values=values).status_code == 200
    assert granted(ask(client, push, given=("olga", token))) == {"olga/app": ["push"]}


def test_a_registry_without_gitlab_s_api_has_no_pages_by_key_no_sizes_and_no_rules_about_tags(
    client: Client, web: ImageRepository, tmp_path: Path
) -> None:
    need("docker-registry")
    token, place = token_of(web, AccessLevel.REPORTER), f"/projects/{web.project_id}/registry/repositories/{web.pk}"
    rules, levels = f"/projects/{web.project_id}/registry/protection/tag/rules", "minimum_access_level_for_"
    maintainer = token_of(web, AccessLevel.MAINTAINER)
    with Peer(tmp_path, tmp_path / "data") as peer, registry_at(peer.url):
        rule = {"tag_name_pattern": "^v", f"{levels}push": "owner", f"{levels}delete": "owner"}
        unkept = call(client, "POST", rules, token=maintainer, values=rule)
        assert unkept.status_code == 422
        assert "GitLab container registry API not supported" in unkept.content.decode()
        push_tags(peer.address, "rest/app/web", "there")
        refused = call(client, "GET", f"{place}/tags?pagination=keyset", token=token)
        assert (refused.status_code, list(read(refused))) == (405, ["message"])
        assert [tag["name"] for tag in read(call(client, "GET", f"{place}/tags", token=token))] == ["there"]
        shown = read(call(client, "GET", f"/registry/repositories/{web.pk}?size=true", token=token))
        assert shown["size"] is None
