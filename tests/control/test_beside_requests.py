"""Workers beside requests: they work while the process serves, and end with it."""

import asyncio
import contextlib
import threading

from moorage.control.jobs.loop import Turn
from moorage.control.serving.beside_requests import working

DEADLINE_S = 60


class Stepping:
    """A worker whose step goes on until it is told to stop."""

    name, slots = "stepping", 1

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()

    def step(self, turn: Turn) -> bool:
        self.began.set()
        assert turn.stopping.wait(DEADLINE_S)
        self.ended.set()
        return False


async def test_a_worker_works_until_the_process_ends_and_ends_its_step_then() -> None:
    worker = Stepping()
    chore = asyncio.create_task(working([worker])())
    assert await asyncio.to_thread(worker.began.wait, DEADLINE_S)
    chore.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await chore
    assert worker.ended.is_set()
