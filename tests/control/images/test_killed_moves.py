"""Moves of images that are killed or lose their registry in the middle: they go on, or are taken back."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.credentials.finding import requester_of_token
from moorage.control.images import changes
from moorage.control.images.models import ImageMove
from moorage.control.images.move_steps import RETRY_WAIT, ImageMoves
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.images.moving_now import is_being_moved
from moorage.control.jobs.loop import Turn
from moorage.control.namespaces.models import TakenPath
from moorage.control.projects.models import Project
from moorage.control.projects.requesters import Requester
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.registry.transport import RemoteAnswer
from moorage.control.tokens.granting import verdicts_on
from moorage.token_server.scopes import parse_scopes
from support.control_api import call
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.daemon import Daemon
from support.image_moves import DyingTransport, Killed, dying, pushed
from support.ports import free_port


@pytest.fixture
def clock() -> MovedClock:
    """A clock that is ahead of the leases of requests, which go by the real one."""
    found = MovedClock()
    found.now = Turn().now + timedelta(hours=1)
    return found


def requests_of_a_move(url: str) -> int:
    """Count the requests of a whole move, so that the tests below die at each of them."""
    project = new_project(path="counted")
    with dying(url, at=0, is_sent=True) as transport:
        push_tags(url.removeprefix("http://"), f"{project.full_path}/web", "1")
        move_project_with_images(project, project.namespace, "all", by=COMMAND_LINE)
    return transport.requests


def test_a_move_that_was_killed_at_any_request_is_whole_in_the_end(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    """Kill the request before it asks the registry, and after; and the job that goes on with it as well."""
    wholes = set()
    for at in range(1, requests_of_a_move(shared_daemon.url) + 1):
        for is_sent in (False, True):
            project = new_project(path="app")
            old, group = project.full_path, project.namespace.full_path
            pushed(shared_daemon, project, "web")
            with dying(shared_daemon.url, at=at, is_sent=is_sent), contextlib.suppress(Killed):
                move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
            project = Project.objects.get(pk=project.pk)
            assert project.full_path == old  # Nothing is seen of it until all of it is.
            has_begun = ImageMove.objects.exists()
            assert is_being_moved(f"{old}/web") is is_being_moved(f"{group}/better") is has_begun
            die_each_time(shared_daemon.url, clock)
            project = Project.objects.get(pk=project.pk)
            assert project.full_path == (f"{group}/better" if has_begun else old)
            assert registry.tag_names(f"{project.full_path}/web") == ["1"]
            assert registry.repository(f"{group}/app/web" if has_begun else f"{group}/better/web") is None
            assert set(TakenPath.objects.filter(path__startswith=f"{group}/").values_list("path", flat=True)) == {
                project.full_path
            }
            wholes.add(has_begun)
    assert wholes == {False, True}


def die_each_time(url: str, clock: MovedClock) -> None:
    """Have the job go on, and die at its first request, then at its second, and so on, until it is through."""
    deaths = 0
    while ImageMove.objects.exists():
        deaths += 1
        assert deaths < 20
        clock.move(minutes=10)
        for is_sent in (False, True):
            with dying(url, at=deaths, is_sent=is_sent), contextlib.suppress(Killed):
                ImageMoves().step(clock.turn)
            clock.move(minutes=10)


def begun(daemon: Daemon, project: Project, path: str = "better") -> ImageMove:
    """A move that was killed as the registry was to rename: after the dry run, and the two questions for a witness."""
    last = requests_of_a_move(daemon.url)
    with dying(daemon.url, at=last, is_sent=False), contextlib.suppress(Killed):
        move_project_with_images(project, project.namespace, path, by=COMMAND_LINE)
    return ImageMove.objects.get()


def test_meanwhile_nothing_is_pushed_and_nothing_else_is_done_with_it(
    shared_daemon: Daemon, registry: ControlRegistry
) -> None:
    owner = new_user()
    group = new_group(owner=owner)
    project = new_project(new_group("inner", parent=group), "app")
    pushed(shared_daemon, project, "web")
    begun(shared_daemon, project)
    repository = project.repositories.get()
    for refused in (
        lambda: move_project_with_images(project, group, "app", by=COMMAND_LINE),
        lambda: move_group_with_images(group, None, "other", by=COMMAND_LINE),
        lambda: changes.delete_project_with_images(project, by=COMMAND_LINE),
        lambda: changes.delete_group_with_images(group, by=COMMAND_LINE),
        lambda: changes.schedule_deletion(repository, by=COMMAND_LINE, person=None),
    ):
        with pytest.raises(ChangeRefused, match="is being moved; try again in a moment"):
            refused()
    with pytest.raises(ChangeRefused, match="has already been taken"):
        new_project(project.namespace, "better")
    who = pushing(owner)
    (verdict,) = verdicts_on(who, parse_scopes([f"repository:{project.full_path}/web:pull,push,delete"]), makes=True)
    assert verdict.granted == ("pull",)
    assert {one.action: one.shown for one in verdict.denials}["push"] == (
        "the project is being moved to another path; try again in a moment"
    )


def pushing(user: User) -> Requester:
    return requester_of_token(new_token(user, "read_registry", "write_registry").secret, address="127.0.0.1")


def test_images_that_are_being_deleted_are_not_moved(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web", "api")
    changes.schedule_deletion(project.repositories.get(name="api"), by=COMMAND_LINE, person=None)
    with pytest.raises(ChangeRefused, match="images in it are being deleted"):
        move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
    assert registry.tag_names(f"{project.full_path}/web") == ["1"]


def test_a_registry_that_goes_away_is_asked_again_until_it_is_back(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web")
    begun(shared_daemon, project)
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        for _ in range(3):
            clock.now += RETRY_WAIT
            assert ImageMoves().step(clock.turn) is True
            assert ImageMoves().step(clock.turn) is False
    assert "does not answer" in ImageMove.objects.get().last_failure
    clock.now += RETRY_WAIT
    assert ImageMoves().step(clock.turn) is True
    project.refresh_from_db()
    assert registry.tag_names(f"{project.full_path}/web") == ["1"]
    assert project.path == "better"


def test_a_move_that_the_registry_will_not_do_any_more_is_taken_back(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web")
    begun(shared_daemon, project)
    push_tags(shared_daemon.address, f"{project.namespace.full_path}/better/web", "foreign")
    assert ImageMoves().step(clock.turn) is True
    project.refresh_from_db()
    assert (project.path, registry.tag_names(f"{project.full_path}/web")) == ("app", ["1"])
    entry = AuditEntry.objects.get(action="project_move_refused")
    assert str(entry.details["reason"]).startswith("name_taken")
    assert not is_being_moved(project.full_path)
    assert not TakenPath.objects.filter(path=f"{project.namespace.full_path}/better").exists()


def test_what_was_pushed_to_the_old_path_does_not_hide_that_the_images_have_moved(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = new_project(path="app")
    old = project.full_path
    pushed(shared_daemon, project, "web")
    row = begun(shared_daemon, project)
    registry.rename(row.old_path, name="better")
    push_tags(shared_daemon.address, f"{old}/web", "late")
    assert ImageMoves().step(clock.turn) is True
    project.refresh_from_db()
    assert (project.path, registry.tag_names(f"{project.full_path}/web")) == ("better", ["1"])


def test_a_registry_that_fails_in_the_middle_says_that_it_goes_on(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock, client: Client
) -> None:
    project = new_project(path="app")
    pushed(shared_daemon, project, "web")
    owner = new_token(new_member(project, AccessLevel.OWNER).user).secret
    last = requests_of_a_move(shared_daemon.url)
    with failing(shared_daemon.url, at=last):
        answer = call(client, "PUT", f"/projects/{project.pk}", token=owner, values={"path": "better"})
    assert answer.status_code == 503
    clock.now += timedelta(minutes=1)
    assert ImageMoves().step(clock.turn) is True
    project.refresh_from_db()
    assert (project.path, registry.tag_names(f"{project.full_path}/web")) == ("better", ["1"])


@contextlib.contextmanager
def failing(url: str, *, at: int) -> Iterator[None]:
    class LosingTransport(DyingTransport):
        def send(self, method: str, path: str, **more: Any) -> RemoteAnswer:  # noqa: ANN401 - as above
            try:
                return super().send(method, path, **more)
            except Killed:
                msg = "the connection is gone"
                raise RegistryError(msg) from None

    transport = LosingTransport(url, at=at, is_sent=True)
    with contextlib.closing(transport), talking_to(ControlRegistry(transport)):
        yield
