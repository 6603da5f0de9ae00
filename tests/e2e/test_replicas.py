"""Two nodes, a primary, a replica and a Redis: what one node acknowledged is pulled from the other, at once."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config
from e2e.images import Blob, Image, image_of
from e2e.wire import Wire, eventually, sha256
from support import replicas as standbys
from support.daemon import Daemon
from support.postgres import Postgres, migrated
from support.redis import Redis

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/octet-stream"
PULL = "manifests"
"""In the text of every statement that finds a manifest."""


@dataclass
class Site:
    nodes: tuple[Daemon, Daemon]
    primary: Postgres
    standby: Postgres
    redis: Redis


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standbys.primary_server() as primary, Redis() as redis:
        dbname = migrated(primary)
        with standbys.standby_server(primary) as standby:
            nodes = tuple(
                node(tmp_path / name, primary=primary, dbname=dbname, standby=standby, redis=redis) for name in "ab"
            )
            with nodes[0], nodes[1]:
                yield Site((nodes[0], nodes[1]), primary, standby, redis)


def node(folder: Path, *, primary: Postgres, dbname: str, standby: Postgres, redis: Redis) -> Daemon:
    """A node that shares its blobs with the one in the folder beside it."""
    tree = yaml.safe_load(postgres_config(folder.parent, primary, dbname, secret="shared"))
    tree["database"]["loadbalancing"] = {"enabled": True, "hosts": [standby.host], "replicacheckinterval": "1s"}
    tree["redis"] = {"loadbalancing": {"enabled": True, "addr": redis.address}}
    daemon = Daemon(folder, config=yaml.safe_dump(tree), workers=2)
    daemon.data = folder.parent / "data"
    return daemon


@dataclass
class Client(threading.Thread):
    """Pushes to one node and pulls from the other, in turn, until it is told to stop."""

    addresses: tuple[str, str]
    repository: str
    number: int
    pulls: int = 0
    mistakes: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return self.number

    def run(self) -> None:
        source = random.Random(self.number)
        wires = [Wire(address, keep=True) for address in self.addresses]
        turn = 0
        try:
            while not self.stop.is_set():
                self._push_then_pull(wires[turn % 2], wires[1 - turn % 2], f"t{turn}", source)
                turn += 1
        except (OSError, AssertionError) as exc:
            self.mistakes.append(repr(exc))
        for wire in wires:
            wire.close()

    def _push_then_pull(self, here: Wire, there: Wire, tag: str, source: random.Random) -> None:
        name = f"{self.repository}/{self.number}"
        image = image_about(source)
        here.push_image(name, tag, image)
        assert here.put_manifest(name, "moving", image.manifest).status == 201
        time.sleep(source.choice([0, 0, 0.01, 0.05]))
        for reference in (tag, "moving", image.manifest.digest):
            answer = there.manifest(name, reference)
            self._expect(answer.status == 200 and sha256(answer.body) == image.manifest.digest, f"{tag} as {reference}")
        self._expect(there.blob(name, image.layers[0].digest, "HEAD").status == 200, f"a blob of {tag}")
        self._expect(tag in there.tags(name), f"{tag} in the list")
        if source.random() < 0.3:
            assert here.delete(name, "manifests", tag).status == 202
            self._expect(there.manifest(name, tag).status == 404, f"{tag} is no more")

    def _expect(self, is_so: bool, what: str) -> None:  # noqa: FBT001 - it is what was found
        self.pulls += 1
        if not is_so:
            self.mistakes.append(what)


def image_about(source: random.Random) -> Image:
    return image_of(Blob(source.randbytes(40), CONFIG_TYPE), [Blob(source.randbytes(100), LAYER_TYPE)])


GoOn = Callable[[], None]
"""Waits until the clients have looked at some more answers."""


def storm(site: Site, repository: str, meanwhile: Callable[[GoOn], None]) -> None:
    """Let clients push and pull while something happens; nothing they were told may turn out wrong."""
    addresses = (site.nodes[0].address, site.nodes[1].address)
    clients = [Client(addresses, repository, number) for number in range(4)]

    def go_on() -> None:
        wanted = sum(client.pulls for client in clients) + 100
        eventually(
            "pulls go on",
            lambda: sum(client.pulls for client in clients) >= wanted or any(client.mistakes for client in clients),
            within_s=120,
        )

    for client in clients:
        client.start()
    try:
        meanwhile(go_on)
    finally:
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(60)
    assert [mistake for client in clients for mistake in client.mistakes] == []
    assert sum(client.pulls for client in clients) > 50


def wait_for_replica(site: Site, wire: Wire, name: str, tag: str) -> None:
    """Wait until pulls are answered by the standby."""
    before = standbys.statements(site.standby, PULL)

    def is_asked() -> bool:
        assert wire.manifest(name, tag).status == 200
        return standbys.statements(site.standby, PULL) > before

    eventually("a pull reaches the standby", is_asked, within_s=120)


def test_what_was_pushed_to_one_node_is_pulled_from_the_other(site: Site, repository: str) -> None:
    def meanwhile(go_on: GoOn) -> None:
        go_on()
        eventually("something is read from the replica", lambda: standbys.statements(site.standby, PULL) > 0)
        go_on()

    standbys.delay(site.standby, 25)
    storm(site, repository, meanwhile)


def test_pulls_go_to_the_replica_and_go_on_without_the_primary(site: Site, repository: str) -> None:
    wires = [Wire(node.address) for node in site.nodes]
    image = image_about(random.Random(repository))
    wires[0].push_image(repository, "v1", image)
    standbys.wait_level(site.primary, site.standby)
    wait_for_replica(site, wires[1], repository, "v1")
    primary, standby = (standbys.statements(server, PULL) for server in (site.primary, site.standby))
    for _ in range(20):
        assert wires[1].manifest(repository, "v1").status == 200
    assert standbys.statements(site.standby, PULL) - standby >= 20
    assert standbys.statements(site.primary, PULL) - primary == 0
    site.primary.kill()
    for wire in wires * 10:
        assert wire.manifest(repository, "v1").status == 200
    assert wires[0].put_manifest(repository, "v2", image.manifest).status == 503


def test_the_replica_may_come_and_go(site: Site, repository: str) -> None:
    def meanwhile(go_on: GoOn) -> None:
        go_on()
        site.standby.kill()
        go_on()
        site.standby.start()
        go_on()

    standbys.delay(site.standby, 25)
    storm(site, repository, meanwhile)


def test_redis_may_come_and_go(site: Site, repository: str) -> None:
    def meanwhile(go_on: GoOn) -> None:
        go_on()
        site.redis.kill()
        go_on()
        site.redis.start()
        go_on()

    standbys.delay(site.standby, 25)
    storm(site, repository, meanwhile)
