"""The chore of one process of a node: the control plane's workers, in threads beside the event loop."""

import asyncio
from collections.abc import Sequence

from moorage.control.jobs.loop import Turn, Worker, run_workers
from moorage.server.application import Chore


def working(workers: Sequence[Worker]) -> Chore:
    """Return a chore that runs *workers* until it is cancelled, and then lets each end the step that it is in."""

    async def work() -> None:
        turn = Turn()
        running = asyncio.create_task(asyncio.to_thread(run_workers, workers, turn))
        try:
            await asyncio.shield(running)
        finally:
            turn.stopping.set()
            await running

    return work
