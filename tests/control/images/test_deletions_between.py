"""What comes between the wish to delete images and their end: pushes, rules, and the reports of other work."""

from typing import Any

import pytest
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images import deletion
from moorage.control.images.changes import delete_project_with_images, retry_deletion, schedule_deletion
from moorage.control.images.deletion import ImageDeletion
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import run_until_idle
from moorage.control.policies import cleaning
from moorage.control.policies.changes import change_policy
from moorage.control.policies.cleaning import RunLimits, clean, start_run
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanedTag, CleanupRun, RunKind
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.rules import PolicySelection
from moorage.control.policies.tag_undo import undo_tag
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_deploy_token, new_job_token, new_member, new_project, new_token
from support.control_tokens import ask, claims_of, granted
from support.daemon import Daemon

MAINTAINER = Person(AccessLevel.MAINTAINER)
GOING = "is being deleted, and what is pushed now would go too"

pytestmark = pytest.mark.usefixtures("registry")


def repository(project: Project) -> ImageRepository:
    return ensure_repository(project, f"{project}/web", by=COMMAND_LINE)


@pytest.mark.parametrize("whole", [False, True], ids=["a repository", "its project"])
def test_a_push_into_what_is_being_deleted_is_refused_where_it_would_be_lost(client: Client, whole: bool) -> None:  # noqa: FBT001 - a case
    project = new_project()
    found = repository(project)
    member = new_member(project, AccessLevel.MAINTAINER).user
    deploy = new_deploy_token(project, "write_registry", "read_registry")
    if whole:
        delete_project_with_images(project, by=COMMAND_LINE)
    else:
        schedule_deletion(found, by=COMMAND_LINE, person=MAINTAINER)
    for given in (
        (member.username, new_token(member).secret),
        (deploy.token.username, deploy.secret),
        ("gitlab-ci-token", new_job_token(project).secret),
    ):
        answer = ask(client, f"repository:{found.path}:pull,push", given=given)
        assert granted(answer) == {found.path: ["pull"]}
        assert GOING in str(claims_of(answer.json()["token"]).denied)
    given = (member.username, new_token(member).secret)
    assert granted(ask(client, f"repository:{found.path}:*", given=given)) == {found.path: ["pull", "delete"]}
    beside = granted(ask(client, f"repository:{project}/beside:push", given=given))
    assert beside == ({} if whole else {f"{project}/beside": ["push"]})
    ImageRepository.objects.update(status="delete_failed")
    again = granted(ask(client, f"repository:{found.path}:push", given=given))
    assert again == ({} if whole else {found.path: ["push"]})


def test_nothing_is_brought_back_into_what_is_being_deleted(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    found = repository(new_project())
    push_tags(shared_daemon.address, found.path, "1", "2")
    run = delete_picked_tags(found, {"1": ""}, by=COMMAND_LINE, person=MAINTAINER).run
    (row,) = run.deleted_tags.all()
    schedule_deletion(found, by=COMMAND_LINE, person=MAINTAINER)
    with pytest.raises(ChangeRefused, match="is being deleted: what came back would go too"):
        undo_run(run, by=COMMAND_LINE, person=MAINTAINER)
    with pytest.raises(ChangeRefused, match="is being deleted: what came back would go too"):
        undo_tag(found, "1", to=row.digest, expected="", by=COMMAND_LINE, person=MAINTAINER)
    assert registry.tag_names(found.path) == ["2"]


@pytest.mark.parametrize("kind", ["repository", "tags"])
def test_a_deletion_that_failed_is_not_tried_again_against_a_rule_that_was_made_since(
    shared_daemon: Daemon, kind: str
) -> None:
    project = new_project()
    found = repository(project)
    push_tags(shared_daemon.address, found.path, "1")
    ImageRepository.objects.update(status="delete_failed")
    found.refresh_from_db()
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "owner"}
    if kind == "repository":
        create_repository_rule(project, found.path, by=COMMAND_LINE, **levels)
    else:
        create_tag_rule(project, ".*", by=COMMAND_LINE, **levels)
    with pytest.raises(ImageProtected):
        retry_deletion(found, by=COMMAND_LINE, person=MAINTAINER)
    retry_deletion(found, by=COMMAND_LINE, person=Person(AccessLevel.OWNER))
    assert found.status == "delete_scheduled"


@pytest.mark.usefixtures("committed")
def test_a_cleanup_whose_repository_goes_meanwhile_ends_its_report(shared_daemon: Daemon, clock: MovedClock) -> None:
    found = repository(new_project())
    push_tags(shared_daemon.address, found.path, "1")
    run = start_run(found, PolicySelection(), clock.turn, kind=RunKind.POLICY)

    def goes() -> bool:
        ImageRepository.objects.all().delete()
        Project.objects.all().delete()
        return True

    clean(run, PolicySelection(), clock.turn, limits=RunLimits(), is_still_ours=goes)
    row = CleanupRun.objects.get()
    assert (row.outcome, row.repository_id, row.project_id, row.deleted_size) == ("finished", None, None, 1)


def test_what_is_pushed_between_the_last_look_and_the_end_of_a_deletion_has_a_record(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = repository(new_project())
    push_tags(shared_daemon.address, found.path, "1")
    schedule_deletion(found, by=COMMAND_LINE, person=MAINTAINER, now=clock.now)
    real = vars(deletion)["record"]

    def pushed_first(action: str, target: ImageRepository, **more: Any) -> None:  # noqa: ANN401 - as the real one
        push_tags(shared_daemon.address, found.path, "late")
        real(action, target, **more)

    monkeypatch.setattr(deletion, "record", pushed_first)
    assert ImageDeletion().step(clock.turn)
    assert registry.tag_names(found.path) == ["late"]
    assert [one.path for one in ImageRepository.objects.all()] == [found.path]
    assert ImageRepository.objects.get().status == ""


@pytest.mark.parametrize("change", ["off", "keeps", "protects"])
def test_who_switches_a_policy_off_or_keeps_or_protects_more_does_not_wait_for_the_end_of_a_run(
    shared_daemon: Daemon,
    registry: ControlRegistry,
    clock: MovedClock,
    *,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    monkeypatch.setattr(cleaning, "BATCH", 1)
    found = repository(new_project())
    push_tags(shared_daemon.address, found.path, "a", "b")
    wanted = {"enabled": True, "cadence": "7d", "name_regex": ".*", "keep_n": None, "older_than": None}
    change_policy(found.project, by=COMMAND_LINE, now=clock.now, **wanted)
    clock.move(days=7)
    real, changed = cleaning._delete_one, list[str]()

    def changed_after(path: str, row: CleanedTag) -> bool:
        is_gone = real(path, row)
        if not changed:
            changed.append(row.name)
            if change == "protects":
                create_tag_rule(found.project, ".*", by=COMMAND_LINE)
            else:
                values: dict[str, object] = {"enabled": False} if change == "off" else {"name_regex_keep": ".*"}
                change_policy(found.project, by=COMMAND_LINE, now=clock.now, **values)
        return is_gone

    monkeypatch.setattr(cleaning, "_delete_one", changed_after)
    run_until_idle([PolicyCleanup()], clock.turn)
    assert len(registry.tag_names(found.path)) == 1
    found.refresh_from_db()
    assert found.expiration_policy_cleanup_status == "cleanup_unscheduled"
