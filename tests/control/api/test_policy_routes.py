"""Cleanup policies over the API: what a preview shows, a run leaves, and an undo brings back."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanupPolicy
from support.control_api import call
from support.control_registry import push_tags, registry_at
from support.control_rows import new_project, new_token, new_user
from support.daemon import Daemon


@pytest.fixture(autouse=True)
def _registry(shared_daemon: Daemon) -> Iterator[None]:
    with registry_at(shared_daemon.url):
        yield


def answered(found: HttpResponse) -> Any:  # noqa: ANN401 - JSON
    return json.loads(found.content)


def test_a_policy_is_previewed_run_at_once_and_undone(client: Client, shared_daemon: Daemon) -> None:
    owner = new_user()
    project, token = new_project(owner, "app"), new_token(owner, "api").secret
    push_tags(shared_daemon.address, project.full_path, "dev-1", "keep-1", "latest")
    ensure_repository(project, project.full_path, by=COMMAND_LINE)
    place = f"/projects/{project.pk}/moorage/cleanup_policy"
    assert call(client, "POST", f"{place}/run", token=token).status_code == 400

    (shown,) = answered(
        call(client, "GET", f"{place}/preview?name_regex_delete=dev-.*&keep_n=&older_than=", token=token)
    )
    assert {tag["name"]: tag["rule"] for tag in shown["tags"]} == {
        "dev-1": "deleted",
        "keep-1": "other_name",
        "latest": "latest",
    }
    assert shown["freed_bytes"] > 0
    assert not CleanupPolicy.objects.exists()
    unusable = call(client, "GET", f"{place}/preview?name_regex_delete=(", token=token)
    assert (unusable.status_code, list(answered(unusable)["message"])) == (400, ["name_regex"])

    attributes = {"enabled": True, "name_regex_delete": "dev-.*", "keep_n": None, "older_than": None}
    values = {"container_expiration_policy_attributes": attributes}
    assert call(client, "PUT", f"/projects/{project.pk}", token=token, values=values).status_code == 200
    assert call(client, "POST", f"{place}/run", token=token).status_code == 202
    later = timezone.now() + timedelta(seconds=1)
    run_until_idle([PolicyCleanup()], Turn(clock=lambda: later))
    (run,) = answered(call(client, "GET", f"{place}/runs", token=token))
    assert (run["outcome"], run["deleted_size"], run["kept"]) == ("finished", 1, {"latest": 1, "other_name": 1})
    assert answered(call(client, "GET", f"{place}/runs/{run['id']}", token=token)) == run
    (gone,) = answered(call(client, "GET", f"{place}/runs/{run['id']}/tags", token=token))
    assert gone["name"] == "dev-1"
    undone = answered(call(client, "POST", f"{place}/runs/{run['id']}/undo", token=token))
    assert undone == {"restored": ["dev-1"], "there": [], "gone": [], "protected": [], "left": 0}


def test_a_preview_by_an_age_that_is_none_is_refused_and_is_not_one_of_all_ages(client: Client) -> None:
    owner = new_user()
    project, token = new_project(owner, "app"), new_token(owner, "api").secret
    for age in ("soon", "1e9d", "99999999999999d"):
        found = call(
            client, "GET", f"/projects/{project.pk}/moorage/cleanup_policy/preview?older_than={age}", token=token
        )
        assert (found.status_code, answered(found)) == (400, {"message": {"older_than": ["is invalid"]}})


def test_a_policy_with_an_age_that_is_none_deletes_nothing_and_is_switched_off(
    client: Client, shared_daemon: Daemon
) -> None:
    """Write it past the check, as another program may: passed over, it would have tags of any age go."""
    owner = new_user()
    project, token = new_project(owner, "app"), new_token(owner, "api").secret
    push_tags(shared_daemon.address, project.full_path, "one", "two")
    repository = ensure_repository(project, project.full_path, by=COMMAND_LINE)
    values = {"enabled": True, "name_regex_delete": ".*", "keep_n": 1, "older_than": "90d"}
    call(
        client,
        "PUT",
        f"/projects/{project.pk}",
        token=token,
        values={"container_expiration_policy_attributes": values},
    )
    CleanupPolicy.objects.filter(project=project).update(older_than="soon", next_run_at=timezone.now())
    later = timezone.now() + timedelta(hours=1)
    run_until_idle([PolicyCleanup()], Turn(clock=lambda: later))
    assert not CleanupPolicy.objects.get(project=project).enabled
    path = f"/projects/{project.pk}/registry/repositories/{repository.pk}/tags"
    assert len(answered(call(client, "GET", path, token=token))) == 2
