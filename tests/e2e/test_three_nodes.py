"""The how-to for several nodes: nothing acknowledged is lost, no wrong byte served, whatever goes away meanwhile."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from e2e.images import Image, build_image
from e2e.nodes import NODES, NodeCosts, Site, older_version, three_nodes
from e2e.visitors import PAUSE_S, Storm
from e2e.wire import eventually
from support.daemon import Daemon

pytestmark = pytest.mark.xdist_group("three-nodes")
GC = {
    "reviewafter": "5s",
    "maxbackoff": "1s",
    "blobs": {"interval": "500ms"},
    "manifests": {"interval": "500ms"},
}
VISITORS = 4
SOAK_S = 600.0
A_MINUTE_S = 60.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with three_nodes(tmp_path_factory.mktemp("site"), GC) as site:
        yield site


def test_what_was_acknowledged_stays_though_everything_goes_away_once(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    storm = Storm(site, "once")
    storm.start(VISITORS)
    tally, (first, second, third) = storm.tally, site.nodes
    tally.wait_for(10)
    first.kill()
    tally.wait_for(5)
    with site.without_redis():
        first.start(wait=False)
        tally.wait_for(5)
        site.wait_ready()  # Without Redis, too.
    for node in (second, third):
        node.kill()
        tally.wait_for(5)
        node.start(wait=False)
    site.wait_ready()
    site.restart_postgres()
    tally.wait_for(5)
    refused = site.refused_by_bucket()
    with site.without_bucket():
        eventually("the bucket has refused", lambda: site.refused_by_bucket() > refused + 20, within_s=120)
    tally.wait_for(10)
    storm.end()
    storm.check()
    record_property("tally", storm.told())


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_ten_minutes_in_which_a_node_is_killed_in_each(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    storm, source = Storm(site, f"{time.time_ns()}", pause_s=0.05), random.Random()
    storm.start(2 * VISITORS)
    costs, first = NodeCosts(site.nodes), time.monotonic()
    end = first + SOAK_S
    troubles = [site.without_redis, site.without_bucket]
    for minute in range(int(SOAK_S / A_MINUTE_S)):
        begun = time.monotonic()
        node = site.nodes[source.randrange(NODES)]
        costs.kill(node)
        storm.tally.wait_for(5)
        node.start()
        if minute % 5 == 2:
            site.restart_postgres()
        elif minute % 5 in {0, 4}:
            with troubles[minute % 5 // 4]():
                time.sleep(20)
        storm.tally.wait_for(20)
        time.sleep(max(0.0, min(A_MINUTE_S - (time.monotonic() - begun), end - time.monotonic())))
    costs.look()
    told = costs.told(storm.tally.requests, time.monotonic() - first)
    print(f"\n{told}")  # noqa: T201 - the figures are for the how-to
    record_property("costs", told)
    storm.end()
    storm.check()
    record_property("tally", storm.told())


class Puller(threading.Thread):
    """Pulls an image over and over, each request over a connection of its own; there is no second try."""

    def __init__(self, site: Site, repository: str, image: Image) -> None:
        super().__init__(daemon=True)
        self.wire, self.repository, self.image = site.wire(), repository, image
        self.pulled = 0
        self.failed: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            for blob in (self.image.manifest, *self.image.blobs):
                is_manifest = blob is self.image.manifest
                ask = self.wire.manifest if is_manifest else self.wire.blob
                try:
                    answer = ask(self.repository, blob.digest)
                except (OSError, HTTPException) as exc:
                    self.failed.append(repr(exc))
                else:
                    if answer.status != 200 or answer.body != blob.content:
                        self.failed.append(f"{answer.status} {answer.body[:200]!r}")
            self.pulled += 1
            self.stop.wait(PAUSE_S)

    def pull_on(self, more: int) -> None:
        wanted = self.pulled + more
        eventually("pulls go on", lambda: self.pulled >= wanted or bool(self.failed), within_s=120)


def _package_of(node: Daemon) -> str:
    """Where the code is that a node runs."""
    told = [sys.executable, "-c", "import moorage; print(moorage.__file__)"]
    return subprocess.run(told, env={**os.environ, **node.env}, capture_output=True, text=True, check=True).stdout


@pytest.mark.long
@pytest.mark.timeout(900)
def test_nodes_are_changed_to_a_newer_version_one_after_another_without_a_failed_pull(
    site: Site, repository: str, tmp_path: Path
) -> None:
    older = str(older_version(tmp_path))
    for node in site.nodes:
        node.stop()
        node.env["PYTHONPATH"] = older
        node.start()
        assert _package_of(node).startswith(older)
    image = build_image(repository, layers=2, layer_bytes=300_000)
    site.wire().push_image(repository, "v1", image)
    pullers = [Puller(site, repository, image) for _ in range(2)]
    storm = Storm(site, "change", keep=False)
    storm.start(2)
    for puller in pullers:
        puller.start()
    for number, node in enumerate(site.nodes):
        is_told = number < NODES - 1
        if is_told:
            site.leave_out(number)
        assert node.stop() == 0
        pullers[0].pull_on(5)
        del node.env["PYTHONPATH"]
        node.start()
        site.wait_ready()
        site.leave_out()
        pullers[0].pull_on(5)
        if is_told:
            assert storm.tally.refused.total() == 0, storm.tally  # Not even a push has to be tried again.
    storm.end()
    for puller in pullers:
        puller.stop.set()
        puller.join(120)
        assert puller.failed == []
    storm.check()
    storm.told()
