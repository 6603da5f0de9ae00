"""A project whose registry is switched off: its images are kept, whoever sees them, and all is as before afterwards."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import delete_project_with_images
from moorage.control.images.deletion import ImageDeletion, ProjectsDeletion
from moorage.control.images.models import CleanupStatus, ImageRepository
from moorage.control.images.moves import move_project_with_images
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.policies import cleaning
from moorage.control.policies.changes import change_policy, policy_of, run_now
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.listing import JudgedTag, judge_repository
from moorage.control.policies.models import CleanupRun
from moorage.control.projects.changes import change_project
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from moorage.control.usage.changes import note_change
from moorage.control.usage.measuring import UsageMeasurement
from moorage.control.usage.questions import usage_of
from support.control_api import call
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_group, new_member, new_project, new_token
from support.control_tokens import access_of, ask
from support.daemon import Daemon

ALL = {"enabled": True, "cadence": "7d", "name_regex": ".*", "keep_n": None, "older_than": None}
TAGS = ["a", "b"]

pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture(name="found")
def _found(shared_daemon: Daemon, clock: MovedClock) -> ImageRepository:
    """A repository of a project with a policy that deletes all of its tags in a week."""
    project = new_project(new_group())
    push_tags(shared_daemon.address, f"{project.full_path}/web", *TAGS)
    change_policy(project, by=COMMAND_LINE, now=clock.now, **ALL)
    return ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)


def switch(project: Project, word: str) -> None:
    change_project(project, by=COMMAND_LINE, container_registry_access_level=word)


def test_its_policy_rests_and_has_an_interval_before_it_runs_again(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock
) -> None:
    switch(found.project, "disabled")
    for _ in range(3):
        clock.move(days=7, hours=1)
        run_until_idle([PolicyCleanup()], clock.turn)
        assert policy_of(found.project).next_run_at == clock.now + timedelta(days=7)
    assert registry.tag_names(found.path) == TAGS
    assert not CleanupRun.objects.exists()
    switch(found.project, "private")
    assert run_until_idle([PolicyCleanup()], clock.turn) == 0
    clock.move(days=7)
    run_until_idle([PolicyCleanup()], clock.turn)
    assert registry.tag_names(found.path) == []


def test_nobody_has_its_policy_run_meanwhile_and_is_told_why(
    found: ImageRepository, client: Client, clock: MovedClock
) -> None:
    client.force_login(new_member(found.project, AccessLevel.MAINTAINER).user)
    said = "The registry of this project is off. Its images are kept."
    assert said not in client.get(f"/{found.project}/-/cleanup").content.decode()
    switch(found.project, "disabled")
    page = client.get(f"/{found.project}/-/cleanup").content.decode()
    assert (said in page, "/-/cleanup/run" in page) == (True, False)
    with pytest.raises(ChangeRefused, match="is off, and its policy rests"):
        run_now(found.project, by=COMMAND_LINE, now=clock.now)


def test_a_run_that_goes_on_ends_when_it_is_switched_off(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:

    def judge_and_switch(repository: ImageRepository, *args: Any, **more: Any) -> JudgedTag:  # noqa: ANN401 - as the real one
        judged = judge_repository(repository, *args, **more)
        switch(found.project, "disabled")
        return judged

    monkeypatch.setattr(cleaning, "judge_repository", judge_and_switch)
    clock.move(days=7)
    run_until_idle([PolicyCleanup()], clock.turn)
    found.refresh_from_db()
    assert registry.tag_names(found.path) == TAGS
    assert found.expiration_policy_cleanup_status == CleanupStatus.UNSCHEDULED


def test_nobody_reaches_its_images_and_all_of_them_are_there_when_it_is_on_again(
    found: ImageRepository, client: Client, clock: MovedClock
) -> None:
    project, owner = found.project, new_member(found.project, AccessLevel.OWNER).user
    token = new_token(owner).secret
    paths = [f"/projects/{project.pk}/registry/repositories", f"/groups/{project.namespace_id}/registry/repositories"]
    new_member(project.namespace, AccessLevel.OWNER, owner)

    def seen() -> tuple[list[int], bool, list[str]]:
        client.force_login(owner)
        page = client.get("/-/search", {"q": "web"}).content.decode()
        claims = access_of(ask(client, f"repository:{found.path}:pull,push,delete", given=(owner.username, token)))
        answers = [call(client, "GET", path, token=token) for path in paths]
        listed = [len(json.loads(answer.content)) for answer in answers]
        return listed, found.path in page, [action for claim in claims for action in claim.actions or ()]

    before = seen()
    assert before == ([1, 1], True, ["pull", "push", "delete"])
    switch(project, "disabled")
    (_, of_group), is_on_page, actions = seen()
    assert (of_group, is_on_page, actions) == (0, False, [])
    assert call(client, "GET", paths[0], token=token).status_code == 403
    note_change(project, now=clock.now)
    clock.move(minutes=10)
    run_until_idle([UsageMeasurement()], clock.turn)
    assert usage_of(project).size_bytes, "what is kept takes room, and counts"
    switch(project, "enabled")
    assert seen() == before


def test_it_is_moved_and_deleted_with_its_images(
    found: ImageRepository, registry: ControlRegistry, clock: MovedClock
) -> None:
    project, old = found.project, found.path
    switch(project, "disabled")
    move_project_with_images(project, project.namespace, "better", by=COMMAND_LINE)
    found.refresh_from_db()
    assert (registry.tag_names(old), registry.tag_names(f"{project.full_path}/web")) == ([], TAGS)
    delete_project_with_images(project, by=COMMAND_LINE, now=clock.now)
    run_until_idle([ImageDeletion(), ProjectsDeletion()], clock.turn)
    assert registry.tag_names(f"{project.full_path}/web") == []
    assert not Project.objects.filter(pk=project.pk).exists()
