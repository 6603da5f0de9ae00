"""Cleanups and undos while their project is being moved, and as it moves in the middle of them."""

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import delete_tag
from moorage.control.images.models import ImageMove, ImageRepository
from moorage.control.images.moves import move_project_with_images
from moorage.control.images.moving_now import MoveUnderWay
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.policies import cleaning, undoing
from moorage.control.policies.changes import change_policy, request_bulk_deletion
from moorage.control.policies.cleaning import RunLimits, clean, start_run
from moorage.control.policies.jobs import FAILURE_WAIT, BulkTagDeletion, PolicyCleanup
from moorage.control.policies.models import CleanupRun, RunKind, RunUndo
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.rules import PolicySelection
from moorage.control.policies.tag_undo import undo_tag
from moorage.control.policies.undo_job import RunUndoing
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.rules import Person
from moorage.control.registry.client import ControlRegistry
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_project
from support.daemon import Daemon

TAGS = ("a", "b", "c", "d")
OWNER = Person(AccessLevel.OWNER)
ALL = {"enabled": True, "cadence": "7d", "name_regex": ".*", "keep_n": None, "older_than": None}

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(name="found")
def _found(shared_daemon: Daemon) -> ImageRepository:
    project = new_project()
    path = f"{project.full_path}/web"
    push_tags(shared_daemon.address, path, *TAGS)
    return ensure_repository(project, path, by=COMMAND_LINE)


def begun(project: Project) -> ImageMove:
    """A move of which only the row is there: it is not known yet whether the registry has renamed."""
    there = f"{project.namespace}/there"
    return ImageMove.objects.create(
        project=project, namespace=project.namespace, path="there", old_path=project.full_path, new_path=there
    )


def test_a_policy_and_a_bulk_deletion_wait_for_the_end_of_a_move_and_then_do_all(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock
) -> None:
    change_policy(found.project, by=COMMAND_LINE, now=clock.now, **ALL)
    clock.move(days=7)
    request_bulk_deletion(found, by=COMMAND_LINE, person=OWNER, name_regex_delete="a", now=clock.now)
    move = begun(found.project)
    run_until_idle([PolicyCleanup(), BulkTagDeletion()], clock.turn)
    assert registry.tag_names(found.path) == list(TAGS)
    assert {(run.outcome, run.message) for run in CleanupRun.objects.all()} == {
        ("failed", "is being moved; try again in a moment")
    }
    move.delete()
    clock.move(seconds=FAILURE_WAIT.total_seconds())
    run_until_idle([PolicyCleanup(), BulkTagDeletion()], clock.turn)
    assert registry.tag_names(found.path) == []


def test_a_cleanup_that_is_moved_in_its_middle_ends_without_saying_that_it_is_done(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 2)
    run = start_run(found, PolicySelection(), clock.turn, kind=RunKind.POLICY)
    project, asked = Project.objects.get(pk=found.project_id), list[bool]()

    def move_it() -> bool:
        asked.append(True)
        if len(asked) == 2:
            move_project_with_images(project, project.namespace, "there", by=COMMAND_LINE)
        return True

    outcome = clean(run, PolicySelection(), clock.turn, limits=RunLimits(), is_still_ours=move_it)
    assert (outcome, run.deleted_size, run.deleted_tags.count()) == ("failed", 2, 2)
    assert len(registry.tag_names(f"{project}/web")) == 2


def test_an_undo_goes_on_after_a_move_at_the_new_path_and_takes_nothing_for_gone(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "PORTION", 1)
    run = delete_picked_tags(found, dict.fromkeys(TAGS, ""), by=COMMAND_LINE, person=OWNER).run
    move = begun(found.project)
    with pytest.raises(MoveUnderWay):
        undo_run(run, by=COMMAND_LINE, person=OWNER)
    move.delete()
    undo_run(run, by=COMMAND_LINE, person=OWNER)
    move = begun(found.project)
    assert run_until_idle([RunUndoing()], clock.turn) == 1
    move.delete()
    project = Project.objects.get(pk=found.project_id)
    move_project_with_images(project, project.namespace, "there", by=COMMAND_LINE)
    clock.move(minutes=1)
    run_until_idle([RunUndoing()], clock.turn)
    row = RunUndo.objects.get()
    assert (row.restored, row.gone, row.message) == (4, 0, "")
    assert registry.tag_names(f"{project}/web") == list(TAGS)
    assert registry.tag_names(found.path) == []


def test_tags_are_neither_deleted_nor_taken_back_while_their_place_is_being_moved(found: ImageRepository) -> None:
    begun(found.project)
    for change in (
        lambda: delete_tag(found, "a", by=COMMAND_LINE, person=OWNER),
        lambda: delete_picked_tags(found, {"a": ""}, by=COMMAND_LINE, person=OWNER),
        lambda: undo_tag(found, "a", to="", expected="", by=COMMAND_LINE, person=OWNER),
    ):
        with pytest.raises(MoveUnderWay):
            change()
