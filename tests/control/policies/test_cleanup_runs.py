"""Policies over Moorage's own daemon: saving, schedule, capacity, failure, takers-over, bulk, preview, undo."""

from datetime import timedelta

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.instance.models import ApplicationSettings
from moorage.control.jobs.loop import run_until_idle
from moorage.control.policies.changes import (
    BulkTooSoon,
    change_policy,
    policy_of,
    request_bulk_deletion,
    run_now,
)
from moorage.control.policies.jobs import BulkTagDeletion, PolicyCleanup
from moorage.control.policies.models import CleanedTag, CleanupPolicy, CleanupRun
from moorage.control.policies.previews import preview_cleanup, preview_cleanups
from moorage.control.policies.questions import projects_without_cleanup
from moorage.control.policies.rules import PolicySelection
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_project
from support.daemon import Daemon
from support.images import image, push_image, push_manifest
from support.ports import free_port
from support.registry_client import RegistryClient

WORKER = PolicyCleanup()
OWNER = Person(AccessLevel.OWNER)
EVERYTHING = {"name_regex": ".*", "keep_n": None, "older_than": None}

pytestmark = pytest.mark.usefixtures("registry")


def repository_with(daemon: Daemon, *tags: str) -> ImageRepository:
    project = new_project()
    path = f"{project.full_path}/web"
    push_tags(daemon.address, path, *tags)
    return ensure_repository(project, path, by=COMMAND_LINE)


def enabled(repository: ImageRepository, clock: MovedClock, **values: object) -> CleanupPolicy:
    wanted = {"enabled": True, "cadence": "7d", **EVERYTHING, **values}
    return change_policy(repository.project, by=COMMAND_LINE, now=clock.now, **wanted)


def set_capacity(count: int) -> None:
    wanted = {"container_registry_expiration_policies_worker_capacity": count}
    ApplicationSettings.objects.update_or_create(pk=1, defaults=wanted)


def test_a_policy_is_off_with_gitlab_s_defaults_until_it_is_saved(clock: MovedClock) -> None:
    project = new_project()
    found = policy_of(project)
    assert (found.enabled, found.cadence, found.keep_n, found.older_than, found.name_regex, found.name_regex_keep) == (
        False,
        "1d",
        10,
        "90d",
        ".*",
        None,
    )
    saved = change_policy(project, by=COMMAND_LINE, now=clock.now, enabled=True, cadence="1month")
    assert saved.next_run_at == clock.now + timedelta(days=30)
    entry = AuditEntry.objects.get(action="cleanup_policy_changed")
    assert entry.details == {"enabled": [False, True], "cadence": ["1d", "1month"]}


def test_a_policy_that_cannot_be_used_is_not_saved_unless_it_is_off() -> None:
    project = new_project()
    for values in ({"enabled": True, "name_regex": "("}, {"keep_n": 3}, {"cadence": "2d"}, {"other": 1}):
        with pytest.raises(ChangeRefused):
            change_policy(project, by=COMMAND_LINE, **values)
    assert change_policy(project, by=COMMAND_LINE, name_regex="(").name_regex == "("


def test_a_policy_runs_when_it_is_due_and_leaves_a_report(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "latest", "a", "b", "keep")
    enabled(found, clock, name_regex_keep="keep")
    assert WORKER.step(clock.turn) is False
    clock.move(days=7)
    assert WORKER.step(clock.turn) is True
    assert registry.tag_names(found.path) == ["keep", "latest"]
    found.refresh_from_db()
    assert (found.expiration_policy_cleanup_status, found.last_cleanup_deleted_tags_count) == ("cleanup_unscheduled", 2)
    assert found.expiration_policy_started_at == found.expiration_policy_completed_at == clock.now
    run = CleanupRun.objects.get()
    assert (run.outcome, run.original_size, run.before_delete_size, run.deleted_size) == ("finished", 4, 2, 2)
    assert run.kept == {"latest": 1, "kept_name": 1}
    assert {tag.name for tag in run.deleted_tags.all()} == {"a", "b"}
    assert policy_of(found.project).next_run_at == clock.now + timedelta(days=7)
    assert WORKER.step(clock.turn) is False


def test_a_run_can_be_asked_for_at_once(shared_daemon: Daemon, clock: MovedClock) -> None:
    found = repository_with(shared_daemon, "a")
    with pytest.raises(ChangeRefused, match="only a policy that is on runs; switch it on"):
        run_now(found.project, by=COMMAND_LINE)
    enabled(found, clock)
    run_now(found.project, by=COMMAND_LINE, now=clock.now)
    assert WORKER.step(clock.turn) is True
    assert CleanupRun.objects.get().deleted_size == 1


def test_protected_tags_are_kept_as_no_person_asks(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "v1", "final", "dev")
    levels = {"minimum_access_level_for_push": "maintainer", "minimum_access_level_for_delete": "maintainer"}
    create_tag_rule(found.project, "^v", by=COMMAND_LINE, **levels)
    create_tag_rule(found.project, "final", by=COMMAND_LINE)
    enabled(found, clock)
    clock.move(days=7)
    run_until_idle([WORKER], clock.turn)
    assert registry.tag_names(found.path) == ["final", "v1"]
    assert CleanupRun.objects.get().kept == {"protected": 1, "immutable": 1}


def test_a_registry_that_does_not_answer_is_asked_again_later(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "a")
    enabled(found, clock)
    clock.move(days=7)
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        assert WORKER.step(clock.turn) is True
        found.refresh_from_db()
        assert found.expiration_policy_cleanup_status == "cleanup_unfinished"
        assert WORKER.step(clock.turn) is False
    clock.move(minutes=10)
    assert WORKER.step(clock.turn) is True
    assert registry.tag_names(found.path) == []
    assert list(CleanupRun.objects.values_list("outcome", flat=True)) == ["finished", "failed"]


def test_a_cleanup_whose_process_was_killed_is_taken_over(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "a")
    enabled(found, clock)
    CleanupRun.objects.create(repository=found, repository_path=found.path, started_at=clock.now)
    ImageRepository.objects.update(
        expiration_policy_cleanup_status="cleanup_ongoing",
        cleanup_due_at=clock.now + timedelta(minutes=30),
        cleanup_owner="killed",
    )
    assert WORKER.step(clock.turn) is False
    clock.move(minutes=30)
    assert WORKER.step(clock.turn) is True
    assert registry.tag_names(found.path) == []
    assert list(CleanupRun.objects.values_list("outcome", flat=True)) == ["finished", "unfinished"]


def test_as_many_go_on_at_once_as_the_capacity_says(shared_daemon: Daemon, clock: MovedClock) -> None:
    found = repository_with(shared_daemon, "a")
    enabled(found, clock)
    clock.move(days=7)
    set_capacity(0)
    assert WORKER.step(clock.turn) is False
    set_capacity(1)
    other = repository_with(shared_daemon, "a")
    lease = clock.now + timedelta(minutes=1)
    going_on = {"expiration_policy_cleanup_status": "cleanup_ongoing", "cleanup_due_at": lease}
    ImageRepository.objects.filter(pk=other.pk).update(**going_on)
    assert WORKER.step(clock.turn) is False
    set_capacity(2)
    assert WORKER.step(clock.turn) is True


def test_a_process_that_stops_leaves_the_rest_to_the_next(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "a")
    enabled(found, clock)
    clock.move(days=7)
    clock.turn.stopping.set()
    assert WORKER.step(clock.turn) is True
    assert registry.tag_names(found.path) == ["a"]
    assert CleanupRun.objects.get().outcome == "unfinished"
    clock.turn.stopping.clear()
    run_until_idle([WORKER], clock.turn)
    assert registry.tag_names(found.path) == []


def test_a_policy_of_a_project_without_images_is_switched_off(clock: MovedClock) -> None:
    project = new_project()
    change_policy(project, by=COMMAND_LINE, now=clock.now, enabled=True)
    clock.move(days=1)
    assert WORKER.step(clock.turn) is False
    assert not policy_of(project).enabled


def test_a_policy_that_became_unusable_is_switched_off(shared_daemon: Daemon, clock: MovedClock) -> None:
    found = repository_with(shared_daemon, "a")
    enabled(found, clock)
    CleanupPolicy.objects.update(name_regex="(")
    clock.move(days=7)
    assert WORKER.step(clock.turn) is True
    assert not policy_of(found.project).enabled
    assert "invalid policy" in CleanupRun.objects.get().message


def test_projects_with_images_and_a_policy_that_is_off_are_listed(shared_daemon: Daemon, clock: MovedClock) -> None:
    off, on = repository_with(shared_daemon, "a"), repository_with(shared_daemon, "a")
    enabled(on, clock)
    policy_of(off.project)
    policy_of(new_project())
    assert list(projects_without_cleanup()) == [off.project]


def test_many_tags_are_deleted_at_most_once_an_hour(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "latest", "dev-1", "dev-2", "v1")

    def ask() -> None:
        request_bulk_deletion(found, by=COMMAND_LINE, person=Person(30), name_regex_delete="dev-.*", now=clock.now)

    ask()
    with pytest.raises(BulkTooSoon, match="at most once an hour"):
        ask()
    run_until_idle([BulkTagDeletion()], clock.turn)
    assert registry.tag_names(found.path) == ["latest", "v1"]
    run = CleanupRun.objects.get()
    assert (run.kind, run.outcome, run.requested_by) == ("bulk", "finished", COMMAND_LINE.name)
    clock.move(hours=1)
    ask()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name_regex_delete": ""}, "name_regex_delete"),
        ({"name_regex_delete": "("}, "name_regex_delete"),
        ({"name_regex_delete": ".*", "name_regex_keep": "("}, "name_regex_keep"),
        ({"name_regex_delete": ".*", "keep_n": -1}, "keep_n"),
        ({"name_regex_delete": ".*", "older_than": "soon"}, "older_than"),
    ],
)
def test_a_bulk_deletion_that_cannot_be_is_refused_and_does_not_count(
    shared_daemon: Daemon, values: dict[str, object], field: str
) -> None:
    found = ensure_repository(project := new_project(), project.full_path, by=COMMAND_LINE)
    with pytest.raises(ChangeRefused) as raised:
        request_bulk_deletion(found, by=COMMAND_LINE, person=None, **values)  # type: ignore[arg-type] # the table
    assert list(raised.value.problems) == [field]
    request_bulk_deletion(found, by=COMMAND_LINE, person=None, name_regex_delete=".*")


def test_a_preview_names_each_rule_and_counts_shared_layers_for_nothing(
    shared_daemon: Daemon, registry: ControlRegistry
) -> None:
    found = repository_with(shared_daemon, "latest", "own")
    shared = image(f"{found.path}:latest")
    with RegistryClient(shared_daemon.address) as pusher:
        push_manifest(pusher, found.path, shared.manifest, "same-as-latest")
    seen = preview_cleanup(found, PolicySelection())
    assert {item.name: item.verdict.value for item in seen.judged.verdicts} == {
        "latest": "latest",
        "own": "deleted",
        "same-as-latest": "deleted",
    }
    own = image(f"{found.path}:own")
    assert seen.freed.count == sum(len(part.body) for part in (own.manifest, *own.blobs))
    assert registry.tag_names(found.path) == ["latest", "own", "same-as-latest"]


def test_a_run_is_undone_while_the_images_are_still_there(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = repository_with(shared_daemon, "a", "b")
    before = registry.tag_digest(found.path, "a")
    enabled(found, clock)
    clock.move(days=7)
    run_until_idle([WORKER], clock.turn)
    push_tags(shared_daemon.address, found.path, "b")
    run = CleanupRun.objects.get()
    CleanedTag.objects.create(run=run, name="c", digest=f"sha256:{'0' * 64}")
    undone = undo_run(run, by=COMMAND_LINE, person=OWNER)
    assert (undone.restored, undone.there, undone.gone) == (["a"], ["b"], ["c"])
    assert registry.tag_digest(found.path, "a") == before
    assert undo_run(run, by=COMMAND_LINE, person=OWNER).there == ["a", "b"]


def test_an_undo_is_a_push_that_rules_hold(shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock) -> None:
    found = repository_with(shared_daemon, "v1", "dev")
    enabled(found, clock)
    clock.move(days=7)
    run_until_idle([WORKER], clock.turn)
    run = CleanupRun.objects.get()
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}
    create_tag_rule(found.project, "^v", by=COMMAND_LINE, **levels)
    undone = undo_run(run, by=COMMAND_LINE, person=Person(AccessLevel.MAINTAINER))
    assert (undone.restored, undone.protected) == (["dev"], ["v1"])
    assert registry.tag_names(found.path) == ["dev"]
    assert undo_run(run, by=COMMAND_LINE, person=OWNER).restored == ["v1"]
    create_repository_rule(found.project, found.path, by=COMMAND_LINE, **levels)
    with pytest.raises(ImageProtected):
        undo_run(run, by=COMMAND_LINE, person=Person(AccessLevel.MAINTAINER))


def test_what_another_repository_needs_comes_free_only_when_both_let_go(shared_daemon: Daemon) -> None:
    project, shared, own = new_project(), image("shared of two"), image("own of one")
    paths = [f"{project.full_path}/{name}" for name in ("a", "b")]
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, paths[0], "shared", shared)
        push_image(pusher, paths[0], "own", own)
        push_image(pusher, paths[1], "shared", shared)
    first, second = (ensure_repository(project, path, by=COMMAND_LINE) for path in paths)
    alone = len(shared.manifest.body) + sum(len(part.body) for part in (own.manifest, *own.blobs))
    seen = preview_cleanup(first, PolicySelection())
    assert (seen.freed.count, seen.freed.is_exact) == (alone, True)
    together = preview_cleanups([first, second], PolicySelection())
    assert [one.freed.count for one in together.previews] == [alone, len(shared.manifest.body)]
    shared_blobs = sum(len(part.body) for part in shared.blobs)
    assert together.freed.count == alone + len(shared.manifest.body) + shared_blobs
    kept = preview_cleanups([first, second], PolicySelection(delete_pattern="own"))
    assert kept.freed.count == sum(len(part.body) for part in (own.manifest, *own.blobs))


def test_bytes_that_too_many_would_have_to_be_asked_about_are_the_most(
    shared_daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = repository_with(shared_daemon, "a")
    ensure_repository(found.project, f"{found.project.full_path}/other", by=COMMAND_LINE)
    monkeypatch.setattr("moorage.control.policies.previews.QUESTIONS_LIMIT", 1)
    made = image(f"{found.path}:a")
    seen = preview_cleanup(found, PolicySelection())
    most = sum(len(one.body) for one in (made.manifest, *made.blobs))
    assert (seen.freed.count, seen.freed.is_exact) == (most, False)


def test_a_run_that_deleted_is_in_the_audit_log(shared_daemon: Daemon, clock: MovedClock) -> None:
    found = repository_with(shared_daemon, "a", "b")
    enabled(found, clock)
    clock.move(days=7)
    run_until_idle([WORKER], clock.turn)
    (row,) = AuditEntry.objects.filter(action="container_repository_cleaned")
    assert (row.target_name, row.details) == (found.path, {"run": CleanupRun.objects.get().pk, "tags": 2})
