"""Links in Redis: shared by all nodes, with Distribution's keys, and never needed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from moorage.cache.shared_changes import SharedChanges
from moorage.config.sections.redis import RedisConnection
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.redis.guarded import GuardedRedis
from moorage.redis.shared_links import SharedBlobLinks, SharedManifestLinks, mark_of
from support.redis import Redis, cluster, patient

DIGEST = Digest.of(b"a blob")


TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def name(repository: str) -> RepositoryName:
    return RepositoryName(repository)


class Nodes:
    """Memories of several nodes over one Redis; each call makes another node."""

    def __init__(self, address: str, stack: AsyncExitStack) -> None:
        self._address = address
        self._stack = stack
        self.now_ns = 0

    def __call__(self) -> SharedBlobLinks:
        redis = GuardedRedis(
            patient(self._address),
            name="redis",
            monotonic=lambda: self.now_ns / 1e9,
        )
        self._stack.push_async_callback(redis.close)
        return SharedBlobLinks(redis, SharedChanges(lambda: self.now_ns))


@pytest.fixture
async def nodes(server: Redis) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        yield Nodes(server.address, stack)


async def learn(node: SharedBlobLinks, name: RepositoryName, size: int = 6) -> None:
    _, mark = await node.look(name, DIGEST)
    await node.keep(name, DIGEST, size, mark=mark)


async def known(node: SharedBlobLinks, name: RepositoryName) -> int | None:
    return (await node.look(name, DIGEST))[0]


async def test_what_one_node_has_seen_another_knows_and_what_one_takes_away_none_does(
    nodes: Nodes, name: RepositoryName
) -> None:
    one, two, three = nodes(), nodes(), nodes()
    await learn(one, name)
    assert await known(two, name) == 6
    _, mark = await three.look(name, Digest.of(b"another"))
    await two.take_away(name, DIGEST)
    assert [await known(node, name) for node in (one, two, three)] == [None, None, None]
    await three.keep(name, DIGEST, 6, mark=mark)  # A mark is for what it was asked for.
    assert await known(one, name) is None


async def test_the_keys_are_distributions(server: Redis, nodes: Nodes, name: RepositoryName) -> None:
    await learn(nodes(), name)
    assert server.cli("SISMEMBER", f"repository::{name}::blobs", str(DIGEST)) == "1"
    described = server.cli("HMGET", f"blobs::{DIGEST}", "digest", "size", "mediatype").splitlines()
    assert described == [str(DIGEST), "6", "application/octet-stream"]
    entry = f"repository::{name}::blobs::{DIGEST}"
    assert server.cli("HGET", entry, "mediatype") == "application/octet-stream"
    assert 50 <= int(server.cli("TTL", entry)) <= 60
    await nodes().take_away(name, DIGEST)
    assert server.cli("EXISTS", entry) == "0"
    assert server.cli("SISMEMBER", f"repository::{name}::blobs", str(DIGEST)) == "0"


def write_as_distribution(server: Redis, name: RepositoryName, size: str = "6") -> str:
    server.cli("SADD", f"repository::{name}::blobs", str(DIGEST))
    server.cli("HSET", f"blobs::{DIGEST}", "digest", str(DIGEST), "size", size, "mediatype", "application/octet-stream")
    entry = f"repository::{name}::blobs::{DIGEST}"
    server.cli("HSET", entry, "mediatype", "application/x-of-its-own")
    return entry


async def test_what_distribution_has_seen_is_known_and_ends(server: Redis, nodes: Nodes, name: RepositoryName) -> None:
    entry = write_as_distribution(server, name)
    assert await known(nodes(), name) == 6
    assert 50 <= int(server.cli("TTL", entry)) <= 60
    assert server.cli("HGET", entry, "mediatype") == "application/x-of-its-own"


async def test_what_distribution_has_taken_away_is_not_known(server: Redis, nodes: Nodes, name: RepositoryName) -> None:
    await learn(nodes(), name)
    server.cli("SREM", f"repository::{name}::blobs", str(DIGEST))
    server.cli("DEL", f"repository::{name}::blobs::{DIGEST}")
    assert await known(nodes(), name) is None


@pytest.mark.parametrize("told", ["", "abc", "-2", "1.5", "9" * 40, "\xff", "٣"])
async def test_a_number_that_is_none_is_not_known(server: Redis, nodes: Nodes, name: RepositoryName, told: str) -> None:
    server.cli("HSET", f"repository::{name}::blobs::{DIGEST}", "moorage", told)
    assert await known(nodes(), name) is None
    write_as_distribution(server, RepositoryName(f"{name}/theirs"), told)
    assert await known(nodes(), RepositoryName(f"{name}/theirs")) is None


async def test_keys_of_another_type_are_not_known_and_written_over(
    server: Redis, nodes: Nodes, name: RepositoryName
) -> None:
    entry, node = f"repository::{name}::blobs::{DIGEST}", nodes()
    for key in (entry, f"repository::{name}::blobs", f"blobs::{DIGEST}"):
        server.cli("DEL", key)
        server.cli("SET", key, "nonsense")
    server.cli("RPUSH", mark_of(entry), "nonsense")
    assert await known(node, name) is None
    await learn(node, name)
    assert await known(node, name) == 6
    server.cli("DEL", f"blobs::{DIGEST}")


async def test_a_mark_that_redis_has_lost_is_no_reason_to_remember(
    server: Redis, nodes: Nodes, name: RepositoryName
) -> None:
    node, entry = nodes(), f"repository::{name}::blobs::{DIGEST}"
    _, mark = await node.look(name, DIGEST)
    await node.take_away(name, DIGEST)
    server.cli("DEL", mark_of(entry))
    await node.keep(name, DIGEST, 6, mark=mark)
    assert await known(node, name) is None


async def test_what_could_not_be_told_is_made_up_for_and_nothing_believed_meanwhile(name: RepositoryName) -> None:
    async with AsyncExitStack() as stack:
        with Redis() as server:
            nodes = Nodes(server.address, stack)
            one, two = nodes(), nodes()
            write_as_distribution(server, name)
            server.cli("CONFIG", "SET", "requirepass", "closed")
            server.cli("CLIENT", "KILL", "TYPE", "normal")
            await one.take_away(name, DIGEST)
            assert await known(one, name) is None
            server.password = "closed"
            server.cli("CONFIG", "SET", "requirepass", "")
            server.password = ""
            assert await known(one, name) is None  # Redis is not asked for a second after it has failed.
            nodes.now_ns += int(1.5e9)
            assert await known(one, name) is None  # Now the other nodes are told.
            assert await known(two, name) is None
            await learn(two, name)
            assert (await known(one, name), await known(two, name)) == (None, 6)
            nodes.now_ns += int(60e9)
            assert await known(one, name) == 6


async def test_a_redis_that_is_away_knows_nothing_and_hurts_nobody(name: RepositoryName) -> None:
    redis = GuardedRedis(RedisConnection(addr="127.0.0.1:1"), name="redis")
    node = SharedBlobLinks(redis)
    await learn(node, name)
    assert await known(node, name) is None
    await node.take_away(name, DIGEST)
    await redis.close()


async def test_manifests_are_remembered_with_their_media_type(server: Redis, name: RepositoryName) -> None:
    redis = GuardedRedis(patient(server.address), name="redis")
    memory = SharedManifestLinks(redis)
    _, mark = await memory.look(name, DIGEST)
    await memory.keep(name, DIGEST, TYPE, mark=mark)
    assert (await memory.look(name, DIGEST))[0] == TYPE
    server.cli("HSET", memory.entry(name, DIGEST), "moorage", "no type\n")
    assert (await memory.look(name, DIGEST))[0] is None
    await memory.take_away(name, DIGEST)
    await redis.close()


async def test_a_cluster_has_the_keys_of_an_entry_together(name: RepositoryName) -> None:
    with cluster() as servers:
        addresses = ",".join(server.address for server in servers)
        async with AsyncExitStack() as stack:
            nodes = Nodes(addresses, stack)
            one, two = nodes(), nodes()
            await learn(one, name)
            assert await known(two, name) == 6
            await two.take_away(name, DIGEST)
            assert await known(one, name) is None
