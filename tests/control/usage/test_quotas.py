"""Quotas: what is said and refused, from the threshold up to the hard quota, by token endpoint, API and audit log."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.models import ImageRepository
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_group, move_project
from moorage.control.projects.rules import AccessLevel
from moorage.control.refusals import ChangeRefused
from moorage.control.usage.changes import change_quota, keep_size
from moorage.control.usage.models import UsagePlace
from moorage.control.usage.questions import usage_of
from moorage.control.usage.rules import QuotaLimits, QuotaState
from support.control_api import call
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.control_tokens import ask, claims_of, granted


def filled(place: Project | Namespace, size: int, **quota: int | None) -> None:
    change_quota(place, by=COMMAND_LINE, **quota)
    kind = "project" if isinstance(place, Project) else "namespace"
    UsagePlace.objects.filter(**{kind: place}).update(size_bytes=size)


def maintainer_of(place: Project | Namespace) -> tuple[str, str]:
    return "x", new_token(new_member(place, AccessLevel.MAINTAINER).user, "api").secret


@pytest.mark.parametrize(
    ("size", "state"),
    [(None, ""), (0, ""), (63, ""), (64, "warning"), (79, "warning"), (80, "soft"), (99, "soft"), (100, "hard")],
)
def test_a_place_is_free_warned_of_soft_or_hard(size: int | None, state: str) -> None:
    assert QuotaLimits(soft_bytes=80, hard_bytes=100).state_at(size) == state


def test_a_quota_whose_name_is_not_known_is_refused_by_name_and_changes_nothing(client: Client) -> None:
    project, secret = new_project(), new_token(new_user(is_admin=True), "api").secret
    path = f"/projects/{project.pk}/moorage/quota"
    wrong = call(client, "PUT", path, token=secret, values={"hard_byte": 5, "soft_bytes": 3})
    said = "hard_byte is unknown; known here: hard_bytes, soft_bytes, warning_percent"
    assert (wrong.status_code, json.loads(wrong.content)) == (400, {"error": said})
    assert usage_of(project).soft_bytes is None
    right = call(client, "PUT", f"{path}?private_token=x", token=secret, values={"hard_bytes": 5})
    assert json.loads(right.content)["hard_bytes"] == 5
    job = call(client, "POST", f"/projects/{project.pk}/moorage/job_tokens", token=secret, values={"expires": 5})
    assert json.loads(job.content) == {"error": "expires is unknown; known here: expires_in, job, user_id"}


def test_a_threshold_counts_from_the_only_quota_that_there_is() -> None:
    assert QuotaLimits(hard_bytes=100, warning_percent=50).state_at(50) is QuotaState.WARNING
    assert QuotaLimits(soft_bytes=100, warning_percent=50).state_at(49) is QuotaState.FREE
    assert QuotaLimits().state_at(1 << 60) is QuotaState.FREE
    assert QuotaLimits(hard_bytes=0).state_at(0) is QuotaState.HARD


@pytest.mark.parametrize("is_above", [False, True])
def test_over_a_hard_quota_no_push_is_granted_and_pulls_and_deletions_are(client: Client, is_above: bool) -> None:  # noqa: FBT001 - a case
    group = new_group("team")
    project = new_project(new_group("inner", parent=group), "app")
    given = maintainer_of(project)
    filled(group if is_above else project, 100, hard_bytes=100)
    answer = ask(client, "repository:team/inner/app/web:pull,push,delete", given=given)
    assert granted(answer) == {"team/inner/app/web": ["pull", "delete"]}
    name = "team" if is_above else "team/inner/app"
    said = claims_of(answer.json()["token"]).denied
    assert said == (
        f"push on team/inner/app/web: {name} is over its quota: 100 B of 100 B are used; "
        "delete images, or ask an administrator for more"
    )
    assert granted(ask(client, "repository:team/inner/app/web:*", given=given)) == {
        "team/inner/app/web": ["pull", "delete"]
    }
    assert not ImageRepository.objects.exists()
    filled(group if is_above else project, 99, hard_bytes=100)
    again = ask(client, "repository:team/inner/app/web:pull,push", given=given)
    assert granted(again) == {"team/inner/app/web": ["pull", "push"]}


def test_over_a_soft_quota_pushes_go_on(client: Client) -> None:
    project = new_project(new_group("team"), "app")
    filled(project, 100, soft_bytes=10)
    assert usage_of(project).state is QuotaState.SOFT
    found = granted(ask(client, "repository:team/app:push", given=maintainer_of(project)))
    assert found == {"team/app": ["push"]}


def test_a_first_push_makes_no_project_in_a_namespace_over_its_quota(client: Client) -> None:
    group = new_group("team")
    filled(group, 100, hard_bytes=100)
    given = maintainer_of(group)
    assert granted(ask(client, "repository:team/new:pull,push", given=given)) == {}
    assert not Project.objects.exists()
    filled(group, 1, hard_bytes=100)
    assert granted(ask(client, "repository:team/new:pull,push", given=given)) == {"team/new": ["pull", "push"]}


def test_each_change_of_state_is_told_once() -> None:
    project, now = new_project(), timezone.now()
    change_quota(project, by=COMMAND_LINE, soft_bytes=50, hard_bytes=100)
    for number, size in enumerate((10, 45, 46, 120, 5)):
        UsagePlace.objects.update(due_at=now)
        row = UsagePlace.LEASE.take(UsagePlace.objects.all(), now=now, until=now)
        assert row is not None
        started = now + timedelta(seconds=number)
        assert keep_size(row, size, "", started=started, again=now)
    told = AuditEntry.objects.filter(action="quota_state_changed").order_by("pk")
    assert [row.details["state"] for row in told] == [["", "warning"], ["warning", "hard"], ["hard", ""]]
    assert {row.entity_path for row in told} == {project.full_path}


def test_quotas_are_changed_by_administrators_and_each_change_is_in_the_log(client: Client) -> None:
    group, admin = new_group(), new_user(is_admin=True)
    owner = new_token(new_member(group, AccessLevel.OWNER).user).secret
    token = new_token(admin)
    place = f"/groups/{group.pk}/moorage"
    values = {"soft_bytes": 10, "hard_bytes": 20, "warning_percent": 50}
    assert call(client, "PUT", f"{place}/quota", token=owner, values=values).status_code == 403
    answer = call(client, "PUT", f"{place}/quota", token=token.secret, values=values)
    assert (answer.status_code, json.loads(answer.content)["hard_bytes"]) == (200, 20)
    refused = call(client, "PUT", f"{place}/quota", token=token.secret, values={"soft_bytes": 30})
    assert (refused.status_code, list(json.loads(refused.content)["message"])) == (400, ["soft_bytes"])
    lifted = call(client, "PUT", f"{place}/quota", token=token.secret, values={"hard_bytes": None})
    assert json.loads(lifted.content)["hard_bytes"] is None
    rows = AuditEntry.objects.filter(action="quota_changed").order_by("pk")
    assert [row.details for row in rows] == [
        {"soft_bytes": [None, 10], "hard_bytes": [None, 20], "warning_percent": [80, 50]},
        {"hard_bytes": [20, None]},
    ]
    assert (rows[0].actor_name, rows[0].credential) == (
        admin.username,
        f"personal_access_token {token.token.pk}",
    )
    shown = json.loads(call(client, "GET", f"{place}/usage", token=owner).content)
    assert (shown["path"], shown["soft_bytes"], shown["quota_state"]) == (group.full_path, 10, "")


def test_quotas_that_make_no_sense_are_refused() -> None:
    project = new_project()
    for values in ({"soft_bytes": -1}, {"warning_percent": 0}, {"soft_bytes": 2, "hard_bytes": 1}, {"colour": 1}):
        with pytest.raises(ChangeRefused):
            change_quota(project, by=COMMAND_LINE, **values)
    assert not AuditEntry.objects.filter(action="quota_changed").exists()


def test_images_are_not_moved_past_a_hard_quota_and_what_has_none_is() -> None:
    top = new_group()
    there, here = new_group(parent=top), new_group(parent=top)
    inner, project = new_group(parent=there), new_project(here, "app")
    filled(there, 80, hard_bytes=100)
    filled(top, 1000, hard_bytes=10)  # What is full, and has it already, does not matter.
    move_group(Namespace.objects.get(pk=here.pk), there, here.path, by=COMMAND_LINE)  # Nothing is in it.
    move_group(Namespace.objects.get(pk=here.pk), top, here.path, by=COMMAND_LINE)
    ImageRepository.objects.create(project=project)
    project.refresh_from_db()
    filled(project, 21)
    filled(there, 100, hard_bytes=100)
    with pytest.raises(ChangeRefused, match="no room for these images in its quota"):  # Its size is not known yet.
        move_group(Namespace.objects.get(pk=here.pk), there, here.path, by=COMMAND_LINE)
    filled(there, 80, hard_bytes=100)
    for target in (there, inner):
        with pytest.raises(ChangeRefused, match=f"{there.full_path} has no room"):
            move_project(Project.objects.get(pk=project.pk), target, "app", by=COMMAND_LINE)
    filled(project, 20)
    move_project(Project.objects.get(pk=project.pk), inner, "app", by=COMMAND_LINE)
    filled(there, 100, hard_bytes=100)
    move_project(Project.objects.get(pk=project.pk), there, "app", by=COMMAND_LINE)  # It was in it before.
