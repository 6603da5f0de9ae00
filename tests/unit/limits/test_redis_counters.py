"""Counters in a real Redis: shared by nodes, and done without where it is slow, gone or full of nonsense."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import pytest

from moorage.config.sections.redis import RedisConnection
from moorage.limits.node_counters import NodeCounters
from moorage.limits.rates import Rate, RateVerdict
from moorage.limits.redis_counters import RedisCounters, key_of
from moorage.redis.guarded import GuardedRedis
from support.redis import Redis, cluster, watched

RATE = Rate(name="each", count=1, period_s=3600.0, burst=5, blocks=True)
WIDE = Rate(name="wide", count=1, period_s=3600.0, burst=50, blocks=True)


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


def counters_of(addr: str, *, mainname: str = "", patience: timedelta = timedelta(seconds=20)) -> RedisCounters:
    """Counters with the patience of a crowded machine."""
    settings = RedisConnection(enabled=True, addr=addr, mainname=mainname, readtimeout=patience, writetimeout=patience)
    return RedisCounters(GuardedRedis(settings, name="redis.ratelimiter"), alone=NodeCounters(sets=64))


@pytest.fixture
async def nodes(redis: Redis) -> AsyncIterator[Sequence[RedisCounters]]:
    both = [counters_of(redis.address), counters_of(redis.address)]
    yield both
    for node in both:
        await node._redis.close()


async def one(node: RedisCounters, client: str, *rates: Rate) -> Sequence[RateVerdict]:
    return await node.take(client, rates or (RATE,))


async def test_two_nodes_count_together(nodes: Sequence[RedisCounters], repository: str) -> None:
    taken = [(await one(nodes[number % 2], repository))[0].is_allowed for number in range(8)]
    assert taken == [True] * 5 + [False] * 3


async def test_a_refusal_changes_nothing_and_says_when_to_come_back(
    redis: Redis, nodes: Sequence[RedisCounters], repository: str
) -> None:
    for _ in range(5):
        await one(nodes[0], repository)
    before = redis.cli("GET", key_of(repository, RATE))
    (verdict,) = await one(nodes[0], repository)
    assert not verdict.is_allowed
    assert 3500 < verdict.retry_after_s <= 3600
    assert redis.cli("GET", key_of(repository, RATE)) == before


async def test_what_is_counted_goes_when_the_bucket_is_full(
    redis: Redis, nodes: Sequence[RedisCounters], repository: str
) -> None:
    await one(nodes[0], repository)
    assert 3590 <= int(redis.cli("TTL", key_of(repository, RATE))) <= 3601


async def test_rates_have_each_their_own_bucket_in_one_round_trip(
    redis: Redis, nodes: Sequence[RedisCounters], repository: str
) -> None:
    before = redis.calls("eval")
    found = await one(nodes[0], repository, RATE, WIDE)
    assert [verdict.remaining for verdict in found] == [4, 49]
    assert redis.calls("eval") == before + 1


@pytest.mark.parametrize("nonsense", ["", "abc", "nan", "inf", "-inf", "1e300", "-1e300", "\\xff"])
async def test_nonsense_counts_as_nothing_or_as_a_full_day(
    redis: Redis, nodes: Sequence[RedisCounters], repository: str, nonsense: str
) -> None:
    redis.cli("SET", key_of(repository, RATE), nonsense)
    (verdict,) = await one(nodes[0], repository)
    assert verdict.is_allowed or 0 < verdict.retry_after_s <= 3600


async def test_a_key_of_another_type_is_written_over(
    redis: Redis, nodes: Sequence[RedisCounters], repository: str
) -> None:
    redis.cli("RPUSH", key_of(repository, RATE), "a")
    (verdict,) = await one(nodes[0], repository)
    assert (verdict.is_allowed, verdict.remaining) == (True, 4)


async def test_each_node_counts_for_itself_while_redis_is_away_and_together_once_it_is_back(repository: str) -> None:
    with Redis() as redis:
        node, other = counters_of(redis.address), counters_of(redis.address)
        for _ in range(5):
            await one(node, repository)
        redis.kill()
        assert (await one(node, repository))[0].is_allowed
        assert (await one(other, repository))[0].is_allowed
        redis.start()
        for each in (node, other):
            each._redis._rests_until = 0.0
        taken = [(await one((node, other)[number % 2], repository))[0].is_allowed for number in range(7)]
        assert taken == [True] * 5 + [False] * 2
        await node._redis.close()
        await other._redis.close()


async def test_a_redis_that_hangs_costs_a_moment_once(redis: Redis, repository: str) -> None:
    with Redis() as slow:
        node = counters_of(slow.address, patience=timedelta(milliseconds=50))
        await one(node, repository)
        slow.cli("CLIENT", "PAUSE", "60000", "ALL")
        node._redis._monotonic = lambda: 0.0  # No time passes: it rests from the first failure on.
        for _ in range(100):
            assert len(await one(node, repository, WIDE)) == 1
        assert node._redis._is_failing
        await node._redis.close()


async def test_behind_a_sentinel_and_in_a_cluster(repository: str) -> None:
    with Redis() as master, watched("main", master) as sentinel:
        node = counters_of(sentinel.address, mainname="main")
        assert [(await one(node, repository))[0].is_allowed for _ in range(6)] == [True] * 5 + [False]
        assert master.calls("eval") == 6
        await node._redis.close()
    with cluster() as members:
        node = counters_of(",".join(member.address for member in members))
        for client in map(str, range(20)):
            found = await one(node, client, RATE, WIDE)
            assert [verdict.remaining for verdict in found] == [4, 49]
        assert all(member.calls("eval") for member in members)
        await node._redis.close()
