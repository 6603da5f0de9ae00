"""``registry.enabled: false`` hides the registry on every route, and keeps every image and all that is known of it."""

import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.models import ImageRepository
from moorage.control.images.moves import move_project_with_images
from moorage.control.images.recording import ensure_repository
from moorage.control.policies.models import CleanupPolicy
from moorage.control.projects.models import Project
from moorage.control.refusals import ChangeRefused
from support.control_api import call
from support.control_registry import push_tags, registry_at, registry_off
from support.control_rows import new_group, new_project, new_token, new_user
from support.daemon import Daemon

from .test_api_routes import CHANGES_NEED, operations

OF_THE_REGISTRY = re.compile(r"registry/|container_registry|cleanup_policy|jwt/auth")


@pytest.fixture
def project() -> Project:
    found = new_project(new_group("team"), "app")
    ensure_repository(found, "team/app/web", by=COMMAND_LINE)
    return found


def status(client: Client, name: str, project: Project, token: str) -> int:
    """The answer of an operation of the API to an administrator; whatever it changes is taken back."""
    method, path = operations()[name][0], path_of(name, project)
    body = CHANGES_NEED.get(name.removesuffix("_of_projects").removesuffix("_of_groups"), {})
    with transaction.atomic():
        found = call(client, method, path, token=token, values=body).status_code
        transaction.set_rollback(True)
    return found


def path_of(name: str, project: Project) -> str:
    path = f"/{operations()[name][1].removeprefix('/')}"
    places = {"projects": project.pk, "groups": project.namespace_id, "namespaces": project.namespace_id}
    known: dict[str, Any] = {"place": places.get(path.split("/")[1]), "tag": "1"}
    known["repository_id"] = project.repositories.get().pk
    return re.sub(r"{(\w+)}", lambda found: str(known.get(found[1], 987654)), path)


def test_every_route_of_the_registry_is_gone_and_every_other_answers_as_before(
    client: Client, project: Project, shared_daemon: Daemon
) -> None:
    push_tags(shared_daemon.address, "team/app/web", "1")
    token = new_token(new_user(is_admin=True)).secret
    hidden = {name for name in operations() if OF_THE_REGISTRY.search(path_of(name, project))}
    others = {name for name, (method, _) in operations().items() if method == "GET"} - hidden
    with registry_at(shared_daemon.url) as registry:
        with registry_off():
            assert {name: status(client, name, project, token) for name in hidden} == dict.fromkeys(hidden, 404)
            off = {name: status(client, name, project, token) for name in others}
        assert registry.tag_names("team/app/web") == ["1"]
        assert off == {name: status(client, name, project, token) for name in others}
    assert len(hidden) > 20
    assert ImageRepository.objects.count() == 1


def test_no_other_route_is_of_the_registry_without_being_gone(client: Client) -> None:
    """Go through the addresses beside the API's own, so that a new one is not forgotten."""
    routes = [route for route in beside_the_api(get_resolver().url_patterns) if OF_THE_REGISTRY.search(route)]
    assert sorted(routes) == ["api/v4/container_registry_event/events", "jwt/auth"]
    with registry_off():
        headers = {"Authorization": "secret-of-events"}
        for method, route in (("GET", "jwt/auth?service=container_registry"), ("POST", routes[-1])):
            answer = client.generic(method, f"/{route}", b'{"events": []}', "application/json", headers=headers)
            assert answer.status_code == 404, route


def beside_the_api(patterns: list[URLPattern | URLResolver]) -> list[str]:
    found = []
    for one in patterns:
        if isinstance(one, URLPattern):
            found.append(str(one.pattern))
        elif getattr(one, "namespace", "") != "api":
            found += beside_the_api(one.url_patterns)
    return found


def test_what_has_images_is_not_moved_away_from_them(project: Project) -> None:
    with registry_off(), pytest.raises(ChangeRefused, match="contains container registry tags"):
        move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
    free = new_project(project.namespace, "free")
    with registry_off():
        move_project_with_images(free, free.namespace, "freer", by=COMMAND_LINE)
    assert free.path == "freer"


def test_policies_and_rules_are_there_when_it_is_on_again(client: Client, project: Project) -> None:
    token = new_token(new_user(is_admin=True)).secret
    attributes = {"container_expiration_policy_attributes": {"enabled": True, "keep_n": 5}}
    assert call(client, "PUT", f"/projects/{project.pk}", token=token, values=attributes).status_code == 200
    path = f"/projects/{project.pk}/registry/protection/repository/rules"
    rule = {"repository_path_pattern": "team/app/*", "minimum_access_level_for_push": "owner"}
    assert call(client, "POST", path, token=token, values=rule).status_code == 201
    with registry_off():
        assert call(client, "GET", path, token=token).status_code == 404
    assert len(call(client, "GET", path, token=token).content) > 2
    assert CleanupPolicy.objects.get(project=project).keep_n == 5
