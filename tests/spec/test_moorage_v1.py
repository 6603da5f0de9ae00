"""``/moorage/v1/``: history, undo, and the removal of many tags, over HTTP."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from moorage.auth.access import Access, Action, Grant
from moorage.auth.guards import Caller, Guard, SillyGuard
from moorage.errors import Challenge, Unauthorized
from moorage.http.app import ApplicationRules
from spec.expect import holds_for_every_response, refused
from spec.moorage_client import JSON, REPOSITORY, Api, target
from support.images import push_image
from support.in_process import InProcess

Start = Callable[..., Api]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start registries: ``start(rules=…)``."""
    with ExitStack() as stack:

        def start_one(*, has_database: bool = True, **options: Any) -> Api:  # noqa: ANN401 - those of InProcess
            registry = stack.enter_context(InProcess(tmp_path if has_database else None, **options))
            return stack.enter_context(Api(registry.address, observe=holds_for_every_response))

        yield start_one


@pytest.fixture
def api(start: Start) -> Api:
    return start()


class TestHistory:
    """``GET /moorage/v1/history`` and ``GET /moorage/v1/request``."""

    def test_an_entry_says_what_was_done(self, api: Api) -> None:
        first = api.push("1", seed="a", request="one")
        second = api.push("1", seed="b", request="two")
        found = api.ask("history", repository=REPOSITORY, tag="1")["entries"]
        assert [entry["request_id"] for entry in found] == ["two", "one"]
        moved = found[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moved.pop("at"))
        assert moved.pop("id") > found[1]["id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", moved.pop("restorable_until"))
        assert moved == {
            "actor": "",
            "request_id": "two",
            "reason": f"PUT /v2/{REPOSITORY}/manifests/1",
            "action": "tag_move",
            "repository": REPOSITORY,
            "tag": "1",
            "before": first,
            "after": second,
            "renamed": None,
            "restorable": True,
        }
        assert (found[1]["restorable"], found[1]["restorable_until"]) == (None, None)

    def test_pages_lead_to_each_other(self, api: Api) -> None:
        for seed in "abcde":
            api.push("1", seed=seed)
        whole = api.ask("history", repository=REPOSITORY)["entries"]
        found: list[object] = []
        page: str | None = target("history", {"repository": REPOSITORY, "n": 3})
        while page is not None:
            response = api.request("GET", page)
            found += json.loads(response.body)["entries"]
            page = response.next_page
        assert found == whole
        assert len(found) == 10

    def test_what_a_request_did_in_every_repository(self, api: Api) -> None:
        for name in ("a", "b"):
            api.push("1", name=name, request="both")
        found = api.ask("request", id="both")["entries"]
        assert [entry["repository"] for entry in found] == ["b", "b", "a", "a"]

    def test_what_is_not_there(self, api: Api) -> None:
        refused(api.request("GET", target("history", {"repository": "never"})), 404, "NAME_UNKNOWN")
        refused(api.request("GET", target("request", {"id": "never"})), 404, "REQUEST_UNKNOWN")
        refused(api.request("GET", "/moorage/v1/nothing"), 404, "UNSUPPORTED")


class TestTag:
    """``GET /moorage/v1/tag`` and ``POST /moorage/v1/tag/undo``."""

    def test_what_a_tag_is_and_was(self, api: Api) -> None:
        first = api.push("1", seed="a")
        at = api.ask("history", repository=REPOSITORY, tag="1")["entries"][0]["at"]
        second = api.push("1", seed="b")
        now = api.ask("tag", repository=REPOSITORY, tag="1")
        assert (now["digest"], now["pullable"], now["at"]) == (second, True, None)
        then = api.ask("tag", repository=REPOSITORY, tag="1", at=at)
        assert (then["digest"], then["pullable"], then["at"]) == (first, True, at)
        assert then["changed"]["action"] == "tag_create"
        long_ago = api.ask("tag", repository=REPOSITORY, tag="1", at="2020-01-01T00:00:00Z")
        assert (long_ago["digest"], long_ago["pullable"], long_ago["changed"]) == (None, False, None)

    def test_a_tag_is_taken_back_and_the_answer_takes_that_back(self, api: Api) -> None:
        first, second = api.push("1", seed="a"), api.push("1", seed="b")
        done = api.done("tag/undo", {"expected": second}, repository=REPOSITORY, tag="1")
        assert done["changes"] == [
            {"repository": REPOSITORY, "kind": "tag", "name": "1", "before": second, "after": first}
        ]
        assert done["counts"] == {"tag": 1, "manifest": 0, "blob": 0, "repository": 0}
        api.done("request/undo", id=done["request_id"])
        assert api.ask("tag", repository=REPOSITORY, tag="1")["digest"] == second

    def test_a_tag_that_somebody_moved_is_a_conflict_that_says_what_it_is(self, api: Api) -> None:
        first, second = api.push("1", seed="a"), api.push("1", seed="b")
        response = api.send("tag/undo", {"expected": first}, repository=REPOSITORY, tag="1")
        refused(response, 409, "CONFLICT")
        assert json.loads(response.body)["errors"][0]["detail"] == {"tag": "1", "now": second}

    def test_a_reason_goes_into_the_journal(self, api: Api) -> None:
        api.push("1", request="push")
        assert api.send("tag/undo", reason="wrong branch", repository=REPOSITORY, tag="1").status == 200
        (entry,) = api.ask("history", repository=REPOSITORY, tag="1", n=1)["entries"]
        assert entry["reason"] == "undo of push: wrong branch"

    def test_one_target_at_most(self, api: Api) -> None:
        api.push("1")
        body = {"steps": 1, "at": "2020-01-01T00:00:00Z"}
        refused(api.send("tag/undo", body, repository=REPOSITORY, tag="1"), 400, "UNSUPPORTED")


class TestRequestUndo:
    """``POST /moorage/v1/request/undo``."""

    def test_everything_comes_back(self, api: Api) -> None:
        digest = api.push("1", "2", "3")
        api.delete(digest, "oops")
        assert api.done("request/undo", {"dry_run": True}, id="oops")["counts"]["tag"] == 3
        assert api.tags() == []
        assert api.done("request/undo", id="oops")["counts"] == {"tag": 3, "manifest": 1, "blob": 0, "repository": 0}
        assert api.tags() == ["1", "2", "3"]
        refused(api.send("request/undo", id="oops"), 409, "ALREADY_UNDONE")

    def test_a_conflict_lists_what_is_in_the_way_and_partial_leaves_it(self, api: Api) -> None:
        digest = api.push("1", "2")
        api.delete(digest, "oops")
        newer = api.push("2", seed="b")
        response = api.send("request/undo", id="oops")
        refused(response, 409, "CONFLICT")
        detail = json.loads(response.body)["errors"][0]["detail"]
        assert (detail["count"], detail["conflicts"][0]["name"], detail["conflicts"][0]["now"]) == (1, "2", newer)
        done = api.done("request/undo", {"partial": True}, id="oops")
        assert (done["left_count"], done["left"][0]["name"]) == (1, "2")
        assert api.tags() == ["1", "2"]

    def test_an_unknown_request(self, api: Api) -> None:
        refused(api.send("request/undo", id="never"), 404, "REQUEST_UNKNOWN")


class TestTagsDelete:
    """``POST /moorage/v1/tags/delete``."""

    TAGS = ("1.0", "1.1", "2.0", "latest")

    def test_by_name(self, api: Api) -> None:
        api.push(*self.TAGS)
        done = api.done("tags/delete", {"tags": ["1.0", "2.0", "1.0", "none"]}, request="many", repository=REPOSITORY)
        assert (done["deleted"], done["unknown"], done["request_id"]) == (2, 1, "many")
        assert api.tags() == ["1.1", "latest"]
        api.done("request/undo", id="many")
        assert api.tags() == list(self.TAGS)

    @pytest.mark.parametrize(
        ("body", "left"),
        [
            ({"matching": r"\d+\.\d+"}, ["latest"]),
            ({"matching": r"\d"}, list(TAGS)),
            ({"matching": ".*", "keep_matching": "latest|2.*"}, ["2.0", "latest"]),
            ({"matching": ".*", "keep_newest": 3}, ["1.1", "2.0", "latest"]),
            ({"matching": ".*", "keep_matching": "latest", "keep_newest": 1}, ["2.0", "latest"]),
            ({"matching": ".*", "limit": 1}, ["1.0", "1.1", "2.0"]),
        ],
    )
    def test_by_pattern(self, api: Api, body: dict[str, object], left: list[str]) -> None:
        api.push(*self.TAGS)
        rehearsed = api.done("tags/delete", {**body, "dry_run": True}, repository=REPOSITORY)
        assert api.tags() == list(self.TAGS)
        done = api.done("tags/delete", body, repository=REPOSITORY)
        assert api.tags() == left
        assert done["deleted"] == rehearsed["deleted"] == len(self.TAGS) - len(left)
        assert (done["kept"], done["more"]) == (body.get("keep_newest", 0), "limit" in body)

    def test_a_limit_that_is_just_enough_leaves_no_more(self, api: Api) -> None:
        api.push("1", "2")
        assert api.done("tags/delete", {"matching": ".*", "limit": 2}, repository=REPOSITORY)["more"] is False

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "give one of tags, matching, not none"),
            ({"tags": ["1"], "matching": "1"}, "give one of tags, matching, not tags and matching"),
            ({"tags": ["1"], "keep_newest": 1}, "keep_matching and keep_newest go with matching"),
            ({"matching": "("}, "the pattern is not RE2: missing ): ("),
            ({"matching": "\ud800"}, "Invalid JSON: unexpected end of hex escape"),
            ({"matching": "a" * 1001}, "matching: String should have at most 1000 characters"),
            ({"matching": None}, "matching: must not be null"),
            ({"tags": "1"}, "tags: Input should be a valid array"),
            ({"tags": ["1"], "dry-run": True}, "dry-run: there is no such parameter; there are tags, matching"),
            ({"tags": ["1"], "dry_run": "yes"}, "dry_run: Input should be a valid boolean"),
        ],
    )
    def test_a_body_that_makes_no_sense_is_refused_and_says_why(self, api: Api, body: object, message: str) -> None:
        api.push("1")
        response = api.send("tags/delete", body, repository=REPOSITORY)
        refused(response, 400, "UNSUPPORTED")
        assert message in json.loads(response.body)["errors"][0]["message"]
        assert api.tags() == ["1"]


class TestRequests:
    """What holds for all of them."""

    def test_a_parameter_that_there_is_not_is_refused_and_named(self, api: Api) -> None:
        response = api.request("GET", target("history", {"repository": REPOSITORY, "tagg": "1"}))
        refused(response, 400, "UNSUPPORTED")
        message = json.loads(response.body)["errors"][0]["message"]
        assert message.startswith("tagg: there is no such parameter; there are repository, tag, request")

    def test_a_parameter_twice_is_refused(self, api: Api) -> None:
        refused(api.request("GET", "/moorage/v1/history?repository=a&repository=b"), 400, "UNSUPPORTED")

    @pytest.mark.parametrize("at", ["now", "2020-01-01", "2020-01-01T00:00:00", "2020-13-01T00:00:00Z", "0"])
    def test_a_time_has_an_offset(self, api: Api, at: str) -> None:
        refused(api.request("GET", target("tag", {"repository": REPOSITORY, "tag": "1", "at": at})), 400, "UNSUPPORTED")

    def test_a_body_is_json_and_says_so(self, api: Api) -> None:
        path = target("request/undo", {"id": "x"})
        refused(api.request("POST", path, body=b"{}", headers={"Content-Type": "text/plain"}), 415, "UNSUPPORTED")
        refused(api.request("POST", path), 415, "UNSUPPORTED")
        refused(api.request("POST", path, body=b"{", headers=JSON), 400, "UNSUPPORTED")
        refused(api.request("POST", path, body=b"[]", headers=JSON), 400, "UNSUPPORTED")
        refused(api.request("POST", path, body=b"[" * 100_000, headers=JSON), 400, "UNSUPPORTED")

    def test_a_body_has_a_limit(self, api: Api) -> None:
        path = target("tags/delete", {"repository": REPOSITORY})
        refused(api.request("POST", path, body=b" " * ((8 << 20) + 1), headers=JSON), 413, "UNSUPPORTED")
        chunked = iter([b" " * (1 << 20)] * 9)
        refused(api.request("POST", path, body=chunked, headers=JSON), 413, "UNSUPPORTED")

    def test_a_method_that_a_path_does_not_have(self, api: Api) -> None:
        response = api.request("DELETE", target("tag", {"repository": REPOSITORY, "tag": "1"}))
        refused(response, 405, "UNSUPPORTED")
        assert response.headers["Allow"] == "GET, OPTIONS"

    def test_read_only_means_read_only(self, start: Start) -> None:
        api = start(rules=ApplicationRules(read_only=True, can_delete=True))
        for path in ("tag/undo", "request/undo", "tags/delete"):
            refused(api.send(path), 405, "UNSUPPORTED")

    def test_tags_are_not_deleted_where_deleting_is_switched_off(self, start: Start) -> None:
        api = start(rules=ApplicationRules(can_delete=False))
        response = api.send("tags/delete", {"tags": ["1"]}, repository=REPOSITORY)
        refused(response, 405, "UNSUPPORTED")
        assert b"storage.delete.enabled" in response.body

    def test_an_undo_deletes_nothing_where_deleting_is_switched_off(self, start: Start) -> None:
        api = start(rules=ApplicationRules(can_delete=False))
        first = api.push("1", seed="a", request="made")
        second = api.push("1", seed="b", request="moved")
        refused(api.send("request/undo", id="moved"), 405, "UNSUPPORTED")
        done = api.done("request/undo", {"partial": True}, id="moved")
        assert [found["reason"] for found in done["left"]] == ["switched off"]
        assert api.get_manifest(REPOSITORY, "1").headers["Docker-Content-Digest"] == first
        assert api.get_manifest(REPOSITORY, second).status == 200
        response = api.send("tag/undo", {"steps": 3}, repository=REPOSITORY, tag="1")
        refused(response, 405, "UNSUPPORTED")
        assert b"storage.delete.enabled" in response.body
        refused(api.send("request/undo", {"partial": True}, id="made"), 405, "UNSUPPORTED")
        assert api.tags() == ["1"]

    def test_without_a_database_everything_is_absent_and_says_why(self, start: Start) -> None:
        api = start(has_database=False)
        for method, path in (
            ("GET", "openapi.json"),
            ("GET", "history"),
            ("POST", "request/undo"),
            ("GET", "tag/undo"),
        ):
            response = api.request(method, f"/moorage/v1/{path}")
            refused(response, 404, "UNSUPPORTED")
            assert b"need the metadata database" in response.body


class ScopedGuard(Guard):
    """Lets one person do some things in some repositories."""

    def __init__(self) -> None:
        self.allowed: dict[str, Sequence[Action]] = {"mine": tuple(Action), "theirs": tuple(Action)}
        self.wanted: list[Access] = []

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        every = [(name, action) for name, actions in self.allowed.items() for action in actions]
        grant = Grant("ada", frozenset(Access("repository", name, action) for name, action in every))
        self.require(caller, grant, [*wanted, *optional])
        return grant

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        del caller
        self.wanted += wanted
        if not grant.allows(wanted):
            msg = "no"
            raise Unauthorized(msg, challenge=Challenge("Basic"))


class TestAccess:
    """What the credentials have to allow."""

    @pytest.fixture
    def guarded(self, start: Start) -> Api:
        return start(guard=SillyGuard("https://auth.example/token", "registry"))

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "openapi.json", None),
            ("GET", "history?repository=a/b", "repository:a/b:pull"),
            ("GET", "tag?repository=a/b&tag=1", "repository:a/b:pull"),
            ("POST", "tag/undo?repository=a/b&tag=1", "repository:a/b:pull,push,delete"),
            ("POST", "tags/delete?repository=a/b", "repository:a/b:delete"),
            ("POST", "request/undo?id=x", None),
        ],
    )
    def test_each_operation_says_what_it_wants(self, guarded: Api, method: str, path: str, scope: str | None) -> None:
        response = guarded.request(method, f"/moorage/v1/{path}")
        refused(response, 401, "UNAUTHORIZED")
        challenge = response.headers["WWW-Authenticate"]
        assert (f'scope="{scope}"' in challenge) if scope else ("scope" not in challenge)

    def test_a_request_is_undone_only_by_who_may_change_every_repository_it_touched(self, start: Start) -> None:
        guard = ScopedGuard()
        api = start(guard=guard)
        for name in ("mine", "theirs"):
            api.push("1", name=name, request="both")
        guard.allowed = {"mine": tuple(Action)}
        # Who may not see all of it is told the same as of a request that never was.
        for request in ("both", "never"):
            refused(api.send("request/undo", id=request), 404, "REQUEST_UNKNOWN")
            refused(api.request("GET", target("request", {"id": request})), 404, "REQUEST_UNKNOWN")
        assert api.ask("history", repository="mine", request="both")["entries"][0]["actor"] == "ada"
        guard.allowed, guard.wanted = {"mine": tuple(Action), "theirs": (Action.PULL,)}, []
        refused(api.send("request/undo", id="both"), 401, "UNAUTHORIZED")
        wanted = {(access.name, access.action.value) for access in guard.wanted}
        assert wanted == {(name, action) for name in guard.allowed for action in ("pull", "push", "delete")}
        guard.allowed = {"mine": tuple(Action), "theirs": tuple(Action)}
        api.done("request/undo", id="both")

    def test_a_reason_that_is_no_text_does_no_harm(self, api: Api) -> None:
        api.push("1")
        response = api.send("tag/undo", reason="\xff\xfe", repository=REPOSITORY, tag="1")
        assert response.status == 200
        assert api.ask("history", repository=REPOSITORY, n=1)["entries"]

    def test_the_repository_may_be_the_only_one_that_a_name_can_be(self, guarded: Api) -> None:
        refused(guarded.request("GET", "/moorage/v1/history?repository=NO"), 400, "NAME_INVALID")


def test_a_repository_may_be_called_as_the_paths_are(api: Api) -> None:
    name = "moorage/v1/history"
    push_image(api, name, "undo")
    assert api.ask("history", repository=name)["entries"][0]["tag"] == "undo"
