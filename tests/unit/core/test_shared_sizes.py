"""Sizes in a real Redis: one measurement for all, and no old answer."""

from collections.abc import AsyncIterator, Iterator

import pytest

from moorage.config.sections.redis import RedisConnection
from moorage.core.shared_sizes import SharedSizes, key_of
from moorage.core.sizes import Precision, Size
from moorage.redis.guarded import GuardedRedis
from support.redis import Redis

SIZE = Size(4711, Precision.DEFAULT)


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
async def sizes(server: Redis) -> AsyncIterator[SharedSizes]:
    redis = GuardedRedis(RedisConnection(addr=server.address), name="redis.cache")
    yield SharedSizes(redis)
    await redis.close()


async def test_what_one_has_measured_another_one_knows(server: Redis, sizes: SharedSizes, repository: str) -> None:
    await sizes.keep(repository, SIZE, with_descendants=True, last_change=7)
    assert await sizes.find(repository, with_descendants=True, last_change=7) == SIZE
    assert 290 <= int(server.cli("TTL", key_of(repository, with_descendants=True))) <= 300


async def test_what_was_measured_before_a_change_is_not_known(sizes: SharedSizes, repository: str) -> None:
    await sizes.keep(repository, SIZE, with_descendants=True, last_change=7)
    assert await sizes.find(repository, with_descendants=True, last_change=8) is None
    assert await sizes.find(repository, with_descendants=False, last_change=7) is None


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "abc",
        "[]",
        "7",
        '{"change": 7}',
        '{"change": 7, "bytes": -1, "precision": "default"}',
        '{"change": 7, "bytes": 1, "precision": "odd"}',
        '{"change": 7, "bytes": true, "precision": "default"}',
        "\xff\xfe",
    ],
)
async def test_nonsense_is_not_known(server: Redis, sizes: SharedSizes, repository: str, nonsense: str) -> None:
    server.cli("SET", key_of(repository, with_descendants=True), nonsense)
    assert await sizes.find(repository, with_descendants=True, last_change=7) is None


async def test_a_redis_that_is_away_knows_nothing_and_hurts_nobody(repository: str) -> None:
    redis = GuardedRedis(RedisConnection(addr="127.0.0.1:1"), name="redis.cache")
    sizes = SharedSizes(redis)
    await sizes.keep(repository, SIZE, with_descendants=True, last_change=7)
    assert await sizes.find(repository, with_descendants=True, last_change=7) is None
    await redis.close()
