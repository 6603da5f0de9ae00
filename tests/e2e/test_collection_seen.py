"""Garbage collection as an administrator sees it: a real daemon, what it says of a deleted image, and its metrics."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from e2e.checks import files_below
from e2e.databases import sqlite_config, sqlite_path
from support.daemon import Daemon
from support.images import image, push_image
from support.ports import free_port
from support.processes import signal_each
from support.registry_client import RegistryClient

REPOSITORY = "group/app"
DEADLINE_S = 30.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


def config(folder: Path, *, port: int = 0, **gc: object) -> str:
    """A registry with a database, and *gc* as that section; with *port*, metrics are there."""
    tree = yaml.safe_load(sqlite_config(folder)) | {"gc": gc}
    if port:
        tree["http"] = {"debug": {"addr": f"127.0.0.1:{port}", "prometheus": {"enabled": True, "path": "/m"}}}
        tree["database"]["metrics"] = {"enabled": True, "interval": "1ms"}
    return yaml.safe_dump(tree)


class Node:
    """A daemon, and somebody who asks it."""

    def __init__(self, daemon: Daemon, client: RegistryClient) -> None:
        self.daemon = daemon
        self.client = client

    def moorage(self, *args: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "moorage", "gc", *args]
        environ = {**os.environ, "MOORAGE_REGISTRY": self.daemon.url, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert done.returncode == status, done
        return done.stdout

    def status(self) -> dict[str, Any]:
        return self._get("status")

    def explain(self, digest: str) -> dict[str, Any]:
        (found,) = self._get(f"explain?repository={REPOSITORY}&digest={digest}")["found"]
        return dict(found)

    def _get(self, path: str) -> dict[str, Any]:
        answer = self.client.request("GET", f"/moorage/v1/gc/{path}")
        assert answer.status == 200, answer
        return dict(json.loads(answer.body))

    def blobs_on_disk(self) -> int:
        folder = self.daemon.data / "docker" / "registry" / "v2" / "blobs"
        return sum(path.name == "data" for path in files_below(folder)) if folder.exists() else 0


@contextmanager
def node(folder: Path, text: str, *, workers: int = 2, scratch: Path | None = None) -> Iterator[Node]:
    """A running node; *scratch*: where its temporary files go."""
    env = {} if scratch is None else {"TMPDIR": str(scratch)}
    with Daemon(folder, config=text, workers=workers, env=env) as daemon, RegistryClient(daemon.address) as client:
        yield Node(daemon, client)


def soon(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def scrape(port: int) -> Samples:
    """Every sample of the metrics, from whichever worker answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/m", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = response.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a metric over all labels that are not given."""
    return sum(
        value for (found, have), value in samples.items() if found == name and labels.items() <= dict(have).items()
    )


def test_what_is_deleted_is_seen_to_go_and_a_run_takes_it(tmp_path: Path) -> None:
    with node(tmp_path, config(tmp_path, reviewafter="24h"), workers=1) as one:
        made = push_image(one.client, REPOSITORY, "1")
        size = sum(len(blob.body) for blob in made.blobs)
        assert "kept: tag 1 points to it" in one.moorage("explain", f"{REPOSITORY}:1")
        assert one.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/1").status == 202
        assert one.explain(made.digest)["verdict"] == "goes"
        assert one.explain(made.blobs[1].digest)["held_by"][0]["goes_at"] is not None
        assert one.status()["manifests"]["frees"][-1]["size_bytes"] == size
        assert "0 removed" in one.moorage("run")
        assert one.blobs_on_disk() == 3
        assert "3 removed (2.2 KiB)" in one.moorage("run", "--give-up-undo")
        assert one.blobs_on_disk() == 0
        gone = one.client.request("GET", f"/moorage/v1/gc/explain?repository={REPOSITORY}&digest={made.digest}")
        assert gone.status == 404
        found = one.status()
        assert "1 manifest and 3 blobs removed, 2.2 KiB freed" in one.moorage("status")
        assert (found["manifests"]["waiting"], found["blobs"]["waiting"]) == (0, 0)
        assert found["blobs"]["past"][0]["removed_bytes"] == size


def test_runs_get_on_with_what_is_due_until_the_disk_is_empty(tmp_path: Path) -> None:
    with node(tmp_path, config(tmp_path, reviewafter="1s"), workers=1) as one:
        soon(lambda: delays(tmp_path) == {1_000_000}, "the keeper has not written the delay")
        push_image(one.client, REPOSITORY, "1")
        assert one.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/1").status == 202

        def is_empty() -> bool:
            one.moorage("run")
            return one.blobs_on_disk() == 0

        soon(is_empty, "something stays on the disk")
        assert one.status()["blobs"]["waiting"] == 0


def delays(folder: Path) -> set[int]:
    """The review delays that are in the database, in microseconds."""
    with closing(sqlite3.connect(sqlite_path(folder), timeout=DEADLINE_S)) as database:
        return {value for (value,) in database.execute("SELECT value FROM gc_review_after_defaults")}


def test_a_node_that_is_off_says_so_and_refuses_a_run_and_has_no_metrics_unasked(tmp_path: Path) -> None:
    port = free_port()
    tree = yaml.safe_load(config(tmp_path, port=port, disabled=True))
    tree["http"]["debug"]["prometheus"]["enabled"] = False
    with node(tmp_path, yaml.safe_dump(tree), workers=1) as one:
        assert not answers(port)
        made = push_image(one.client, REPOSITORY, "1")
        one.moorage("run", status=1)
        assert one.status()["blobs"]["collects"] is False
        assert one.explain(made.digest)["collected"] is False


def test_every_worker_tells_the_metrics_of_the_node(tmp_path: Path) -> None:
    port = free_port()
    with node(tmp_path, config(tmp_path, port=port, reviewafter="24h")) as one:
        made = push_image(one.client, REPOSITORY, "1")
        push_image(one.client, REPOSITORY, "2", image("kept"))
        assert one.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/1").status == 202
        for _ in range(2):  # By whichever worker.
            one.moorage("run", "--give-up-undo")
        size = sum(len(blob.body) for blob in made.blobs)
        for _ in range(10):  # A connection each, so that both workers are asked.
            found = scrape(port)
            assert total(found, "registry_gc_storage_deleted_bytes_total") == size
            assert total(found, "registry_gc_deletes_total", artifact="blob", backend="storage") == 3
            assert total(found, "registry_gc_deletes_total", artifact="manifest", backend="database") == 1
            assert total(found, "registry_gc_runs_total", worker="blob", dangling="true", event="layer_delete") == 2
            assert total(found, "registry_database_rows", query_name="gc_blob_review_queue") == 3
            assert total(found, "registry_database_rows", query_name="applied_pre_migrations") > 3


def test_a_worker_that_died_takes_nothing_out_of_the_metrics_and_their_folder_goes_with_the_daemon(
    tmp_path: Path,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    port = free_port()
    with node(tmp_path, config(tmp_path, port=port), scratch=scratch) as one:
        (folder,) = scratch.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        push_image(one.client, REPOSITORY, "1")
        assert one.client.request("DELETE", f"/v2/{REPOSITORY}/manifests/1").status == 202
        one.moorage("run", "--give-up-undo")
        before = scrape(port)
        soon(lambda: places(folder) == {"-1", "0", "1"}, "not every process has its files")
        files = sorted(folder.iterdir())
        signal_each([*one.daemon.worker_pids, *one.daemon.keeper_pids], signal.SIGKILL)
        one.daemon.wait_ready()
        soon(lambda: answers(port), "the metrics are gone")
        assert total(scrape(port), "registry_gc_deletes_total") == total(before, "registry_gc_deletes_total") == 7
        # Gauges of a process that died are removed, and made again as soon as its follower has something to say.
        soon(lambda: sorted(folder.iterdir()) == files, "the followers' files are not those of the dead")
    assert list(scratch.iterdir()) == []


def places(folder: Path) -> set[str]:
    """The places of processes in the daemon, -1 for the one that keeps house, of which there are counters."""
    return {path.stem.removeprefix("counter_") for path in folder.glob("counter_*.db")}


def answers(port: int) -> bool:
    try:
        scrape(port)
    except OSError:
        return False
    return True
