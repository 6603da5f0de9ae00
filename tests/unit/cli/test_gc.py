"""``moorage gc`` as a process, against a registry: what it prints, and its status; and how it says things."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moorage.api.collection_answers import ExplanationsAnswer
from moorage.cli.gc_words import explained, shown_duration
from moorage.client.reading import read_answer
from support.images import image, index, missing_digest, push_image, push_manifest
from support.in_process import InProcess
from support.registry_client import RegistryClient

REPOSITORY = "group/app"
NOW = datetime(2026, 11, 25, 16, tzinfo=UTC)


class Shell:
    """A user at a prompt, with a registry whose reviews are due when a test says so."""

    def __init__(self, registry: InProcess, client: RegistryClient) -> None:
        self.registry = registry
        self.client = client

    def run(self, *args: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run ``moorage gc`` and check its status."""
        command = [sys.executable, "-m", "moorage", "gc", *args]
        environ = {**os.environ, "MOORAGE_REGISTRY": self.registry.url, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr + done.stdout
        return done

    def said(self, *args: str, status: int = 0) -> list[str]:
        return self.run(*args, status=status).stdout.splitlines()

    def delete(self, tag: str, request: str = "oops") -> None:
        path, headers = f"/v2/{REPOSITORY}/manifests/{tag}", {"X-Request-Id": request}
        assert self.client.request("DELETE", path, headers=headers).status == 202

    def all_due(self) -> None:
        for table in ("gc_manifest_review_queue", "gc_blob_review_queue"):
            self.registry.execute(f"UPDATE {table} SET review_after = 0")  # noqa: S608 - one of two


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with InProcess(tmp_path) as registry, RegistryClient(registry.address) as client:
        yield Shell(registry, client)


def test_the_status_is_a_table_with_what_will_be_given_back(shell: Shell) -> None:
    push_image(shell.client, REPOSITORY, "1")
    shell.delete("1")
    head, manifests, blobs, past, ahead = shell.said("status")
    assert head.split()[:3] == ["QUEUE", "WAITING", "DUE"]
    assert manifests.split()[:3] == ["Manifests", "1", "0"]
    assert blobs.split()[:3] == ["Blobs", "3", "0"]
    assert "23 h 59 min" in manifests
    assert past == "in the last 24 hours: 0 reviewed, 0 manifests and 0 blobs removed, 0 B freed"
    assert ahead == (
        "if nothing changes, there will be given back: "
        "0 B now, 0 B within 1 h, 0 B within 1 d, 2.2 KiB within 2 d, 2.2 KiB within 7 d"
    )
    assert json.loads(shell.run("status", "--json").stdout)["blobs"]["waiting"] == 3


def test_a_run_says_what_it_did(shell: Shell) -> None:
    push_image(shell.client, REPOSITORY, "1")
    push_image(shell.client, REPOSITORY, "2")
    shell.delete("1")
    assert shell.said("run") == [
        "manifests: 0 reviewed, 0 needed, 0 removed",
        "blobs: 0 reviewed, 0 needed, 0 removed (0 B)",
    ]
    shell.all_due()
    assert shell.said("run") == [
        "manifests: 2 reviewed, 1 needed, 1 removed",
        "blobs: 3 reviewed, 3 needed, 0 removed (0 B)",
        "what the removed manifests needed is reviewed after its own delay",
    ]
    shell.all_due()
    done = json.loads(shell.run("run", "--json").stdout)
    assert (done["blobs"]["removed"], done["blobs"]["left"]) == (3, 0)


def test_a_run_that_gives_up_undo_does_all_at_once(shell: Shell) -> None:
    push_image(shell.client, REPOSITORY, "1")
    shell.delete("1")
    assert shell.said("run", "--give-up-undo") == [
        "manifests: 1 reviewed, 0 needed, 1 removed",
        "blobs: 3 reviewed, 0 needed, 3 removed (2.2 KiB)",
    ]


def test_what_cannot_be_removed_is_a_status_and_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    made = push_image(shell.client, REPOSITORY, "1")
    shell.delete("1")
    shell.all_due()
    shell.run("run")
    shell.all_due()
    shell.registry.break_removal("the disk is on fire")
    assert "blobs: 3 could not be removed; moorage gc status says why" in shell.said("run", status=1)
    assert "3 blobs could not be removed so far, one because: the disk is on fire" in shell.said("status")
    found = json.loads(shell.run("status", "--json").stdout)["blobs"]
    assert (found["failed"], found["due"]) == (3, 0)
    # Nobody can see it any more, so there is nothing to explain.
    assert shell.run("explain", f"{REPOSITORY}@{made.blobs[0].digest}", status=1).stderr.startswith("error: ")


def test_explain_says_why_something_is_kept(shell: Shell) -> None:
    made = push_image(shell.client, REPOSITORY, "v1")
    assert "kept: tag v1 points to it" in shell.said("explain", f"{REPOSITORY}@{made.digest}")
    assert "kept: tag v1 points to it" in shell.said("explain", f"{REPOSITORY}:v1")
    lines = shell.said("explain", f"{REPOSITORY}@{made.blobs[1].digest}")
    assert f"kept: the manifest {made.digest} (tag v1) has it as a layer" in lines
    found = json.loads(shell.run("explain", f"{REPOSITORY}:v1", "--json").stdout)["found"]
    assert [one["verdict"] for one in found] == ["kept"]


def test_explain_says_which_index_lists_it(shell: Shell) -> None:
    made = push_image(shell.client, REPOSITORY, None, image("platform"))
    parent = index([made.manifest])
    push_manifest(shell.client, REPOSITORY, parent, "latest")
    lines = shell.said("explain", f"{REPOSITORY}@{made.digest}")
    assert f"kept: the index {parent.digest} (tag latest) lists it" in lines


def test_explain_says_when_something_goes_and_since_when(shell: Shell) -> None:
    made = push_image(shell.client, REPOSITORY, "v1")
    shell.delete("v1", request="oops")
    lines = shell.said("explain", f"{REPOSITORY}@{made.digest}")
    (goes,) = [line for line in lines if line.startswith("goes at ")]
    assert goes.endswith(" UTC (in 23 h 59 min): nothing needs it")
    (left,) = [line for line in lines if line.startswith("the tag v1 was deleted on ")]
    assert left.endswith(" (request oops)")
    assert "under review because a tag was deleted" in lines
    lines = shell.said("explain", f"{REPOSITORY}@{made.blobs[1].digest}")
    assert "once those are gone, it waits a review delay of its own (1 d)" in lines


def test_explain_says_until_when_a_deleted_manifest_can_come_back(shell: Shell) -> None:
    made = push_image(shell.client, REPOSITORY, "v1")
    shell.delete(made.digest)
    assert any("can be brought back until 20" in line for line in shell.said("explain", f"{REPOSITORY}@{made.digest}"))


def test_what_there_is_not_is_said(shell: Shell) -> None:
    push_image(shell.client, REPOSITORY, "v1")
    said = shell.run("explain", f"{REPOSITORY}@{missing_digest('x')}", status=1).stderr
    assert said.startswith("error: the repository has no manifest and no blob of this digest")
    said = shell.run("explain", f"{REPOSITORY}:v2", status=1).stderr
    assert said == "error: there is no tag v2; moorage tag history group/app:v2 says whether there was one\n"
    assert "give REPO@DIGEST, or REPO:TAG" in shell.run("explain", REPOSITORY, status=2).stderr
    assert shell.run("status", "--registry", "http://127.0.0.1:9", status=1).stderr.startswith("error: cannot ask")


def test_a_run_ends_where_somebody_else_holds_everything(shell: Shell) -> None:
    shell.registry.execute(
        "INSERT INTO gc_blob_review_queue (digest, review_after, event) VALUES (?, 0, 'blob_upload')",
        b"\x01" + bytes(32),
    )
    shell.registry.execute("UPDATE gc_blob_review_queue SET claimed_by = 'somebody', claimed_until = ?", 1 << 62)
    assert shell.said("run")[1] == "blobs: 0 reviewed, 0 needed, 0 removed (0 B)"


BLOB: dict[str, Any] = {
    "kind": "blob",
    "verdict": "goes",
    "goes_at": "2026-11-26T15:04:00.000000Z",
    "collected": True,
    "size_bytes": 1536,
    "created_at": "2026-11-20T08:00:00.000000Z",
    "deleted_at": None,
    "missing_since": None,
    "tags": [],
    "held_by": [],
    "more": False,
    "needed_elsewhere": False,
    "review": {
        "event": "layer_delete",
        "due_at": "2026-11-26T15:04:00.000000Z",
        "failed": 0,
        "error": None,
        "claimed_until": None,
    },
    "changed": None,
    "delay_s": 86400.0,
}


def answer(changed: dict[str, Any]) -> ExplanationsAnswer:
    """An answer about one blob."""
    found = {"repository": REPOSITORY, "digest": "sha256:0", "found": [{**BLOB, **changed}]}
    return read_answer(ExplanationsAnswer, found)


HERE = "blob of 1.5 KiB, here since 2026-11-20 08:00 UTC"
GOES = "goes at 2026-11-26 15:04 UTC (in 23 h 4 min): nothing needs it"
BECAUSE = "under review because a manifest that had it as a layer went"


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, [HERE, GOES, BECAUSE]),
        (
            {"missing_since": "2026-11-24T10:00:00Z"},
            [
                HERE,
                "its bytes are missing or damaged, as was found on 2026-11-24 10:00 UTC: push it again",
                GOES,
                BECAUSE,
            ],
        ),
        (
            {"goes_at": "2026-11-25T15:00:00Z"},
            [HERE, "goes as soon as a collector gets to it: nothing needs it", BECAUSE],
        ),
        ({"verdict": "claimed"}, [HERE, "a collector is at it right now: nothing needs it", BECAUSE]),
        (
            {"verdict": "unscheduled", "review": None},
            [
                HERE,
                "nothing needs it, and no review is to come: only a change of it, or offline collection, will find it",
            ],
        ),
        (
            {"verdict": "kept", "needed_elsewhere": True},
            [
                HERE,
                "kept: a manifest of another repository needs it",
                f"{BECAUSE}; that ends at 2026-11-26 15:04 UTC (in 23 h 4 min)",
            ],
        ),
        (
            {"review": {**BLOB["review"], "failed": 2, "error": "no room"}},
            [HERE, GOES, BECAUSE, "it could not be removed 2 times so far, the last time because: no room"],
        ),
        (
            {"collected": False},
            [HERE, GOES, "this node does not collect blobs, so it stays unless another node does", BECAUSE],
        ),
        (
            {
                "deleted_at": "2026-11-25T15:04:00Z",
                "changed": {
                    "action": "blob_delete",
                    "tag": None,
                    "at": "2026-11-25T15:04:00Z",
                    "actor": "ada",
                    "request_id": "r1",
                },
            },
            [
                HERE,
                GOES,
                "it was taken out of the repository on 2026-11-25 15:04 UTC",
                "it was taken out on 2026-11-25 15:04 UTC by ada (request r1)",
                BECAUSE,
            ],
        ),
    ],
)
def test_an_explanation_is_told_in_sentences(changed: dict[str, Any], lines: list[str]) -> None:
    assert explained(answer(changed), NOW) == lines


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("subject", "kept: the manifest sha256:1 is its subject, on which it hangs"),
        ("config", "kept: the manifest sha256:1 has it as its configuration"),
        ("awaited", "kept: the manifest sha256:1 named it before it was there"),
    ],
)
def test_every_role_has_its_words(role: str, sentence: str) -> None:
    holder = {"digest": "sha256:1", "role": role, "tag": None, "deleted": False, "goes_at": None}
    assert sentence in explained(answer({"verdict": "kept", "held_by": [holder]}), NOW)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=5, seconds=1), "5 min 1 s"),
        (timedelta(hours=23), "23 h"),
        (timedelta(days=2, hours=3, minutes=9), "2 d 3 h"),
    ],
)
def test_a_length_of_time_is_told_in_two_units(time: timedelta, text: str) -> None:
    assert shown_duration(time) == text
