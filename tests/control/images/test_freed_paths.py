"""A path that is free again, and what the registry remembers of the project that had it."""

import contextlib
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images import changes
from moorage.control.images.deletion import ImageDeletion, ProjectsDeletion
from moorage.control.images.moves import move_group_with_images, move_project_with_images
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.namespaces.models import FreedPath, Namespace
from moorage.control.policies.past_sizes import past_sizes
from moorage.control.policies.rules import PolicySelection
from moorage.control.projects.changes import delete_group, delete_project
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_group, move_project
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.transport import RegistryTransport
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_group, new_project, new_token, new_user
from support.control_tokens import access_of, ask
from support.daemon import Daemon
from support.images import push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient
from support.tokens import Issuer


def deleted(project: Project, daemon: Daemon, clock: MovedClock, *tags: str) -> datetime:
    """Push to a project's own path, and delete it with its images; return a moment between the two."""
    ensure_repository(project, project.full_path, by=COMMAND_LINE)
    push_tags(daemon.address, project.full_path, *tags)
    between = timezone.now()
    changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
    run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
    assert not Project.objects.filter(pk=project.pk).exists()
    return between


def told_since(client: Client, project: Project, user: User, path: str = "") -> int | None:
    (access,) = access_of(
        ask(client, f"repository:{path or project.full_path}:pull", given=(user.username, new_token(user).secret))
    )
    assert access.meta is not None
    return access.meta.history_since


@pytest.mark.usefixtures("registry")
def test_the_next_one_at_a_path_is_not_told_what_images_were_there_and_an_administrator_is(
    shared_daemon: Daemon, client: Client, clock: MovedClock
) -> None:
    owner, admin = new_user(), new_user(is_admin=True)
    then = deleted(new_project(owner, "app"), shared_daemon, clock, "once-secret")
    project = new_project(owner, "app")
    made = ensure_repository(project, project.full_path, by=COMMAND_LINE)
    push_tags(shared_daemon.address, project.full_path, "of-now")
    assert (told_since(client, project, owner) or 0) >= project.created_at.timestamp() - 1
    assert told_since(client, project, admin) is None
    for user, is_told in ((owner, False), (admin, True)):
        client.force_login(user)
        whole = client.get(f"/{made.path}/-/timeline").content.decode()
        at_a_time = client.get(f"/{made.path}/-/timeline", {"at": then.isoformat()}).content.decode()
        assert ["once-secret" in page for page in (whole, at_a_time)] == [is_told, is_told]
        assert "of-now" in whole
    assert past_sizes(made, PolicySelection(), now=timezone.now()) is not None


def test_who_guesses_the_name_of_an_old_tag_does_not_bring_it_back_and_an_administrator_does(
    tmp_path: Path, client: Client, clock: MovedClock
) -> None:
    issuer, owner, admin = Issuer(tmp_path), new_user(), new_user(is_admin=True)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(InProcess(tmp_path, guard=issuer.guard()))
        transport = RegistryTransport(f"http://{node.address}", lambda access: issuer.token(access=list(access)))
        stack.enter_context(contextlib.closing(transport))
        registry = stack.enter_context(talking_to(ControlRegistry(transport)))
        project = new_project(owner, "app")
        path = ensure_repository(project, project.full_path, by=COMMAND_LINE).path
        with RegistryClient(node.address, headers=issuer.bearer((path, "*"))) as pusher:
            push_image(pusher, path, "latest")
        changes.delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
        run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
        ensure_repository(new_project(owner, "app"), path, by=COMMAND_LINE)
        for user, tags in ((owner, []), (admin, ["latest"])):
            client.force_login(user)
            client.post(f"/{path}/-/timeline/undo", {"tag": "latest", "to": "", "expected": ""}, follow=True)
            assert registry.tag_names(path) == tags


@pytest.mark.usefixtures("registry")
def test_the_past_is_kept_back_wherever_the_project_goes_and_whatever_becomes_of_its_group(
    shared_daemon: Daemon, client: Client, clock: MovedClock
) -> None:
    top, owner = new_group(), new_user()
    top.memberships.create(user=owner, access_level=50)
    group = new_group("old", parent=top)
    deleted(new_project(group, "app"), shared_daemon, clock, "1")
    project = new_project(group, "app")
    push_tags(shared_daemon.address, project.full_path, "2")
    move_project_with_images(project, group, "moved", by=COMMAND_LINE)
    assert told_since(client, project, owner) is not None
    move_group_with_images(Namespace.objects.get(pk=group.pk), top, "new", by=COMMAND_LINE)
    again = new_project(Namespace.objects.get(pk=group.pk), "app")
    assert told_since(client, again, owner) is not None
    fresh = new_project(top, "other")
    assert told_since(client, fresh, owner) is None


@pytest.mark.parametrize(("gone", "new"), [("app/web/api", "app/web"), ("app", "app/web/api"), ("app/web", "app/web")])
def test_a_repository_may_have_been_of_a_project_above_or_below(gone: str, new: str) -> None:
    top = new_group()
    FreedPath.objects.create(path=f"{top}/{gone}")
    place = top
    for part in new.split("/")[:-1]:
        place = new_group(part, parent=place)
    assert new_project(place, new.rsplit("/", maxsplit=1)[-1]).history_since is not None
    assert new_project(top, "application").history_since is None


def test_an_upgrade_learns_from_the_audit_log_which_paths_were_somebody_else_s(clock: MovedClock) -> None:
    group = new_group()
    before: Project = new_project(group, "app")
    Project.objects.filter(pk=before.pk).update(created_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    delete_project(new_project(group, "gone"), by=COMMAND_LINE)
    delete_project(new_project(group, "taken"), by=COMMAND_LINE)
    FreedPath.objects.all().delete()
    taken = new_project(group, "Taken")
    assert taken.history_since is None
    Project.objects.filter(pk=taken.pk).update(created_at=clock.now)
    import_module("moorage.control.projects.migrations.0006_pasts_of_freed_paths")._learn(apps, None)
    learnt = Project.objects.exclude(history_since=None).values_list("pk", "history_since")
    assert list(learnt) == [(taken.pk, clock.now)]
    assert set(FreedPath.objects.values_list("path", flat=True)) == {f"{group}/gone", f"{group}/taken"}


@pytest.fixture(name="owned")
def _owned() -> tuple[Namespace, User]:
    """A group at the top, and its owner."""
    top, owner = new_group(), new_user()
    top.memberships.create(user=owner, access_level=50)
    return top, owner


@pytest.mark.usefixtures("registry")
def test_a_project_that_is_moved_to_a_deleted_one_s_path_is_not_told_its_past(
    shared_daemon: Daemon, client: Client, clock: MovedClock, owned: tuple[Namespace, User]
) -> None:
    top, owner = owned
    deleted(new_project(top, "app"), shared_daemon, clock, "once-secret")
    made = new_project(top, "other")
    move_project_with_images(made, top, "app", by=COMMAND_LINE)
    assert told_since(client, made, owner) is not None


@pytest.mark.usefixtures("registry")
def test_a_project_in_a_group_that_is_moved_to_a_deleted_one_s_path_is_not_told_its_past(
    shared_daemon: Daemon, client: Client, clock: MovedClock, owned: tuple[Namespace, User]
) -> None:
    top, owner = owned
    deleted(new_project(new_group("tools", parent=top), "app"), shared_daemon, clock, "once-secret")
    delete_group(Namespace.objects.get(full_path=f"{top}/tools"), by=COMMAND_LINE)
    group = new_group("other", parent=top)
    made, free = new_project(group, "app"), new_project(group, "web")
    move_group_with_images(group, top, "tools", by=COMMAND_LINE)
    for project, is_told in ((made, False), (free, True)):
        project.refresh_from_db()
        assert (told_since(client, project, owner) is None) == is_told


@pytest.mark.parametrize("what", ["project", "group"])
def test_who_comes_to_a_path_that_others_left_without_a_tag_is_not_told_what_they_had_there(
    shared_daemon: Daemon,
    client: Client,
    registry: ControlRegistry,
    owned: tuple[Namespace, User],
    *,
    what: str,
) -> None:
    """Without a tag they go to another top-level group, which no registry renames: its history stays behind."""
    top, owner = owned
    group = new_group("tools", parent=top)
    left = new_project(group, "app")
    push_tags(shared_daemon.address, left.full_path, "once-secret")
    registry.delete_tag(left.full_path, "once-secret")
    if what == "project":
        move_project_with_images(left, new_group(), "app", by=COMMAND_LINE)
    else:
        move_group_with_images(group, new_group(), "tools", by=COMMAND_LINE)
        group = new_group("tools", parent=top)
    made = new_project(group, "app")
    assert told_since(client, made, owner) is not None


@pytest.mark.usefixtures("registry")
def test_who_comes_back_to_their_own_path_is_told_their_own_past(
    client: Client, shared_daemon: Daemon, owned: tuple[Namespace, User]
) -> None:
    top, owner = owned
    project, other = new_project(top, "app"), new_group()
    for place, path in ((other, "app"), (top, "app"), (top, "App")):
        move_project_with_images(project, place, path, by=COMMAND_LINE)
    assert told_since(client, project, owner) is None
    push_tags(shared_daemon.address, project.full_path.lower(), "1")
    for path in ("better", "app"):
        move_project_with_images(project, top, path, by=COMMAND_LINE)
    assert told_since(client, project, owner) is None


def test_a_repository_that_lay_too_deep_for_its_project_is_not_told_of_either() -> None:
    place = top = new_group()
    FreedPath.objects.create(path=f"{top}/app")
    for part in ("app", "a", "b", "c"):
        place = new_group(part, parent=place)
    assert new_project(place, "d").history_since is not None


def test_an_upgrade_learns_from_the_audit_log_which_paths_were_left_by_moves(clock: MovedClock) -> None:
    top, other = new_group(), new_group()
    group = new_group("tools", parent=top)
    own = new_project(group, "own")
    move_project(new_project(top, "app"), other, "app", by=COMMAND_LINE)
    move_project(own, group, "OWN", by=COMMAND_LINE)
    move_group(group, other, "tools", by=COMMAND_LINE)
    FreedPath.objects.all().delete()
    again = new_group("tools", parent=top)
    taken = [new_project(top, "App"), new_project(again, "web")]
    free = new_project(top, "application")
    Project.objects.filter(pk__in=[one.pk for one in (*taken, free)]).update(created_at=clock.now)
    import_module("moorage.control.projects.migrations.0007_pasts_of_left_paths")._learn(apps, None)
    learnt = Project.objects.exclude(history_since=None).values_list("pk", "history_since")
    assert set(learnt) == {(one.pk, clock.now) for one in taken}
    assert set(FreedPath.objects.values_list("path", flat=True)) == {f"{top}/app", f"{top}/tools"}
