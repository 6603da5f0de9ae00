"""A policy that an administrator has carried out at once, as a user: each repository, its report, the user's rights."""

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import Turn
from moorage.control.policies.at_once import clean_project
from moorage.control.policies.changes import change_policy, policy_of
from moorage.control.projects.members import add_member
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.changes import create_tag_rule
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.client import ControlRegistry
from support.control_registry import push_tags
from support.control_rows import new_project, new_user
from support.daemon import Daemon

pytestmark = pytest.mark.usefixtures("registry")


def project_with(daemon: Daemon, *names: str) -> Project:
    """A project of repositories with the tags v1 and dev, and a policy that is off."""
    project = new_project()
    for name in names:
        push_tags(daemon.address, f"{project.full_path}/{name}", "v1", "dev")
        ensure_repository(project, f"{project.full_path}/{name}", by=COMMAND_LINE)
    change_policy(project, by=COMMAND_LINE, name_regex=".*", keep_n=None, older_than=None)
    return project


def test_a_policy_that_is_off_cleans_each_repository_at_once_and_keeps_what_the_user_may_not_delete(
    shared_daemon: Daemon, registry: ControlRegistry
) -> None:
    project, user = project_with(shared_daemon, "web", "api"), new_user()
    add_member(project, user, AccessLevel.DEVELOPER, by=COMMAND_LINE)
    levels = {"minimum_access_level_for_push": "maintainer", "minimum_access_level_for_delete": "maintainer"}
    create_tag_rule(project, "^v", by=COMMAND_LINE, **levels)
    done = list(clean_project(project, user, by=COMMAND_LINE, turn=Turn()))
    assert [(run.repository_path, run.original_size, run.deleted_size, run.kept) for run in done] == [
        (f"{project.full_path}/{name}", 2, 1, {"protected": 1}) for name in ("api", "web")
    ]
    assert {run.requested_by for run in done} == {user.username}
    assert registry.tag_names(f"{project.full_path}/web") == ["v1"]
    assert not policy_of(project).enabled
    assert AuditEntry.objects.filter(action="container_repository_cleaned", actor_name=user.username).count() == 2


def test_who_may_not_delete_tags_cleans_nothing(shared_daemon: Daemon, registry: ControlRegistry) -> None:
    project, user = project_with(shared_daemon, "web"), new_user()
    add_member(project, user, AccessLevel.REPORTER, by=COMMAND_LINE)
    with pytest.raises(ChangeRefused, match=f"{user.username} may not delete tags of {project.full_path}"):
        list(clean_project(project, user, by=COMMAND_LINE, turn=Turn()))
    assert len(list(registry.tag_names(f"{project.full_path}/web"))) == 2


def test_a_pattern_that_cannot_be_used_is_said_before_anything_goes(shared_daemon: Daemon) -> None:
    project, user = project_with(shared_daemon, "web"), new_user(is_admin=True)
    change_policy(project, by=COMMAND_LINE, name_regex="(")
    with pytest.raises(ChangeRefused, match="name_regex"):
        list(clean_project(project, user, by=COMMAND_LINE, turn=Turn()))
