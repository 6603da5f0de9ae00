"""GitLab's API: renaming and moving repositories; and what each endpoint needs to be allowed."""

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from moorage.auth.claims import Meta
from moorage.auth.guards import SillyGuard
from moorage.http.app import ApplicationRules
from spec.gitlab_v1 import GitLab, refusal, url
from support import images
from support.registry_client import RegistryClient, Response
from support.tokens import Access, Issuer


@pytest.fixture(scope="module")
def gitlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLab]:
    with GitLab(tmp_path_factory.mktemp("gitlab")) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLab]:
    """The same, for those with credentials."""
    guard = SillyGuard("https://realm", "service")
    with GitLab(tmp_path_factory.mktemp("guarded"), guard=guard) as made:
        yield made


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """A namespace that no other test uses."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:100]


def paths(gitlab: GitLab, group: str) -> list[str]:
    return [item["path"] for item in gitlab.json(f"repository-paths/{group}/repositories/list/")]


class TestRename:
    """V1A-020, V1A-026, V1A-027."""

    def test_a_repository_can_be_pulled_by_its_new_name_and_not_by_its_old_one(
        self, gitlab: GitLab, group: str
    ) -> None:
        made = gitlab.push(f"{group}/old", "latest")
        gitlab.push(f"{group}/old/below", "latest")
        gitlab.push(f"{group}/old-beside", "latest")
        response = gitlab.rename(f"{group}/old", {"name": "new"})
        assert (response.status, response.body) == (204, b"")
        assert paths(gitlab, group) == [f"{group}/new", f"{group}/new/below", f"{group}/old-beside"]
        client = gitlab.client
        assert client.get_manifest(f"{group}/new", "latest").headers["Docker-Content-Digest"] == made.digest
        assert client.get_blob(f"{group}/new", made.blobs[0].digest).body == made.blobs[0].body
        for reference in ("latest", made.digest):
            assert client.get_manifest(f"{group}/old", reference).status == 404
        assert client.list_tags(f"{group}/old").status == 404
        assert gitlab.get(f"repositories/{group}/old/").status == 404
        assert "updated_at" in gitlab.json(f"repositories/{group}/new/")

    def test_the_old_name_is_free_again(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest", seed=1)
        assert gitlab.rename(f"{group}/old", {"name": "new"}).status == 204
        gitlab.push(f"{group}/old", "latest", seed=2)
        assert paths(gitlab, group) == [f"{group}/new", f"{group}/old"]

    def test_a_repository_moves_into_another_namespace(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/a/app", "latest")
        gitlab.push(f"{group}/a/app/below", "latest")
        assert gitlab.rename(f"{group}/a/app", {"namespace": f"{group}/b/c"}).status == 204
        assert paths(gitlab, group) == [f"{group}/b/c/app", f"{group}/b/c/app/below"]

    def test_a_path_that_only_stands_for_those_below_is_renamed(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old/below", "latest")
        assert gitlab.rename(f"{group}/old", {"name": "new"}).status == 204
        assert paths(gitlab, group) == [f"{group}/new/below"]

    def test_a_top_level_repository_is_renamed_with_its_namespace(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}", "latest")
        assert gitlab.rename(group, {"name": f"{group}.new"}).status == 204
        assert paths(gitlab, f"{group}.new") == [f"{group}.new"]

    def test_an_upload_that_runs_goes_on_under_the_old_name(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest")
        blob = images.blob("late")
        location = gitlab.client.start_upload(f"{group}/old").location
        assert gitlab.rename(f"{group}/old", {"name": "new"}).status == 204
        assert gitlab.client.close_upload(location, blob.digest, blob.body).status == 201
        assert gitlab.client.head_blob(f"{group}/old", blob.digest).status == 200
        assert gitlab.client.head_blob(f"{group}/new", blob.digest).status == 404

    def test_the_journal_says_who_asked(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest")
        response = gitlab.rename(f"{group}/old", {"name": "new"})
        rows = gitlab.registry.execute(
            "SELECT repository, detail FROM journal WHERE action = 'repository_rename' AND request_id = ?",
            response.headers["X-Request-Id"],
        )
        assert rows == [(f"{group}/old", json.dumps({"from": f"{group}/old", "to": f"{group}/new"}))]


class TestDryRun:
    """V1A-025."""

    def test_it_keeps_the_name_for_a_minute_and_changes_nothing(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest")
        gitlab.push(f"{group}/other", "latest")
        for _ in range(2):  # Who has the name may ask again.
            asked_at = datetime.now(UTC)
            response = gitlab.rename(f"{group}/old", {"name": "new"}, dry_run="true")
            assert response.status == 202
            assert response.headers["Content-Type"] == "application/json"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(response.json()["ttl"]))
            ends_at = datetime.fromisoformat(str(response.json()["ttl"]))
            assert timedelta(seconds=58) < ends_at - asked_at < timedelta(seconds=75)
        assert paths(gitlab, group) == [f"{group}/old", f"{group}/other"]
        for dry_run in ("true", "false"):
            response = gitlab.rename(f"{group}/other", {"name": "new"}, dry_run=dry_run)
            assert refusal(response) == (409, "RENAME_CONFLICT", {"path": f"{group}/new"})
        assert gitlab.rename(f"{group}/old", {"name": "new"}).status == 204
        assert gitlab.rename(f"{group}/new", {"name": "old"}).status == 204
        assert gitlab.rename(f"{group}/other", {"name": "new"}).status == 204

    def test_it_refuses_what_a_rename_would_refuse(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest")
        gitlab.push(f"{group}/new/below", "latest")
        response = gitlab.rename(f"{group}/old", {"name": "new"}, dry_run="true")
        assert refusal(response)[:2] == (409, "RENAME_CONFLICT")
        assert gitlab.registry.execute("SELECT 1 FROM leases WHERE name = ?", f"rename:{group}/new") == []

    @pytest.mark.parametrize("value", ["", "True", "1", "yes"])
    def test_it_is_true_or_false(self, gitlab: GitLab, value: str) -> None:
        assert refusal(gitlab.rename("a/b", {"name": "c"}, dry_run=value)) == (
            400,
            "INVALID_QUERY_PARAMETER_TYPE",
            {"parameter": "dry_run", "values": ["true", "false"]},
        )


class TestRefusals:
    """V1A-022, V1A-024."""

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b'"a"', b"1", b'{"name": 1}', b'{"namespace": ["a"]}', b"\xff", b"[" * 10_000]
    )
    def test_a_body_that_is_no_object_of_texts_is_refused(self, gitlab: GitLab, body: bytes) -> None:
        assert refusal(gitlab.rename("a/b", body))[:2] == (400, "INVALID_JSON_BODY")

    def test_a_body_beyond_reason_is_refused(self, gitlab: GitLab) -> None:
        assert gitlab.rename("a/b", {"name": "x" * 20_000}).status == 413

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": None},
            {"name": "A"},
            {"name": "a/b"},
            {"name": "a b"},
            {"name": "-a"},
            {"name": "a..b"},
            {"name": "é"},
            {"name": "a\n"},
            {"name": "x" * 256},
            {"namespace": "a/"},
            {"namespace": "/a"},
            {"namespace": "a//b"},
            {"namespace": "a/b c"},
            {"namespace": "a/B"},
            {"namespace": "a/-"},
            {"namespace": "a.b"},
            {"namespace": f"a/{'x' * 252}"},
        ],
    )
    def test_a_name_outside_the_grammar_is_refused(self, gitlab: GitLab, body: object) -> None:
        assert refusal(gitlab.rename("a/b", body))[:2] == (400, "INVALID_BODY_PARAMETER_TYPE")

    def test_name_and_namespace_together_are_refused(self, gitlab: GitLab) -> None:
        response = gitlab.rename("a/b", {"name": "c", "namespace": "a/d"})
        assert refusal(response) == (400, "INVALID_BODY_PARAMETER", {"parameters": ["name", "namespace"]})

    @pytest.mark.parametrize("namespace", ["b", "b/a", "ab", "A"])
    def test_another_top_level_namespace_is_refused(self, gitlab: GitLab, namespace: str) -> None:
        assert refusal(gitlab.rename("a/b", {"namespace": namespace}))[:2] == (400, "INVALID_BODY_PARAMETER")

    def test_what_is_not_there_is_404(self, gitlab: GitLab, group: str) -> None:
        response = gitlab.rename(f"{group}/old", {"name": "new"})
        assert refusal(response) == (404, "NAME_UNKNOWN", {"namespace": group})
        gitlab.push(f"{group}/other", "latest")
        response = gitlab.rename(f"{group}/old", {"name": "new"})
        assert refusal(response) == (404, "NAME_UNKNOWN", {"name": f"{group}/old"})

    @pytest.mark.parametrize("taken", ["new", "new/below", "old"])
    def test_a_name_that_is_taken_is_a_conflict(self, gitlab: GitLab, group: str, taken: str) -> None:
        for path in dict.fromkeys((f"{group}/old", f"{group}/{taken}")):
            gitlab.push(path, "latest")
        name = "old" if taken == "old" else "new"
        response = gitlab.rename(f"{group}/old", {"name": name})
        assert refusal(response) == (409, "RENAME_CONFLICT", {"path": f"{group}/{name}"})

    def test_more_than_a_thousand_repositories_are_too_many(self, gitlab: GitLab, group: str) -> None:
        gitlab.push(f"{group}/old", "latest")
        add_repositories(gitlab, group, 1000)
        response = gitlab.rename(f"{group}/old", {"name": "new"})
        assert refusal(response) == (422, "EXCEEDS_LIMITS", {"limit": 1000})
        gitlab.registry.execute("DELETE FROM repositories WHERE path = ?", f"{group}/old/1")
        assert gitlab.rename(f"{group}/old", {"name": "new"}).status == 204


class TestReadOnly:
    """V1A-031: PATCH is not there in read-only mode."""

    def test_a_rename_is_405(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        with GitLab(tmp_path_factory.mktemp("readonly"), rules=ApplicationRules(read_only=True)) as gitlab:
            response = gitlab.rename("a/b", {"name": "c"})
            assert (response.status, response.headers.tokens("Allow")) == (405, ["GET", "HEAD", "OPTIONS"])


class TestAccess:
    """GitLab's specification of this API, Authentication: what a token has to allow."""

    @pytest.mark.parametrize(
        ("target", "scope"),
        [
            ("", ""),
            ("statistics/", "registry:statistics:*"),
            ("repositories/a/b/", "repository:a/b:pull"),
            ("repositories/a/b/?size=self", "repository:a/b:pull"),
            ("repositories/a/b/?size=self_with_descendants", "repository:a/b:pull repository:a/b/*:pull"),
            ("repositories/a/b/tags/list/", "repository:a/b:pull"),
            ("repositories/a/b/tags/list/?size=self_with_descendants", "repository:a/b:pull"),
            ("repositories/a/b/tags/detail/v1/", "repository:a/b:pull"),
            ("repository-paths/a/b/repositories/list/", "repository:a/b:pull repository:a/b/*:pull"),
        ],
    )
    def test_a_read_says_what_it_wants(self, guarded: GitLab, target: str, scope: str) -> None:
        response = guarded.client.request("GET", f"/gitlab/v1/{target}")
        assert response.status == 401
        challenge = 'Bearer realm="https://realm",service="service"' + (f',scope="{scope}"' if scope else "")
        assert response.headers["WWW-Authenticate"] == challenge

    def test_a_rename_wants_to_push_and_to_pull_all_below(self, guarded: GitLab) -> None:
        response = guarded.rename("a/b", {"name": "c"})
        assert response.status == 401
        assert 'scope="repository:a/b:pull,push repository:a/b/*:pull"' in response.headers["WWW-Authenticate"]

    def test_a_path_without_its_slash_needs_nothing(self, guarded: GitLab) -> None:
        assert guarded.client.request("GET", "/gitlab/v1/repositories/a/b").status == 301

    def test_a_move_wants_to_push_to_where_it_goes(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        issuer = Issuer(tmp_path_factory.mktemp("issuer"))
        own = (("a/b", "pull,push"), ("a/b/*", "pull"))
        with GitLab(tmp_path_factory.mktemp("moving"), guard=issuer.guard()) as made:

            def move(*access: Access) -> Response:
                with RegistryClient(made.registry.address, headers=issuer.bearer(*access)) as client:
                    body = json.dumps({"namespace": "a/there"}).encode()
                    return client.request("PATCH", url("repositories/a/b/", {}), body=body)

            response = move(*own)
            assert response.status == 401
            scope = 'scope="repository:a/b:pull,push repository:a/b/*:pull repository:a/there/*:push"'
            assert scope in response.headers["WWW-Authenticate"]
            assert move(*own, ("a/there/*", "push")).status == 404  # There is no such repository.

    @pytest.mark.parametrize(
        ("meta", "code"),
        [
            (None, "UNKNOWN_PROJECT_PATH_CLAIM"),
            (Meta(), "UNKNOWN_PROJECT_PATH_CLAIM"),
            (Meta(project_path="a"), "MISMATCH_PROJECT_PATH_CLAIM"),
            (Meta(project_path="a/b/c"), "MISMATCH_PROJECT_PATH_CLAIM"),
            (Meta(project_path="a/b"), "NAME_UNKNOWN"),
        ],
    )
    def test_a_rename_is_for_tokens_of_that_very_project(
        self, tmp_path_factory: pytest.TempPathFactory, meta: Meta | None, code: str
    ) -> None:
        """V1A-023; with the right claim, the repository that is not there is all that is left to say."""
        issuer = Issuer(tmp_path_factory.mktemp("issuer"))
        with GitLab(tmp_path_factory.mktemp("project"), guard=issuer.guard()) as made:
            own = (("a/b", "pull,push"), ("a/b/*", "pull"))
            headers = issuer.bearer(*own, meta={"a/b": meta, "a/b/*": Meta(project_path="a/b")})
            with RegistryClient(made.registry.address, headers=headers) as client:
                response = client.request("PATCH", url("repositories/a/b/", {}), body=b'{"name": "c"}')
            assert refusal(response)[1] == code


def add_repositories(gitlab: GitLab, group: str, count: int) -> None:
    """Repositories below ``<group>/old``, as rows."""
    assert gitlab.registry.path is not None
    connection = sqlite3.connect(gitlab.registry.path, timeout=30)
    with connection:
        connection.executemany(
            "INSERT INTO repositories (top_level_namespace_id, path, created_at) "
            "SELECT id, ?, 0 FROM top_level_namespaces WHERE name = ?",
            [(f"{group}/old/{number}", group) for number in range(count)],
        )
    connection.close()
