"""Changes of a policy beside its runs: what puts the next run off, and what does not."""

from datetime import timedelta

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.recording import ensure_repository
from moorage.control.policies.changes import change_policy, policy_of, run_now
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.projects.models import Project
from moorage.control.registry.client import ControlRegistry
from support.control_registry import MovedClock, push_tags
from support.control_rows import new_project
from support.daemon import Daemon

RULES = {"enabled": True, "cadence": "7d", "name_regex": ".*", "keep_n": None, "older_than": None}


def project_with_policy(clock: MovedClock) -> Project:
    project = new_project()
    change_policy(project, by=COMMAND_LINE, now=clock.now, **RULES)
    return project


def test_a_save_that_changes_nothing_puts_no_run_off(clock: MovedClock) -> None:
    project = project_with_policy(clock)
    planned = clock.now + timedelta(days=7)
    clock.move(days=6)
    assert change_policy(project, by=COMMAND_LINE, now=clock.now, **RULES).next_run_at == planned
    changed = change_policy(project, by=COMMAND_LINE, now=clock.now, keep_n=5)
    assert changed.next_run_at == clock.now + timedelta(days=7)


@pytest.mark.usefixtures("registry")
def test_a_run_that_was_asked_for_goes_by_the_rules_that_were_changed_meanwhile(
    shared_daemon: Daemon, registry: ControlRegistry, clock: MovedClock
) -> None:
    project = project_with_policy(clock)
    push_tags(shared_daemon.address, project.full_path, "a", "b", "keep")
    repository = ensure_repository(project, project.full_path, by=COMMAND_LINE)
    run_now(project, by=COMMAND_LINE, now=clock.now)
    change_policy(project, by=COMMAND_LINE, now=clock.now, name_regex_keep="keep")
    assert PolicyCleanup().step(clock.turn) is True
    assert registry.tag_names(repository.path) == ["keep"]
    assert policy_of(project).next_run_at == clock.now + timedelta(days=7)


def test_a_policy_that_is_switched_off_and_on_begins_its_interval_anew(clock: MovedClock) -> None:
    project = project_with_policy(clock)
    run_now(project, by=COMMAND_LINE, now=clock.now)
    change_policy(project, by=COMMAND_LINE, now=clock.now, enabled=False)
    clock.move(days=9)
    on = change_policy(project, by=COMMAND_LINE, now=clock.now, enabled=True)
    assert on.next_run_at == clock.now + timedelta(days=7)
