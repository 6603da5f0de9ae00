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
from moorage.control.images.changes import ensure_repository
from moorage.control.projects.models import Project
from support.control_registry import push_tags, registry_at
from support.control_rows import new_token, new_user
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
        project.path = "other"
        with pytest.raises(gitlab.GitlabUpdateError, match="contains container registry tags"):
            project.save()
