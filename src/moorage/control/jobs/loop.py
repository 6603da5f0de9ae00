"""The loop of work beside requests: threads that ask each worker for its next step until they are told to stop."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from django.db import close_old_connections, connections
from django.utils import timezone

IDLE_S = 15.0
"""Seconds after which it is looked again; each wait differs a little, so that nodes do not ask together."""

_LOG = structlog.get_logger("moorage.control.jobs")


@dataclass(frozen=True, slots=True)
class Turn:
    """The surroundings of a step of work."""

    clock: Callable[[], datetime] = timezone.now
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set: the step gives back what it has not done, and ends."""

    @property
    def now(self) -> datetime:
        """The moment by the clock."""
        return self.clock()


class Worker(Protocol):
    """Something that has rows of its own to work on."""

    @property
    def name(self) -> str:
        """A word for the log."""

    @property
    def slots(self) -> int:
        """The number of steps that one process does at once."""

    def step(self, turn: Turn) -> bool:
        """Do the next thing that is due; False: nothing is."""


def run_workers(workers: Sequence[Worker], turn: Turn, *, idle_s: float = IDLE_S) -> None:
    """Work until ``turn.stopping`` is set, and come back when all steps have ended."""
    threads = [
        threading.Thread(target=_work, args=(worker, turn, idle_s), name=f"{worker.name}-{slot}", daemon=True)
        for worker in workers
        for slot in range(worker.slots)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_until_idle(workers: Sequence[Worker], turn: Turn) -> int:
    """Do all that is due now, and return the number of steps: for commands and tests."""
    steps = 0
    while any([worker.step(turn) for worker in workers]):  # noqa: C419 - each has its turn
        steps += 1
    return steps


def _work(worker: Worker, turn: Turn, idle_s: float) -> None:
    try:
        while not turn.stopping.is_set():
            if not _step(worker, turn):
                connections.close_all()  # A dozen threads would each hold one for what they ask every 15 s.
                turn.stopping.wait(idle_s * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
    finally:
        connections.close_all()


def _step(worker: Worker, turn: Turn) -> bool:
    close_old_connections()
    try:
        return worker.step(turn)
    except Exception:  # noqa: BLE001 - the outermost layer of a job
        # The row stays leased, and comes due again: other rows have their turn first.
        _LOG.exception("job failed", worker=worker.name)
        return False
