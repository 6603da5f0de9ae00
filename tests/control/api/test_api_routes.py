"""Every route and every kind of credential: a route that the table does not name fails the test."""

from typing import Any

from django.db import transaction
from django.test import Client

from moorage.control.api.application import API
from moorage.control.projects.rules import AccessLevel
from support.control_api import call
from support.control_rows import (
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)

# Credentials, in the order of the answers below: none, wrong, a deploy token, a job's as PRIVATE-TOKEN, a stranger,
# a stranger who may only read, a guest, an owner, an administrator. The project is private and in a private group's
# place of its own, so that strangers are not told of it.
_OPEN_LIST = "200 401 401 401 200 200 200 200 200"
_SIGNED_LIST = "401 401 401 401 200 200 200 200 200"
_ADMIN_READ = "401 401 401 401 403 403 403 403 200"
_ADMIN_CHANGE = "401 401 401 401 403 403 403 403 *"
_HIDDEN_READ = "404 401 401 401 404 404 200 200 200"
_HIDDEN_SIGNED = "401 401 401 401 404 404 200 200 200"
_MANAGER_READ = "401 401 401 401 404 404 403 * *"
_MANAGER_CHANGE = "401 401 401 401 404 403 403 * *"
_OPEN_GROUP = "200 401 401 401 200 200 200 200 200"
_GROUP_SIGNED = "401 401 401 401 200 200 200 200 200"
_GROUP_MANAGER_READ = "401 401 401 401 403 403 403 * *"
_GROUP_MANAGER = "401 401 401 401 403 403 403 * *"
_OWN = "401 401 401 401 * 403 * * *"
_JOB_READ = "404 401 401 401 404 404 403 * *"
_FREE = "* * * * * * * * *"

TABLE = {
    "list_projects": _OPEN_LIST,
    "list_projects_of_user": _OPEN_LIST,
    "list_projects_of_group": _OPEN_GROUP,
    "make_project": _OWN,
    "show_one_project": _HIDDEN_READ,
    "change_one_project": _MANAGER_CHANGE,
    "transfer_project": _MANAGER_CHANGE,
    "delete_one_project": _MANAGER_CHANGE,
    "list_groups": _OPEN_LIST,
    "list_subgroups": _OPEN_GROUP,
    "list_descendant_groups": _OPEN_GROUP,
    "make_group": _OWN,
    "show_one_group": _OPEN_GROUP,
    "change_one_group": _GROUP_MANAGER,
    "transfer_group": _GROUP_MANAGER,
    "delete_one_group": _GROUP_MANAGER,
    "list_namespaces": _SIGNED_LIST,
    "show_one_namespace": "401 401 401 401 404 404 * * *",
    "list_members_of_projects": _HIDDEN_SIGNED,
    "list_all_members_of_projects": _HIDDEN_SIGNED,
    "show_one_member_of_projects": "401 401 401 401 404 404 * * *",
    "show_one_of_all_members_of_projects": "401 401 401 401 404 404 * * *",
    "make_member_of_projects": _MANAGER_CHANGE,
    "change_one_member_of_projects": _MANAGER_CHANGE,
    "remove_one_member_of_projects": _MANAGER_CHANGE,
    "list_members_of_groups": _GROUP_SIGNED,
    "list_all_members_of_groups": _GROUP_SIGNED,
    "show_one_member_of_groups": "401 401 401 401 * * * * *",
    "show_one_of_all_members_of_groups": "401 401 401 401 * * * * *",
    "make_member_of_groups": _GROUP_MANAGER,
    "change_one_member_of_groups": _GROUP_MANAGER,
    "remove_one_member_of_groups": _GROUP_MANAGER,
    "show_caller": _SIGNED_LIST,
    "list_users": _SIGNED_LIST,
    "show_one_user": _SIGNED_LIST,
    "make_user": _ADMIN_CHANGE,
    "change_one_user": _ADMIN_CHANGE,
    "delete_one_user": _ADMIN_CHANGE,
    "block_one_user": _ADMIN_CHANGE,
    "unblock_one_user": _ADMIN_CHANGE,
    "disable_two_factor": _ADMIN_CHANGE,
    "list_personal_tokens": _SIGNED_LIST,
    "show_own_token": _SIGNED_LIST,
    "list_own_associations": _SIGNED_LIST,
    "revoke_own_token": "401 401 401 401 204 204 204 204 204",
    "rotate_own_token": "401 401 401 401 200 403 200 200 200",
    "show_personal_token": "401 401 401 401 404 404 404 404 *",
    "revoke_personal_token": "401 401 401 401 404 403 404 404 *",
    "rotate_personal_token": "401 401 401 401 404 403 404 404 *",
    "make_personal_token": _ADMIN_CHANGE,
    "list_access_tokens_of_projects": _MANAGER_READ,
    "make_access_token_of_projects": _MANAGER_CHANGE,
    "show_access_token_of_projects": _MANAGER_READ,
    "revoke_access_token_of_projects": _MANAGER_CHANGE,
    "rotate_access_token_of_projects": _MANAGER_CHANGE,
    "rotate_own_access_token_of_projects": "401 401 401 401 404 403 405 405 405",
    "list_access_tokens_of_groups": _GROUP_MANAGER_READ,
    "make_access_token_of_groups": _GROUP_MANAGER,
    "show_access_token_of_groups": _GROUP_MANAGER_READ,
    "revoke_access_token_of_groups": _GROUP_MANAGER,
    "rotate_access_token_of_groups": _GROUP_MANAGER,
    "rotate_own_access_token_of_groups": "401 401 401 401 405 403 405 405 405",
    "list_all_deploy_tokens": _ADMIN_READ,
    "list_deploy_tokens_of_projects": _MANAGER_READ,
    "make_deploy_token_of_projects": _MANAGER_CHANGE,
    "show_one_deploy_token_of_projects": _MANAGER_READ,
    "revoke_one_deploy_token_of_projects": _MANAGER_CHANGE,
    "list_deploy_tokens_of_groups": _GROUP_MANAGER_READ,
    "make_deploy_token_of_groups": _GROUP_MANAGER,
    "show_one_deploy_token_of_groups": _GROUP_MANAGER_READ,
    "revoke_one_deploy_token_of_groups": _GROUP_MANAGER,
    "make_job_token": _ADMIN_CHANGE,
    "revoke_one_job_token": _ADMIN_CHANGE,
    "list_repositories_of_project": "404 401 401 503 404 404 403 503 503",
    "list_repositories_of_group": "200 401 401 200 200 200 200 200 200",
    "show_repository": "401 401 401 401 404 404 404 404 404",
    "delete_repository": "401 401 401 403 404 403 403 404 404",
    "list_tags": "404 401 401 404 404 404 403 404 404",
    "delete_many_tags": "401 401 401 403 404 403 403 404 404",
    "show_tag": "404 401 401 404 404 404 403 404 404",
    "delete_one_tag": "401 401 401 404 404 403 403 404 404",
    "preview_policy": _MANAGER_READ,
    "run_policy": _MANAGER_CHANGE,
    "list_policy_runs": _MANAGER_READ,
    "show_policy_run": _MANAGER_READ,
    "list_tags_of_policy_run": _MANAGER_READ,
    "undo_policy_run": _MANAGER_CHANGE,
    "list_repository_rules": _MANAGER_READ,
    "make_repository_rule": _MANAGER_CHANGE,
    "change_one_repository_rule": _MANAGER_CHANGE,
    "delete_one_repository_rule": _MANAGER_CHANGE,
    "list_tag_rules": _MANAGER_READ,
    "make_tag_rule": "401 401 401 401 404 403 403 503 503",
    "change_one_tag_rule": _MANAGER_CHANGE,
    "delete_one_tag_rule": _MANAGER_CHANGE,
    "list_project_sizes": _ADMIN_READ,
    "show_usage_of_projects": _MANAGER_READ,
    "list_days_of_projects": _MANAGER_READ,
    "set_quota_of_projects": "401 401 401 401 403 403 403 403 *",
    "show_usage_of_groups": _GROUP_MANAGER_READ,
    "list_days_of_groups": _GROUP_MANAGER_READ,
    "set_quota_of_groups": "401 401 401 401 403 403 403 403 *",
    "list_audit_events": _ADMIN_READ,
    "show_audit_event": "401 401 401 401 403 403 403 403 404",
    "list_place_audit_events_of_projects": _MANAGER_READ,
    "show_place_audit_event_of_projects": _MANAGER_READ,
    "list_place_audit_events_of_groups": _GROUP_MANAGER_READ,
    "show_place_audit_event_of_groups": _GROUP_MANAGER_READ,
    "show_version": _SIGNED_LIST,
    "show_metadata": _SIGNED_LIST,
    "show_settings": _ADMIN_READ,
    "change_some_settings": _ADMIN_CHANGE,
    "show_document": _FREE,
}

CHANGES_NEED: dict[str, dict[str, Any]] = {
    "make_project": {"name": "a"},
    "make_group": {"name": "a", "path": "a"},
    "transfer_project": {"namespace": "nowhere"},
    "make_member": {"user_id": 1, "access_level": 30},
    "change_one_member": {"access_level": 30},
    "make_user": {"name": "a", "email": "a@example.com", "username": "a", "force_random_password": True},
    "make_personal_token": {"name": "a", "scopes": ["api"]},
    "make_access_token": {"name": "a", "scopes": ["api"]},
    "make_deploy_token": {"name": "a", "scopes": ["read_registry"]},
    "delete_many_tags": {"name_regex_delete": ".*"},
    "make_repository_rule": {"repository_path_pattern": "a", "minimum_access_level_for_push": "owner"},
    "make_tag_rule": {
        "tag_name_pattern": "a",
        "minimum_access_level_for_push": "owner",
        "minimum_access_level_for_delete": "owner",
    },
}


def operations() -> dict[str, tuple[str, str]]:
    return {
        API.get_openapi_operation_id(operation): (operation.methods[0], path)
        for router in API._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
    }


def test_every_route_is_in_the_table_and_nothing_else() -> None:
    assert set(operations()) == set(TABLE)


def test_each_route_answers_each_credential_as_the_table_says(client: Client) -> None:
    owner, admin, stranger = new_user(), new_user(is_admin=True), new_user()
    project, group = new_project(owner, "app"), new_group()
    new_member(group, AccessLevel.OWNER, owner)
    guest = new_member(project, AccessLevel.GUEST).user
    job = new_job_token(project, owner).secret
    sent = [
        {},
        {"token": "glpat-wrong"},
        {"token": new_deploy_token(project).secret},
        {"job": job},
        {"token": new_token(stranger, "api").secret},
        {"token": new_token(stranger, "read_api").secret},
        {"token": new_token(guest, "api").secret},
        {"token": new_token(owner, "api").secret},
        {"token": new_token(admin, "api").secret},
    ]
    places = {"projects": f"{owner.username}%2Fapp", "groups": str(group.pk), "namespaces": str(group.pk)}
    other = new_user()
    wrong = {}
    for name, (method, template) in operations().items():
        path = f"/{template.removeprefix('/')}"
        path = path.replace("{place}", places.get(path.split("/")[1], "")).replace("{user_id}", str(other.pk))
        path = path.replace("{tag}", "latest").replace("{token_id}", "987654").replace("{repository_id}", "987654")
        path = (
            path.replace("{protection_rule_id}", "987654").replace("{run_id}", "987654").replace("{event_id}", "987654")
        )
        body = CHANGES_NEED.get(name.removesuffix("_of_projects").removesuffix("_of_groups"), {})
        found = []
        for credential in sent:
            with transaction.atomic():
                found.append(str(call(client, method, path, values=body, **credential).status_code))
                transaction.set_rollback(True)
        wanted = TABLE[name].split()
        shown = ["*" if want == "*" and int(got) < 500 else got for got, want in zip(found, wanted, strict=True)]
        if shown != wanted:
            wrong[name] = " ".join(found)
    assert wrong == {}
