"""python-gitlab, as it is, drives the API: over HTTP, with a registry behind it that has real images."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

import gitlab
import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections

from moorage.control.audit.actors import SYSTEM
from moorage.control.images.recording import ensure_repository
from moorage.control.projects.models import Project
from moorage.control.usage.models import UsagePlace
from support.control_registry import push_tags, registry_at
from support.control_rows import new_group, new_project, new_token, new_user
from support.daemon import Daemon


class RawPathHandler(WSGIRequestHandler):
    """Hands on the path as it was sent, as our own server does."""

    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {"RAW_URI": self.path}

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def serving() -> Iterator[str]:
    application = get_wsgi_application()

    def closing(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        try:
            return [b"".join(application(environ, start))]
        finally:
            connections.close_all()

    with make_server("127.0.0.1", 0, closing, handler_class=RawPathHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("committed")
def test_python_gitlab_makes_a_project_with_members_and_tokens_and_deletes_a_tag(shared_daemon: Daemon) -> None:
    token = new_token(new_user("root", is_admin=True), "api").secret
    with serving() as url, registry_at(shared_daemon.url):
        api = gitlab.Gitlab(url, private_token=token, keep_base_url=True)
        api.auth()
        assert api.user is not None
        assert api.user.username == "root"
        group = api.groups.create({"name": "Team", "path": "team", "visibility": "public"})
        below = api.groups.create({"name": "Inner", "path": "inner", "parent_id": group.id})
        project = api.projects.create({"name": "app", "namespace_id": below.id})
        assert api.projects.get("team/inner/app").id == project.id
        ada = api.users.create(
            {"username": "ada", "name": "Ada", "email": "ada@example.com", "force_random_password": True}
        )
        project.members.create({"user_id": ada.id, "access_level": gitlab.const.AccessLevel.DEVELOPER})
        assert {one.username for one in project.members_all.list(get_all=True)} == {"ada", "root"}
        made = project.access_tokens.create({"name": "ci", "scopes": ["read_api"], "access_level": 20})
        assert gitlab.Gitlab(url, private_token=made.token).projects.get(project.id).path == "app"
        project.visibility = "public"
        with pytest.raises(gitlab.GitlabUpdateError) as failed:
            project.save()
        assert failed.value.response_code == 400
        push_tags(shared_daemon.address, "team/inner/app", "one", "two", "three")
        ensure_repository(Project.objects.get(), "team/inner/app", by=SYSTEM)
        repository = project.repositories.list(get_all=True, tags_count=True)[0]
        assert repository.tags_count == 3
        assert {tag.name for tag in repository.tags.list(iterator=True, per_page=2)} == {"one", "two", "three"}
        assert repository.tags.get("two").total_size > 0
        repository.tags.delete("two")
        assert [tag.name for tag in repository.tags.list(get_all=True)] == ["one", "three"]
        with pytest.raises(gitlab.GitlabGetError) as missing:
            repository.tags.get("two")
        assert missing.value.response_code == 404
        api.projects.update(project.id, {"path": "other"})
        api.projects.get(project.id).transfer(group.id)
        assert api.projects.get("team/other").repositories.list(get_all=True)[0].path == "team/other"
        moved = api.projects.get(project.id).repositories.list(get_all=True)[0]
        assert [tag.location.rpartition("/")[2] for tag in moved.tags.list(get_all=True)] == [
            "other:one",
            "other:three",
        ]
        elsewhere = api.groups.create({"name": "Elsewhere", "path": "elsewhere", "visibility": "public"})
        with pytest.raises(gitlab.GitlabTransferProjectError, match="to a different top-level namespace"):
            api.projects.get(project.id).transfer(elsewhere.id)


@pytest.mark.usefixtures("committed")
def test_python_gitlab_sets_a_cleanup_policy_and_protects_repositories_and_tags(shared_daemon: Daemon) -> None:
    token = new_token(new_user("root", is_admin=True), "api").secret
    with serving() as url, registry_at(shared_daemon.url):
        api = gitlab.Gitlab(url, private_token=token, keep_base_url=True)
        attributes = {"enabled": True, "cadence": "7d", "keep_n": None, "name_regex_delete": "dev-.*"}
        project = api.projects.create({"name": "app", "container_expiration_policy_attributes": attributes})
        policy = project.container_expiration_policy
        assert (policy["enabled"], policy["cadence"], policy["name_regex"]) == (True, "7d", "dev-.*")
        assert (policy["keep_n"], policy["name_regex_keep"]) == (None, None)
        assert policy["next_run_at"].endswith("Z")
        project.container_expiration_policy_attributes = {"older_than": "", "keep_n": 5, "name_regex": None}
        with pytest.raises(gitlab.GitlabUpdateError, match=r"container_expiration_policy\.name_regex"):
            project.save()
        project.container_expiration_policy_attributes = {"older_than": "", "keep_n": 5}
        project.save()
        assert project.container_expiration_policy["keep_n"] == 5
        assert api.projects.get(project.id).container_expiration_policy["older_than"] is None

        rules = project.registry_protection_repository_rules
        made = rules.create({"repository_path_pattern": "root/app/*", "minimum_access_level_for_push": "owner"})
        with pytest.raises(gitlab.GitlabCreateError, match="Repository path pattern has already been taken") as taken:
            rules.create({"repository_path_pattern": "root/app/*", "minimum_access_level_for_push": "owner"})
        assert taken.value.response_code == 422
        changed = {"minimum_access_level_for_push": "", "minimum_access_level_for_delete": "admin"}
        assert rules.update(made.id, changed)["minimum_access_level_for_push"] is None
        assert [rule.minimum_access_level_for_delete for rule in rules.list(get_all=True)] == ["admin"]
        rules.delete(made.id)
        assert rules.list(get_all=True) == []

        levels = {"minimum_access_level_for_push": "maintainer", "minimum_access_level_for_delete": "owner"}
        path = f"/projects/{project.id}/registry/protection/tag/rules"  # No manager knows this one.
        for number in range(5):
            api.http_post(path, post_data={"tag_name_pattern": f"v{number}", **levels})
        with pytest.raises(gitlab.GitlabHttpError, match="Maximum number of protection rules"):
            api.http_post(path, post_data={"tag_name_pattern": "v6", **levels})
        first = f"{path}/{next(iter(api.http_list(path, get_all=True)))['id']}"
        with pytest.raises(gitlab.GitlabHttpError, match="either both be present or both be nil"):
            api.http_patch(first, post_data={"minimum_access_level_for_push": ""})
        changed_rule = api.http_patch(first, post_data={"tag_name_pattern": "^v"})
        assert isinstance(changed_rule, dict)
        assert changed_rule["tag_name_pattern"] == "^v"
        api.http_delete(first)
        assert len(api.http_list(path, get_all=True)) == 4


@pytest.mark.usefixtures("committed")
def test_python_gitlab_reads_statistics_and_audit_events() -> None:
    owner = new_user("root", is_admin=True)
    group = new_group("team", owner=owner)
    project = new_project(group, "app")
    UsagePlace.objects.create(project=project, size_bytes=7)
    UsagePlace.objects.create(namespace=group, size_bytes=9)
    with serving() as url:
        api = gitlab.Gitlab(url, private_token=new_token(owner, "api").secret, keep_base_url=True)
        assert api.projects.get("team/app", statistics=True).statistics["container_registry_size"] == 7
        assert api.groups.get("team", statistics=True).statistics["container_registry_size"] == 9
        assert api.namespaces.get("team", statistics=True).statistics["container_registry_size"] == 9
        (made,) = (row for row in api.audit_events.list(iterator=True) if row.event_name == "project_created")
        assert (made.entity_type, made.details["target_details"]) == ("Project", "team/app")
        assert api.audit_events.get(made.id).author_id == -1
        assert api.projects.get("team/app").audit_events.list()[0].id == made.id
        assert "group_created" in {row.event_name for row in api.groups.get("team").audit_events.list(get_all=True)}
