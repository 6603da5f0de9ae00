"""Gates: where a task stops until the scheduler lets it go on, or ends it as a process that is killed ends.

Each actor is one process. Of all actors one runs at a time, from gate to gate, so that a seed decides who comes when.
On PostgreSQL one may wait for a lock that another holds: then the next is let go, and it comes back by itself.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

DEADLINE_S = 60.0
"""Nobody is away for longer: every wait of the product has a shorter deadline, and the machine may be busy."""
_PROBE_S = 0.002
_TRACE = 600
_PACES = (1.0, 1.0, 1.0, 0.05)
"""Some are slow for a while: what others do meanwhile is what goes wrong."""
_NEW_PACES = 0.02


class Crashed(BaseException):
    """The process of an actor was killed; nothing that it does from now on has an effect."""


class Violation(AssertionError):
    """The registry broke a promise."""


@dataclass(eq=False)
class Actor:
    """A process that does one thing after the other."""

    name: str
    rng: random.Random
    is_dead: bool = False
    open_transactions: int = 0
    pace: float = 1.0
    """How often it gets its turn, compared with the others."""
    parked: list["Parked"] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        return bool(self.parked) and all(each.label == "idle" for each in self.parked)


@dataclass(eq=False)
class Parked:
    """A task of an actor that waits at a gate."""

    actor: Actor
    label: str
    go: asyncio.Future[None]


CURRENT: ContextVar[Actor | None] = ContextVar("CURRENT", default=None)


class Scheduler:
    """Lets actors go, one at a time."""

    def __init__(self, rng: random.Random, count_waiting: Callable[[], Awaitable[int]] | None) -> None:
        """*count_waiting*: how many sessions of the database wait for a lock; None: none ever does."""
        self.rng = rng
        self.steps = 0
        self.actors: list[Actor] = []
        self.trace: deque[str] = deque(maxlen=_TRACE)
        self._count_waiting = count_waiting
        self._arrived = asyncio.Event()

    def start(self, name: str, work: Callable[[Actor], Awaitable[None]]) -> Actor:
        """Start an actor, which comes to its first gate at the next :meth:`settle`."""
        actor = Actor(name, random.Random(self.rng.getrandbits(64)))
        self.actors.append(actor)

        async def run() -> None:
            CURRENT.set(actor)
            try:
                await work(actor)
            except Crashed:
                pass
            finally:
                self._arrived.set()

        actor.task = asyncio.get_running_loop().create_task(run())
        return actor

    async def gate(self, label: str) -> None:
        """Wait to be let go. Whoever is no actor passes.

        Raises:
            Crashed: this actor's process is killed here, or was before.
        """
        actor = CURRENT.get()
        if actor is None:
            return
        if actor.is_dead:
            raise Crashed
        parked = Parked(actor, label, asyncio.get_running_loop().create_future())
        actor.parked.append(parked)
        self._arrived.set()
        try:
            await parked.go
        finally:
            if parked in actor.parked:
                actor.parked.remove(parked)

    def note(self, actor: str, what: str) -> None:
        """Remember what happened, for whoever reads of a failure."""
        self.trace.append(f"{self.steps:>7} {actor:<12} {what}")

    async def step(self, *, crash: float, only_busy: bool = False) -> bool:
        """Let one actor pass its gate, or kill it there with the chance *crash*; False: nobody can be let go.

        *only_busy*: nobody begins anything new.
        """
        choice = [each for actor in self.actors for each in actor.parked if not (only_busy and each.label == "idle")]
        if not choice:
            return False
        if self.rng.random() < _NEW_PACES:
            for actor in self.actors:
                actor.pace = self.rng.choice(_PACES)
        (parked,) = self.rng.choices(choice, [each.actor.pace for each in choice])
        self.steps += 1
        parked.actor.parked.remove(parked)
        if parked.label != "idle" and self.rng.random() < crash:
            self.note(parked.actor.name, f"is killed before {parked.label}")
            self.kill(parked)
        else:
            self.note(parked.actor.name, parked.label)
            parked.go.set_result(None)
        await self.settle()
        return True

    def kill(self, parked: Parked) -> None:
        """End an actor's process at a gate."""
        actor = parked.actor
        actor.is_dead = True
        for each in {parked, *actor.parked}:
            each.go.set_exception(Crashed())
        actor.parked.clear()

    async def settle(self) -> None:
        """Wait until every actor is at a gate, at its end, or waits for a lock."""
        deadline = time.monotonic() + DEADLINE_S
        has_waited = False
        while True:
            self._bury()
            away = [actor for actor in self.actors if not actor.parked]
            if not away:
                return
            if has_waited and self._count_waiting is not None:
                is_anyone_here = len(away) < len(self.actors)
                if await self._count_waiting() >= len(away) and is_anyone_here:
                    return
            if time.monotonic() > deadline:
                msg = f"never came back: {[actor.name for actor in away]}"
                raise Violation(msg)
            self._arrived.clear()
            try:
                async with asyncio.timeout(_PROBE_S if self._count_waiting is not None else 1):
                    await self._arrived.wait()
            except TimeoutError:
                has_waited = True

    def _bury(self) -> None:
        for actor in [actor for actor in self.actors if actor.task is not None and actor.task.done()]:
            self.actors.remove(actor)
            assert actor.task is not None
            actor.task.result()
