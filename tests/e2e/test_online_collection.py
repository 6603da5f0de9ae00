"""Online garbage collection as an administrator sees it: real daemons, real disks, while others push and pull."""

import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config, sqlite_config, sqlite_path
from e2e.images import Blob, Image, build_image, image_of
from e2e.wire import Wire, eventually
from support.daemon import Daemon
from support.postgres import Postgres, migrated
from support.processes import signal_each

REPOSITORY = "group/app"
CONFIG = Blob(b'{"architecture": "amd64", "os": "linux"}', "application/vnd.oci.image.config.v1+json")
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CLIENTS = 4
STORM_S = 8.0


@dataclass
class Site:
    """One or two nodes over the same data, and the folder of their blobs."""

    nodes: list[Daemon]
    blobs: Path
    change: Callable[[str], object]
    """Runs a statement on the database; ``{second}`` in it is a second, as that database counts."""

    def wire(self, number: int = 0) -> Wire:
        return Wire(self.nodes[number % len(self.nodes)].address)

    def digests(self) -> set[str]:
        """What there is on the disk."""
        return {f"sha256:{path.parent.name}" for path in self.blobs.glob("sha256/*/*/data")}

    def end_claims(self) -> None:
        """Let the minute pass for which a killed keeper's claims hold, while nobody is there to have one."""
        for node in self.nodes:
            node.stop()
        self.change("UPDATE gc_manifest_review_queue SET review_after = review_after - 60 * {second}")
        moved = "review_after = review_after - 60 * {second}, claimed_until = claimed_until - 60 * {second}"
        self.change(f"UPDATE gc_blob_review_queue SET {moved}")  # noqa: S608 - our own words
        for node in self.nodes:
            node.start()


def collecting(config: str, *, reviewafter: str | int) -> str:
    """The same configuration, with garbage collection that looks ten times a second."""
    quick = {"interval": "100ms"}
    gc = {"reviewafter": reviewafter, "maxbackoff": "200ms", "blobs": quick, "manifests": quick}
    return yaml.safe_dump(yaml.safe_load(config) | {"gc": gc})


Starts = Callable[[str], Site]


def sqlite_changes(path: Path) -> Callable[[str], object]:
    def change(statement: str) -> None:
        with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
            connection.execute(statement.format(second="1000000"))

    return change


def postgres_changes(postgres: Postgres, dbname: str) -> Callable[[str], object]:
    return lambda statement: postgres.psql(statement.format(second="interval '1 second'"), dbname)


@pytest.fixture(params=["sqlite", "postgres"])
def starts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starts]:
    """Starts a site with a review delay: one node on SQLite, or two on PostgreSQL."""
    started: list[Daemon] = []

    def start(reviewafter: str) -> Site:
        if request.param == "sqlite":
            config = collecting(sqlite_config(tmp_path), reviewafter=reviewafter)
            started.append(Daemon(tmp_path, config=config, workers=2))
            change = sqlite_changes(sqlite_path(tmp_path))
        else:
            postgres: Postgres = request.getfixturevalue("postgres")
            dbname = migrated(postgres)
            change = postgres_changes(postgres, dbname)
            config = collecting(postgres_config(tmp_path, postgres, dbname, secret="shared"), reviewafter=reviewafter)
            for name in "ab":
                node = Daemon(tmp_path / name, config=config, workers=1)
                node.data = tmp_path / "data"
                started.append(node)
        for node in started:
            node.start()
        # What is pushed before that has the delay of before.
        eventually("the delay holds", lambda: any("review delay changed" in node.log for node in started))
        return Site(started, tmp_path / "data/docker/registry/v2/blobs", change)

    yield start
    for node in started:
        node.stop()
        assert "Traceback" not in node.log, node.log[-4000:]


def test_what_lost_its_tag_goes_and_what_has_one_stays(starts: Starts) -> None:
    site = starts("1s")
    old, new = build_image("old"), build_image("new")
    wire = site.wire()
    wire.push_image(REPOSITORY, "latest", old)
    site.wire(1).push_image(REPOSITORY, "latest", new)
    kept = {blob.digest for blob in new.blobs}
    eventually("only the new image is there", lambda: site.digests() == kept, within_s=30)
    assert wire.manifest(REPOSITORY, old.manifest.digest).status == 404
    for blob in new.blobs:
        assert wire.blob(REPOSITORY, blob.digest).body == blob.content
    # What was collected can be pushed again.
    wire.push_image(REPOSITORY, "old", old)
    assert site.digests() == kept | {blob.digest for blob in old.blobs}


def test_what_a_killed_push_left_goes(starts: Starts) -> None:
    site = starts("1s")
    site.wire().push_blob(REPOSITORY, b"a layer whose manifest never comes")
    assert len(site.digests()) == 1
    eventually("nothing is left", lambda: not site.digests(), within_s=30)


def test_nothing_is_collected_in_read_only_mode_or_where_it_is_switched_off(tmp_path: Path) -> None:
    config = collecting(sqlite_config(tmp_path), reviewafter=-1)
    off = yaml.safe_load(config)
    off["gc"]["disabled"] = True
    with Daemon(tmp_path, config=yaml.safe_dump(off)) as daemon:
        Wire(daemon.address).push_blob(REPOSITORY, b"stays")
        assert "garbage collection is disabled" in daemon.log
        time.sleep(1.5)
    read_only = yaml.safe_load(config)
    read_only["storage"]["maintenance"] = {"readonly": {"enabled": True}}
    blobs = tmp_path / "data/docker/registry/v2/blobs"
    with Daemon(tmp_path, config=yaml.safe_dump(read_only)) as daemon:
        time.sleep(1.5)
        assert len(list(blobs.glob("sha256/*/*/data"))) == 1
    with Daemon(tmp_path, config=config) as daemon:
        eventually("the delay holds", lambda: "review delay changed" in daemon.log)
        Wire(daemon.address).push_blob(REPOSITORY, b"stays")
        eventually("it is collected", lambda: not list(blobs.glob("sha256/*/*/data")), within_s=30)


@dataclass
class Client(threading.Thread):
    """Pushes images of shared layers to tags of its own, untags some, and pulls what was acknowledged to it."""

    site: Site
    number: int
    until: float
    tags: dict[str, Image] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.random = random.Random(self.number)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        turn = 0
        while time.monotonic() < self.until and not self.mistakes:
            turn += 1
            try:
                self.step(turn)
            except (OSError, AssertionError) as exc:
                # A worker that was killed in the middle is no mistake; the next request finds another.
                if not isinstance(exc, OSError):
                    self.mistakes.append(repr(exc))

    def step(self, turn: int) -> None:
        wire = self.site.wire(self.random.randrange(8))
        tag = f"t{self.number}-{self.random.randrange(3)}"
        kind = self.random.choice(["push", "push", "untag", "pull"])
        if kind == "push":
            self.push(wire, tag, turn)
        elif kind == "untag" and tag in self.tags:
            was = self.tags.pop(tag)  # Before it is asked for: an answer may be lost.
            answer = wire.delete(REPOSITORY, "manifests", tag)
            if answer.status not in (202, 404):
                self.tags[tag] = was
        elif self.tags:
            self.check(wire)

    def push(self, wire: Wire, tag: str, turn: int) -> None:
        # Few different layers, so that all clients race for the same ones.
        layers = [Blob(f"layer {self.random.randrange(6)}".encode() * 50, LAYER) for _ in range(2)]
        note = Blob(f"client {self.number} turn {turn}".encode(), LAYER)
        image = image_of(CONFIG, [*layers, note])
        self.tags.pop(tag, None)
        for blob in image.blobs:
            # As docker does: ask first, and leave out what is there.
            if wire.blob(REPOSITORY, blob.digest, "HEAD").status != 200:
                answer = wire.try_blob(REPOSITORY, blob.content)
                if answer.status == 503:
                    return
                assert answer.status == 201, (answer.status, answer.body)
        answer = wire.put_manifest(REPOSITORY, tag, image.manifest)
        assert answer.status == 201, (answer.status, answer.body)
        self.tags[tag] = image

    def check(self, wire: Wire) -> None:
        tag = self.random.choice(sorted(self.tags))
        image = self.tags[tag]
        answer = wire.manifest(REPOSITORY, tag)
        assert (answer.status, answer.body) == (200, image.manifest.content), (tag, answer.status, answer.body)
        for blob in image.blobs:
            found = wire.blob(REPOSITORY, blob.digest)
            assert (found.status, found.body) == (200, blob.content), (tag, blob.digest, found.status)


def test_pushes_that_leave_out_what_is_there_never_lose_a_layer_whoever_is_killed(starts: Starts) -> None:
    """The delay is two seconds, so what HEAD says is good for one: more than such a push takes."""
    site = starts("2s")
    site.wire().push_image(REPOSITORY, "first", build_image("first"))
    clients = [Client(site, number, time.monotonic() + STORM_S) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    turn = 0
    while any(client.is_alive() for client in clients):
        time.sleep(0.7)
        turn += 1
        node = site.nodes[turn % len(site.nodes)]
        signal_each(node.keeper_pids, signal.SIGKILL)
    for client in clients:
        client.join()
    assert [mistake for client in clients for mistake in client.mistakes] == []
    for client in clients:
        for _ in range(10):
            if client.tags:
                client.check(site.wire())
    kept = {blob.digest for client in clients for image in client.tags.values() for blob in image.blobs}
    kept |= {blob.digest for blob in build_image("first").blobs}
    # What a tag lost without the client being told is deleted by nobody else: it is gone, or it is tagged.
    tagged = {tag for client in clients for tag in client.tags} | {"first"}
    for tag in set(site.wire().tags(REPOSITORY)) - tagged:
        site.wire().delete(REPOSITORY, "manifests", tag)
    site.end_claims()
    eventually("what nobody needs is gone", lambda: site.digests() == kept, within_s=120)
