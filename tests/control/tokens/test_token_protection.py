"""TKN-009, TKN-022, TKC-012, TKC-013: rules of protection, and records of repositories."""

from django.test import Client

from moorage.control.images.models import ImageRepository
from moorage.control.projects.rules import AccessLevel
from moorage.control.protection.models import ProtectedTagPattern, RepositoryProtection
from support.control_rows import new_deploy_token, new_group, new_member, new_project, new_token, new_user
from support.control_tokens import access_of, ask, granted


def test_a_push_to_a_protected_path_is_forbidden_as_a_whole(client: Client) -> None:
    project = new_project(new_group("team"), "app")
    RepositoryProtection.objects.create(
        project=project, repository_path_pattern="team/app/pro*", minimum_access_level_for_push="maintainer"
    )
    developer, maintainer = (
        ("x", new_token(new_member(project, level).user, "api").secret)
        for level in (AccessLevel.DEVELOPER, AccessLevel.MAINTAINER)
    )
    scopes = ("repository:team/app/prod:pull,push", "repository:team/app/other:pull")
    refused = ask(client, *scopes, given=developer)
    assert refused.status_code == 403
    message = "Pushing to protected repository path forbidden"
    assert refused.json()["errors"] == [{"code": "DENIED", "message": message}]
    assert not ImageRepository.objects.exists()
    assert granted(ask(client, scopes[0].replace(",push", ""), given=developer)) == {"team/app/prod": ["pull"]}
    for given in (maintainer, ("x", new_token(new_user(is_admin=True), "api").secret)):
        assert granted(ask(client, scopes[0], given=given)) == {"team/app/prod": ["pull", "push"]}
    assert [row.path for row in ImageRepository.objects.all()] == ["team/app/prod"]


def test_rules_of_tags_are_patterns_in_the_token(client: Client) -> None:
    project = new_project(new_group("team"), "app")
    levels = {"minimum_access_level_for_push": "maintainer", "minimum_access_level_for_delete": "owner"}
    ProtectedTagPattern.objects.create(project=project, tag_name_pattern="^v", **levels)
    ProtectedTagPattern.objects.create(project=project, tag_name_pattern="^final")

    def patterns(given: tuple[str, str], actions: str) -> tuple[object, object]:
        (access,) = access_of(ask(client, f"repository:team/app:{actions}", given=given))
        assert access.meta is not None
        found = access.meta.tag_deny_access_patterns
        denied = None if found is None else found.model_dump(exclude_none=True)
        return denied, access.meta.tag_immutable_patterns

    developer = ("x", new_token(new_member(project, AccessLevel.DEVELOPER).user, "api").secret)
    admin = ("x", new_token(new_user(is_admin=True), "api").secret)
    deploy = new_deploy_token(project, "write_registry", username="deployer")
    assert patterns(developer, "pull") == (None, None)
    assert patterns(developer, "pull,push") == ({"push": ["^v"]}, ["^final"])
    assert patterns(admin, "*") == ({"push": [], "delete": []}, ["^final"])
    assert patterns(("deployer", deploy.secret), "push") == (None, ["^final"])
