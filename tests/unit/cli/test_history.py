"""``moorage tag`` and ``moorage undo`` as processes, against a registry: what they print, and their status."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.history import read_time, split
from moorage.client.registry import CommandFailed, Remote
from support.faulty_front import FaultyFront, FrontFault
from support.images import build_cache, image, index, push_blobs, push_image, push_manifest
from support.in_process import InProcess
from support.registry_client import RegistryClient

REPOSITORY = "group/app"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Shell:
    """A user at a prompt, with a registry."""

    def __init__(self, registry: InProcess, client: RegistryClient) -> None:
        self.registry = registry
        self.client = client

    def run(self, *args: str, status: int = 0, usual: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run ``moorage`` and check its status. *usual*: the registry that the environment names; None: this one."""
        command = [sys.executable, "-m", "moorage", *args]
        environ = {**os.environ, "MOORAGE_REGISTRY": usual or self.registry.url, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr + done.stdout
        return done

    def push(self, *tags: str, seed: str = "a", request: str | None = None) -> str:
        made = image(seed)
        push_blobs(self.client, REPOSITORY, made.blobs)
        for tag in tags:
            headers = {"Content-Type": made.manifest.media_type, **({"X-Request-Id": request} if request else {})}
            path = f"/v2/{REPOSITORY}/manifests/{tag}"
            assert self.client.request("PUT", path, body=made.manifest.body, headers=headers).status == 201
        return made.digest

    def tags(self) -> object:
        return self.client.request("GET", f"/v2/{REPOSITORY}/tags/list").json()["tags"]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with InProcess(tmp_path) as registry, RegistryClient(registry.address) as client:
        yield Shell(registry, client)


def test_the_history_of_a_tag_is_a_table(shell: Shell) -> None:
    first, second = shell.push("1", request="one"), shell.push("1", seed="b", request="two")
    lines = shell.run("tag", "history", f"{REPOSITORY}:1").stdout.splitlines()
    assert lines[0].split() == ["TIME", "(UTC)", "ACTION", "TAG", "FROM", "TO", "REQUEST", "CAN", "COME", "BACK"]
    assert [line.split("  ")[1].strip() for line in lines[1:]] == ["tag move", "tag create"]
    assert f"{first[:19]}  {second[:19]}" in lines[1]
    assert "two" in lines[1]
    assert re.search(r"until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", lines[1])


def test_the_history_of_a_repository_has_everything_and_may_be_json(shell: Shell) -> None:
    shell.push("1", "2")
    found = json.loads(shell.run("tag", "history", REPOSITORY, "--json").stdout)["entries"]
    assert [entry["action"] for entry in found] == ["tag_create", "tag_create", "manifest_create"]
    assert len(json.loads(shell.run("tag", "history", REPOSITORY, "--json", "-n", "2").stdout)["entries"]) == 2
    assert shell.run("tag", "history", REPOSITORY, "--until", "1h").stdout == "nothing was changed\n"


def test_the_digest_that_a_tag_had_at_a_time_can_be_pulled(shell: Shell) -> None:
    first = shell.push("1")
    at = datetime.now(UTC).isoformat()
    shell.push("1", seed="b")
    assert shell.run("tag", "history", f"{REPOSITORY}:1", "--at", at).stdout == f"{first}\n"
    shell.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/{first}")
    said = shell.run("tag", "history", f"{REPOSITORY}:1", "--at", at, status=1).stderr
    assert f"moorage tag undo {REPOSITORY}:1 --at {at} brings it back" in said
    said = shell.run("tag", "history", f"{REPOSITORY}:1", "--at", "1d", status=1).stderr
    assert said == "error: there was no tag 1 then\n"


def test_a_tag_is_taken_back_and_the_next_step_is_named(shell: Shell) -> None:
    first, second = shell.push("1"), shell.push("1", seed="b")
    said = shell.run("tag", "undo", f"{REPOSITORY}:1", "--reason", "zurück").stdout.splitlines()
    assert said[0] == f"{REPOSITORY}:1: {second[:19]} -> {first[:19]}"
    assert said[1] == "changed: 1 tag"
    found = re.fullmatch(rf"undo with: moorage (undo \S+ --repository {REPOSITORY})", said[2])
    assert found is not None
    shell.run(*found[1].split())
    tag = json.loads(shell.run("tag", "history", f"{REPOSITORY}:1", "--json").stdout)["entries"]
    assert tag[0]["after"] == second
    assert tag[1]["reason"].endswith(": zurück")


def test_a_tag_is_only_taken_back_if_it_is_what_was_expected(shell: Shell) -> None:
    first, second = shell.push("1"), shell.push("1", seed="b")
    said = shell.run("tag", "undo", f"{REPOSITORY}:1", "--expect", first, status=3).stderr
    assert said == f"error: somebody changed the tag since: it points to {second} now\n"
    assert shell.run("tag", "undo", f"{REPOSITORY}:1", "--to", second).stdout == "it is so already\n"


def test_a_second_undo_says_what_it_would_take_back(shell: Shell) -> None:
    shell.push("1", request="pushed-1")
    second = shell.push("1", seed="b", request="pushed-2")
    shell.run("tag", "undo", f"{REPOSITORY}:1")
    said = shell.run("tag", "undo", f"{REPOSITORY}:1", status=1).stderr
    assert (
        f"was an undo of pushed-2; to take that back, so that the tag points to {second[:19]} again, give --redo"
        in said
    )
    shell.run("tag", "undo", f"{REPOSITORY}:1", "--redo")
    assert shell.run("tag", "history", f"{REPOSITORY}:1", "--at", "0s").stdout == f"{second}\n"


def test_the_beginning_of_a_request_id_is_shown_and_taken(shell: Shell) -> None:
    shell.push("1", request="0123456789abcdef-one")
    shell.push("2", seed="b", request="0123456789abcdef-two")
    shown = shell.run("tag", "history", REPOSITORY).stdout
    assert "0123456789abcdef-t" in shown
    assert "0123456789abcdef-two" not in shown
    assert "2 requests" in shell.run("undo", "0123", "--repository", REPOSITORY, status=1).stderr
    shell.run("undo", "0123456789abcdef-t", "--repository", REPOSITORY)
    assert shell.tags() == ["1"]


def test_a_missing_tag_is_named(shell: Shell) -> None:
    shell.push("1")
    assert shell.run("tag", "delete", REPOSITORY, "none", status=1).stderr == f"error: {REPOSITORY} has no tag none\n"


def test_lists_and_sizes_by_what_every_registry_answers(shell: Shell) -> None:
    digest = shell.push("1", "2")
    place = f"{shell.registry.url.removeprefix('http://')}/{REPOSITORY}"
    assert shell.run("repo", "list").stdout == f"{REPOSITORY}\n"
    assert shell.run("tag", "list", place).stdout == "1\n2\n"
    assert digest in shell.run("image", "show", f"{place}:1").stdout
    assert REPOSITORY in shell.run("du").stdout
    assert "no such tag" in shell.run("image", "show", f"{place}:none", status=1).stderr


def test_a_build_cache_has_blobs_where_an_index_has_images(shell: Shell) -> None:
    cache = build_cache("cache")
    push_image(shell.client, REPOSITORY, "cache", cache)
    size_bytes = sum(len(blob.body) for blob in cache.blobs)
    assert json.loads(shell.run("du", "--json").stdout)["bytes"] == size_bytes
    shown = shell.run("image", "show", f"{REPOSITORY}:cache").stdout.splitlines()
    assert shown[2] == f"size    {shown_bytes(size_bytes)}"
    assert [line.split()[-1] for line in shown[3:]] == [blob.digest for blob in cache.blobs]


def test_what_a_builder_puts_beside_the_images_is_named(shell: Shell) -> None:
    made = image("a")
    push_blobs(shell.client, REPOSITORY, made.blobs)
    push_manifest(shell.client, REPOSITORY, made.manifest, made.digest)
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": made.digest}
    unknown = {"os": "unknown", "architecture": "unknown"}
    listing = index([made.manifest.descriptor(annotations=notes, platform=unknown)])
    push_manifest(shell.client, REPOSITORY, listing, "1")
    assert f"attestation     {made.digest}\n" in shell.run("image", "show", f"{REPOSITORY}:1").stdout


def test_a_dry_run_of_an_undo_does_nothing(shell: Shell) -> None:
    shell.push("1")
    assert shell.run("tag", "undo", f"{REPOSITORY}:1", "--dry-run").stdout.endswith("would be changed: 1 tag\n")
    assert shell.tags() == ["1"]


def test_tags_are_deleted_and_come_back(shell: Shell) -> None:
    shell.push("1.0", "1.1", "2.0", "latest")
    said = shell.run("tag", "delete", REPOSITORY, "--matching", r"\d+\..*", "--keep", "2.*", "--dry-run").stdout
    assert said == "2 would be deleted, 0 kept\n"
    said = shell.run("tag", "delete", REPOSITORY, "--matching", r"\d+\..*", "--keep-newest", "1").stdout
    assert said.startswith("2 deleted, 1 kept\nundo with: moorage undo ")
    assert shell.tags() == ["2.0", "latest"]
    assert shell.run(*said.split("moorage ")[1].split()).stdout.splitlines()[-2] == "changed: 2 tags"
    found = json.loads(shell.run("tag", "delete", REPOSITORY, "2.0", "none", "--json", status=1).stdout)
    assert (found["deleted"], found["unknown"]) == (1, 1)
    assert shell.tags() == ["1.0", "1.1", "latest"]


def test_a_tag_that_is_pushed_between_look_and_deletion_stays_where_there_is_no_database() -> None:
    with (
        InProcess(None) as registry,
        RegistryClient(registry.address) as client,
        RegistryClient(registry.address) as somebody,
        FaultyFront(registry.address) as front,
    ):
        shell = Shell(registry, client)
        shell.push("1", "2")
        meanwhile = partial(Shell(registry, somebody).push, "1", seed="b")
        front.faults.append(FrontFault(method="HEAD", part="/manifests/1", afterwards=meanwhile))
        done = shell.run("tag", "delete", REPOSITORY, "1", "2", "--registry", f"http://{front.address}", status=3)
        assert done.stdout == "1 deleted\n"
        assert (
            done.stderr
            == f"error: somebody pushed meanwhile, so it was not deleted; look at it again: {REPOSITORY}:1\n"
        )
        assert shell.tags() == ["1"]


def test_an_undo_takes_back_no_other_undo_that_came_after_its_look(shell: Shell) -> None:
    first, second = shell.push("1"), shell.push("1", seed="b")
    with FaultyFront(shell.registry.address) as front:
        meanwhile = partial(shell.run, "tag", "undo", f"{REPOSITORY}:1")
        front.faults.append(FrontFault(method="GET", part="/moorage/v1/history", afterwards=meanwhile))
        done = shell.run("tag", "undo", f"{REPOSITORY}:1", "--registry", f"http://{front.address}", status=3)
    assert done.stderr == f"error: somebody changed the tag since: it points to {first} now\n"
    assert shell.run("tag", "history", f"{REPOSITORY}:1", "--at", "0s").stdout == f"{first}\n"
    assert first != second


def test_more_tags_than_one_step_are_deleted_by_one_request(shell: Shell) -> None:
    shell.push("seed")
    ((repository_id, manifest_id),) = shell.registry.execute("SELECT repository_id, id FROM manifests")
    shell.registry.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4321) "
        "INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at) "
        "SELECT ?, 'v' || i, ?, i, i FROM n",
        repository_id,
        manifest_id,
    )
    said = shell.run("tag", "delete", REPOSITORY, "--matching", "v.*").stdout
    assert said.startswith("4,321 deleted, 0 kept\n")
    assert shell.run(*said.split("moorage ")[1].split()).stdout.splitlines()[-2:][0] == "changed: 4,321 tags"


def test_what_somebody_changed_since_is_listed(shell: Shell) -> None:
    digest = shell.push("1", "2")
    headers = {"X-Request-Id": "oops"}
    assert shell.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/{digest}", headers=headers).status == 202
    newer = shell.push("2", seed="b")
    said = shell.run("undo", "oops", status=3).stderr.splitlines()
    assert said[0] == "error: 1 thing cannot be taken back, as somebody changed or uses them since"
    assert said[1] == f"  {REPOSITORY}:2: it was moved since and points to {newer}"
    assert said[2] == "nothing was changed; --partial undoes the rest"
    said = shell.run("undo", "oops", "--partial").stdout.splitlines()
    assert f"left as it is: {REPOSITORY}:2: it was moved since and points to {newer}" in said
    assert shell.run("undo", "oops", status=3).stderr.startswith("error: ")


def test_what_is_wrong_is_said_in_one_line(shell: Shell) -> None:
    assert shell.run("undo", "never", status=1).stderr == "error: no change was made by a request of this id\n"
    said = shell.run("tag", "history", "never", status=1).stderr
    assert said == "error: repository name not known to registry\n"
    assert "names no tag" in shell.run("tag", "undo", REPOSITORY, status=2).stderr
    assert "give tags, or --matching" in shell.run("tag", "delete", REPOSITORY, status=2).stderr
    assert "go with --matching" in shell.run("tag", "delete", REPOSITORY, "1", "--keep", "x", status=2).stderr
    assert "is no time" in shell.run("tag", "history", f"{REPOSITORY}:1", "--at", "soon", status=2).stderr


def test_a_registry_that_is_not_there(shell: Shell) -> None:
    said = shell.run("undo", "x", "--registry", "http://127.0.0.1:9", status=1).stderr
    assert said.startswith("error: cannot ask the registry at http://127.0.0.1:9: ")
    assert said.endswith("--registry or MOORAGE_REGISTRY say where it is\n")
    said = shell.run("undo", "x", "--registry", "ftp://x", status=1).stderr
    assert said == (
        "error: ftp://x is no URL of a registry: it does not begin with http:// or https://; "
        "give one such as http://localhost:5000\n"
    )


def test_a_registry_without_a_database_says_so() -> None:
    with InProcess(None) as registry, pytest.raises(CommandFailed, match="need the metadata database"):
        Remote(registry.url).get("history", repository="a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30s", NOW - timedelta(seconds=30)),
        ("3w", NOW - timedelta(weeks=3)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00", datetime(2026, 11, 1, 10, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("2026-11-01T10:00:00.5Z", datetime(2026, 11, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_a_moment_or_how_long_ago(text: str, expected: datetime) -> None:
    assert read_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "2", "h", "2y", "999999w", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_time(text, NOW)


def test_a_place_is_a_repository_and_maybe_a_tag() -> None:
    assert (split("group/app"), split("group/app:1")) == (("group/app", None), ("group/app", "1"))


@pytest.mark.parametrize("words", [["HOST/app:1"], ["app:1", "--registry", "URL"]], ids=["host", "option"])
def test_the_way_back_that_is_named_leads_to_the_registry_that_was_meant(shell: Shell, words: list[str]) -> None:
    shell.push("1")
    meant = {"HOST/app:1": f"{shell.registry.address}/{REPOSITORY}:1", "app:1": f"{REPOSITORY}:1"}
    typed = [meant.get(word, word).replace("URL", shell.registry.url) for word in words]
    elsewhere = "http://127.0.0.1:1"
    said = shell.run("tag", "delete", *typed, usual=elsewhere).stdout
    back = said.split("undo with: moorage ")[1].split()
    assert "changed: 1 tag\n" in shell.run(*back, usual=elsewhere).stdout
    assert shell.tags() == ["1"]


def renamed(shell: Shell, *below: str) -> str:
    """Push to ``group/app`` and below, and have all of it called ``group/new``; return the request's id."""
    shell.push("1")
    for ending in below:
        push_image(shell.client, f"{REPOSITORY}/{ending}", "1")
    answer = shell.client.request("PATCH", f"/gitlab/v1/repositories/{REPOSITORY}/", body=b'{"name": "new"}')
    assert answer.status == 204, answer
    return answer.headers["X-Request-Id"]


def test_the_way_back_of_a_rename_that_was_taken_back_names_a_repository_that_is_there(shell: Shell) -> None:
    request, host = renamed(shell, "a"), shell.registry.address
    for typed, name in (("group/new", REPOSITORY), (f"{host}/{REPOSITORY}", f"{host}/group/new")):
        said = shell.run("undo", request, "--repository", typed).stdout.splitlines()
        request = said[-1].split()[4]
        assert said[-1] == f"undo with: moorage undo {request} --repository {name}"
    assert shell.client.list_tags("group/new").json()["tags"] == ["1"]


def test_a_rename_is_taken_back_by_the_old_name_too(shell: Shell) -> None:
    request = renamed(shell)
    shell.run("undo", request, "--repository", REPOSITORY)
    assert shell.client.list_tags(REPOSITORY).json()["tags"] == ["1"]


def test_a_rename_is_taken_back_as_far_as_names_are_free_and_the_rest_later(shell: Shell) -> None:
    request = renamed(shell, "a", "b")
    push_image(shell.client, f"{REPOSITORY}/a", "others")
    assert "2 things cannot be taken back" in shell.run("undo", request, status=3).stderr
    first = shell.run("undo", request, "--partial", "--repository", "group/new/b").stdout.splitlines()
    assert {line for line in first if line.startswith("left as it is")} == {
        f"left as it is: {name}: another repository is called {REPOSITORY}/a now"
        for name in ("group/new", "group/new/a")
    }
    assert first[-2] == "changed: 1 repository name"
    assert "cannot be taken back" in shell.run("undo", request, "--partial", status=3).stderr
    moved = shell.client.request("PATCH", f"/gitlab/v1/repositories/{REPOSITORY}/a/", body=b'{"namespace": "group"}')
    assert moved.status == 204, moved
    assert "changed: 2 repository names" in shell.run("undo", request).stdout
    way_back = first[-1].removeprefix("undo with: moorage ").split()
    assert "changed: 1 repository name" in shell.run(*way_back).stdout
    assert shell.client.list_tags("group/new/b").json()["tags"] == ["1"]
