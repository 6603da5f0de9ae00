"""A push between the look at a tag and the write of it: what was pushed is neither deleted nor written over."""

from collections.abc import Callable
from typing import Any

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.policies.changes import change_policy
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanedTag, CleanupRun
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.rules import Person
from moorage.control.registry import distribution_api
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.transport import RegistryTransport
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_project
from support.daemon import Daemon
from support.faulty_front import FaultyFront, FrontFault
from support.images import image, push_image
from support.registry_client import RegistryClient

OWNER = Person(AccessLevel.OWNER)

PushBefore = Callable[[str, str], str]
"""Have a tag pushed right before a call of the registry; returns the digest that it has then."""

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(name="found")
def _found(shared_daemon: Daemon) -> ImageRepository:
    project = new_project()
    path = f"{project.full_path}/web"
    push_tags(shared_daemon.address, path, "a", "b")
    return ensure_repository(project, path, by=COMMAND_LINE)


@pytest.fixture(name="push_before")
def _push_before(shared_daemon: Daemon, found: ImageRepository, monkeypatch: pytest.MonkeyPatch) -> PushBefore:
    def push_before(call: str, tag: str) -> str:
        real, made = getattr(distribution_api, call), image(f"{found.path} since")

        def late(transport: object, path: str, *args: Any, **more: Any) -> object:  # noqa: ANN401 - as the call has
            if tag in args:
                with RegistryClient(shared_daemon.address) as pusher:
                    push_image(pusher, found.path, tag, made)
            return real(transport, path, *args, **more)

        monkeypatch.setattr(distribution_api, call, late)
        return made.digest

    return push_before


def test_a_policy_deletes_no_tag_that_was_pushed_since_it_was_judged(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock, push_before: PushBefore
) -> None:
    new = push_before("delete_tag", "a")
    wanted = {"enabled": True, "cadence": "7d", "name_regex": ".*", "keep_n": None, "older_than": None}
    change_policy(found.project, by=COMMAND_LINE, now=clock.now, **wanted)
    clock.move(days=7)
    run_until_idle([PolicyCleanup()], clock.turn)
    assert registry.tag_names(found.path) == ["a"]
    assert registry.tag_digest(found.path, "a") == new
    assert (CleanupRun.objects.get().deleted_size, CleanedTag.objects.get().name) == (1, "b")


def test_a_tag_that_was_picked_and_then_pushed_again_stays(
    found: ImageRepository, registry: ControlRegistry, push_before: PushBefore
) -> None:
    new = push_before("delete_tag", "a")
    run, moved = delete_picked_tags(found, {"a": "", "b": ""}, by=COMMAND_LINE, person=OWNER)
    assert moved == ["a"]
    assert registry.tag_digest(found.path, "a") == new
    assert [row.name for row in run.deleted_tags.all()] == ["b"]


def test_an_undo_writes_over_no_tag_that_was_pushed_meanwhile(
    found: ImageRepository, registry: ControlRegistry, push_before: PushBefore
) -> None:
    run = delete_picked_tags(found, {"a": "", "b": ""}, by=COMMAND_LINE, person=OWNER).run
    new = push_before("push_manifest", "a")
    undone = undo_run(run, by=COMMAND_LINE, person=OWNER)
    assert (undone.restored, undone.there) == (["b"], ["a"])
    assert registry.tag_digest(found.path, "a") == new


def test_a_picked_tag_that_was_gone_is_not_deleted_when_it_is_pushed_meanwhile(
    found: ImageRepository, registry: ControlRegistry, shared_daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = registry.tag_digest(found.path, "a"), distribution_api.show_digest
    registry.delete_tag(found.path, "a")

    def push_after(transport: RegistryTransport, path: str, tag: str) -> str:
        digest = real(transport, path, tag)
        if tag == "a":
            push_tags(shared_daemon.address, found.path, "a")
        return digest

    monkeypatch.setattr(distribution_api, "show_digest", push_after)
    run, moved = delete_picked_tags(found, {"a": seen, "b": ""}, by=COMMAND_LINE, person=OWNER)
    assert registry.tag_names(found.path) == ["a"]
    assert ([row.name for row in run.deleted_tags.all()], moved) == (["b"], [])


def test_a_tag_that_is_pushed_before_it_is_pointed_at_an_empty_image_stays(
    found: ImageRepository, registry: ControlRegistry, shared_daemon: Daemon
) -> None:
    """Such a registry deletes manifests only."""
    seen, new = registry.tag_digest(found.path, "a"), image(f"{found.path} since")

    def push() -> None:
        with RegistryClient(shared_daemon.address) as pusher:
            push_image(pusher, found.path, "a", new)

    with FaultyFront(shared_daemon.address) as front, registry_at(f"http://{front.address}") as other:
        front.faults += [
            FrontFault(method="GET", part="/gitlab/v1/", status=404, times=100),
            FrontFault(method="GET", part="/v2/", hides="Gitlab-Container-Registry-Version"),
            FrontFault(method="DELETE", part="manifests/a", status=405),
            FrontFault(method="DELETE", part="manifests/a", status=405),
            FrontFault(method="PUT", part="manifests/a", meanwhile=push),
        ]
        assert not other.delete_tag(found.path, "a", seen=seen)
        assert registry.tag_digest(found.path, "a") == new.digest
        assert other.delete_tag(found.path, "a", seen=new.digest)
    assert registry.tag_names(found.path) == ["b"]


def test_a_registry_that_says_no_digest_is_asked_for_the_manifest(
    found: ImageRepository, registry: ControlRegistry, shared_daemon: Daemon
) -> None:
    with FaultyFront(shared_daemon.address) as front, registry_at(f"http://{front.address}") as silent:
        for method in ("HEAD", "GET"):
            front.faults.append(FrontFault(method=method, part="/manifests/", hides="Docker-Content-Digest", times=100))
        assert silent.tag_digest(found.path, "a") == registry.tag_digest(found.path, "a")
        assert delete_picked_tags(found, {"a": "", "b": ""}, by=COMMAND_LINE, person=OWNER).run.deleted_size == 2
