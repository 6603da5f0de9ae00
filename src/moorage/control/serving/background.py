"""Work beside requests, in threads of one process of a node, for as long as that process lives."""

import asyncio
import threading

from moorage.control.jobs.loop import Turn, run_workers
from moorage.control.workers import all_workers

_END_S = 5.0
"""Seconds that work has to give back what it holds; what is then not given back comes due again by itself."""


async def work_beside_requests() -> None:
    """Do what is due until it is cancelled."""
    turn = Turn()
    # Work that waits for a registry must not hold the end of the process up.
    thread = threading.Thread(target=run_workers, args=(all_workers(), turn), name="jobs", daemon=True)
    thread.start()
    try:
        await asyncio.Event().wait()
    finally:
        turn.stopping.set()
        await asyncio.to_thread(thread.join, _END_S)
