"""Counters of a node: one table for all its processes, of one size whoever comes."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Sequence

import pytest

from moorage.limits.node_counters import NodeCounters
from moorage.limits.rates import Rate
from support.clock import Clock

SLOW = Rate(name="slow", count=1, period_s=3600.0, burst=100, blocks=True)


async def allowed(counters: NodeCounters, client: str, rates: Sequence[Rate]) -> list[bool]:
    return [verdict.is_allowed for verdict in await counters.take(client, rates)]


async def test_a_client_has_its_burst_and_then_the_rate() -> None:
    clock = Clock()
    counters = NodeCounters(sets=16, monotonic=clock)
    rate = Rate(name="each", count=2, period_s=1.0, burst=3, blocks=True)
    assert [await allowed(counters, "a", [rate]) for _ in range(4)] == [[True], [True], [True], [False]]
    assert await allowed(counters, "b", [rate]) == [True]
    clock.now += 0.5
    assert [await allowed(counters, "a", [rate]) for _ in range(2)] == [[True], [False]]


async def test_the_first_that_stops_is_the_last_that_counts() -> None:
    counters = NodeCounters(sets=16)
    narrow = Rate(name="narrow", count=1, period_s=3600.0, burst=1, blocks=True)
    wide = Rate(name="wide", count=1, period_s=3600.0, burst=2, blocks=True)
    assert await allowed(counters, "a", [narrow, wide]) == [True, True]
    assert await allowed(counters, "a", [narrow, wide]) == [False]
    assert await allowed(counters, "a", [wide]) == [True]


async def test_one_that_does_not_stop_is_passed_by() -> None:
    counters = NodeCounters(sets=16)
    logged = Rate(name="logged", count=1, period_s=3600.0, burst=1, blocks=False)
    wide = Rate(name="wide", count=1, period_s=3600.0, burst=9, blocks=True)
    await counters.take("a", [logged, wide])
    assert await allowed(counters, "a", [logged, wide]) == [False, True]


async def test_strangers_without_number_push_out_those_who_lose_least() -> None:
    counters = NodeCounters(sets=1)
    used_up = Rate(name="each", count=1, period_s=3600.0, burst=20, blocks=True)
    for _ in range(20):
        await counters.take("greedy", [used_up])
    for number in range(1000):
        await counters.take(f"stranger {number}", [used_up])
    assert await allowed(counters, "greedy", [used_up]) == [False]


def _take(counters: NodeCounters, count: int, found: "multiprocessing.SimpleQueue[int]") -> None:
    async def run() -> int:
        return sum([(await counters.take("a", [SLOW]))[0].is_allowed for _ in range(count)])

    found.put(asyncio.run(run()))


def test_all_processes_of_a_node_count_together() -> None:
    context = multiprocessing.get_context("fork")
    counters, found = NodeCounters(), context.SimpleQueue()
    processes = [context.Process(target=_take, args=(counters, 80, found)) for _ in range(4)]
    for process in processes:
        process.start()
    counts = [found.get() for _ in processes]
    for process in processes:
        process.join()
    assert sum(counts) == SLOW.burst


@pytest.mark.timeout(60)
def test_a_process_that_was_stopped_while_it_counted_holds_up_nobody() -> None:
    counters = NodeCounters(sets=1)
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        with counters._locked(0):
            os.write(told, b".")
            signal.pause()
        os._exit(0)
    try:
        assert os.read(ready, 1) == b"."
        assert asyncio.run(allowed(counters, "a", [SLOW])) == [True]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(told)
