"""Places go to networks in turn, and none is lost where somebody gives up."""

import asyncio
import threading

from moorage.auth.network_turns import NetworkTurns
from unit.auth.test_basic import HONEST, World, basic


async def test_networks_come_in_turn_and_each_in_its_own_order() -> None:
    turns, order = NetworkTurns(1), list[str]()

    async def one(name: str) -> None:
        await turns.take(name[0])
        order.append(name)
        turns.give_back()

    await turns.take("x")
    waiting = [asyncio.create_task(one(name)) for name in ("a1", "a2", "a3", "b1", "c1", "b2")]
    await asyncio.sleep(0)
    turns.give_back()
    await asyncio.gather(*waiting)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_whoever_gives_up_before_or_in_the_moment_of_a_turn_takes_no_place_along() -> None:
    turns = NetworkTurns(1)
    await turns.take("x")
    before, at_once, last = [asyncio.create_task(turns.take("a")) for _ in range(3)]
    await asyncio.sleep(0)
    before.cancel()
    await asyncio.sleep(0)
    turns.give_back()  # To the second.
    at_once.cancel()
    await asyncio.gather(before, at_once, return_exceptions=True)
    await last
    turns.give_back()
    await turns.take("b")


async def test_nobody_waits_behind_all_that_one_network_asks_for() -> None:
    """Two of a stranger's checks are under way, and fifty wait. A login comes after the next one of them."""
    world = World()
    begun, later = threading.Event(), threading.Event()
    addresses = [f"2001:db8:5:{number:x}::1" for number in range(52)]
    world.gates = {f"{address} 0".encode(): later for address in addresses}
    world.gates |= {f"{address} 0".encode(): begun for address in addresses[:2]}
    tasks = [asyncio.create_task(world.ask(basic("ada", f"{address} 0"), address)) for address in addresses]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    honest = asyncio.create_task(world.ask(basic("eve", "word"), HONEST))
    await asyncio.sleep(0)
    begun.set()
    try:
        async with asyncio.timeout(10):  # Without turns it would wait until "later".
            assert await honest == "eve"
    finally:
        later.set()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [lane.waiting for lane in world.guard._lanes.values()] == [0, 0, 0]
