"""``moorage control …``: each command, on the database of these tests, and what it prints."""

import json
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from typer.testing import CliRunner, Result

from moorage.cli.app import app
from moorage.control.accounts.changes import INITIAL_PASSWORD_NAME
from moorage.control.accounts.models import User
from moorage.control.accounts.second_factors import has_second_factor
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.credentials.finding import requester_of_basic, requester_of_token
from moorage.control.images.deletion import GroupsDeletion, ImageDeletion, ProjectsDeletion
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.instance.models import ApplicationSettings
from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanupPolicy
from moorage.control.projects.models import Membership
from moorage.control.protection.models import RepositoryProtection
from moorage.control.refusals import ChangeRefused, CredentialsRefused
from moorage.control.serving.first_administrator import make_first_administrator, reset_password
from moorage.control.usage.measuring import UsageMeasurement
from moorage.errors import ConfigurationError, Refused
from support.control_registry import push_tags, registry_at
from support.control_rows import PASSWORD, new_group, new_project, new_user
from support.control_site import start_site, write_site
from support.daemon import Daemon
from support.sign_in_pages import with_authenticator

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``moorage control``; what it refuses is raised."""
    monkeypatch.setenv("MOORAGE_CONTROL", str(start_site().folder / "control.yml"))

    def run(*words: str, stdin: str = "") -> Result:
        found = CliRunner().invoke(app, ["control", *words], input=stdin)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    return run


def rows(found: Result) -> Any:  # noqa: ANN401 - JSON
    return json.loads(found.stdout)


def test_users_are_made_listed_kept_out_and_deleted(run: Run) -> None:
    run("user", "create", "Ada", "--email", "ada@example.com", "--admin", "--password-stdin", stdin=f"{PASSWORD}\n")
    run("user", "create", "bob")
    (ada, bob) = rows(run("user", "list", "--json"))
    assert (ada["username"], ada["is_admin"], ada["state"]) == ("Ada", True, "active")
    assert (bob["is_admin"], bob["email"]) == (False, "")
    assert requester_of_basic("ada", PASSWORD, address="").user == User.objects.get(username="Ada")
    run("user", "block", "bob")
    assert run("user", "list").stdout.splitlines()[2].split() == [str(bob["id"]), "bob", "bob", "-", "blocked", "no"]
    run("user", "unblock", "bob")
    run("user", "delete", "bob")
    assert [row["username"] for row in rows(run("user", "list", "--json"))] == ["Ada"]


@pytest.mark.usefixtures("run")
def test_a_password_from_standard_input_is_the_same_one_in_any_locale() -> None:
    words = ["control", "user", "create", "ada", "--password-stdin"]
    password = "größer-als-ein-kuchen"
    made = CliRunner(charset="latin-1").invoke(app, words, input=f"{password}\n".encode())
    assert made.exit_code == 0, made.output
    assert requester_of_basic("ada", password, address="").user == User.objects.get()
    refused = CliRunner().invoke(app, [*words[:3], "bob", *words[4:]], input=b"gr\xf6sser-als-ein-kuchen\n")
    assert (refused.exit_code, "the password is no text in UTF-8" in refused.stderr) == (2, True)


def test_a_token_is_printed_once_and_can_be_rotated_and_revoked(run: Run) -> None:
    new_user("root")
    secret = run("token", "create", "root", "--name", "ci", "--scope", "api", "--expires", "").stdout.strip()
    assert requester_of_token(secret, address="").name == "root"
    (row,) = rows(run("token", "list", "root", "--json"))
    assert (row["name"], row["scopes"], row["revoked"]) == ("ci", ["api"], False)
    fresh = rows(run("token", "rotate", str(row["id"]), "--json"))
    run("token", "revoke", str(fresh["id"]))
    for gone in (secret, fresh["token"]):
        with pytest.raises(CredentialsRefused):
            requester_of_token(gone, address="")


def test_groups_projects_and_their_members(run: Run) -> None:
    new_user("root")
    bob = new_user("bob")
    run("group", "create", "acme", "--visibility", "internal")
    run("group", "create", "acme/tools")
    project = rows(run("project", "create", "acme/tools/app", "--json"))
    assert (project["path"], project["visibility"], project["registry"]) == ("acme/tools/app", "private", "enabled")
    changed = rows(run("project", "change", "acme/tools/app", "--registry", "private", "--json"))
    assert changed["registry"] == "private"
    roles = []
    for role in ("20", "30", "0"):
        run("project", "member", "acme/tools/app", "bob", "--role", role)
        roles.append(Membership.objects.filter(user=bob).values_list("access_level", flat=True).first())
    assert roles == [20, 30, None]
    run("group", "member", "acme", "bob", "--role", "10")
    assert [row["path"] for row in rows(run("group", "list", "--json"))] == ["acme", "acme/tools"]
    assert len(rows(run("project", "list", "--json"))) == 1
    bot = rows(run("token", "create", "acme/tools/app", "--project", "--name", "x", "--scope", "api", "--json"))
    assert bot["user"].startswith("project_")
    with pytest.raises(ChangeRefused, match="there are groups in it"):
        run("group", "delete", "acme")


def test_who_has_lost_the_second_factor_is_let_in(run: Run) -> None:
    user = with_authenticator(new_user("ada"))
    run("user", "disable-two-factor", "ada")
    assert not has_second_factor(user)


def test_settings_are_shown_and_changed(run: Run) -> None:
    run("settings", "change", "container_registry_token_expire_delay", "15")
    run("settings", "change", "create_project_on_push", "false")
    assert ApplicationSettings.now().container_registry_token_expire_delay == 15
    shown = rows(run("settings", "show", "--json"))
    assert (shown["container_registry_token_expire_delay"], shown["create_project_on_push"]) == (15, False)
    assert shown["container_registry_features"] == []


def test_repositories_are_listed_and_their_deletion_asked_for(run: Run) -> None:
    project = new_project(new_group("acme"), "app")
    for path in ("acme/app", "acme/app/web"):
        ensure_repository(project, path, by=COMMAND_LINE)
    new_project(path="other")
    assert [row["path"] for row in rows(run("repository", "list", "--project", "acme/app", "--json"))] == [
        "acme/app",
        "acme/app/web",
    ]
    run("repository", "delete", "acme/app/WEB")
    listed = rows(run("repository", "list", "--json"))
    assert [(row["path"], row["status"]) for row in listed] == [
        ("acme/app", ""),
        ("acme/app/web", "delete_scheduled"),
    ]
    ImageRepository.objects.filter(name="web").update(status="delete_failed")
    run("repository", "delete", "acme/app/web")
    assert ImageRepository.objects.get(name="web").status == "delete_scheduled"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["settings", "change", "container_registry_token_expire_delay", "1441"], "less than or equal to 1440$"),
        (["settings", "change", "container_registry_token_expire_delay", "soon"], "must be an integer$"),
        (["settings", "change", "nothing", "1"], "nothing is no setting that can be changed"),
        (["settings", "change", "default_project_visibility", "secret"], "not a valid choice$"),
        (["token", "create", "nobody", "--name", "x", "--scope", "api"], "there is no user nobody"),
        (["token", "revoke", "99"], "there is no token 99"),
        (["project", "create", "nowhere/app"], "there is no namespace nowhere"),
        (["project", "create", "app"], "a project is in a group or in a user's own namespace: write it as GROUP/NAME"),
        (["project", "member", "a/b", "nobody"], "there is no project a/b"),
        (["repository", "tags", "acme/app"], "there is no repository acme/app"),
        (["group", "create", "x", "--owner", "nobody"], "there is no user nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(run: Run, words: list[str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        run(*words)


def test_a_role_or_a_day_that_is_none_is_said(run: Run) -> None:
    new_user("root")
    run("group", "create", "acme")
    for words in (
        ["group", "member", "acme", "root", "--role", "7"],
        ["token", "create", "root", "--name", "x", "--scope", "api", "--expires", "soon"],
        ["token", "create", "acme", "--group", "--name", "x", "--scope", "api", "--role", "7"],
    ):
        with pytest.raises(ConfigurationError):
            run(*words)


def test_a_configuration_is_checked_and_its_mistakes_said(run: Run, tmp_path: Path) -> None:
    file = write_site(tmp_path)
    assert run("check", str(file)).stdout == f"{file} can be used\n"
    file.write_text(file.read_text() + "nothing: 1\n")
    with pytest.raises(ConfigurationError, match="unknown key"):
        run("check", str(file))


@pytest.mark.usefixtures("committed")
def test_tables_that_are_up_to_date_are_left_alone(run: Run) -> None:
    assert run("migrate").stdout == "nothing was to do\n"


@pytest.mark.usefixtures("committed")
def test_the_first_administrators_password_is_in_a_file_until_it_is_lost_and_found(run: Run) -> None:
    folder = start_site().folder
    file = folder / INITIAL_PASSWORD_NAME
    make_first_administrator(folder)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600  # noqa: PTH116 - as others see it
    first = file.read_text().strip()
    make_first_administrator(folder)
    assert file.read_text().strip() == first
    assert requester_of_basic("root", first, address="").user is not None
    fresh = run("reset-password").stdout.strip()
    assert not file.exists()
    assert requester_of_basic("root", fresh, address="").user is not None
    with pytest.raises(ChangeRefused, match="there is no user nobody"):
        reset_password("nobody")


def test_an_empty_list_says_so_on_standard_error_and_is_an_empty_list_as_json(run: Run) -> None:
    new_project(new_user("ada"), "app")
    for words, things in (
        ("token list ada", "tokens of ada"),
        ("group list", "groups"),
        ("repository list", "repositories"),
        ("repository list --project ada/app", "repositories of ada/app"),
        ("policy list", "projects with images"),
        ("policy runs ada/app", "runs of the policy of ada/app"),
        ("protection list ada/app", "rules of ada/app"),
        ("usage days ada/app", "days of ada/app"),
    ):
        found = run(*words.split())
        assert (found.exit_code, found.stdout, found.stderr) == (0, "", f"no {things} yet\n")
        found = run(*words.split(), "--json")
        assert (rows(found), found.stderr) == ([], "")


def test_a_policy_that_is_off_is_not_run_and_the_way_to_switch_it_on_is_said(run: Run) -> None:
    project = new_project()
    way = f"moorage control policy set {project.full_path} --enabled"
    with pytest.raises(Refused, match=f"the policy of {project.full_path} is off, so nothing runs: {way}"):
        run("policy", "run", project.full_path)


def test_a_policy_is_set_previewed_run_and_listed_while_it_is_off(run: Run, shared_daemon: Daemon) -> None:
    off, on = new_project(), new_project()
    for project in (off, on):
        push_tags(shared_daemon.address, f"{project.full_path}/web", "dev-1", "latest")
        ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    new_project()
    values = ["--enabled", "--cadence", "7d", "--keep-n", "none", "--older-than", "none", "--name-regex", "dev-.*"]
    shown = rows(run("policy", "set", on.full_path, *values, "--json"))
    assert (shown["enabled"], shown["keep_n"], shown["older_than"]) == (True, None, None)
    assert rows(run("policy", "show", on.full_path, "--json")) == shown
    disabled = rows(run("policy", "list", "--disabled", "--json"))
    assert [(row["project_id"], row["project"]) for row in disabled] == [(off.pk, off.full_path)]
    assert len(rows(run("policy", "list", "--json"))) == 2
    with registry_at(shared_daemon.url):
        seen = rows(run("policy", "preview", on.full_path, "--json"))
        assert {tag["tag"]: tag["rule"] for tag in seen["tags"]} == {"dev-1": "deleted", "latest": "latest"}
        assert seen["freed_bytes"] > 0
        assert "1 of 2 tags would go; 2.7 KiB come free" in run("policy", "preview", on.full_path).stdout
        run("policy", "run", on.full_path)
        later = timezone.now() + timedelta(seconds=1)
        run_until_idle([PolicyCleanup()], Turn(clock=lambda: later))
        (report,) = rows(run("policy", "runs", on.full_path, "--json"))
        assert (report["outcome"], report["deleted"]) == ("finished", 1)
        assert rows(run("policy", "undo", str(report["id"]), "--json"))["restored"] == ["dev-1"]
        # What is off runs for a person who asks for it, and shows what it did (requirement S-078).
        found = run("policy", "run", off.full_path, "--user", new_user(is_admin=True).username)
        assert f"{off.full_path}/web  bulk  finished" in found.stdout
        assert "latest 1, newest 1" in found.stdout
    CleanupPolicy.objects.filter(project=on).update(older_than="soon")
    with pytest.raises(ChangeRefused, match="older_than"):
        run("policy", "preview", on.full_path)
    with pytest.raises(Refused, match="there is no run 987654"):
        run("policy", "undo", "987654")
    with pytest.raises(ConfigurationError, match="a number is needed, or none"):
        run("policy", "set", on.full_path, "--keep-n", "many")


def test_repositories_and_tags_are_protected_and_rules_taken_away(run: Run, shared_daemon: Daemon) -> None:
    project = new_project()
    path = project.full_path
    made = rows(run("protection", "add", path, "repository", f"{path}/*", "--push", "owner", "--json"))
    assert (made["kind"], made["push"], made["delete"]) == ("repository", "owner", "")
    with registry_at(shared_daemon.url):
        fixed = rows(run("protection", "add", path, "tag", "^v", "--json"))
        said = run("protection", "add", path, "tag", "^final$").stdout
    assert fixed["immutable"] is True
    assert said.endswith(" makes immutable what matches ^final$\n")
    run("protection", "remove", path, "tag", said.split()[1])
    assert rows(run("protection", "list", path, "--json")) == [made, fixed]
    run("protection", "remove", path, "repository", str(made["id"]))
    assert rows(run("protection", "list", path, "--json")) == [fixed]
    with pytest.raises(Refused, match="there is no rule"):
        run("protection", "remove", path, "repository", str(made["id"]))
    with pytest.raises(ChangeRefused, match="should start with the project's full path"):
        run("protection", "add", path, "repository", "elsewhere/*", "--push", "owner")
    assert rows(run("protection", "stale", "--json")) == []
    RepositoryProtection.objects.create(
        project=project, repository_path_pattern="old/place/*", minimum_access_level_for_push="owner"
    )
    (left,) = rows(run("protection", "stale", "--json"))
    assert (left["project"], left["pattern"], left["to_move"]) == (path, "old/place/*", False)


def test_projects_and_groups_are_moved_and_deleted_with_their_images(run: Run, shared_daemon: Daemon) -> None:
    group = new_group("moving")
    project = new_project(group, "app")
    ensure_repository(project, "moving/app/web", by=COMMAND_LINE)
    push_tags(shared_daemon.address, "moving/app/web", "1")
    with registry_at(shared_daemon.url) as registry:
        assert run("project", "move", "moving/app", "moving/better").stdout == "moving/app is moving/better now\n"
        assert run("group", "move", "moving", "moved").stdout == "moving is moved now\n"
        assert registry.tag_names("moved/better/web") == ["1"]
        with pytest.raises(ChangeRefused, match="there are projects in it"):
            run("group", "delete", "moved")
        assert "goes when its images have gone" in run("project", "delete", "moved/better").stdout
        assert "goes when its images have gone" in run("group", "delete", "moved", "--with-projects").stdout
        run_until_idle([ImageDeletion(), ProjectsDeletion(), GroupsDeletion()], Turn())
        assert registry.tag_names("moved/better/web") == []
    assert rows(run("group", "list", "--json")) == []
    with pytest.raises(Refused, match="there is no namespace nowhere"):
        run("project", "move", new_project(path="a").full_path, "nowhere/a")


def test_sizes_are_reported_shown_and_bounded(run: Run, shared_daemon: Daemon) -> None:
    group = new_group()
    project = new_project(group)
    push_tags(shared_daemon.address, f"{project.full_path}/web", "1")
    ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    empty = run("usage", "report")
    assert empty.stdout == "project_id,creator_id,registry_size_bytes,project path\n"
    assert empty.stderr == (
        f"with images, and not measured yet: {project.full_path}; "
        f"at once: moorage control usage refresh {project.full_path}\n"
    )
    assert "not measured yet" in run("usage", "show", project.full_path).stdout
    assert run("usage", "refresh", project.full_path).stdout == f"{project.full_path} is to be measured\n"
    with registry_at(shared_daemon.url):
        run_until_idle([UsageMeasurement()], Turn())
    size = rows(run("usage", "show", project.full_path, "--json"))["size_bytes"]
    assert size > 0
    report = run("usage", "report", "--json")
    assert report.stderr == ""
    (line,) = rows(report)
    assert line == {
        "project_id": project.pk,
        "creator_id": None,
        "registry_size_bytes": size,
        "path": project.full_path,
    }
    assert run("usage", "report", "--csv").stdout.splitlines()[1] == f"{project.pk},,{size},{project.full_path}"
    (day,) = rows(run("usage", "days", group.full_path, "--json"))
    assert day["size_bytes"] == size
    limits = ["--soft", "100B", "--hard", "1KiB", "--warn", "50"]
    assert rows(run("usage", "quota", group.full_path, *limits, "--json")) | {
        "measured_at": "",
        "last_failure": "",
    } == {
        "path": group.full_path,
        "size_bytes": size,
        "measured_at": "",
        "soft_bytes": 100,
        "hard_bytes": 1024,
        "warning_percent": 50,
        "quota_state": "hard",
        "last_failure": "",
    }
    assert rows(run("usage", "quota", group.full_path, "--hard", "none", "--json"))["quota_state"] == "soft"
    with pytest.raises(ConfigurationError, match="10GiB is one"):
        run("usage", "quota", group.full_path, "--hard", "much")
    with pytest.raises(Refused, match="there is no place nowhere"):
        run("usage", "show", "nowhere")


def test_the_audit_log_is_listed_and_exported(run: Run) -> None:
    project = new_project()
    (first,) = rows(run("audit", "list", "--limit", "1", "--json"))
    assert (first["action"], first["target"]) == ("project_created", f"project {project.full_path}")
    found = rows(run("audit", "export", "--json"))
    assert (found[-1]["action"], found[-1]["credential"]) == ("project_created", "command_line")
    assert len(run("audit", "export", "--csv").stdout.splitlines()) == len(found) + 1
    assert rows(run("audit", "export", "--since", "2999-01-01", "--json")) == []
    assert rows(run("audit", "export", "--until", "2000-01-01T00:00Z", "--json")) == []
    with pytest.raises(ConfigurationError, match="'soon' is no time"):
        run("audit", "export", "--since", "soon")
    with pytest.raises(ConfigurationError, match="together with --json"):
        run("audit", "export", "--csv", "--json")


def test_tables_of_a_newer_version_are_not_used(run: Run) -> None:
    MigrationRecorder(connection).record_applied("images", "9999_later")
    with pytest.raises(ConfigurationError, match=r"of a newer version of Moorage \(images\.9999_later\): start that"):
        run("user", "list")
