"""Records of repositories, questions about their tags, deletion of tags: over Moorage's own daemon."""

import pytest
from django.db import IntegrityError, transaction

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images import changes, questions
from moorage.control.images.image_refusals import ImageProtected, TagMissing
from moorage.control.images.models import CleanupStatus, ImageRepository, ImageStatus
from moorage.control.images.recording import ensure_repository
from moorage.control.images.rules import name_below
from moorage.control.protection.changes import create_repository_rule, create_tag_rule
from moorage.control.protection.rules import Person
from moorage.control.refusals import ChangeRefused
from moorage.errors import TagInvalid
from support.control_registry import push_tags
from support.control_rows import new_group, new_project
from support.daemon import Daemon

DEVELOPER, OWNER, ADMIN = Person(30), Person(50), Person(is_admin=True)

pytestmark = pytest.mark.usefixtures("registry")


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("group/app", ""),
        ("Group/App", ""),
        ("group/app/web", "web"),
        ("group/app/web/x", "web/x"),
        ("group/app/web/x/y", None),
        ("group/apple", None),
        ("group", None),
        ("group/app/", None),
        ("other/app/web", None),
    ],
)
def test_a_name_is_the_path_below_the_project(path: str, name: str | None) -> None:
    assert name_below("Group/App", path) == name


def test_a_push_makes_the_record_once() -> None:
    project = new_project()
    made = ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    assert ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE) == made
    assert (made.name, made.status, made.path) == ("web", "", f"{project.full_path}/web")
    assert made.location == f"registry.test:5000/{made.path}"
    assert actions().count("container_repository_created") == 1
    with pytest.raises(ChangeRefused, match="is not a repository of"):
        ensure_repository(project, "elsewhere/app", by=COMMAND_LINE)


COLUMNS = {
    "id": None,
    "project_id": None,
    "name": "web",
    "status": "",
    "status_updated_at": None,
    "delete_started_at": None,
    "failed_deletion_count": 0,
    "next_delete_attempt_at": None,
    "expiration_policy_started_at": None,
    "expiration_policy_cleanup_status": "cleanup_unscheduled",
    "expiration_policy_completed_at": None,
    "last_cleanup_deleted_tags_count": None,
    "created_at": None,
    "updated_at": None,
}
"""The columns that GitLab's record has, and what stands in a new one; None for what is of its own kind."""


def test_a_record_has_gitlab_s_columns_and_the_database_keeps_their_bounds() -> None:
    project = new_project()
    made = ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    own = {"id": made.pk, "project_id": project.pk, "created_at": made.created_at, "updated_at": made.updated_at}
    assert {name: getattr(made, name) for name in COLUMNS} == COLUMNS | own
    assert made.created_at <= made.updated_at
    rows = ImageRepository.objects.filter(pk=made.pk)
    assert rows.update(failed_deletion_count=10) == 1
    for forbidden in (
        lambda: rows.update(failed_deletion_count=11),
        lambda: ImageRepository.objects.create(project=project, name="web"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            forbidden()
    assert {word for word in ImageStatus.values if word} == {"delete_scheduled", "delete_failed", "delete_ongoing"}
    states = ["cleanup_unscheduled", "cleanup_scheduled", "cleanup_unfinished", "cleanup_ongoing"]
    assert CleanupStatus.values == states


def test_repositories_of_a_group_are_those_of_all_groups_below_where_the_feature_is_on() -> None:
    top = new_group()
    below = new_group(parent=top)
    projects = [new_project(top), new_project(below), new_project(top, feature="disabled"), new_project()]
    made = [ensure_repository(project, project.full_path, by=COMMAND_LINE) for project in projects]
    assert set(ImageRepository.objects.of_group(top)) == set(made[:2])
    assert set(ImageRepository.objects.of_group(below)) == {made[1]}
    assert set(ImageRepository.objects.of_project(projects[3])) == {made[3]}


def test_the_record_of_the_project_s_own_path_is_made_if_it_has_tags(shared_daemon: Daemon) -> None:
    project = new_project()
    assert changes.ensure_root_repository(project) is None
    push_tags(shared_daemon.address, project.full_path, "1")
    found = changes.ensure_root_repository(project)
    assert found is not None
    assert found.name == ""
    assert changes.ensure_root_repository(project) == found


def repository_with(daemon: Daemon, *tags: str) -> ImageRepository:
    project = new_project()
    path = f"{project.full_path}/web"
    push_tags(daemon.address, path, *tags)
    return ensure_repository(project, path, by=COMMAND_LINE)


def test_tags_are_listed_by_number_and_by_key(shared_daemon: Daemon) -> None:
    found = repository_with(shared_daemon, "c", "a", "b")
    page = questions.tags_by_offset(found, page=2, per_page=2, count_limit=100)
    assert (list(page.names), page.total) == (["c"], 3)
    first = questions.tags_by_key(found, per_page=2, sort="desc")
    second = questions.tags_by_key(found, per_page=2, sort="desc", last=first.after)
    assert [[tag.name for tag in page.tags] for page in (first, second)] == [["c", "b"], ["a"]]
    assert second.after == ""
    assert questions.tags_count(found) == 3
    state = questions.state_of(found)
    assert state is not None
    assert state.size_bytes == 6000


def test_a_tag_is_deleted_and_the_log_has_it(shared_daemon: Daemon) -> None:
    found = repository_with(shared_daemon, "1", "2")
    changes.delete_tag(found, "1", by=COMMAND_LINE, person=DEVELOPER)
    assert questions.tag_names(found) == ["2"]
    assert questions.tag_details(found, "1") is None
    entry = AuditEntry.objects.get(action="container_repository_tags_deleted")
    assert (entry.target_name, entry.details) == (found.path, {"tags": ["1"]})
    with pytest.raises(TagMissing, match="Tag Not Found"):
        changes.delete_tag(found, "1", by=COMMAND_LINE, person=DEVELOPER)
    with pytest.raises(TagInvalid):
        changes.delete_tag(found, "a/b", by=COMMAND_LINE, person=DEVELOPER)


def test_rules_keep_tags_from_those_below_and_immutable_ones_from_everybody(shared_daemon: Daemon) -> None:
    found = repository_with(shared_daemon, "v1", "final", "dev")
    create_tag_rule(
        found.project,
        "^v",
        by=COMMAND_LINE,
        minimum_access_level_for_push="owner",
        minimum_access_level_for_delete="owner",
    )
    create_tag_rule(found.project, "final", by=COMMAND_LINE)
    for name, person in (("v1", DEVELOPER), ("final", OWNER), ("final", ADMIN), ("v1", None)):
        with pytest.raises(ImageProtected, match=r"cannot delete protected tag\(s\)"):
            changes.delete_tag(found, name, by=COMMAND_LINE, person=person)
    assert changes.delete_tags(found, ["v1", "dev"], by=COMMAND_LINE, person=DEVELOPER) == ["dev"]
    changes.delete_tag(found, "v1", by=COMMAND_LINE, person=OWNER)
    assert questions.tag_names(found) == ["final"]
    with pytest.raises(ImageProtected):
        changes.schedule_deletion(found, by=COMMAND_LINE, person=ADMIN)
    assert ImageRepository.objects.get(pk=found.pk).status == ""


def test_a_protected_repository_is_deleted_by_its_owners_only(shared_daemon: Daemon) -> None:
    found = repository_with(shared_daemon, "1")
    create_repository_rule(
        found.project, f"{found.project.full_path}/*", by=COMMAND_LINE, minimum_access_level_for_delete="owner"
    )
    with pytest.raises(ImageProtected, match="Deleting protected container repository forbidden"):
        changes.schedule_deletion(found, by=COMMAND_LINE, person=Person(40))
    changes.schedule_deletion(found, by=COMMAND_LINE, person=OWNER)
    assert found.status == "delete_scheduled"
    changes.schedule_deletion(found, by=COMMAND_LINE, person=OWNER)
    assert actions().count("container_repository_deletion_scheduled") == 1
