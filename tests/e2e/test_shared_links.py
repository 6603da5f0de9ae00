"""``blobdescriptor: redis``: what all nodes know of links, and Distribution's registry beside them."""

import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire, sha256
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer
from support.redis import Redis

CACHE = {"blobdescriptor": "redis"}


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> Iterator[tuple[Daemon, Daemon]]:
    """Two nodes of two workers over one folder of link files."""
    folder = tmp_path_factory.mktemp("shared-links")
    tree = yaml.safe_load(config_for(folder))
    tree["storage"]["cache"] = CACHE
    # A moment of a busy machine is no failure of Redis; what it is away for is tested.
    tree["redis"] = {"addr": redis.address, "readtimeout": "5s", "writetimeout": "5s"}
    one, two = (Daemon(folder / name, config=yaml.safe_dump(tree), workers=2) for name in ("one", "two"))
    one.data = two.data = folder / "data"
    with one, two:
        yield one, two


@pytest.fixture
def peer(tmp_path: Path, nodes: tuple[Daemon, Daemon], redis: Redis) -> Iterator[Wire]:
    """Distribution's registry on the same folder and Redis."""
    need(COMMAND)
    peer = Peer(tmp_path / "peer", nodes[0].data)
    tree = yaml.safe_load(peer.config_path.read_text())
    tree["storage"]["cache"] = CACHE
    peer.config_path.write_text(yaml.safe_dump(tree | {"redis": {"addr": redis.address}}))
    with peer:
        yield Wire(peer.address)


def unlink(node: Daemon, repository: str, digest: str) -> None:
    """Take a blob out of its repository behind everybody's back."""
    layers = node.data / "docker/registry/v2/repositories" / repository / "_layers"
    shutil.rmtree(layers / digest.replace(":", "/"))


def test_what_was_seen_here_distribution_knows_and_what_it_has_seen_is_known_here(
    nodes: tuple[Daemon, Daemon], peer: Wire, repository: str
) -> None:
    here = Wire(nodes[0].address)
    for pushed_at, asked_at, content in ((here, peer, b"seen here"), (peer, here, b"seen by Distribution")):
        digest = pushed_at.push_blob(repository, content)
        assert pushed_at.blob(repository, digest).body == content
        unlink(nodes[0], repository, digest)
        found = asked_at.blob(repository, digest, "HEAD")
        assert (found.status, found.headers["content-length"]) == (200, str(len(content)))


def test_what_one_of_both_deletes_neither_has(nodes: tuple[Daemon, Daemon], peer: Wire, repository: str) -> None:
    here = Wire(nodes[0].address)
    for number, (deleted_at, asked_at) in enumerate(((here, peer), (peer, here))):
        content = b"deleted %d" % number
        digest = here.push_blob(repository, content)
        for wire in (here, peer):
            assert wire.blob(repository, digest).body == content
        assert deleted_at.delete(repository, "blobs", digest).status == 202
        for wire in (deleted_at, asked_at):
            assert wire.blob(repository, digest).status == 404
            assert wire.blob(repository, digest, "HEAD").status == 404


def test_what_one_node_deletes_the_other_serves_no_more(nodes: tuple[Daemon, Daemon], repository: str) -> None:
    wires = [Wire(node.address) for node in nodes]
    for turn in range(10):
        here, there = wires[:: 1 if turn % 2 else -1]
        image = build_image(f"{repository}/{turn}", layers=1, layer_bytes=100)
        here.push_image(repository, "v1", image)
        digest = image.layers[0].digest
        for wire in (here, there):
            assert wire.manifest(repository, image.manifest.digest).body == image.manifest.content
            assert wire.blob(repository, digest).status == 200
        assert here.delete(repository, "manifests", image.manifest.digest).status == 202
        assert there.manifest(repository, image.manifest.digest).status == 404
        assert here.delete(repository, "blobs", digest).status == 202
        for method in ("GET", "HEAD"):
            assert there.blob(repository, digest, method).status == 404
        there.push_blob(repository, image.layers[0].content)
        assert here.blob(repository, digest, "HEAD").status == 200


def test_no_answer_is_older_than_an_acknowledged_deletion_while_many_pull(
    nodes: tuple[Daemon, Daemon], repository: str
) -> None:
    contents = [random.Random(number).randbytes(50) for number in range(8)]
    stop, mistakes = threading.Event(), []

    def pull(address: str) -> None:
        wire = Wire(address, keep=True)
        while not stop.is_set():
            for content in contents:
                answer = wire.blob(repository, sha256(content))
                if answer.status not in {200, 404} or (answer.status == 200 and answer.body != content):
                    mistakes.append(f"{answer.status} {answer.body!r}")
        wire.close()

    threads = [threading.Thread(target=pull, args=(node.address,)) for node in nodes for _ in range(2)]
    for thread in threads:
        thread.start()
    wires = [Wire(node.address) for node in nodes]
    for turn in range(24):
        content = contents[turn % len(contents)]
        here, there = wires[:: 1 if turn % 3 else -1]
        there.push_blob(repository, content)
        assert here.blob(repository, sha256(content)).body == content
        assert here.delete(repository, "blobs", sha256(content)).status == 202
        assert [wire.blob(repository, sha256(content)).status for wire in (here, there)] == [404, 404], turn
    stop.set()
    for thread in threads:
        thread.join(60)
    assert mistakes == []


def test_a_redis_that_hangs_or_is_gone_costs_nobody_an_answer(tmp_path: Path) -> None:
    tree = yaml.safe_load(config_for(tmp_path))
    tree["storage"]["cache"] = CACHE
    with Redis() as redis:
        with Daemon(tmp_path, config=yaml.safe_dump(tree | {"redis": {"addr": redis.address}})) as daemon:
            wire, image = Wire(daemon.address), build_image("away", layers=1, layer_bytes=100)
            assert redis.process is not None
            for turn, trouble in enumerate(("", "hangs", "gone")):
                if trouble == "hangs":
                    os.kill(redis.process.pid, signal.SIGSTOP)
                if trouble == "gone":
                    redis.kill()
                wire.push_image("group/app", f"v{turn}", image)
                assert wire.manifest("group/app", f"v{turn}").body == image.manifest.content
                digest = image.layers[0].digest
                assert wire.blob("group/app", digest).body == image.layers[0].content
                assert wire.delete("group/app", "blobs", digest).status == 202
                assert wire.blob("group/app", digest).status == 404
        assert "Redis does not answer; going on without it" in daemon.log


def test_a_cache_in_redis_without_a_redis_is_refused_at_the_start(tmp_path: Path) -> None:
    tree = yaml.safe_load(config_for(tmp_path))
    tree["storage"]["cache"] = CACHE
    daemon = Daemon(tmp_path, config=yaml.safe_dump(tree))
    with pytest.raises(RuntimeError, match=r"redis\.addr.*storage\.cache\.blobdescriptor: redis"):
        daemon.start()
