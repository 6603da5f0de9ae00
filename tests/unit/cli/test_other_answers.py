"""Commands that ask a registry whose answers are of another version, or none at all: a message, never a traceback."""

import itertools
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from support.threaded_server import Quiet, ThreadedServer

QUEUE: dict[str, Any] = {
    "collects": True,
    "waiting": 3,
    "due": 1,
    "due_since": "2026-11-23T15:00:00.000000Z",
    "next_at": None,
    "claimed": 0,
    "failed": 0,
    "error": None,
    "past": [
        {
            "since": "2026-11-23T15:00:00.000000Z",
            "hours": hours,
            "reviewed": 4,
            "removed": 0,
            "removed_bytes": 0,
            "failed": 0,
        }
        for hours in (0.0, 24.5)
    ],
    "frees": [],
    "frees_at_least": False,
}
DELETED: dict[str, Any] = {
    "request_id": "r",
    "dry_run": False,
    "deleted": 2,
    "kept": 0,
    "protected": 0,
    "unknown": 0,
    "more": False,
    "sample": [],
}
WRONG: list[Any] = [None, [], "no", 7, {}, {"entries": [{}]}, {"entries": None}, {"digest": 5}, {"found": [None]}]
COMMANDS = [
    ("gc", "status"),
    ("gc", "run"),
    ("gc", "explain", "group/app:1"),
    ("gc", "explain", "group/app@sha256:" + "0" * 64),
    ("tag", "history", "group/app"),
    ("tag", "history", "group/app", "--json"),
    ("tag", "history", "group/app:1", "--at", "2h"),
    ("tag", "undo", "group/app:1"),
    ("tag", "undo", "group/app:1", "--redo"),
    ("tag", "delete", "group/app", "1"),
    ("tag", "delete", "group/app", "--matching", ".*", "--dry-run"),
    ("undo", "3f9a6c1e", "--repository", "group/app"),
    # What scripts are told has been read as well.
    ("gc", "status", "--json"),
    ("gc", "explain", "group/app@sha256:" + "0" * 64, "--json"),
    ("tag", "history", "group/app:1", "--at", "2h", "--json"),
    ("undo", "3f9a6c1e", "--json"),
    ("notifications", "status", "--json"),
    ("notifications", "show", "--json"),
    ("notifications", "retry", "--json"),
    ("notifications", "drop", "1", "--json"),
]
LISTS = [
    ("repo", "list"),
    ("repo", "list", "--json"),
    ("tag", "list", "group/app", "--json"),
    ("du", "group/app"),
    ("du",),
    ("copy", "--all-tags", "group/app", "group/other"),
]


class Stub(ThreadedServer):
    """Answers everything with the same."""

    def __init__(self) -> None:
        self.answer: object = {}
        self.status = 200
        self.pages: Iterator[int] | None = None
        self.asked: list[str] = []
        stub = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def parse_request(self) -> bool:
                is_good = super().parse_request()
                stub.asked.append(self.path)
                return is_good

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = stub.answer if isinstance(stub.answer, bytes) else json.dumps(stub.answer).encode()
                self.send_response(stub.status)
                if stub.pages is not None:
                    path = self.path.partition("?")[0]
                    self.send_header("Link", f'<{path}?last={next(stub.pages)}>; rel="next"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the name that the library calls

        super().__init__(Handler)

    def run(self, *words: str) -> tuple[int, str, str]:
        runner = CliRunner(env={"MOORAGE_REGISTRY": self.url, "NO_PROXY": "127.0.0.1"})
        done = runner.invoke(app, words)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    with Stub() as made:
        yield made


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words) for words in COMMANDS])
@pytest.mark.parametrize("answer", WRONG, ids=json.dumps)
def test_an_answer_that_is_none_is_told_with_the_place_where_it_is_wrong(
    stub: Stub, answer: object, words: tuple[str, ...]
) -> None:
    stub.status, stub.answer = 200, answer
    status, out, err = stub.run(*words)
    assert (status, out) == (1, "")
    assert err.startswith("error: what the registry answers cannot be read, so it may be of another version")
    assert re.search(r" is missing$| should be ", err.strip()), err


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
@pytest.mark.parametrize("names", [5, True, "abc", {"a": 1}, [None], [7], ["\x1b[2J"], ["\ud800"]], ids=repr)
def test_a_list_of_what_is_no_name_is_no_list(stub: Stub, names: object, words: tuple[str, ...]) -> None:
    stub.status, stub.answer = 200, {"repositories": names, "tags": names}
    status, out, err = stub.run(*words)
    assert (status, out) == (1, "")
    assert re.fullmatch(
        r"error: what answers at \S+ is no registry: its (repositories|tags) are no list of names\n", err
    )


@pytest.mark.parametrize(
    "words",
    [("tag", "list", "group/a b?c#d"), ("du", "group/a b?c#d"), ("tag", "delete", "group/a b?c#d", "x?y z")],
    ids=" ".join,
)
def test_a_name_with_signs_of_urls_is_asked_for_as_it_was_typed(stub: Stub, words: tuple[str, ...]) -> None:
    stub.status, stub.answer = 404, {"errors": [{"code": "NAME_INVALID", "message": "no such name"}]}
    stub.asked.clear()
    status, _, err = stub.run(*words)
    assert (status, "is it running" in err) == (1, False), err
    assert stub.asked[-1].startswith("/v2/group/a%20b%3Fc%23d/")
    assert stub.asked[-1].endswith("/manifests/x%3Fy%20z" if words[1] == "delete" else "/tags/list")


@pytest.mark.parametrize("names", [[], ["a"]], ids=json.dumps)
@pytest.mark.parametrize("words", LISTS[1:2] + LISTS[-1:], ids=" ".join)
def test_a_list_that_never_ends_is_told(
    stub: Stub, names: object, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.client.contents._IDLE_PAGES_LIMIT", 20)
    stub.status, stub.answer, stub.pages = 200, {"repositories": names, "tags": names}, itertools.count()
    try:
        status, out, err = stub.run(*words)
    finally:
        stub.pages = None
    assert (status, out) == (1, "")
    assert "leads in a circle: 20 pages of its list had nothing new" in err


@pytest.mark.parametrize("words", [*COMMANDS[:2], *LISTS], ids=" ".join)
@pytest.mark.parametrize("status", [200, 400])
def test_json_that_is_nested_too_deep_is_no_answer(stub: Stub, status: int, words: tuple[str, ...]) -> None:
    stub.status, stub.answer = status, b'{"tags": ' + b"[" * 100_000 + b"}"
    code, out, err = stub.run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")


def test_nothing_that_a_registry_says_moves_the_cursor(stub: Stub) -> None:
    stub.status, stub.answer = 400, {"errors": [{"code": "X", "message": "\x1b[2Jgone\nerror: not ours"}]}
    assert stub.run("repo", "list")[2] == "error: \\x1b[2Jgone\\nerror: not ours\n"
    stub.status, stub.answer = 200, {"mediaType": "\x1b[2J", "layers": [{"digest": "\x1b]0;x\x07", "size": 1}]}
    status, out, _ = stub.run("image", "show", "group/app:1")
    assert (status, "\x1b" in out, "\\x1b[2J" in out) == (0, False, True)


@pytest.mark.parametrize("detail", [None, [], "no", {"conflicts": None}, {"conflicts": [{}], "count": "x"}])
def test_the_detail_of_an_error_may_be_anything(stub: Stub, detail: object) -> None:
    stub.status, stub.answer = (
        409,
        {"errors": [{"code": "CONFLICT", "message": "somebody was faster", "detail": detail}]},
    )
    assert stub.run("undo", "3f9a6c1e") == (3, "", "error: somebody was faster\n")


def test_what_a_newer_registry_says_besides_disturbs_nobody(stub: Stub) -> None:
    newer = {**QUEUE, "paused": True}
    stub.status, stub.answer = 200, {"manifests": newer, "blobs": newer, "exports": newer}
    status, out, err = stub.run("gc", "status")
    assert (status, err) == (0, "")
    assert "in the last 24 hours: 8 reviewed" in out


def test_a_status_without_the_past_is_told(stub: Stub) -> None:
    short = {**QUEUE, "past": QUEUE["past"][:1]}
    stub.status, stub.answer = 200, {"manifests": short, "blobs": short}
    status, out, err = stub.run("gc", "status")
    assert (status, out) == (1, "")
    assert err.startswith("error: the registry does not say what was done in the last hour")


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_sizes_without_a_manifest_that_cannot_be_had_are_printed_and_are_a_failure(
    stub: Stub, option: tuple[str, ...]
) -> None:
    stub.status, stub.answer = 200, {"tags": ["1"]}  # It answers HEAD, and so the question for the digest, with 501.
    status, out, err = stub.run("du", "group/app", *option)
    assert status == 1
    assert err.startswith("error: group/app:1 is left out: ")
    assert "group/app" in out


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_sizes_of_all_that_there_is_are_no_failure(stub: Stub, option: tuple[str, ...]) -> None:
    stub.status, stub.answer = 200, {"tags": []}
    status, out, err = stub.run("du", "group/app", *option)
    assert (status, err) == (0, "")
    assert "group/app" in out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "2 deleted, 0 kept\n"),
        ({"changed": 3}, "2 deleted, 0 kept\n3 left as they are now, as somebody pushed or deleted them meanwhile\n"),
    ],
    ids=["older", "changed"],
)
def test_tags_that_were_changed_meanwhile_are_counted_and_an_older_registry_says_nothing_of_them(
    stub: Stub, changed: dict[str, int], said: str
) -> None:
    stub.status, stub.answer = 200, {**DELETED, **changed}
    status, out, err = stub.run("tag", "delete", "group/app", "--matching", ".*")
    assert (status, err) == (0, "")
    assert out.startswith(said + "undo with: moorage undo ")
