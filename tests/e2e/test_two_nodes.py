"""Several processes on one database: two nodes on PostgreSQL, and several workers on SQLite."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from e2e.checks import assert_content, assert_manifest_is_whole
from e2e.databases import (
    Entry,
    assert_linear,
    postgres_config,
    postgres_journal,
    sqlite_config,
    sqlite_journal,
    sqlite_path,
)
from e2e.images import Blob, Image, build_image, build_index, image_of
from e2e.settings import config_for
from e2e.wire import Wire, sha256
from support.daemon import Daemon
from support.postgres import Postgres, migrated

CONFIG = Blob(b'{"architecture": "amd64", "os": "linux"}', "application/vnd.oci.image.config.v1+json")
TAGS = ("v1", "v2", "latest")
CLIENTS = 8
PUSHES = 15


@dataclass
class Cluster:
    """Processes that share a database and a folder of blobs."""

    addresses: Sequence[str]
    journal: Callable[[], list[Entry]]

    @property
    def wires(self) -> tuple[Wire, Wire]:
        """A client of the first and one of the last; each request opens a connection, so that all workers are asked."""
        return Wire(self.addresses[0]), Wire(self.addresses[-1])


@pytest.fixture(scope="module", params=["postgres", "sqlite"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes of two workers each on PostgreSQL; one node of four workers on SQLite.

    Each test has repositories of its own.
    """
    root = tmp_path_factory.mktemp("cluster")
    if request.param == "sqlite":
        with Daemon(root, config=sqlite_config(root), workers=4) as daemon:
            yield Cluster([daemon.address], lambda: sqlite_journal(sqlite_path(root)))
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    dbname = migrated(postgres)
    nodes = []
    for name in "ab":
        folder = root / name
        node = Daemon(folder, config=postgres_config(root, postgres, dbname, secret="shared"), workers=2)
        node.data = root / "data"
        nodes.append(node)
    with nodes[0], nodes[1]:
        yield Cluster([node.address for node in nodes], lambda: postgres_journal(postgres, dbname))


def test_nodes_with_different_secrets_take_each_others_uploads_and_say_what_to_change(tmp_path: Path) -> None:
    nodes = [Daemon(tmp_path / name, config=config_for(tmp_path, http={"secret": name * 20})) for name in "ab"]
    for node in nodes:
        node.data = tmp_path / "data"
    with nodes[0], nodes[1]:
        one, other = (Wire(node.address) for node in nodes)
        begun = one.patch(one.start_upload("t/secrets"), b"from one, ").location
        assert other.finish(begun, sha256(b"from one, from the other"), b"from the other").status == 201
        for wire in (one, other):
            assert wire.blob("t/secrets", sha256(b"from one, from the other")).body == b"from one, from the other"
    assert "another secret" not in nodes[0].log
    assert "all nodes need the same http.secret" in nodes[1].log
    assert "a" * 20 not in nodes[0].log
    assert "b" * 20 not in nodes[1].log


@dataclass
class Client(threading.Thread):
    """Pushes manifests of its own to a few tags that all push to, and now and then removes one."""

    addresses: Sequence[str]
    repository: str
    number: int
    pushed: list[tuple[str, str]] = field(default_factory=list)
    """Tags and digests, acknowledged."""
    deleted: set[str] = field(default_factory=set)
    """Digests whose deletion was acknowledged."""
    mistakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return self.number

    def run(self) -> None:
        source = random.Random(self.number)
        wires = [Wire(address, keep=True) for address in self.addresses]
        for turn in range(PUSHES):
            wire, tag = source.choice(wires), source.choice(TAGS)
            manifest = unique_image(f"{self.number}/{turn}").manifest
            answer = wire.put_manifest(self.repository, tag, manifest)
            if answer.status == 201:
                self.pushed.append((tag, manifest.digest))
            else:
                self.mistakes.append(f"push of {tag}: {answer.status} {answer.body!r}")
            if source.random() < 0.15:
                self._remove(source.choice(wires), source.choice(TAGS), {202, 404})
            if source.random() < 0.1 and answer.status == 201:
                self._remove(source.choice(wires), manifest.digest, {202})
                self.deleted.add(manifest.digest)
        for wire in wires:
            wire.close()

    def _remove(self, wire: Wire, reference: str, allowed: set[int]) -> None:
        answer = wire.delete(self.repository, "manifests", reference)
        if answer.status not in allowed:
            self.mistakes.append(f"removal of {reference}: {answer.status} {answer.body!r}")


def unique_image(seed: str) -> Image:
    """An image whose only blob is CONFIG, and whose manifest is like no other."""
    layers = Blob(CONFIG.content, f"application/vnd.example.{seed.replace('/', '-')}")
    return image_of(CONFIG, [layers])


def run_all(clients: Sequence[Client]) -> None:
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
        assert not client.is_alive()


def test_many_clients_on_the_same_tags_lose_no_update(cluster: Cluster, repository: str) -> None:
    wires = cluster.wires
    wires[0].push_blob(repository, CONFIG.content)
    clients = [Client(cluster.addresses, repository, number) for number in range(CLIENTS)]
    run_all(clients)
    assert [mistake for client in clients for mistake in client.mistakes] == []
    entries = [entry for entry in cluster.journal() if entry.repository == repository]
    tags = {tag: digest for (_, tag), digest in assert_linear(entries).items()}
    moves = [(entry.tag, entry.target) for entry in entries if entry.tag and entry.target]
    assert sorted(moves) == sorted(push for client in clients for push in client.pushed)
    deleted = {digest for client in clients for digest in client.deleted}
    for wire in wires:
        assert wire.tags(repository) == sorted(tags)
        for tag, digest in tags.items():
            assert_content(wire.manifest(repository, tag), digest, tag)
        for client in clients:
            for _, digest in client.pushed:
                answer = wire.manifest(repository, digest)
                assert (answer.status == 404) is (digest in deleted), (digest, answer.status)


def test_what_one_has_acknowledged_the_other_has_at_once(cluster: Cluster, repository: str) -> None:
    first, second = cluster.wires
    first.push_blob(repository, CONFIG.content)
    for turn in range(30):
        here, there = (first, second)[:: 1 if turn % 2 else -1]
        image = unique_image(f"{turn}")
        assert here.put_manifest(repository, "moving", image.manifest).status == 201
        assert there.manifest(repository, "moving").body == image.manifest.content
        assert there.manifest(repository, "moving", "HEAD").headers["docker-content-digest"] == image.manifest.digest
        assert here.put_manifest(repository, f"t{turn}", image.manifest).status == 201
        assert f"t{turn}" in there.tags(repository)
    assert repository in second.catalogue()


def test_what_one_has_removed_the_other_has_no_more(cluster: Cluster, repository: str) -> None:
    first, second = cluster.wires
    for turn in range(10):
        here, there = (first, second)[:: 1 if turn % 2 else -1]
        image = build_image(f"{repository}/{turn}", layers=1, layer_bytes=100)
        here.push_image(repository, "tag", image)
        assert there.manifest(repository, "tag").status == 200
        assert here.delete(repository, "manifests", "tag").status == 202
        assert there.manifest(repository, "tag").status == 404
        assert there.delete(repository, "manifests", "tag").status == 404
        assert there.manifest(repository, image.manifest.digest).status == 200
        assert here.delete(repository, "manifests", image.manifest.digest).status == 202
        assert there.manifest(repository, image.manifest.digest).status == 404
        digest = image.layers[0].digest
        assert there.blob(repository, digest, "HEAD").status == 200
        assert here.delete(repository, "blobs", digest).status == 202
        assert there.blob(repository, digest, "HEAD").status == 404


def test_an_upload_begun_on_one_is_finished_on_the_other(cluster: Cluster, repository: str) -> None:
    first, second = cluster.wires
    content = random.Random(repository).randbytes(300_000)
    location = first.start_upload(repository)
    for at, wire in ((0, second), (100_000, first), (200_000, second)):
        answer = wire.patch(location, content[at : at + 100_000], at)
        assert answer.status == 202, answer.body
        status = (first if wire is second else second).request("GET", answer.location)
        assert (status.status, status.offset) == (204, at + 100_000)
        location = status.location
    assert first.finish(location, sha256(content)).status == 201
    for wire in (first, second):
        assert wire.blob(repository, sha256(content)).body == content


def test_an_image_whose_parts_went_to_different_nodes_is_whole(cluster: Cluster, repository: str) -> None:
    first, second = cluster.wires
    index = build_index(repository)
    for image in index.images:
        for number, blob in enumerate(image.blobs):
            (first, second)[number % 2].push_blob(repository, blob.content)
    for number, image in enumerate(index.images):
        wire = (second, first)[number % 2]
        assert wire.put_manifest(repository, image.manifest.digest, image.manifest).status == 201
    assert second.put_manifest(repository, "v1", index.manifest).status == 201
    for wire in (first, second):
        assert wire.manifest(repository, "v1").body == index.manifest.content
        target = f"/v2/{repository}-copy/blobs/uploads/?mount={index.images[0].config.digest}&from={repository}"
        assert wire.request("POST", target).status == 201


def test_the_first_pushes_into_a_repository_come_to_both_at_once(cluster: Cluster, repository: str) -> None:
    names = [f"{repository}/{number}" for number in range(5)]
    mistakes: list[str] = []

    def push(address: str, number: int) -> None:
        wire = Wire(address, keep=True)
        for name in names:
            try:
                wire.push_image(name, f"t{number}", unique_image(f"{number}"))
            except AssertionError as error:
                mistakes.append(f"{name}: {error}")
        wire.close()

    threads = [
        threading.Thread(target=push, args=(cluster.addresses[number % len(cluster.addresses)], number))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert mistakes == []
    for wire in cluster.wires:
        assert set(names) <= set(wire.catalogue())
        for name in names:
            assert wire.tags(name) == [f"t{number}" for number in range(6)]


def rename(wire: Wire, repository: str, name: str) -> tuple[int, bytes]:
    """Give the last part of a repository's name another text."""
    body = json.dumps({"name": name}).encode()
    headers = {"Content-Type": "application/json"}
    answer = wire.request("PATCH", f"/gitlab/v1/repositories/{repository}/", body, headers)
    return answer.status, answer.body


@dataclass
class RenamingStorm:
    """Clients that push to a repository while it is given one name after the other."""

    addresses: Sequence[str]
    parent: str
    step: int = 0
    acknowledged: set[str] = field(default_factory=set)
    unexpected: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def name(self, step: int) -> str:
        return f"{self.parent}/n{step}"

    def push(self, number: int) -> None:
        wires = [Wire(address, keep=True) for address in self.addresses]
        for turn in count():
            if self.stop.is_set():
                break
            image = unique_image(f"{number}/{turn}")
            name = self.name(self.step)
            answer = wires[turn % len(wires)].put_manifest(name, TAGS[turn % 3], image.manifest)
            if answer.status == 201:
                self.acknowledged.add(image.manifest.digest)
            elif answer.status not in {400, 404, 409}:  # It has its new name already; or the rename goes on.
                self.unexpected.append(f"{answer.status} {answer.body!r}")
        for wire in wires:
            wire.close()

    def rename_on(self, wires: Sequence[Wire], times: int) -> None:
        """Give the repository a new name so many times, through the nodes in turn."""
        for turn in range(times):
            status, body = rename(wires[turn % 2], self.name(self.step), f"n{self.step + 1}")
            assert status == 204, (status, body)
            self.step += 1
            time.sleep(0.05)


def test_renames_while_pushes_run_lose_nothing(cluster: Cluster, repository: str) -> None:
    """A push may find its repository gone; what was acknowledged is under one of the names, whole."""
    storm = RenamingStorm(cluster.addresses, repository)
    wires = cluster.wires
    wires[0].push_image(storm.name(0), "v0", unique_image("v0"))
    threads = [threading.Thread(target=storm.push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        storm.rename_on(wires, 20)
    finally:
        storm.stop.set()
        for thread in threads:
            thread.join(60)
    assert storm.unexpected == []
    assert len(storm.acknowledged) > 20
    assert_linear(cluster.journal())
    for wire in wires:
        names = [name for name in wire.catalogue() if name.startswith(f"{repository}/")]
        assert storm.name(20) in names
        for digest in storm.acknowledged:
            found = [(name, wire.manifest(name, digest)) for name in names]
            there = [(name, answer) for name, answer in found if answer.status == 200]
            assert there, f"{digest} was acknowledged and is under none of {names}"
            for name, answer in there:
                assert_manifest_is_whole(wire, name, answer)
