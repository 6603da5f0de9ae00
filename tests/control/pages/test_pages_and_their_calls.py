"""What a page lets a person do its call of the API lets them do, and nothing that the one refuses the other allows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.namespaces.models import Namespace
from moorage.control.policies.models import CleanupRun
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from support.control_api import call
from support.control_rows import new_group, new_member, new_project, new_token, new_user

pytestmark = pytest.mark.usefixtures("registry")

REFUSED = {401, 403, 404}
LEVELS = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}


class Twins(NamedTuple):
    """A page's form and the call of the API that does the same, of which nothing needs to be possible but the right."""

    page: str
    sent: Mapping[str, Any]
    method: str
    path: str
    values: Mapping[str, Any]


def twins() -> dict[str, Twins]:
    top = new_group("top")
    group = new_group("team", parent=top)
    project = new_project(group, "app")
    image = ensure_repository(project, f"{project}/web", by=COMMAND_LINE)
    rule = create_repository_rule(project, f"{project}/kept", by=COMMAND_LINE, **LEVELS)
    tag_rule = create_tag_rule(project, "v", by=COMMAND_LINE, **LEVELS)
    run = CleanupRun.objects.create(project=project, repository=image, started_at=image.created_at)
    other, owner = new_user(), new_member(project, AccessLevel.OWNER)
    developer = new_member(project, AccessLevel.DEVELOPER)
    in_group = new_member(group, AccessLevel.DEVELOPER)
    p, g, a, b = f"/{project}/-", f"/{group}/-", f"/projects/{project.pk}", f"/groups/{group.pk}"
    registry, protection = f"{a}/registry", f"{a}/registry/protection"
    settings = {"name": "x", "description": "", "container_registry_access_level": "enabled"}
    member, deploy = {"access_level": 20}, {"name": "x", "scopes": ["read_registry"]}
    return {
        "settings": Twins(f"{p}/settings", settings | {"visibility": "private"}, "PUT", a, {"name": "x"}),
        "visibility": Twins(f"{p}/settings", settings | {"visibility": "public"}, "PUT", a, {"visibility": "public"}),
        "member": Twins(
            f"{p}/members",
            member | {"username": other.username},
            "POST",
            f"{a}/members",
            member | {"user_id": other.pk},
        ),
        "owner as member": Twins(
            f"{p}/members/{owner.pk}", {"remove": "1"}, "DELETE", f"{a}/members/{owner.user_id}", {}
        ),
        "role": Twins(f"{p}/members/{developer.pk}", member, "PUT", f"{a}/members/{developer.user_id}", member),
        "access token": Twins(
            f"{p}/tokens",
            {"kind": "access", "name": "x", "scopes": ["api"], "access_level": 20},
            "POST",
            f"{a}/access_tokens",
            {"name": "x", "scopes": ["api"], "access_level": 20},
        ),
        "rule": Twins(
            f"{p}/protection",
            {"kind_of_rule": "repository", "pattern": f"{project}/x", "push": "owner", "delete": ""},
            "POST",
            f"{protection}/repository/rules",
            {"repository_path_pattern": f"{project}/x", "minimum_access_level_for_push": "owner"},
        ),
        "rule away": Twins(
            f"{p}/protection/repositories/{rule.pk}/remove",
            {},
            "DELETE",
            f"{protection}/repository/rules/{rule.pk}",
            {},
        ),
        "tag rule away": Twins(
            f"{p}/protection/tags/{tag_rule.pk}/remove", {}, "DELETE", f"{protection}/tag/rules/{tag_rule.pk}", {}
        ),
        "policy": Twins(f"{p}/cleanup", {}, "PUT", a, {"container_expiration_policy_attributes": {"keep_n": 5}}),
        "run": Twins(f"{p}/cleanup/run", {}, "POST", f"{a}/moorage/cleanup_policy/run", {}),
        "undo": Twins(
            f"{p}/cleanup/runs/{run.pk}/undo", {}, "POST", f"{a}/moorage/cleanup_policy/runs/{run.pk}/undo", {}
        ),
        "deletion": Twins(f"{p}/delete-place", {}, "DELETE", a, {}),
        "repository away": Twins(
            f"/{image.path}/-/delete-repository", {}, "DELETE", f"{registry}/repositories/{image.pk}", {}
        ),
        "group settings": Twins(
            f"{g}/settings", {"name": "x", "description": "", "visibility": "public"}, "PUT", b, {"name": "x"}
        ),
        "group member": Twins(
            f"{g}/members",
            member | {"username": other.username},
            "POST",
            f"{b}/members",
            member | {"user_id": other.pk},
        ),
        "group role": Twins(f"{g}/members/{in_group.pk}", member, "PUT", f"{b}/members/{in_group.user_id}", member),
        "group token": Twins(f"{g}/tokens", {"kind": "deploy", "name": ""}, "POST", f"{b}/deploy_tokens", deploy),
        "group deletion": Twins(f"{g}/delete-place", {}, "DELETE", b, {}),
        "group in it": Twins(
            f"/groups/new?in={group}", {"path": "x"}, "POST", "/groups", {"name": "x", "parent_id": group.pk}
        ),
        "quota": Twins(f"{p}/usage", {}, "PUT", f"{a}/moorage/quota", {"hard_bytes": 5}),
    }


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.parametrize("role", ["none", "reporter", "developer", "maintainer", "owner", "admin"])
def test_a_page_and_its_call_ask_for_the_same_role(client: Client, role: str) -> None:
    person = new_user(is_admin=role == "admin")
    token, found = new_token(person).secret, twins()
    group = Namespace.objects.get(full_path="top/team")
    if role not in ("none", "admin"):
        new_member(group, AccessLevel[role.upper()], person)
    client.force_login(person)
    differing = {}
    for name, one in found.items():
        with undone():
            by_page = client.post(one.page, one.sent).status_code
        with undone():
            by_call = call(client, one.method, one.path, token=token, values=one.values).status_code
        if (by_page in REFUSED) != (by_call in REFUSED):
            differing[name] = (by_page, by_call)
    assert differing == {}
