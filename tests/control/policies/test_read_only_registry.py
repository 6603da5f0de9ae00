"""A registry that is read-only for days: what was accepted before, or is accepted meanwhile, is done afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import schedule_deletion
from moorage.control.images.deletion import ImageDeletion
from moorage.control.images.models import ImageMove, ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.policies import undoing
from moorage.control.policies.changes import request_bulk_deletion
from moorage.control.policies.jobs import BulkTagDeletion
from moorage.control.policies.models import BulkDeletion, CleanupRun, RunUndo
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.undo_job import RunUndoing
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.rules import Person
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.registry_errors import RegistryReadOnly
from support.control_api import call
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_project, new_token, new_user
from support.daemon import Daemon

OWNER = Person(AccessLevel.OWNER)
DAYS = 3

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PORTION", 1)


@contextmanager
def read_only(daemon: Daemon, folder: Path) -> Iterator[ControlRegistry]:
    """Another node over the same images, which takes no changes, as the control plane's registry."""
    config = {
        "version": 0.1,
        "storage": {
            "filesystem": {"rootdirectory": str(daemon.data)},
            "delete": {"enabled": True},
            "maintenance": {"readonly": {"enabled": True}},
        },
        "database": {"enabled": True, "sqlite": str(daemon.data / "moorage.db")},
    }
    with Daemon(folder, config=yaml.safe_dump(config), has_folder=False) as node, registry_at(node.url) as found:
        yield found


def repository(daemon: Daemon, *tags: str) -> ImageRepository:
    project = new_project()
    path = f"{project.full_path}/web"
    push_tags(daemon.address, path, *tags)
    return ensure_repository(project, path, by=COMMAND_LINE)


def hours_of(job: ImageDeletion | BulkTagDeletion | RunUndoing, clock: MovedClock) -> None:
    """Have a job try for days."""
    for _ in range(24 * DAYS):
        job.step(clock.turn)
        clock.move(hours=1)


def test_the_jobs_of_a_control_plane_wait_for_a_registry_that_is_read_only(
    shared_daemon: Daemon,
    registry: ControlRegistry,
    clock: MovedClock,
    tmp_path: Path,
) -> None:
    bulk = repository(shared_daemon, "dev-1", "dev-2")
    request_bulk_deletion(bulk, by=COMMAND_LINE, person=None, name_regex_delete="dev-.*", now=clock.now)
    gone = repository(shared_daemon, "1", "2")
    schedule_deletion(gone, by=COMMAND_LINE, person=OWNER, now=clock.now)
    undone = repository(shared_daemon, "a", "b")
    run = delete_picked_tags(undone, {"a": "", "b": ""}, by=COMMAND_LINE, person=OWNER).run
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    assert registry.tag_names(undone.path) == ["a"]
    jobs = BulkTagDeletion(), ImageDeletion(), RunUndoing()
    with read_only(shared_daemon, tmp_path) as closed:
        with pytest.raises(RegistryReadOnly, match="read-only for maintenance"):
            closed.delete_tag(bulk.path, "dev-1")
        for job in jobs:
            hours_of(job, clock)
        gone.refresh_from_db()
        assert "read-only for maintenance" in gone.last_failure
        assert (gone.status, gone.failed_deletion_count) == ("delete_scheduled", 0)
        assert BulkDeletion.objects.get().failures == 0
        assert "read-only for maintenance" in CleanupRun.objects.filter(repository=bulk).latest("pk").message
        undo = RunUndo.objects.get()
        assert (undo.finished_at, undo.failures) == (None, 0)
        assert "read-only for maintenance" in undo.message
    for job in jobs:
        while job.step(clock.turn):
            pass
    assert registry.tag_names(bulk.path) == []
    assert registry.tag_names(gone.path) == []
    assert registry.tag_names(undone.path) == ["a", "b"]
    assert not ImageRepository.objects.filter(pk=gone.pk).exists()
    assert not BulkDeletion.objects.exists()


def test_who_deletes_a_tag_of_a_registry_that_is_read_only_is_told_so(
    shared_daemon: Daemon, client: Client, tmp_path: Path
) -> None:
    owner = new_user()
    project = new_project(owner)
    push_tags(shared_daemon.address, f"{project.full_path}/web", "a")
    row = ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    client.force_login(owner)
    place = f"/projects/{project.pk}/registry/repositories/{row.pk}/tags/a"
    with read_only(shared_daemon, tmp_path):
        answer = call(Client(), "DELETE", place, token=new_token(owner).secret)
        assert (answer.status_code, answer.content) == (
            503,
            b'{"message": "503 Service Unavailable - The Container Registry is read-only"}',
        )
        for language, said in (("en", "The registry is read-only"), ("de", "Die Registry ist schreibgesch")):
            page = client.post(f"/{row.path}/-/delete", {"tag": "a"}, headers={"Accept-Language": language})
            assert page.status_code == 503
            assert said in page.content.decode()


def test_a_project_keeps_its_path_while_the_registry_is_read_only(
    shared_daemon: Daemon, client: Client, tmp_path: Path
) -> None:
    owner = new_user()
    project = new_project(owner)
    push_tags(shared_daemon.address, f"{project.full_path}/web", "a")
    with read_only(shared_daemon, tmp_path):
        token = new_token(owner).secret
        answer = call(client, "PUT", f"/projects/{project.pk}", token=token, values={"path": "elsewhere"})
        assert answer.status_code == 503
        assert b"is read-only" in answer.content
    before = project.full_path
    project.refresh_from_db()
    assert project.full_path == before
    assert not ImageMove.objects.exists()
