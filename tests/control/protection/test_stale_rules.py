"""Rules that a project has left at an old path, and the command that brings them after it."""

import json

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.projects.models import Project
from moorage.control.protection.changes import create_repository_rule, delete_rule
from moorage.control.protection.models import RepositoryProtection
from moorage.control.protection.stale_rules import move_stale_rule, stale_rules
from moorage.control.refusals import ChangeRefused
from support.control_rows import new_project
from support.control_site import start_site


def stale(*options: str) -> list[dict[str, object]]:
    """What ``moorage control protection stale`` prints."""
    done = CliRunner().invoke(app, ["control", "protection", "stale", "--json", *options])
    assert done.exit_code == 0, (done.stdout, done.exception)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_rules_at_an_old_path_are_moved_where_the_audit_log_says_what_they_were_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOORAGE_CONTROL", str(start_site().folder / "control.yml"))
    project = new_project()
    path = project.full_path
    for end in ("", "/prod*", "/dev", "-not-its-own*"):
        create_repository_rule(project, f"{path}{end}", by=COMMAND_LINE, minimum_access_level_for_push="owner")
    # As moves were before rules followed them: whatever moved, and whoever has the old place now.
    Project.objects.filter(pk=project.pk).update(full_path=f"new/{path}")
    RepositoryProtection.objects.create(project=project, repository_path_pattern=f"new/{path}/dev")
    RepositoryProtection.objects.create(project=project, repository_path_pattern="unknown/*")

    def whole(found: list[dict[str, object]], column: str) -> list[tuple[object, object]]:
        return [(row["becomes"], row[column]) for row in found]

    certain, left = [(f"new/{path}", True), (f"new/{path}/prod*", True)], [("", False)] * 3
    looked_at = stale()
    assert whole(looked_at, "to_move") == certain + left
    assert [str(row["why"]).partition(":")[0] for row in looked_at[2:]] == [
        f"the project has a rule new/{path}/dev already",
        f"it protected nothing at {path} either",
        "the audit log does not say where the project was when the rule was made",
    ]
    assert AuditEntry.objects.filter(action="repository_protection_rule_changed").count() == 0
    assert whole(stale("--move"), "moved") == certain + left
    told = AuditEntry.objects.filter(action="repository_protection_rule_changed").values_list("target_name", flat=True)
    assert sorted(told) == [f"new/{path}", f"new/{path}/prod*"]
    assert whole(stale(), "to_move") == left


def test_a_rule_that_is_taken_away_after_it_was_listed_is_not_moved() -> None:
    project = new_project()
    rule = create_repository_rule(
        project, f"{project.full_path}/*", by=COMMAND_LINE, minimum_access_level_for_push="owner"
    )
    Project.objects.filter(pk=project.pk).update(full_path="else/where")
    (found,) = stale_rules()
    delete_rule(RepositoryProtection.objects.get(pk=rule.pk), by=COMMAND_LINE)
    with pytest.raises(ChangeRefused, match="was changed or taken away meanwhile"):
        move_stale_rule(found, by=COMMAND_LINE)
