"""Rules about repositories hold after a move as they did before it."""

import pytest
from django.test import Client

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.audit.models import AuditEntry
from moorage.control.namespaces.models import Namespace
from moorage.control.projects.models import Project
from moorage.control.projects.moves import move_group, move_project
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.models import RepositoryProtection
from moorage.control.protection.rules import moved_pattern
from support.control_rows import new_group, new_member, new_project, new_token, new_user
from support.control_tokens import ask


@pytest.fixture
def project() -> Project:
    """A project two groups deep, whose production images only maintainers push."""
    project = new_project(new_group("inner", parent=new_group("team")), "app")
    for pattern in ("team/inner/app", "team/inner/app/prod*"):
        RepositoryProtection.objects.create(
            project=project, repository_path_pattern=pattern, minimum_access_level_for_push="maintainer"
        )
    return project


def test_a_protected_path_is_protected_after_each_move_of_its_project_and_of_the_groups_above(
    client: Client, project: Project
) -> None:
    developer = ("x", new_token(new_member(project, AccessLevel.DEVELOPER).user, "api").secret)

    def status(name: str = "/prod") -> int:
        project.refresh_from_db()
        answer = ask(client, f"repository:{project.full_path}{name}:pull,push", given=developer)
        found: int = answer.status_code
        return found

    def group(path: str) -> Namespace:
        return Namespace.objects.get(full_path=path)

    assert (status(), status(""), status("/test")) == (403, 403, 200)
    move_project(project, project.namespace, "App-2", by=COMMAND_LINE)
    assert (status(), status(""), status("/test")) == (403, 403, 200)
    move_group(group("team"), None, "crew", by=COMMAND_LINE)
    assert (status(), status("")) == (403, 403)
    move_group(group("crew/inner"), None, "inner", by=COMMAND_LINE)
    assert (status(), status("")) == (403, 403)
    move_project(project, new_group("else"), "app", by=COMMAND_LINE)
    assert (status(), status(""), status("/test")) == (403, 403, 200)
    assert AuditEntry.objects.filter(action="repository_protection_rule_changed").count() == 8


def test_no_rule_is_lost_where_a_new_pattern_is_one_that_another_rule_has(project: Project) -> None:
    RepositoryProtection.objects.create(project=project, repository_path_pattern="team/inner/apps")
    move_project(project, project.namespace, "apps", by=COMMAND_LINE)
    patterns = RepositoryProtection.objects.values_list("repository_path_pattern", flat=True)
    assert list(patterns) == ["team/inner/apps", "team/inner/apps/prod*", "team/inner/appss"]
    move_project(project, project.namespace, "app", by=COMMAND_LINE)
    assert list(patterns.all()) == ["team/inner/app", "team/inner/app/prod*", "team/inner/apps"]


def test_a_pattern_that_grows_too_long_covers_more_and_never_less() -> None:
    assert moved_pattern("a/b/x*", "A/B", "C/d") == "c/d/x*"
    assert moved_pattern("other/b", "a/b", "c/d") == "other/b"
    found = moved_pattern("a/b/" + "x" * 200, "a/b", "c" * 60)
    assert (len(found), found[-1], found[:-1]) == (255, "*", "c" * 60 + "/" + "x" * 193)


def test_the_page_marks_a_rule_that_was_left_at_an_old_path(client: Client, project: Project) -> None:
    client.force_login(new_user(is_admin=True))
    address = f"/{project.full_path}/-/protection"
    assert "protects nothing" not in client.get(address).content.decode()
    RepositoryProtection.objects.create(project=project, repository_path_pattern="old/app*")
    assert client.get(address).content.decode().count("protects nothing") == 1
