"""Calls in threads: what whoever waits is told, and what happens when it goes away."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from moorage.work.call_threads import CallThreads

PATIENCE_S = 30.0


class Gate:
    """A call that waits until it may end."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.has_ended = False

    def __call__(self) -> str:
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE_S)
        self.has_ended = True
        return threading.current_thread().name

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.has_begun.wait, PATIENCE_S)


@pytest.fixture
async def threads() -> AsyncIterator[CallThreads]:
    made = CallThreads(1, "test")
    yield made
    await made.close()


async def test_a_call_gives_what_it_returns_and_raises_what_it_raises(threads: CallThreads) -> None:
    assert await threads.run(int, "ff", base=16) == 255
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    assert (await threads.run(lambda: threading.current_thread().name)).startswith("test_")


async def test_as_many_calls_run_at_once_as_there_may_be_threads() -> None:
    threads, gates = CallThreads(3, "test"), [Gate() for _ in range(4)]
    runs = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    for gate in gates[:3]:
        await gate.begun()
    assert not gates[3].has_begun.is_set()
    for gate in gates:
        gate.may_end.set()
    assert len(set(await asyncio.gather(*runs))) <= 3
    await threads.close()


async def test_who_is_cancelled_is_held_until_the_call_is_over(threads: CallThreads) -> None:
    gate = Gate()
    run = asyncio.ensure_future(threads.run(gate))
    await gate.begun()
    for _ in range(2):
        run.cancel()
        await asyncio.sleep(0)
        assert not run.done()
    gate.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert gate.has_ended


async def test_a_call_that_has_not_begun_is_not_made_for_who_was_cancelled(threads: CallThreads) -> None:
    gate, made = Gate(), list[int]()
    first = asyncio.ensure_future(threads.run(gate))
    await gate.begun()
    second = asyncio.ensure_future(threads.run(made.append, 2))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.may_end.set()
    await first
    await threads.run(made.append, 3)
    assert made == [3]


async def test_what_is_to_be_done_at_the_end_of_a_call_is_done_once_then_or_now(threads: CallThreads) -> None:
    gate, done = Gate(), list[str]()
    call = threads.submit(gate)
    await gate.begun()
    call.at_end(lambda: done.append("then"))
    assert done == []
    gate.may_end.set()
    await call.result()
    assert done == ["then"]
    call.at_end(lambda: done.append("now"))
    assert done == ["then", "now"]


async def test_a_call_that_is_never_made_is_over_at_once(threads: CallThreads) -> None:
    gate, done = Gate(), list[str]()
    first = asyncio.ensure_future(threads.run(gate))
    await gate.begun()
    calls = [threads.submit(done.append, "never") for _ in range(2)]
    calls[0].at_end(lambda: done.append("asked before"))
    for call in calls:
        waiting = asyncio.ensure_future(call.result())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    calls[1].at_end(lambda: done.append("asked after"))
    assert done == ["asked before", "asked after"]
    gate.may_end.set()
    await first
    await threads.run(int)  # So that the thread has passed over both.
    assert done == ["asked before", "asked after"]


async def test_the_end_waits_for_all_calls_and_takes_no_more() -> None:
    threads, made = CallThreads(1, "test"), list[int]()
    calls = [asyncio.ensure_future(threads.run(made.append, number)) for number in range(10)]
    await asyncio.sleep(0)
    await threads.close()
    assert made == list(range(10))
    await asyncio.gather(*calls)
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(made.append, 11)


async def test_a_call_begins_when_the_event_loop_has_done_what_came_before_it(threads: CallThreads) -> None:
    await threads.run(int)  # There is a thread that waits.
    has_begun, seen = threading.Event(), list[bool]()
    asyncio.get_running_loop().call_soon(lambda: seen.append(has_begun.wait(0.1)))
    call = threads.submit(has_begun.set)
    await call.result()
    assert (seen, has_begun.is_set()) == ([False], True)


async def test_calls_that_came_just_before_the_end_are_made() -> None:
    threads, made = CallThreads(2, "test"), list[int]()
    calls = [threads.submit(made.append, number) for number in range(3)]
    await threads.close()
    assert sorted(made) == [0, 1, 2]
    assert [await call.result() for call in calls] == [None] * 3
