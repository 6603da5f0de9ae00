"""Loops over a clock that goes as far as it is told, and no further."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from moorage.work.alongside import alongside, begun_again
from moorage.work.loop import (
    DONE,
    FAILED,
    IDLE,
    WORKED,
    Clock,
    Growth,
    Loop,
    LoopObserver,
    LoopPace,
    Rhythm,
    RoundOutcome,
    RoundResult,
    every,
    repeat,
)

INTERVAL = timedelta(seconds=10)
GROWING = LoopPace(interval=INTERVAL, idle=Growth.from_interval(INTERVAL, timedelta(seconds=60)))


class Trouble(Exception):
    """What a round may end by."""


class Simulated(Clock):
    """A clock whose pauses take no time, and whose chance is chosen."""

    def __init__(self, *, chance: float = 0.5) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._chance = chance

    def monotonic(self) -> float:
        return self.now

    def uniform(self, low: float, high: float) -> float:
        return low + self._chance * (high - low)

    async def pause(self, duration_s: float, wake: asyncio.Event | None) -> None:
        self.pauses.append(duration_s)
        if wake is None or not wake.is_set():
            self.now += duration_s
        await asyncio.sleep(0)


class Seen(LoopObserver):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def ran(self, found: RoundResult, duration_s: float) -> None:
        self.told.append((found.outcome.name, duration_s))

    def sleeps(self, duration_s: float) -> None:
        self.told.append(("sleeps", duration_s))


def work_of(*results: RoundResult | Exception | None) -> Callable[[], Awaitable[RoundResult | None]]:
    """Rounds that end so, one after the other, and then for good."""
    left = list(results)

    async def work() -> RoundResult | None:
        if not left:
            return DONE
        result = left.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    return work


async def pauses(pace: LoopPace, *results: RoundResult | Exception | None, chance: float = 0.5) -> Sequence[float]:
    """The pauses of a loop, the one before the first round among them."""
    clock = Simulated(chance=chance)
    await Loop(work_of(*results), pace, failures=(Trouble,), clock=clock).run()
    return clock.pauses


async def test_a_round_that_worked_is_followed_by_the_interval() -> None:
    assert await pauses(GROWING, WORKED, None) == [0, 10, 10]


async def test_pauses_grow_while_there_is_nothing_to_do_up_to_the_longest() -> None:
    assert await pauses(GROWING, *[IDLE] * 6) == [0, 15, 22.5, 33.75, 50.625, 60, 60]


async def test_pauses_are_short_again_after_work() -> None:
    assert await pauses(GROWING, IDLE, IDLE, WORKED, IDLE) == [0, 15, 22.5, 10, 15]


async def test_without_growth_every_pause_is_the_interval() -> None:
    assert await pauses(LoopPace(interval=INTERVAL), IDLE, Trouble(), WORKED, IDLE) == [0, 10, 10, 10, 10]


async def test_the_longest_pause_is_never_below_the_interval() -> None:
    pace = LoopPace(interval=INTERVAL, idle=Growth.from_interval(INTERVAL, timedelta(seconds=1)))
    assert await pauses(pace, IDLE, IDLE) == [0, 10, 10]


async def test_pauses_grow_from_an_interval_of_nothing() -> None:
    pace = LoopPace(interval=timedelta(0), idle=Growth.from_interval(timedelta(0), timedelta(seconds=60)))
    found = await pauses(pace, *[IDLE] * 40)
    assert (found[1], found[-1]) == (0.0015, 60)


async def test_a_failed_round_is_tried_again_as_if_there_were_nothing_to_do() -> None:
    assert await pauses(GROWING, Trouble(), Trouble(), WORKED) == [0, 15, 22.5, 10]


async def test_failures_have_pauses_of_their_own_if_the_pace_says_so() -> None:
    growth = Growth(timedelta(seconds=3), timedelta(seconds=10), factor=2)
    pace = LoopPace(interval=INTERVAL, failing=growth)
    assert await pauses(pace, *[Trouble()] * 4, IDLE, Trouble(), WORKED, Trouble()) == [0, 3, 6, 10, 10, 10, 10, 10, 3]


async def test_after_a_failure_pauses_stay_long_for_the_cooldown() -> None:
    pace = LoopPace(interval=INTERVAL, idle=GROWING.idle, cooldown=timedelta(seconds=30))
    # 15 s after the failure it is still careful, 37.5 s after it no more.
    assert await pauses(pace, Trouble(), WORKED, WORKED) == [0, 15, 22.5, 10]


async def test_each_failure_is_told_and_an_unexpected_one_ends_the_loop() -> None:
    told: list[Exception] = []
    first, last = Trouble("first"), RuntimeError("last")
    loop = Loop(work_of(first, last), GROWING, failures=(Trouble,), on_failure=told.append, clock=Simulated())
    with pytest.raises(RuntimeError, match="last"):
        await loop.run()
    assert told == [first]


async def test_a_round_may_name_the_pause_exactly() -> None:
    pace = LoopPace(interval=INTERVAL, idle=GROWING.idle, spread=0.5)
    exact = RoundResult(RoundOutcome.WORKED, 0.25)
    assert await pauses(pace, IDLE, exact, IDLE, chance=1.0) == [0, 22.5, 0.25, 33.75], "what has grown stays"


async def test_a_pause_does_not_go_past_what_falls_due() -> None:
    due = RoundResult(RoundOutcome.IDLE, longest_pause_s=12)
    assert await pauses(GROWING, due, due, IDLE) == [0, 12, 12, 33.75]


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
async def test_pauses_are_spread_and_the_spread_does_not_grow(chance: float, factor: float) -> None:
    pace = LoopPace(interval=INTERVAL, idle=GROWING.idle, spread=0.25)
    assert await pauses(pace, WORKED, IDLE, IDLE, chance=chance) == [0, 10 * factor, 15 * factor, 22.5 * factor]


@pytest.mark.parametrize(("chance", "start_s"), [(0.0, 0), (0.5, 30), (1.0, 60)])
async def test_the_first_round_comes_within_the_start(chance: float, start_s: float) -> None:
    pace = LoopPace(interval=INTERVAL, start_within=timedelta(minutes=1))
    assert await pauses(pace, WORKED, chance=chance) == [start_s, 10]


async def test_a_loop_may_pause_first() -> None:
    assert await pauses(LoopPace(interval=INTERVAL, pauses_first=True), WORKED) == [10, 10]


async def test_a_round_that_takes_too_long_is_ended_and_counts_as_failed() -> None:
    told: list[Exception] = []

    async def hang() -> None:
        await asyncio.Event().wait()

    pace = LoopPace(interval=INTERVAL, idle=GROWING.idle, deadline=timedelta(0))
    loop = Loop(hang, pace, on_failure=told.append, clock=Simulated())
    assert await loop.step() == 15
    assert [type(exc) for exc in told] == [TimeoutError]


async def test_a_timeout_of_the_work_itself_is_no_deadline() -> None:
    with pytest.raises(TimeoutError):
        await Loop(work_of(TimeoutError()), GROWING, clock=Simulated()).run()


async def test_rounds_and_pauses_are_observed_in_their_order() -> None:
    clock, seen = Simulated(), Seen()

    async def work() -> RoundResult:
        clock.now += 2
        return IDLE if clock.now < 5 else DONE

    await Loop(work, GROWING, observer=seen, clock=clock).run()
    assert seen.told == [("IDLE", 2), ("sleeps", 15), ("DONE", 2)]


async def test_what_failed_is_observed_too() -> None:
    seen = Seen()
    await Loop(work_of(Trouble()), GROWING, failures=(Trouble,), observer=seen, clock=Simulated()).run()
    assert [what for what, _ in seen.told] == ["FAILED", "sleeps", "DONE"]


async def test_a_loop_that_is_woken_works_at_once_and_sleeps_again_afterwards() -> None:
    wake, rounds = asyncio.Event(), 0

    async def work() -> RoundResult:
        nonlocal rounds
        rounds += 1
        worked.set()
        return WORKED

    worked = asyncio.Event()
    loop = asyncio.create_task(Loop(work, LoopPace(interval=timedelta(days=1), pauses_first=True), wake=wake).run())
    for expected in (1, 2):
        wake.set()
        await asyncio.wait_for(worked.wait(), 30)
        worked.clear()
        assert rounds == expected
    for _ in range(10):
        await asyncio.sleep(0)
    assert (rounds, wake.is_set()) == (2, False)
    loop.cancel()
    await asyncio.wait([loop])


async def test_a_loop_ends_at_once_when_it_is_cancelled_in_its_pause() -> None:
    worked = asyncio.Event()
    loop = asyncio.create_task(Loop(lambda: _set(worked), LoopPace(interval=timedelta(days=1))).run())
    await worked.wait()
    loop.cancel()
    assert (await asyncio.wait([loop], timeout=30))[0] == {loop}


async def _set(event: asyncio.Event) -> None:
    event.set()


async def test_the_clock_of_the_machine_pauses_until_the_time_is_over() -> None:
    clock = Clock()
    before = clock.monotonic()
    await clock.pause(0.01, None)
    await clock.pause(0.01, asyncio.Event())
    assert clock.monotonic() >= before + 0.02
    assert 1 <= clock.uniform(1, 2) <= 2


async def test_every_interval_a_function_is_called_first_after_one() -> None:
    clock, moments = Simulated(), list[float]()

    def act() -> None:
        moments.append(clock.now)
        if len(moments) == 3:
            raise Trouble

    with pytest.raises(Trouble):
        await every(INTERVAL, act, clock=clock).run()
    assert moments == [10, 20, 30]


def test_a_loop_in_a_thread_keeps_the_rhythm_and_ends_when_it_is_told() -> None:
    ended, seen = threading.Event(), list[RoundResult]()

    def work() -> RoundResult:
        seen.append(FAILED)
        if len(seen) == 3:
            ended.set()
        return FAILED

    growth = Growth(timedelta(seconds=0.001), timedelta(seconds=0.002))
    repeat(work, Rhythm(LoopPace(interval=INTERVAL, failing=growth)), ended)
    assert len(seen) == 3


def test_a_loop_in_a_thread_ends_in_its_pause() -> None:
    ended, worked = threading.Event(), threading.Event()

    def work() -> RoundResult:
        worked.set()
        return WORKED

    thread = threading.Thread(target=repeat, args=(work, Rhythm(LoopPace(interval=timedelta(days=1))), ended))
    thread.start()
    worked.wait(30)
    ended.set()
    thread.join(30)
    assert not thread.is_alive()


async def test_what_runs_alongside_a_block_puts_back_what_it_has_in_hand() -> None:
    begun, put_back = asyncio.Event(), list[str]()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            put_back.append("it")

    async with alongside(work, work):
        await begun.wait()
    assert put_back == ["it", "it"]


async def test_what_will_not_end_is_waited_for_no_longer_than_the_patience() -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await free.wait()

    async with alongside(stubborn, patience=timedelta(0)):
        await begun.wait()
    (left,) = asyncio.all_tasks() - {asyncio.current_task()}
    free.set()
    await asyncio.wait([left])


async def test_what_runs_alongside_a_block_that_fails_ends_too() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fail() -> None:
        async with alongside(work):
            await asyncio.sleep(0)
            raise Trouble

    with pytest.raises(Trouble):
        await fail()
    assert ended.is_set()


async def test_what_crashes_alongside_a_block_is_told_and_leaves_the_others_at_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = asyncio.Event()

    async def crash() -> None:
        raise Trouble

    async def work() -> None:
        await asyncio.sleep(0)
        ended.set()

    async with alongside(crash, work):
        await ended.wait()
    assert "a chore crashed; it is begun again after a pause" in capsys.readouterr().err


async def test_what_crashes_is_begun_again_after_ever_longer_pauses_until_it_is_done() -> None:
    begun, clock = list[float](), Simulated()

    async def work() -> None:
        begun.append(clock.now)
        if len(begun) <= 8:
            raise Trouble

    await begun_again(work, clock=clock)
    assert clock.pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert len(begun) == 9


async def test_nothing_may_run_alongside() -> None:
    async with alongside():
        pass
