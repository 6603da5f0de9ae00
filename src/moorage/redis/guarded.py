"""A Redis that may be slow or gone: a caller waits for a moment at most, and not at all while it is known to be away.

Nothing of what Redis is used for here is needed to answer a request, so every use has another way.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from moorage.config.sections.redis import RedisConnection
from moorage.errors import BackendError
from moorage.redis.redis_client import (
    REDIS_ERRORS,
    RedisClient,
    RedisPoolState,
    answer_deadline_s,
    close_redis,
    open_redis,
    pool_state,
)
from moorage.telemetry import get_log

ANSWER_S = 0.5
"""Seconds to wait for an answer where the configuration has no ``readtimeout`` and no ``writetimeout``."""
REST_S = 1.0
"""Seconds for which Redis is not asked after it has failed."""
_DEFAULT_CONNECTIONS = 10

_log = get_log("redis")


class RedisUnavailable(BackendError):
    """Redis did not answer, not in time, or with an error."""


class GuardedRedis:
    """A client of one Redis, for uses that can do without."""

    def __init__(
        self,
        settings: RedisConnection,
        *,
        name: str,
        monotonic: Callable[[], float] = time.monotonic,
        observe: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """*name*: the section of the configuration, for the log. It connects when it is first used.

        *observe*: is told the name at each failure.
        """
        connections = settings.pool.connections or _DEFAULT_CONNECTIONS
        self.name = name
        self.uses: Counter[str] = Counter()
        """Counts uses: ``hit`` where a connection was there, else ``miss``; and those that took too long."""
        self._client = open_redis(settings, connections=connections)
        is_given = bool(settings.readtimeout or settings.writetimeout)
        self._answer_s = answer_deadline_s(settings) if is_given else ANSWER_S
        # The library's pools raise when they are used up; a moment's wait is better.
        self._turns = asyncio.Semaphore(connections)
        self._monotonic = monotonic
        self._rests_until = float("-inf")
        self._is_failing = False
        self._observe = observe

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[RedisClient]:
        """Have a turn at Redis; what the block asks has to be answered in time.

        Raises:
            RedisUnavailable: it was not, or Redis has failed a moment ago.
        """
        if self._monotonic() < self._rests_until:
            msg = f"{self.name}: not asked, as it failed a moment ago"
            raise RedisUnavailable(msg)
        self.uses["hit" if pool_state(self._client).idle else "miss"] += 1
        try:
            async with asyncio.timeout(self._answer_s), self._turns:
                yield self._client
        except TimeoutError as exc:
            self.uses["timeout"] += 1
            self._note(f"no answer within {self._answer_s:g} s")
            raise RedisUnavailable(self.name) from exc
        except REDIS_ERRORS as exc:
            self._note(str(exc) or type(exc).__name__)
            raise RedisUnavailable(self.name) from exc
        if self._is_failing:
            self._is_failing = False
            _log.info("Redis answers again", section=self.name)

    async def ping(self) -> None:
        """Ask whether it answers, also while it rests.

        Raises:
            RedisUnavailable: it does not, or not in time.
        """
        self._rests_until = float("-inf")
        async with self.turn() as client:
            await client.exists("moorage:ping")

    @property
    def pool(self) -> RedisPoolState:
        """The state of its connections now."""
        return pool_state(self._client)

    async def close(self) -> None:
        """Let go of every connection."""
        await close_redis(self._client)

    def _note(self, why: str) -> None:
        self._rests_until = self._monotonic() + REST_S
        self._observe(self.name)
        if not self._is_failing:
            self._is_failing = True
            _log.error("Redis does not answer; going on without it", section=self.name, error=why[:200])
