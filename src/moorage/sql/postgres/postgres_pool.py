"""Connections of one worker process, and whose turn it is to use them."""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from moorage.errors import DatabaseUnavailable
from moorage.sql.database_place import PoolLimits
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS, Fault, diagnose

_SETTLE_DEADLINE_S = 2.0
"""Seconds that cancelling a statement may take, once no caller waits for it any more."""


class PooledConnection:
    """One connection, with the statements that it knows."""

    __slots__ = ("connection", "expires_at", "generation", "idle_since", "statements")

    def __init__(self, connection: asyncpg.Connection, generation: int, expires_at: float) -> None:
        self.connection = connection
        self.generation = generation
        self.expires_at = expires_at
        """On the event loop's clock."""
        self.idle_since = 0.0
        self.statements: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}

    async def prepare(self, text: str) -> asyncpg.prepared_stmt.PreparedStatement:
        """Have a statement described by the server. It is kept: the next time its run is the only round trip."""
        statement = self.statements[text] = await self.connection.prepare(text)
        return statement

    def diagnose(self, exc: Exception) -> Fault:
        """Tell what an error on this connection means."""
        return diagnose(exc, is_closed=self.connection.is_closed())


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The state of a pool."""

    open_bound: int
    opened: int
    """Open, or just being opened."""
    idle: int
    waiting: int
    """Those that wait for a connection now."""
    waits: int = 0
    """Counts those that ever had to wait."""
    waited_s: float = 0.0
    """Seconds that all of them have waited."""


class Pool:
    """At most so many connections; who comes when all are in use waits in line, not for ever.

    A connection that was lost casts doubt on all that are as old: they are closed as soon as nobody uses them.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], limits: PoolLimits, *, queue_deadline: timedelta
    ) -> None:
        self._connect = connect
        self._limits = limits
        self._queue_deadline_s = queue_deadline.total_seconds()
        self._lifetime_s = limits.max_lifetime.total_seconds() or math.inf
        self._idle_s = limits.max_idle_time.total_seconds() or math.inf
        self._clock = asyncio.get_running_loop().time
        self._links: set[PooledConnection] = set()
        self._opening = 0
        self._idle: list[PooledConnection] = []
        self._waiters: deque[asyncio.Future[PooledConnection | None]] = deque()
        self._generation = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._drained = asyncio.Event()
        self._waits = 0
        self._waited_s = 0.0

    @property
    def stats(self) -> PoolStats:
        """The state of the pool now."""
        waiting = sum(not waiter.done() for waiter in self._waiters)
        return PoolStats(self._limits.open_bound, self._opened, len(self._idle), waiting, self._waits, self._waited_s)

    def take(self) -> PooledConnection | None:
        """A connection that is there and unused, the one used last; None if there is none."""
        now = self._clock()
        while self._idle:
            link = self._idle.pop()
            if self._is_good(link, now):
                return link
            self._drop(link)
        return None

    async def acquire(self) -> PooledConnection:
        """A connection: an unused one, a new one, or the next that is given back.

        Raises:
            DatabaseUnavailable: no server takes connections, or all stayed in use for too long.
        """
        deadline = self._clock() + self._queue_deadline_s
        while True:
            if self._is_closed:
                msg = "the database is closed"
                raise DatabaseUnavailable(msg)
            link = self.take()
            if link is None and self._opened < self._limits.open_bound:
                link = await self._open()
            if link is None:
                link = await self._stand_in_line(deadline)
            if link is not None:
                return link

    def give_back(self, link: PooledConnection) -> None:
        """Let others use a connection that is as it was."""
        now = self._clock()
        if self._is_closed or not self._is_good(link, now, is_used=True):
            self._drop(link)
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(link)
                return
        if len(self._idle) >= self._limits.idle_bound:
            self._drop(link)
            return
        link.idle_since = now
        self._idle.append(link)
        self._plan_sweep()

    async def give_back_after(self, link: PooledConnection, fault: Fault | None, *, cleanup: str | None = None) -> None:
        """Let others use a connection on which something failed, or was given up, if it can be used again.

        *cleanup* is run first. One whose statement was given up is closed, after the server was told to cancel it: the
        answer that is still on its way must never be taken for that of the next statement.
        """
        if fault is not None and fault.is_lost:
            self._distrust(link)
            return
        if fault is not None and fault.is_outdated:
            link.statements.clear()
        if fault is None or not fault.is_answered:
            await self._close_given_up(link, fault)
            return
        if cleanup is None:
            self.give_back(link)
            return
        try:
            await link.connection.execute(cleanup, timeout=_SETTLE_DEADLINE_S)
        except VENDOR_ERRORS:
            self._distrust(link)
        except BaseException:
            self._drop(link)
            raise
        else:
            self.give_back(link)

    async def _close_given_up(self, link: PooledConnection, fault: Fault | None) -> None:
        try:
            await link.connection.close(timeout=_SETTLE_DEADLINE_S)
        except VENDOR_ERRORS:
            if fault is not None:
                # After a deadline that was missed, a second silence says that the server is not there.
                self._distrust(link)
        finally:
            self._drop(link)

    async def close(self, drain_deadline_s: float) -> None:
        """Close what is unused, wait for what is in use, then cut it off."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._fail_waiters(DatabaseUnavailable("the database is closed"))
        while self._idle:
            link = self._idle.pop()
            with contextlib.suppress(*VENDOR_ERRORS):
                await link.connection.close(timeout=_SETTLE_DEADLINE_S)
            self._drop(link)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_deadline_s):
                while self._opened:
                    self._drained.clear()
                    await self._drained.wait()
        for link in list(self._links):
            self._drop(link)

    @property
    def _opened(self) -> int:
        return len(self._links) + self._opening

    def _is_good(self, link: PooledConnection, now: float, *, is_used: bool = False) -> bool:
        return (
            link.generation == self._generation
            and now < link.expires_at
            and (is_used or now < link.idle_since + self._idle_s)
            and not link.connection.is_closed()
        )

    async def _open(self) -> PooledConnection:
        self._opening += 1
        generation = self._generation
        try:
            connection = await self._connect()
        except DatabaseUnavailable as exc:
            self._opening -= 1
            if self._opened:
                self._wake_one()
            else:
                # Those that wait would only be told the same, later.
                self._fail_waiters(exc)
            self._drained.set()
            raise
        except BaseException:
            self._opening -= 1
            self._wake_one()
            self._drained.set()
            raise
        self._opening -= 1
        link = PooledConnection(connection, generation, self._clock() + self._lifetime_s)
        self._links.add(link)
        return link

    async def _stand_in_line(self, deadline: float) -> PooledConnection | None:
        """Wait for a connection that is given back. None: there is room for a new one."""
        waiter: asyncio.Future[PooledConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        began = self._clock()
        self._waits += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except BaseException as exc:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            if isinstance(exc, TimeoutError):
                msg = f"all {self._limits.open_bound} connections to PostgreSQL stayed in use"
                raise DatabaseUnavailable(msg) from None
            raise
        finally:
            self._waited_s += self._clock() - began

    def _pass_on(self, link: PooledConnection | None) -> None:
        if link is None:
            self._wake_one()
        else:
            self.give_back(link)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _fail_waiters(self, exc: DatabaseUnavailable) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(DatabaseUnavailable(*exc.args))

    def _distrust(self, link: PooledConnection) -> None:
        if link.generation == self._generation:
            self._generation += 1
            while self._idle:
                self._drop(self._idle.pop())
        self._drop(link)

    def _drop(self, link: PooledConnection) -> None:
        self._links.discard(link)
        link.statements.clear()
        link.connection.terminate()
        self._drained.set()
        self._wake_one()

    def _plan_sweep(self) -> None:
        period_s = min(self._idle_s, self._lifetime_s)
        if self._sweeper is None and period_s < math.inf:
            self._sweeper = asyncio.get_running_loop().call_later(period_s, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._clock()
        kept = [link for link in self._idle if self._is_good(link, now)]
        dropped = [link for link in self._idle if link not in kept]
        self._idle = kept
        for link in dropped:
            self._drop(link)
        if kept:
            self._plan_sweep()
