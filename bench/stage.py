"""The stage that every work plays on: both servers, the content, how much of everything, and the stopwatch."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from content import GIB, MIB, Pool
from figures import Series
from load import Latencies, Load
from subjects import Daemon, Subject, running

Act = Callable[[Daemon, int], Load]

SETTLE_S = 0.1
"""How long a server may go on after the last answer on the account of what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int
    load_s: int
    """How long a load lasts that repeats small requests."""
    large_bytes: int
    """The size of the large blob."""
    large_pulls: int
    """How often it is pulled in a round: CPU time is counted in steps of 10 ms."""
    crowd_bytes: int
    """What each of the 100 clients of the memory work pushes."""
    lone_bytes: int
    """What the single client of the memory work pushes."""
    list_s: int
    """How long a load lasts that repeats pages of lists."""
    tags: int
    """Tags of the large repository."""
    repositories: int
    """Repositories in the large catalogue."""
    sized_tags: int
    """Tags of the repository whose size is asked for."""
    deleted_tags: int
    """Tags that are deleted at once."""
    dead_blobs: int
    """Blobs that garbage collection has to remove."""
    day_requests: int
    """Requests of the memory-day work."""
    day_repositories: int
    """Repositories that they push and read."""
    free_bytes: int
    """What has to be free on the disk."""


FULL = Plan(
    rounds=5,
    load_s=3,
    large_bytes=GIB,
    large_pulls=4,
    crowd_bytes=100 * MIB,
    lone_bytes=4 * GIB,
    list_s=2,
    tags=100_000,
    repositories=100_000,
    sized_tags=10_000,
    deleted_tags=26_788,
    dead_blobs=100_000,
    day_requests=100_000,
    day_repositories=1000,
    free_bytes=30 * GIB,
)
QUICK = Plan(
    rounds=3,
    load_s=1,
    large_bytes=256 * MIB,
    large_pulls=2,
    crowd_bytes=10 * MIB,
    lone_bytes=256 * MIB,
    list_s=1,
    tags=10_000,
    repositories=10_000,
    sized_tags=1000,
    deleted_tags=2000,
    dead_blobs=20_000,
    day_requests=5000,
    day_repositories=100,
    free_bytes=8 * GIB,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one server."""

    count: int
    cpu_s: float
    wall_s: float
    latencies_s: Latencies
    database_cpu_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Both servers, running."""

    reference: Daemon
    candidate: Daemon


@dataclass(frozen=True, slots=True)
class Rounds:
    """The samples of both servers."""

    reference: Sequence[Sample]
    candidate: Sequence[Sample]

    def series(self, unit: str, value: Callable[[Sample], float], *, is_higher_better: bool = False) -> Series:
        """One measure of each sample."""
        reference, candidate = ([value(sample) for sample in side] for side in (self.reference, self.candidate))
        return Series(unit, reference, candidate, is_higher_better)


@dataclass(frozen=True, slots=True)
class Stage:
    """What a work needs to play."""

    reference: Subject
    candidate: Subject
    scratch: Path
    plan: Plan
    pool: Pool
    say: Callable[[str], None]
    stores: Sequence[Subject] = ()
    """The candidate on every store that it can use, the default one first; empty if it is not Moorage."""
    workers: int = 1
    """Of the candidate, where a work starts one of its own."""

    @property
    def databases(self) -> Sequence[Subject]:
        """The candidate on every database."""
        return [subject for subject in self.stores if subject.store != "layout"]

    @contextlib.contextmanager
    def running(self, *subjects: Subject) -> Iterator[list[Daemon]]:
        """Start *subjects*, each with an empty folder."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(running(subject, self.scratch)) for subject in subjects]

    @contextlib.contextmanager
    def pair(self) -> Iterator[Pair]:
        """Start both servers with empty folders."""
        with running(self.reference, self.scratch) as reference, running(self.candidate, self.scratch) as candidate:
            yield Pair(reference, candidate)

    def measure(self, title: str, pair: Pair, act: Act) -> Rounds:
        """Measure *act* on both servers; see :meth:`samples`."""
        return Rounds(*self.samples(title, [pair.reference, pair.candidate], act))

    def samples(self, title: str, daemons: Sequence[Daemon], act: Act) -> list[list[Sample]]:
        """Measure *act* (a server, the number of the round) on each in turn; who is first changes with each round.

        Round 0 is only for warming up: it is not counted.
        """
        samples: list[list[Sample]] = [[] for _ in daemons]
        order = list(range(len(daemons)))
        for number in range(self.plan.rounds + 1):
            self.say(f"{title}: {f'round {number} of {self.plan.rounds}' if number else 'warming up'}")
            for side in order:
                sample = _timed(daemons[side], act, number)
                if number:
                    samples[side].append(sample)
            order.reverse()
        return samples


def _timed(daemon: Daemon, act: Act, number: int) -> Sample:
    # Whoever wrote last pays for its own pages.
    os.sync()
    before_s, database_before_s = daemon.cpu_s(), daemon.database_cpu_s()
    load = act(daemon, number)
    time.sleep(SETTLE_S)
    cpu_s, database_cpu_s = daemon.cpu_s() - before_s, daemon.database_cpu_s() - database_before_s
    return Sample(load.count, cpu_s, load.wall_s, load.latencies_s, database_cpu_s)
