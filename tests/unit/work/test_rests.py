"""Rests of whoever computes beside others."""

import asyncio
import time

import pytest
import uvloop

from moorage.work.rests import Rests


class Thread:
    """What a thread has computed, and how long it has rested."""

    def __init__(self) -> None:
        self.computed_s = 5.0
        self.rested_s: list[float] = []

    def computed(self) -> float:
        return self.computed_s

    async def pause(self, duration_s: float) -> None:
        self.rested_s.append(duration_s)
        self.computed_s += 1.0  # What others of its event loop had to do is not this work's.


async def test_a_rest_is_as_long_as_its_share_of_what_was_computed_since_the_last_one() -> None:
    thread = Thread()
    rests = Rests(3.0, computed=thread.computed, pause=thread.pause)
    for computed_s in (0.5, 0.25):
        thread.computed_s += computed_s
        await rests.between()
    assert thread.rested_s == [1.5, 0.75]


async def test_pieces_that_take_next_to_nothing_share_a_rest() -> None:
    thread = Thread()
    rests = Rests(3.0, computed=thread.computed, pause=thread.pause)
    for _ in range(100):
        thread.computed_s += 0.00003
        await rests.between()
    assert 20 <= len(thread.rested_s) <= 25
    assert sum(thread.rested_s) == pytest.approx(100 * 0.00003 * 3, rel=0.1)


def test_a_short_rest_is_no_shorter_than_it_should_be_and_others_of_the_event_loop_have_their_turn() -> None:
    turns = list[str]()

    async def rested_s() -> float:
        rests = Rests(3.0, computed=iter([0.0, 0.0001, 0.0001]).__next__)
        asyncio.get_running_loop().call_soon(turns.append, "another")
        began_at = time.monotonic()
        await rests.between()
        turns.append("this")
        return time.monotonic() - began_at

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # Its timers have whole milliseconds.
        assert runner.run(rested_s()) >= 0.0003
    assert turns == ["another", "this"]


async def test_without_a_share_others_of_the_event_loop_have_their_turn_all_the_same() -> None:
    thread = Thread()
    rests = Rests(computed=thread.computed, pause=thread.pause)
    thread.computed_s += 0.01
    await rests.between()
    assert thread.rested_s == [0.0]
