"""``/moorage/v1/gc/``: how garbage collection stands, a run now, and why something stays."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moorage.auth.access import CATALOGUE, Access, Grant
from moorage.auth.guards import Caller, Guard, SillyGuard
from moorage.http.app import ApplicationRules
from spec.expect import holds_for_every_response, refused
from support.images import Image, image, missing_digest, push_image
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response

REPOSITORY = "group/app"
JSON = {"Content-Type": "application/json"}
DAY_S = 86400


class Api(RegistryClient):
    """A client of one registry, whose reviews are due when a test says so."""

    def __init__(self, registry: InProcess) -> None:
        super().__init__(registry.address, observe=holds_for_every_response)
        self.registry = registry

    def ask(self, path: str) -> dict[str, Any]:
        """A good answer."""
        response = self.request("GET", f"/moorage/v1/gc/{path}")
        assert response.status == 200, response
        return response.json()

    def explain(self, digest: str, *, repository: str = REPOSITORY) -> dict[str, Any]:
        (found,) = self.ask(f"explain?repository={repository}&digest={digest}")["found"]
        return dict(found)

    def send(self, body: object = None) -> Response:
        return self.request("POST", "/moorage/v1/gc/run", body=json.dumps(body or {}).encode(), headers=JSON)

    def run(self, **body: object) -> dict[str, Any]:
        response = self.send(body)
        assert response.status == 200, response
        return response.json()

    def delete(self, reference: str) -> None:
        assert self.request("DELETE", f"/v2/{REPOSITORY}/manifests/{reference}").status == 202

    def all_due(self) -> None:
        for table in ("gc_manifest_review_queue", "gc_blob_review_queue"):
            self.registry.execute(f"UPDATE {table} SET review_after = 0")  # noqa: S608 - one of two

    def kept(self, made: Image) -> list[bool]:
        """Whether storage has the blobs of an image."""
        return [self.registry.has_bytes(blob.digest) for blob in made.blobs]


Start = Callable[..., Api]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start registries: ``start(rules=…)``."""
    with ExitStack() as stack:

        def start_one(**options: Any) -> Api:  # noqa: ANN401 - those of InProcess
            return stack.enter_context(Api(stack.enter_context(InProcess(tmp_path, **options))))

        yield start_one


@pytest.fixture
def api(start: Start) -> Api:
    return start()


class TestStatus:
    """``GET /moorage/v1/gc/status``."""

    def test_a_new_registry_has_nothing_to_do(self, api: Api) -> None:
        found = api.ask("status")
        assert set(found) == {"manifests", "blobs"}
        for queue in found.values():
            assert (queue["collects"], queue["waiting"], queue["due"], queue["due_since"]) == (True, 0, 0, None)
            assert [freed["within_s"] for freed in queue["frees"]] == [0, 3600, DAY_S, 2 * DAY_S, 7 * DAY_S]
            assert [(past["reviewed"], past["removed"]) for past in queue["past"]] == [(0, 0), (0, 0)]
            assert 1 <= queue["past"][0]["hours"] < 2
            assert 23 <= queue["past"][1]["hours"] < 24

    def test_a_tag_that_is_deleted_shows_in_what_will_be_freed(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1")
        assert api.ask("status")["manifests"]["frees"][-1]["size_bytes"] == 0
        api.delete("1")
        found = api.ask("status")
        size = sum(len(blob.body) for blob in made.blobs)
        assert [freed["size_bytes"] for freed in found["manifests"]["frees"]] == [0, 0, 0, size, size]
        assert found["manifests"]["frees_at_least"] is False
        assert (found["blobs"]["waiting"], found["blobs"]["due"]) == (3, 0)

    def test_what_was_done_is_counted(self, api: Api) -> None:
        push_image(api, REPOSITORY, "1")
        api.all_due()
        api.run()
        found = api.ask("status")
        assert [found[queue]["past"][0]["reviewed"] for queue in ("manifests", "blobs")] == [1, 3]
        assert found["blobs"]["waiting"] == 0

    def test_a_queue_that_is_off_frees_nothing(self, start: Start) -> None:
        found = start(collects=["blob"]).ask("status")
        assert (found["manifests"]["collects"], found["manifests"]["frees"]) == (False, [])
        assert found["blobs"]["collects"] is True


class TestRun:
    """``POST /moorage/v1/gc/run``."""

    def test_what_is_due_is_reviewed_and_what_is_not_waits(self, api: Api) -> None:
        push_image(api, REPOSITORY, "1")
        done = api.run()
        nothing = {"reviewed": 0, "needed": 0, "removed": 0, "removed_bytes": 0, "failed": 0, "busy": 0, "left": 0}
        assert done == {"manifests": nothing, "blobs": nothing, "hurried": 0}
        api.all_due()
        done = api.run()
        assert done["manifests"] == {**nothing, "reviewed": 1, "needed": 1}
        assert done["blobs"] == {**nothing, "reviewed": 3, "needed": 3}

    def test_what_nothing_needs_is_gone_with_its_bytes(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1")
        api.delete("1")
        api.all_due()
        done = api.run()
        assert (done["manifests"]["removed"], done["blobs"]["removed"]) == (1, 0)
        api.all_due()
        done = api.run()
        assert (done["blobs"]["removed"], done["blobs"]["left"]) == (3, 0)
        assert done["blobs"]["removed_bytes"] == sum(len(blob.body) for blob in made.blobs)
        assert api.kept(made) == [False] * 3

    def test_giving_up_undo_does_not_wait(self, api: Api) -> None:
        gone = push_image(api, REPOSITORY, "1")
        kept = push_image(api, REPOSITORY, "2")
        api.delete("1")
        assert api.run()["manifests"]["removed"] == 0
        done = api.run(give_up_undo=True)
        assert (done["manifests"]["removed"], done["blobs"]["removed"], done["hurried"]) == (1, 3, 4)
        assert api.kept(gone) == [False] * 3
        assert api.kept(kept) == [True] * 3
        assert api.explain(kept.digest)["verdict"] == "kept"

    def test_giving_up_undo_leaves_a_push_in_progress_alone(self, api: Api) -> None:
        made = image("in progress")
        for blob in made.blobs:
            api.push_blob(REPOSITORY, blob.body, blob.digest)
        api.run(give_up_undo=True)
        response = api.put_manifest(REPOSITORY, "1", made.manifest.body, made.manifest.media_type)
        assert response.status == 201

    def test_more_than_a_round_is_done_in_one_request(self, api: Api) -> None:
        for number in range(250):
            api.registry.execute(
                "INSERT INTO gc_blob_review_queue (digest, review_after, event) VALUES (?, 0, 'blob_upload')",
                b"\x01" + number.to_bytes(32, "big"),
            )
        done = api.run()
        assert (done["blobs"]["reviewed"], done["blobs"]["removed"], done["blobs"]["left"]) == (250, 250, 0)

    def test_what_is_off_is_not_collected_by_a_run_either(self, start: Start) -> None:
        api = start(collects=["blob"])
        push_image(api, REPOSITORY, "1")
        api.delete("1")
        api.all_due()
        assert api.run(give_up_undo=True)["manifests"] is None
        assert api.registry.execute("SELECT count(*) FROM manifests") == [(1,)]

    def test_where_nothing_is_collected_a_run_is_refused(self, start: Start) -> None:
        response = start(collects=[]).send()
        refused(response, 405, "UNSUPPORTED")
        assert b"gc.disabled" in response.body

    def test_read_only_means_read_only(self, start: Start) -> None:
        api = start(rules=ApplicationRules(read_only=True))
        refused(api.send(), 405, "UNSUPPORTED")
        assert api.ask("status")["blobs"]["waiting"] == 0

    @pytest.mark.parametrize("body", [{"give_up_undo": "yes"}, {"ignore_delay": True}, [], {"give_up_undo": None}])
    def test_a_body_that_makes_no_sense_is_refused(self, api: Api, body: object) -> None:
        push_image(api, REPOSITORY, "1")
        api.all_due()
        headers = JSON
        response = api.request("POST", "/moorage/v1/gc/run", body=json.dumps(body).encode(), headers=headers)
        refused(response, 400, "UNSUPPORTED")
        assert api.ask("status")["blobs"]["due"] == 3


class TestExplain:
    """``GET /moorage/v1/gc/explain``."""

    def test_a_tagged_manifest(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1")
        found = api.explain(made.digest)
        assert (found["kind"], found["verdict"], found["tags"], found["goes_at"]) == ("manifest", "kept", ["1"], None)
        assert (found["collected"], found["more"], found["delay_s"]) == (True, False, DAY_S)
        assert found["review"]["event"] == "manifest_upload"

    def test_a_manifest_that_lost_its_tag(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1")
        response = api.request("DELETE", f"/v2/{REPOSITORY}/manifests/1", headers={"X-Request-Id": "oops"})
        assert response.status == 202
        found = api.explain(made.digest)
        assert (found["verdict"], found["goes_at"]) == ("goes", found["review"]["due_at"])
        assert datetime.fromisoformat(found["goes_at"]) > datetime.now(UTC) + timedelta(hours=23)
        assert (found["changed"]["tag"], found["changed"]["request_id"]) == ("1", "oops")

    def test_a_layer(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1")
        found = api.explain(made.blobs[1].digest)
        assert (found["kind"], found["verdict"], found["needed_elsewhere"]) == ("blob", "kept", False)
        assert found["held_by"] == [
            {"digest": made.digest, "role": "layer", "tag": "1", "deleted": False, "goes_at": None}
        ]

    def test_other_repositories_are_not_named(self, api: Api) -> None:
        made = push_image(api, REPOSITORY, "1", image("same"))
        push_image(api, "secret/project", "classified", image("same"))
        path = f"/moorage/v1/gc/explain?repository={REPOSITORY}&digest={made.blobs[1].digest}"
        response = api.request("GET", path)
        assert json.loads(response.body)["found"][0]["needed_elsewhere"] is True
        assert b"secret" not in response.body
        assert b"classified" not in response.body

    def test_what_is_not_there(self, api: Api) -> None:
        push_image(api, "secret/project", "1", image("secret"))
        push_image(api, REPOSITORY, "1")
        for digest in (missing_digest("a"), image("secret").digest, image("secret").blobs[1].digest):
            path = f"/moorage/v1/gc/explain?repository={REPOSITORY}&digest={digest}"
            refused(api.request("GET", path), 404, "MANIFEST_UNKNOWN")
        path = f"/moorage/v1/gc/explain?repository=never&digest={missing_digest('a')}"
        refused(api.request("GET", path), 404, "NAME_UNKNOWN")
        refused(api.request("GET", f"/moorage/v1/gc/explain?repository={REPOSITORY}&digest=1"), 400, "DIGEST_INVALID")

    def test_what_this_node_does_not_collect_says_so(self, start: Start) -> None:
        api = start(collects=["blob"])
        made = push_image(api, REPOSITORY, "1")
        assert api.explain(made.digest)["collected"] is False
        assert api.explain(made.blobs[0].digest)["collected"] is True


class Recording(Guard):
    """Lets everybody in, and remembers what was wanted."""

    def __init__(self) -> None:
        self.wanted: list[Access] = []

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        del caller, optional
        self.wanted += wanted
        return Grant("ada", None)

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        del caller, grant, wanted


class TestAccess:
    """What the credentials have to allow."""

    def test_status_and_run_are_for_who_may_see_everything(self, start: Start) -> None:
        guard = Recording()
        api = start(guard=guard)
        api.ask("status")
        api.run()
        assert guard.wanted == [CATALOGUE, CATALOGUE]

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "status", "registry:catalog:*"),
            ("POST", "run", "registry:catalog:*"),
            ("GET", f"explain?repository=a/b&digest={missing_digest('a')}", "repository:a/b:pull"),
        ],
    )
    def test_each_says_what_it_wants(self, start: Start, method: str, path: str, scope: str) -> None:
        api = start(guard=SillyGuard("https://auth.example/token", "registry"))
        response = api.request(method, f"/moorage/v1/gc/{path}")
        refused(response, 401, "UNAUTHORIZED")
        assert f'scope="{scope}"' in response.headers["WWW-Authenticate"]


def test_without_a_database_it_is_absent() -> None:
    with InProcess(None) as registry, RegistryClient(registry.address) as client:
        response = client.request("GET", "/moorage/v1/gc/status")
        refused(response, 404, "UNSUPPORTED")
        assert b"garbage collection" in response.body
