"""Moves of projects and groups with their images: by the registry's rename, all or nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images import recording
from moorage.control.images.models import ImageMove, ImageRepository
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.namespaces.models import TakenPath
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from support.control_api import call
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_project, new_token, new_user
from support.daemon import Daemon
from support.image_moves import pushed
from support.peer import COMMAND, Peer
from support.ports import free_port


def read(answer: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_a_renamed_project_takes_its_images_along(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project = new_project(path="app")
    group = project.namespace.full_path
    pushed(shared_daemon, project, "", "web", "web/deep")
    move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
    assert project.full_path == f"{group}/better"
    for name in ("", "/web", "/web/deep"):
        assert registry.tag_names(f"{group}/better{name}") == ["1"]
        assert registry.tag_names(f"{group}/app{name}") == []
    assert {one.path for one in ImageRepository.objects.all()} == {
        f"{group}/better",
        f"{group}/better/web",
        f"{group}/better/web/deep",
    }
    assert not ImageMove.objects.exists()
    assert not TakenPath.objects.filter(path=f"{group}/app").exists()
    assert AuditEntry.objects.get(action="project_moved").details == {"full_path": [f"{group}/app", f"{group}/better"]}


def test_images_that_no_record_knows_come_along(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project = new_project(path="app")
    push_tags(shared_daemon.address, f"{project.full_path}/before/accounts", "1")
    move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
    assert registry.tag_names(f"{project.full_path}/before/accounts") == ["1"]


def test_a_transferred_project_takes_its_images_along(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    top = new_group()
    project, there = new_project(new_group(parent=top), "app"), new_group(parent=top)
    pushed(shared_daemon, project, "web")
    move_project_with_images(project, there, "app", by=COMMAND_LINE)
    assert project.full_path == f"{there.full_path}/app"
    assert registry.tag_names(f"{there.full_path}/app/web") == ["1"]


def test_a_moved_group_takes_the_images_of_all_its_projects_along(
    shared_daemon: Daemon, registry: ControlRegistry
) -> None:
    top = new_group()
    group, there = new_group("team", parent=top), new_group("there", parent=top)
    projects = [new_project(group, "one"), new_project(new_group("below", parent=group), "two")]
    for project in projects:
        pushed(shared_daemon, project, "web")
    move_group_with_images(group, top, "crew", by=COMMAND_LINE)
    assert registry.tag_names(f"{top.full_path}/crew/below/two/web") == ["1"]
    move_group_with_images(group, there, "crew", by=COMMAND_LINE)
    for project in projects:
        project.refresh_from_db()
        assert registry.tag_names(f"{project.full_path}/web") == ["1"]
    assert projects[1].full_path == f"{top.full_path}/there/crew/below/two"


def test_a_group_at_the_top_is_renamed_with_its_images(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project = new_project(path="app")
    group, old = project.namespace, project.full_path
    pushed(shared_daemon, project, "web")
    move_group_with_images(group, None, f"{group.path}-renamed", by=COMMAND_LINE)
    assert registry.tag_names(f"{group.full_path}/app/web") == ["1"]
    assert registry.tag_names(f"{old}/web") == []


def test_what_differs_in_case_only_is_the_same_to_a_registry(registry: ControlRegistry, shared_daemon: Daemon) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web")
    move_project_with_images(project, project.namespace, "App", by=COMMAND_LINE)
    assert project.full_path.endswith("/App")
    assert registry.tag_names(f"{project.full_path.lower()}/web") == ["1"]


def test_a_project_with_tags_does_not_go_to_another_top_level_namespace(
    shared_daemon: Daemon, registry: ControlRegistry, client: Client
) -> None:
    admin = new_token(new_user(is_admin=True)).secret
    project, group, there = new_project(path="app"), new_group("old"), new_group("new")
    inner = new_project(group, "app")
    for one in (project, inner):
        pushed(shared_daemon, one, "web")
    answers = [
        call(client, "PUT", f"/projects/{project.pk}/transfer", token=admin, values={"namespace": there.pk}),
        call(client, "POST", f"/groups/{group.pk}/transfer", token=admin, values={"group_id": there.pk}),
    ]
    there_not = "to a different top-level namespace, because"
    assert [read(answer)["message"].removeprefix("400 Bad request - ") for answer in answers] == [
        f"Project cannot be transferred {there_not} image tags are present in its container registry",
        f"Namespace cannot be moved {there_not} at least one project has tags in the container registry",
    ]
    assert registry.tag_names(f"{project.full_path}/web") == ["1"]
    free = new_project(path="free")
    answer = call(client, "PUT", f"/projects/{free.pk}/transfer", token=admin, values={"namespace": there.pk})
    assert answer.json()["path_with_namespace"] == "new/free"  # type: ignore[attr-defined]


def test_the_registry_s_word_against_a_rename_is_told_and_nothing_is_changed(
    shared_daemon: Daemon, registry: ControlRegistry, client: Client
) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web")
    push_tags(shared_daemon.address, f"{project.namespace.full_path}/taken/elsewhere", "1")
    admin = new_token(new_user(is_admin=True)).secret
    values = {"path": "taken", "name": "Other", "visibility": "public"}
    answer = call(client, "PUT", f"/projects/{project.pk}", token=admin, values=values)
    assert answer.status_code == 400
    said = "Cannot rename project, the container registry path rename validation failed: name_taken"
    assert said in read(answer)["message"]
    project.refresh_from_db()
    assert (project.path, project.name, project.visibility) == ("app", "app", "private")
    assert registry.tag_names(f"{project.full_path}/web") == ["1"]


def test_a_value_that_is_refused_moves_no_image(
    shared_daemon: Daemon, registry: ControlRegistry, client: Client
) -> None:
    group = new_group(visibility="private")
    project = new_project(group, "app")
    pushed(shared_daemon, project, "web")
    admin = new_token(new_user(is_admin=True)).secret
    values = {"path": "better", "visibility": "public"}
    assert call(client, "PUT", f"/projects/{project.pk}", token=admin, values=values).status_code == 400
    assert registry.tag_names(f"{group.full_path}/app/web") == ["1"]


@pytest.mark.parametrize("path", ["taken", "-wrong-"])
def test_a_path_that_cannot_be_had_moves_no_image(path: str, shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project = new_project(path="app")
    new_project(project.namespace, "taken")
    pushed(shared_daemon, project, "web")
    with pytest.raises(ChangeRefused):
        move_project_with_images(project, project.namespace, path, by=COMMAND_LINE)
    assert registry.tag_names(f"{project.full_path}/web") == ["1"]
    assert not ImageMove.objects.exists()


def test_a_registry_that_is_away_changes_nothing(client: Client) -> None:
    project = new_project(path="app")
    admin = new_token(new_user(is_admin=True)).secret
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        answer = call(client, "PUT", f"/projects/{project.pk}", token=admin, values={"path": "better"})
    project.refresh_from_db()
    assert (answer.status_code, project.path) == (503, "app")


def test_a_registry_that_does_not_rename_keeps_projects_with_tags_where_they_are(tmp_path: Path) -> None:
    if shutil.which(COMMAND) is None:
        pytest.skip(f"{COMMAND} is not installed")
    project, group = new_project(path="app"), new_group()
    with Peer(tmp_path, tmp_path / "data") as peer, registry_at(peer.url):
        recording.ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
        move_project_with_images(project, project.namespace, "empty", by=COMMAND_LINE)
        push_tags(peer.address, f"{project.full_path}/web", "1")
        with pytest.raises(ChangeRefused, match="Cannot rename project because it contains container registry tags!"):
            move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
        with pytest.raises(ChangeRefused, match="Project cannot be transferred, because image tags are present"):
            move_project_with_images(project, group, "empty", by=COMMAND_LINE)
        with pytest.raises(ChangeRefused, match="Namespace cannot be moved because at least one project has tags"):
            move_group_with_images(project.namespace, group, "crew", by=COMMAND_LINE)
    assert project.path == "empty"
