"""Projects for what a registry had before it had accounts."""

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.taking_in import TakenIn, TakingIn
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_project, new_user
from support.control_site import start_site
from support.daemon import Daemon

PATHS = ["old/app", "old/app-web", "old/app/cache", "old/app/cache/more/deep", "old/tools/ci", "ubuntu", "team/a.git"]


def taken(paths: list[str], *, visibility: str = "", dry_run: bool = False) -> list[TakenIn]:
    owner = new_user("root")
    taking_in = TakingIn(by=COMMAND_LINE, owner=owner, visibility=visibility, dry_run=dry_run)
    return list(taking_in.take_in(paths))


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_path_has_a_project_and_what_is_below_one_belongs_to_it(*, dry_run: bool) -> None:
    found = {one.repository: one for one in taken(PATHS, dry_run=dry_run)}
    assert [one.repository for one in found.values() if one.is_new] == ["old/app", "old/app-web", "old/tools/ci"]
    assert (found["old/app/cache"].project, found["old/app/cache"].is_new) == ("old/app", False)
    assert {path: one.reason for path, one in found.items() if one.reason} == {
        "old/app/cache/more/deep": "it is too deep below the project old/app",
        "team/a.git": "'a.git' can be no part of a project's path: it must not end with .git or .atom",
        "ubuntu": "its path has one part, and a project has a group or user before its name",
    }
    made = sorted(Project.objects.values_list("full_path", flat=True))
    assert made == ([] if dry_run else ["old/app", "old/app-web", "old/tools/ci"])


def test_groups_that_are_there_are_used_and_what_they_do_not_allow_is_said_and_leaves_nothing() -> None:
    acme = new_group("acme", visibility="private")
    new_project(acme, "App")
    found = taken(["acme/app", "acme/new/web"], visibility="public")
    assert [(one.project, one.is_new) for one in found] == [("acme/App", False), ("", False)]
    assert "visibility" in found[1].reason
    assert not Namespace.objects.filter(full_path="acme/new").exists()


def test_a_user_s_own_path_is_a_place_too_and_a_group_has_its_path_for_itself() -> None:
    new_user("ada")
    new_group("tools", parent=new_group("old"))
    found = taken(["ada/x", "old/tools"])
    assert [(one.project, one.reason) for one in found] == [
        ("ada/x", ""),
        ("", "there is a group or user of this path"),
    ]


def test_the_command_makes_projects_of_the_registry_s_catalogue_and_once_more_has_nothing_to_do(
    shared_daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_CONTROL", str(start_site().folder / "control.yml"))
    new_user("root")
    push_tags(shared_daemon.address, "taking-in/web", "1")

    def run(*words: str) -> str:
        found = CliRunner().invoke(app, ["control", "project", "take-in", *words])
        [line] = [line for line in found.stdout.splitlines() if line.startswith("taking-in/web ")]
        return " ".join(line.split())

    with registry_at(shared_daemon.url):
        assert run("--dry-run") == "taking-in/web taking-in/web would be made"
        assert run() == "taking-in/web taking-in/web made"
        assert run() == "taking-in/web taking-in/web is there"
    assert Project.objects.filter(full_path="taking-in/web").exists()
