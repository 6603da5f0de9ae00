"""Deletion of repositories and projects by the job: its states, its attempts and their waits, takers-over, kill -9."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images import changes
from moorage.control.images.deletion import GroupsDeletion, ImageDeletion, ProjectsDeletion
from moorage.control.images.models import ImageMove, ImageRepository
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.images.recording import ensure_repository
from moorage.control.images.rules import retry_wait
from moorage.control.jobs.loop import Worker, run_until_idle
from moorage.control.namespaces.models import Namespace, TakenPath
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from support.control_api import call
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.control_tokens import ask, claims_of, granted
from support.daemon import Daemon
from support.images import image, index, push_image, push_manifest
from support.ports import free_port
from support.registry_client import RegistryClient

OWNER = Person(50)
WORKER = ImageDeletion()


@pytest.fixture
def no_registry() -> Iterator[ControlRegistry]:
    with registry_at(f"http://127.0.0.1:{free_port()}") as found:
        yield found


def scheduled(clock: MovedClock, project: Project | None = None) -> ImageRepository:
    project = project or new_project()
    found = ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    changes.schedule_deletion(found, by=COMMAND_LINE, person=OWNER, now=clock.now)
    return found


def test_a_scheduled_repository_goes_with_all_its_tags(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = scheduled(clock)
    push_tags(shared_daemon.address, found.path, "latest", "1", "2")
    assert WORKER.step(clock.turn) is True
    assert not ImageRepository.objects.filter(pk=found.pk).exists()
    assert registry.tag_names(found.path) == []
    assert AuditEntry.objects.filter(action="container_repository_deleted", target_name=found.path).count() == 1
    assert WORKER.step(clock.turn) is False


def test_a_manifest_of_many_tags_goes_at_once_and_one_that_an_index_needs_by_its_tags(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = scheduled(clock)
    many, needed = image("many tags"), image("needed by an index")
    with RegistryClient(shared_daemon.address) as pusher:
        push_image(pusher, found.path, "m0", many)
        push_image(pusher, found.path, "n0", needed)
        for number in range(1, 4):
            push_manifest(pusher, found.path, many.manifest, f"m{number}")
            push_manifest(pusher, found.path, needed.manifest, f"n{number}")
        push_manifest(pusher, found.path, index([needed.manifest]), "index")
    assert WORKER.step(clock.turn) is True
    assert registry.tag_names(found.path) == []
    assert registry.manifest(found.path, many.manifest.digest) is None
    assert registry.manifest(found.path, needed.manifest.digest) is not None
    assert not ImageRepository.objects.filter(pk=found.pk).exists()


def test_a_failure_is_tried_again_ten_times_after_waits(no_registry: ControlRegistry, clock: MovedClock) -> None:
    del no_registry
    found = scheduled(clock)
    waits = []
    for failures in range(1, 11):
        assert WORKER.step(clock.turn) is True
        found.refresh_from_db()
        assert (found.status, found.failed_deletion_count) == ("delete_scheduled", failures)
        assert found.next_delete_attempt_at is not None
        waits.append((found.next_delete_attempt_at - clock.now).total_seconds() / 60)
        clock.now = found.next_delete_attempt_at
        clock.move(seconds=-1)
        assert WORKER.step(clock.turn) is False
        clock.move(seconds=1)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert WORKER.step(clock.turn) is True
    found.refresh_from_db()
    assert (found.status, found.failed_deletion_count, found.delete_due_at) == ("delete_failed", 10, None)
    assert "does not answer" in found.last_failure
    clock.move(days=400)
    assert WORKER.step(clock.turn) is False


def test_what_was_given_up_is_tried_once_more_if_asked_for(no_registry: ControlRegistry, clock: MovedClock) -> None:
    del no_registry
    found = scheduled(clock)
    with pytest.raises(ChangeRefused):
        changes.retry_deletion(found, by=COMMAND_LINE, person=OWNER)
    ImageRepository.objects.update(status="delete_failed", failed_deletion_count=10, delete_due_at=None)
    found.refresh_from_db()
    changes.retry_deletion(found, by=COMMAND_LINE, person=OWNER, now=clock.now)
    assert (found.status, found.failed_deletion_count) == ("delete_scheduled", 10)
    assert WORKER.step(clock.turn) is True
    found.refresh_from_db()
    assert found.status == "delete_failed"


def test_what_the_console_sets_back_as_gitlab_s_guide_does_is_tried_once_more(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = scheduled(clock)
    push_tags(shared_daemon.address, found.path, "1")
    ImageRepository.objects.update(status="delete_failed", failed_deletion_count=10, delete_due_at=None)
    # container_repository.update(status: 'delete_scheduled'): nothing else is touched (requirement S-117).
    ImageRepository.objects.filter(pk=found.pk).update(status="delete_scheduled")
    assert WORKER.step(clock.turn)
    assert not ImageRepository.objects.exists()
    assert registry.tag_names(found.path) == []


def test_a_retry_that_finds_the_registry_again_ends_well(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = scheduled(clock)
    push_tags(shared_daemon.address, found.path, "1")
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        assert WORKER.step(clock.turn)
    assert registry.tag_names(found.path) == ["1"]
    clock.move(minutes=1)
    assert WORKER.step(clock.turn)
    assert not ImageRepository.objects.exists()


def test_one_that_was_left_is_taken_over_after_half_an_hour(registry: ControlRegistry, clock: MovedClock) -> None:
    del registry
    found = scheduled(clock)
    taken = ImageRepository.DELETION.take(
        ImageRepository.objects.to_delete(), now=clock.now, until=clock.now.replace(minute=30)
    )
    assert taken is not None
    ImageRepository.objects.update(status="delete_ongoing", delete_started_at=clock.now)
    clock.move(minutes=29)
    assert WORKER.step(clock.turn) is False
    clock.move(minutes=1)
    assert WORKER.step(clock.turn) is True
    assert not ImageRepository.objects.filter(pk=found.pk).exists()
    assert ImageRepository.DELETION.settle(taken, status="") is False


def test_one_that_is_left_each_time_is_given_up(registry: ControlRegistry, clock: MovedClock) -> None:
    del registry
    found = scheduled(clock)
    ImageRepository.objects.update(status="delete_ongoing", failed_deletion_count=10)
    assert WORKER.step(clock.turn) is True
    found.refresh_from_db()
    assert (found.status, found.last_failure) == ("delete_failed", "the last attempt did not end")


def test_a_process_that_stops_gives_the_work_back_at_once(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    found = scheduled(clock)
    push_tags(shared_daemon.address, found.path, "1")
    clock.turn.stopping.set()
    assert WORKER.step(clock.turn) is True
    found.refresh_from_db()
    assert (found.status, found.failed_deletion_count, found.delete_due_at) == ("delete_scheduled", 0, clock.now)
    assert registry.tag_names(found.path) == ["1"]


def test_a_project_goes_after_its_images(shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock) -> None:
    project = new_project()
    for name in ("web", "api"):
        made = ensure_repository(project, f"{project.full_path}/{name}", by=COMMAND_LINE)
        push_tags(shared_daemon.address, made.path, "1")
    workers: list[Worker] = [ImageDeletion(), ProjectsDeletion()]
    assert changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now) is False
    assert changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now) is False
    run_until_idle(workers, clock.turn)
    assert not Project.objects.filter(pk=project.pk).exists()
    assert registry.tag_names(f"{project.full_path}/web") == []
    entry = AuditEntry.objects.get(action="project_deleted")
    assert entry.actor_name == COMMAND_LINE.name


def test_a_project_without_images_goes_at_once(registry: ControlRegistry) -> None:
    del registry
    project = new_project()
    assert changes.delete_project_with_images(project, by=COMMAND_LINE) is True
    assert not Project.objects.filter(pk=project.pk).exists()


def test_images_that_no_record_knows_go_with_their_project_and_are_not_left_to_the_next_one(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = new_project()
    namespace, name = project.namespace, project.path
    paths = [project.full_path, f"{project}/web", f"{project}/far/too/deep"]
    for path in paths:
        push_tags(shared_daemon.address, path, "1")
    assert changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now) is False
    run_until_idle([ProjectsDeletion(), ImageDeletion()], clock.turn)
    assert not Project.objects.filter(pk=project.pk).exists()
    assert [registry.tag_names(path) for path in paths] == [[], [], []]
    assert changes.ensure_root_repository(new_project(namespace, name)) is None


def test_images_that_no_record_knows_go_with_the_group(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    group = new_group()
    project, other = new_project(group), new_project(new_group("below", parent=group))
    push_tags(shared_daemon.address, f"{other}/web", "1")
    assert changes.delete_group_with_images(group, by=COMMAND_LINE, now=clock.now) is False
    run_until_idle([ProjectsDeletion(), ImageDeletion(), GroupsDeletion()], clock.turn)
    assert registry.tag_names(f"{other}/web") == []
    assert not Project.objects.filter(pk__in=[project.pk, other.pk]).exists()


def test_a_project_without_records_waits_for_a_registry_that_does_not_answer(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = new_project()
    push_tags(shared_daemon.address, project.full_path, "1")
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        assert changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now) is False
        run_until_idle([ProjectsDeletion(), ImageDeletion()], clock.turn)
    assert Project.objects.filter(pk=project.pk).exists()
    clock.move(minutes=5)
    run_until_idle([ProjectsDeletion(), ImageDeletion()], clock.turn)
    assert registry.tag_names(project.full_path) == []
    assert not Project.objects.filter(pk=project.pk).exists()


def test_a_group_goes_after_its_projects_and_they_after_their_images(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock, client: Client
) -> None:
    group = new_group()
    below = new_group("below", parent=group)
    projects = [new_project(group), new_project(below), new_project(below)]
    for project in projects[:2]:
        made = ensure_repository(project, f"{project}/web", by=COMMAND_LINE)
        push_tags(shared_daemon.address, made.path, "1")
    owner = new_token(new_member(group, AccessLevel.OWNER).user).secret
    assert [call(client, "DELETE", f"/groups/{group.pk}", token=owner).status_code for _ in range(2)] == [202, 202]
    clock.now = timezone.now()
    run_until_idle([ImageDeletion(), ProjectsDeletion(), GroupsDeletion()], clock.turn)
    assert not Project.objects.exists()
    assert not Namespace.objects.within(group).exists()
    assert not TakenPath.objects.filter(path__startswith=group.path).exists()
    assert [registry.tag_names(f"{project}/web") for project in projects] == [[], [], []]
    assert AuditEntry.objects.filter(action="group_deleted").count() == 2
    assert call(client, "GET", f"/groups/{group.pk}", token=owner).status_code == 404


def test_a_project_is_deleted_by_the_api_with_its_images(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock, client: Client
) -> None:
    project = new_project()
    made = ensure_repository(project, f"{project}/web", by=COMMAND_LINE)
    push_tags(shared_daemon.address, made.path, "1", "2")
    owner = new_token(new_member(project, AccessLevel.OWNER).user).secret
    answer = call(client, "DELETE", f"/projects/{project.pk}", token=owner)
    assert (answer.status_code, answer.content) == (202, b'{"message": "202 Accepted"}')
    clock.now = timezone.now()
    run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
    assert registry.tag_names(made.path) == []
    assert call(client, "GET", f"/projects/{project.pk}", token=owner).status_code == 404


def test_nothing_comes_into_a_group_that_is_being_deleted(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock, client: Client
) -> None:
    top = new_group()
    group = new_group("going", parent=top)
    below = new_group("below", parent=group)
    ensure_repository(project := new_project(group), project.full_path, by=COMMAND_LINE)
    saved, wanderer = new_project(top), new_group(parent=top)
    push_tags(shared_daemon.address, saved.full_path, "1")
    assert changes.delete_group_with_images(group, by=COMMAND_LINE, now=clock.now) is False
    entries: list[Callable[[], object]] = [
        lambda: new_project(below),
        lambda: new_group("late", parent=below),
        lambda: move_project_with_images(saved, below, saved.path, by=COMMAND_LINE),
        lambda: move_group_with_images(wanderer, group, "late", by=COMMAND_LINE),
    ]
    for entry in entries:
        with pytest.raises(ChangeRefused, match="the group that it would be in is being deleted"):
            entry()
    user = new_member(top, AccessLevel.OWNER).user
    pushed = ask(client, f"repository:{below}/first:push", given=(user.username, new_token(user).secret))
    assert granted(pushed) == {}
    assert "is being deleted" in str(claims_of(pushed.json()["token"]).denied)
    run_until_idle([ImageDeletion(), ProjectsDeletion(), GroupsDeletion()], clock.turn)
    assert not Namespace.objects.filter(pk=group.pk).exists()
    assert registry.tag_names(saved.full_path) == ["1"]


def test_a_group_that_something_is_being_moved_into_is_not_deleted_by_its_page(client: Client) -> None:
    project, group = new_project(), new_group()
    ImageMove.objects.create(
        project=project, namespace=group, path="x", old_path=project.full_path, new_path=f"{group}/x", actor_name="x"
    )
    client.force_login(new_user(is_admin=True))
    answer = client.post(f"/{group}/-/delete-place", {"path": group.full_path})
    assert answer.status_code == 400
    assert "is being made in it or moved there" in answer.content.decode()
    assert Namespace.objects.filter(pk=group.pk).exists()


def test_very_many_projects_and_images_go_some_at_a_time_without_a_wait(
    registry: ControlRegistry, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    del registry
    monkeypatch.setattr(changes, "PROJECTS_AT_ONCE", 2)
    monkeypatch.setattr(changes, "IMAGES_AT_ONCE", 2)
    group = new_group()
    projects = [new_project(group) for _ in range(5)]
    for project in projects[:3]:
        for name in "abcde":
            ensure_repository(project, f"{project}/{name}", by=COMMAND_LINE)
    ImageRepository.objects.filter(name="e").update(status="delete_failed")
    assert changes.delete_group_with_images(group, by=COMMAND_LINE, now=clock.now) is False
    assert ImageRepository.objects.to_delete().count() == 2 * (2 + 1)
    run_until_idle([ImageDeletion(), ProjectsDeletion(), GroupsDeletion()], clock.turn)
    assert not Namespace.objects.filter(pk=group.pk).exists()
    told = AuditEntry.objects.filter(action="container_repository_deletion_scheduled")
    assert sorted(told.values_list("target_name", flat=True)) == sorted(
        f"{one}/{x}" for one in projects[:3] for x in "abcde"
    )


def test_what_is_pushed_into_a_project_that_goes_goes_too(registry: ControlRegistry, clock: MovedClock) -> None:
    del registry
    project = new_project()
    ensure_repository(project, project.full_path, by=COMMAND_LINE)
    changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
    ensure_repository(project, f"{project.full_path}/late", by=COMMAND_LINE)
    workers: list[Worker] = [ImageDeletion(), ProjectsDeletion()]
    run_until_idle(workers, clock.turn)
    clock.move(minutes=5)
    run_until_idle(workers, clock.turn)
    clock.move(minutes=5)
    run_until_idle(workers, clock.turn)
    assert not Project.objects.filter(pk=project.pk).exists()


def test_the_waits_of_retries_double() -> None:
    minutes = [wait.total_seconds() / 60 if (wait := retry_wait(failures)) else None for failures in range(12)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, None, None]
