"""What is pushed to a path that its project has left, by a token from before: nobody has it in the end."""

from datetime import timedelta

import pytest
from django.utils import timezone

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import delete_project_with_images
from moorage.control.images.deletion import ImageDeletion, ProjectsDeletion
from moorage.control.images.late_pushes import LatePushes
from moorage.control.images.models import ImageMove, ImageRepository, LeftPath
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.images.owning import project_at
from moorage.control.images.recording import ensure_repository
from moorage.control.instance.changes import change_settings
from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.registry_errors import RegistryError
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_group, new_project
from support.daemon import Daemon

MINUTES = 5 + 10
"""That a token lives, and that what it has begun may take."""


@pytest.fixture(name="group")
def _group() -> Namespace:
    return new_group("tools", parent=new_group())


@pytest.fixture(name="project")
def _project(group: Namespace, shared_daemon: Daemon) -> Project:
    """A project with an image."""
    project = new_project(group, "app")
    ensure_repository(project, f"{project}/web", by=COMMAND_LINE)
    push_tags(shared_daemon.address, f"{project}/web", "1")
    return project


def left(project: Project, how: str, clock: MovedClock) -> str:
    """Have a project leave its path, and return that of its repository."""
    path, group = f"{project.full_path}/web", project.namespace
    if how == "deleted":
        delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
        run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
        assert not Project.objects.filter(pk=project.pk).exists()
    elif how == "moved":
        move_project_with_images(project, group, "better", by=COMMAND_LINE)
    else:
        move_group_with_images(group, group.parent, "kit", by=COMMAND_LINE)
    return path


def after(**by: float) -> Turn:
    """A turn so long after now."""
    now = timezone.now() + timedelta(**by)
    return Turn(clock=lambda: now)


@pytest.mark.parametrize("how", ["deleted", "moved", "moved with its group"])
def test_it_goes_when_no_token_from_before_can_push_any_more(
    project: Project, registry: ControlRegistry, shared_daemon: Daemon, clock: MovedClock, *, how: str
) -> None:
    path = left(project, how, clock)
    for place in (path, f"{path}/too/deep/for/a/project"):
        push_tags(shared_daemon.address, place, "late")
    assert run_until_idle([LatePushes()], after(minutes=MINUTES - 1)) == 0
    assert run_until_idle([LatePushes()], after(minutes=MINUTES + 1)) == 1
    assert registry.tag_names(path) == registry.tag_names(f"{path}/too/deep/for/a/project") == []
    assert not LeftPath.objects.exists()
    if how != "deleted":
        project.refresh_from_db()
        assert registry.tag_names(f"{project.full_path}/web") == ["1"]


def test_it_goes_also_if_its_group_was_moved_since_and_took_it_along(
    project: Project, registry: ControlRegistry, shared_daemon: Daemon, clock: MovedClock
) -> None:
    group = project.namespace
    other = new_project(group, "other")
    push_tags(shared_daemon.address, f"{other}/web", "1")
    path = left(project, "deleted", clock)
    push_tags(shared_daemon.address, path, "late")
    move_group_with_images(group, group.parent, "kit", by=COMMAND_LINE)
    new = path.replace("/tools/", "/kit/")
    assert registry.tag_names(new) == ["late"]
    run_until_idle([LatePushes()], after(minutes=MINUTES + 1))
    assert (registry.tag_names(new), registry.tag_names(f"{group.parent}/kit/other/web")) == ([], ["1"])


def test_a_longer_life_of_tokens_is_waited_for(
    project: Project, registry: ControlRegistry, shared_daemon: Daemon, clock: MovedClock
) -> None:
    change_settings(by=COMMAND_LINE, container_registry_token_expire_delay=600)
    path = left(project, "moved", clock)
    push_tags(shared_daemon.address, path, "late")
    assert run_until_idle([LatePushes()], after(hours=10)) == 0
    assert run_until_idle([LatePushes()], after(hours=11)) == 1
    assert registry.tag_names(path) == []


def test_what_is_of_a_project_again_stays_and_is_shown_to_it(
    project: Project, registry: ControlRegistry, shared_daemon: Daemon, clock: MovedClock
) -> None:
    path = left(project, "deleted", clock)
    push_tags(shared_daemon.address, path, "late")
    next_one = new_project(Namespace.objects.get(pk=project.namespace_id), "app")
    run_until_idle([LatePushes()], after(minutes=MINUTES + 1))
    assert registry.tag_names(path) == ["late"]
    assert [row.path for row in ImageRepository.objects.of_project(next_one)] == [path]


@pytest.mark.usefixtures("registry")
def test_a_project_that_is_made_there_meanwhile_keeps_what_is_left(
    project: Project, shared_daemon: Daemon, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left(project, "deleted", clock)
    found: list[Project | None] = []
    push_tags(shared_daemon.address, path, "a", "b")

    def make_between(asked: str) -> Project | None:
        if len(found) == 1:
            new_project(Namespace.objects.get(pk=project.namespace_id), "app")
        found.append(project_at(asked))
        return found[-1]

    monkeypatch.setattr("moorage.control.images.late_pushes.project_at", make_between)
    run_until_idle([LatePushes()], after(minutes=MINUTES + 1))
    assert ImageRepository.objects.get().path == path
    assert len(found) == 2


@pytest.mark.parametrize("why", ["a move", "the registry"])
def test_a_path_that_something_is_moved_to_and_a_registry_that_fails_are_waited_for(
    project: Project,
    registry: ControlRegistry,
    shared_daemon: Daemon,
    clock: MovedClock,
    *,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = left(project, "moved", clock)
    push_tags(shared_daemon.address, path, "late")
    turn = after(minutes=MINUTES + 1)
    with monkeypatch.context() as patch:
        if why == "a move":
            move = ImageMove.objects.create(
                group=project.namespace, path="x", old_path="elsewhere/x", new_path=path.rsplit("/", maxsplit=2)[0]
            )
        else:
            patch.setattr(ControlRegistry, "all_tags", _fails)
        assert run_until_idle([LatePushes()], turn) == 1
    assert registry.tag_names(path) == ["late"]
    if why == "a move":
        move.delete()
    assert run_until_idle([LatePushes()], after(minutes=2 * MINUTES)) == 1
    assert registry.tag_names(path) == []


def _fails(*_: object) -> None:
    msg = "it is away"
    raise RegistryError(msg)


def test_a_project_that_only_changes_the_case_of_its_path_has_left_none(project: Project, clock: MovedClock) -> None:
    del clock
    move_project_with_images(project, project.namespace, "App", by=COMMAND_LINE)
    assert not LeftPath.objects.exists()
