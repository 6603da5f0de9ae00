"""The undo of runs that are too large for one request: the first tags at once, the others by a job."""

import json
import threading

import pytest
from django.test import Client
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.policies import undoing
from moorage.control.policies.models import CleanupRun, RunUndo
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.undo_job import RETRIES, RunUndoing
from moorage.control.policies.undoing import UndoneTags, undo_portion, undo_run
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_tag_rule
from moorage.control.protection.rules import Person
from moorage.control.registry.client import ControlRegistry
from support.control_api import call
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_project, new_token, new_user
from support.control_site import start_site
from support.daemon import Daemon
from support.ports import free_port

TAGS = ("a", "b", "c", "d", "e", "v1", "v2")
OWNER = Person(AccessLevel.OWNER)
JOB = RunUndoing()

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PORTION", 2)


@pytest.fixture(name="owner")
def _owner() -> User:
    return new_user()


@pytest.fixture(name="found")
def _found(shared_daemon: Daemon, owner: User) -> ImageRepository:
    project = new_project(owner)
    path = f"{project.full_path}/web"
    push_tags(shared_daemon.address, path, *TAGS)
    return ensure_repository(project, path, by=COMMAND_LINE)


@pytest.fixture(name="run")
def _run(found: ImageRepository) -> CleanupRun:
    return delete_picked_tags(found, dict.fromkeys(TAGS, ""), by=COMMAND_LINE, person=OWNER).run


def test_a_request_brings_back_the_first_tags_and_a_job_the_others(
    run: CleanupRun, found: ImageRepository, registry: ControlRegistry, clock: MovedClock
) -> None:
    (third,) = run.deleted_tags.filter(name="c")
    manifest = registry.manifest(found.path, third.digest)
    assert manifest is not None
    assert registry.make_tag(found.path, "c", manifest)
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}
    create_tag_rule(found.project, "^v", by=COMMAND_LINE, **levels)
    first = undo_run(run, by=COMMAND_LINE, person=Person(AccessLevel.MAINTAINER))
    assert (first.restored, first.left) == (["a", "b"], 5)
    assert registry.tag_names(found.path) == ["a", "b", "c"]
    assert run_until_idle([JOB], clock.turn) == 3
    assert registry.tag_names(found.path) == ["a", "b", "c", "d", "e"]
    row = RunUndo.objects.get()
    assert (row.total, row.seen, row.restored, row.there, row.gone, row.protected) == (7, 7, 4, 1, 0, 2)
    assert (row.finished_at, row.due_at, row.message) == (clock.now, None, "")
    told = AuditEntry.objects.filter(action="cleanup_run_undone").order_by("pk")
    assert [entry.details["tags"] for entry in told] == [["a", "b"], ["d"], ["e"]]
    assert {entry.actor_name for entry in told} == {COMMAND_LINE.name}


def test_who_asks_again_meanwhile_begins_nothing_and_hears_how_many_are_left(run: CleanupRun) -> None:
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    again = undo_run(run, by=COMMAND_LINE, person=OWNER)
    assert (again.seen, again.left) == (0, 5)


def test_a_job_whose_registry_is_away_waits_and_goes_on_where_it_was(
    run: CleanupRun, found: ImageRepository, registry: ControlRegistry, clock: MovedClock
) -> None:
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        assert run_until_idle([JOB], clock.turn) == 1
    row = RunUndo.objects.get()
    assert (row.seen, row.finished_at, row.failures) == (2, None, 1)
    assert row.message
    clock.move(minutes=1)
    run_until_idle([JOB], clock.turn)
    row.refresh_from_db()
    assert (row.restored, row.there, row.failures, row.message) == (7, 0, 0, "")
    assert registry.tag_names(found.path) == sorted(TAGS)


def test_a_job_gives_up_after_some_failures_and_says_why(run: CleanupRun, clock: MovedClock) -> None:
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        for _ in range(RETRIES + 1):
            assert JOB.step(clock.turn)
            clock.move(hours=1)
    assert not JOB.step(clock.turn)
    row = RunUndo.objects.get()
    assert row.finished_at is not None
    assert row.message
    assert undo_run(run, by=COMMAND_LINE, person=OWNER).there == ["a", "b"]  # It can be asked for again.


def test_a_job_ends_with_the_repository(run: CleanupRun, found: ImageRepository, clock: MovedClock) -> None:
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    found.delete()
    run_until_idle([JOB], clock.turn)
    row = RunUndo.objects.get()
    assert (row.seen, row.message) == (2, "the repository is gone")
    assert row.finished_at == clock.now


def test_a_process_that_stops_ends_after_the_tag_that_it_is_at(run: CleanupRun, clock: MovedClock) -> None:
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    stopping = threading.Event()
    stopping.set()
    JOB.step(Turn(clock=lambda: clock.now, stopping=stopping))
    row = RunUndo.objects.get()
    assert (row.seen, row.due_at, row.owner) == (3, clock.now, "")


def test_portions_end_with_their_time(run: CleanupRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PORTION_S", -1.0)
    found = UndoneTags()
    undo_portion(run, found, by=COMMAND_LINE, person=OWNER)
    assert (found.restored, found.left) == (["a"], 6)


def test_the_api_and_the_report_say_how_far_an_undo_is(
    run: CleanupRun, owner: User, client: Client, clock: MovedClock
) -> None:
    assert run.project is not None
    token = new_token(owner, "api").secret
    runs = f"/projects/{run.project.pk}/moorage/cleanup_policy/runs"
    assert json.loads(call(client, "GET", f"{runs}/{run.pk}", token=token).content)["undo"] is None
    undone = json.loads(call(client, "POST", f"{runs}/{run.pk}/undo", token=token).content)
    assert (undone["restored"], undone["left"]) == (["a", "b"], 5)
    report = f"/{run.project.full_path}/-/cleanup/runs/{run.pk}"
    client.force_login(owner)
    text = client.get(report).content.decode()
    assert 'data-refresh="5"' in text
    assert "2 of 7 tags were looked at." in text
    run_until_idle([JOB], clock.turn)
    (shown,) = json.loads(call(client, "GET", runs, token=token).content)
    assert (shown["undo"]["seen"], shown["undo"]["total"], shown["undo"]["restored"]) == (7, 7, 7)
    assert "data-refresh" not in client.get(report).content.decode()


def test_the_page_leads_to_the_report_while_tags_are_left(run: CleanupRun, owner: User, client: Client) -> None:
    assert run.project is not None
    client.force_login(owner)
    report = f"/{run.project.full_path}/-/cleanup/runs/{run.pk}"
    answer = client.post(f"{report}/undo", follow=True)
    assert answer.redirect_chain == [(report, 303)]
    assert "2 tags are back. 5 more are being brought back" in answer.content.decode()


def test_the_command_goes_on_until_all_tags_are_back(
    run: CleanupRun, found: ImageRepository, registry: ControlRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_CONTROL", str(start_site().folder / "control.yml"))
    said = CliRunner().invoke(app, ["control", "policy", "undo", str(run.pk)])
    assert "7 tags are back, 0 were there, 0 are gone" in said.stdout
    assert registry.tag_names(found.path) == sorted(TAGS)
    assert not RunUndo.objects.exists()
