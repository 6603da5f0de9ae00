"""What a memory of links promises, in a worker and in Redis: never what was taken away, whenever storage was asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from moorage.cache.known_links import KnownLinks
from moorage.cache.link_memory import LinkMemory
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.redis.guarded import GuardedRedis
from moorage.redis.shared_links import SharedBlobLinks
from support.redis import Redis, patient

OTHER = RepositoryName("group/other")
DIGEST = Digest.of(b"a blob")


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def name(repository: str) -> RepositoryName:
    return RepositoryName(repository)


@pytest.fixture(params=["worker", "redis"])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[LinkMemory[int]]:
    if request.param == "worker":
        yield KnownLinks[int](10)
        return
    server: Redis = request.getfixturevalue("server")
    redis = GuardedRedis(patient(server.address), name="redis")
    yield SharedBlobLinks(redis)
    await redis.close()


async def learn(memory: LinkMemory[int], name: RepositoryName, size: int = 6) -> None:
    _, mark = await memory.look(name, DIGEST)
    await memory.keep(name, DIGEST, size, mark=mark)


async def known(memory: LinkMemory[int], name: RepositoryName) -> int | None:
    return (await memory.look(name, DIGEST))[0]


@pytest.mark.parametrize("size", [6, 0, 1 << 40, -1])
async def test_what_was_seen_is_known_in_its_repository_only(
    memory: LinkMemory[int], name: RepositoryName, size: int
) -> None:
    await learn(memory, name, size)
    assert (await known(memory, name), await known(memory, OTHER)) == (size, None)


async def test_what_was_taken_away_is_known_no_more_until_it_is_seen_again(
    memory: LinkMemory[int], name: RepositoryName
) -> None:
    await learn(memory, name)
    await memory.take_away(name, DIGEST)
    assert await known(memory, name) is None
    await learn(memory, name, 7)
    assert await known(memory, name) == 7


async def test_what_storage_said_before_something_was_taken_away_is_not_remembered_after_it(
    memory: LinkMemory[int], name: RepositoryName
) -> None:
    _, mark = await memory.look(name, DIGEST)
    await memory.take_away(name, DIGEST)  # Quicker than the answer of storage.
    await memory.keep(name, DIGEST, 6, mark=mark)
    assert await known(memory, name) is None


async def test_what_turned_out_wrong_is_forgotten(memory: LinkMemory[int], name: RepositoryName) -> None:
    await learn(memory, name)
    await memory.forget(name, DIGEST)
    assert await known(memory, name) is None


async def test_many_at_once_never_know_what_was_taken_away_before_they_asked(
    memory: LinkMemory[int], name: RepositoryName
) -> None:
    """A storage of one link is looked at by many while it comes and goes."""
    there = [True]

    async def pull() -> None:
        for _ in range(30):
            was_there = there[0]
            found, mark = await memory.look(name, DIGEST)
            assert was_there or there[0] or found is None
            if found is None:
                seen = there[0]
                await asyncio.sleep(0)
                if seen:
                    await memory.keep(name, DIGEST, 6, mark=mark)

    async def delete_and_push() -> None:
        for _ in range(30):
            there[0] = False
            await memory.take_away(name, DIGEST)
            assert await known(memory, name) is None  # Acknowledged: from here on nobody has it.
            await asyncio.sleep(0)
            assert await known(memory, name) is None
            there[0] = True
            await asyncio.sleep(0)

    await asyncio.gather(delete_and_push(), *(pull() for _ in range(8)))
